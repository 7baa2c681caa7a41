-- Retractions by source and by when it was asked; the modules are those that the source had when this was said. One that is being undone
-- is listed until it is, and takes in nothing that comes meanwhile.
ALTER TABLE retraction ADD COLUMN source TEXT NOT NULL DEFAULT '';
ALTER TABLE retraction ADD COLUMN modules TEXT NOT NULL DEFAULT '';
ALTER TABLE retraction ADD COLUMN since BIGINT;
ALTER TABLE retraction ADD COLUMN ending SMALLINT NOT NULL DEFAULT 0;

-- Of a result about names or a level of the DNS, of which zone they are.
ALTER TABLE result ADD COLUMN zone TEXT NOT NULL DEFAULT '';

-- Whether anything of a scan is withdrawn, and the ordinal of the last change that what is unsupported was worked out with.
ALTER TABLE scan ADD COLUMN withdrawn SMALLINT NOT NULL DEFAULT 0;
ALTER TABLE scan ADD COLUMN supported BIGINT NOT NULL DEFAULT 0;
UPDATE scan SET withdrawn = 1, supported = -1 WHERE workspace IN (SELECT workspace FROM retraction);
