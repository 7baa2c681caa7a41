-- How much is kept of each workspace: counted with what is written and forgotten, in several parts, so that collectors
-- that write at once seldom wait for one another. What was kept before is not counted.
ALTER TABLE exchange ADD COLUMN bytes BIGINT NOT NULL DEFAULT 0;
ALTER TABLE upload ADD COLUMN bytes BIGINT NOT NULL DEFAULT 0;
CREATE TABLE kept (
    workspace BYTEA NOT NULL,
    part SMALLINT NOT NULL,
    bytes BIGINT NOT NULL,
    PRIMARY KEY (workspace, part)
);
