-- Why a scan that runs is handed nothing out of what waits: a quota of its workspace that is used up.
ALTER TABLE scan ADD COLUMN withheld TEXT NOT NULL DEFAULT '';
-- Work items that were handed out in a day (since 1970, UTC), by the number of their scan: a row for each, so that scans
-- do not wait for one another to count. A scan that was deleted was at work all the same.
CREATE TABLE handed_out (
    workspace BYTEA NOT NULL,
    day BIGINT NOT NULL,
    scan BIGINT NOT NULL,
    items BIGINT NOT NULL,
    PRIMARY KEY (workspace, day, scan)
);
