-- How many messages said what changed in a scan: the ordinal of the last one.
ALTER TABLE scan ADD COLUMN changes BIGINT NOT NULL DEFAULT 0;
