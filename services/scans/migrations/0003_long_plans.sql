-- The plan of a scan of very many targets: in the row of the scan, every change of that would write it again.
CREATE TABLE long_plan (
    workspace BYTEA NOT NULL,
    scan BIGINT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (workspace, scan)
);
-- `targets` has the first ones; how many there are in all, and a digest of them in whatever order they were named.
-- NULL in rows of before, where `targets` has all.
ALTER TABLE scan ADD COLUMN target_count BIGINT;
ALTER TABLE scan ADD COLUMN target_set BYTEA;
