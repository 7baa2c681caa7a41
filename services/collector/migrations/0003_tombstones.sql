-- Scans that were deleted, so that what is still under way for them leaves nothing behind.
CREATE TABLE tombstone (
    workspace BYTEA NOT NULL,
    scan BYTEA NOT NULL,
    PRIMARY KEY (workspace, scan)
);
CREATE INDEX tombstone_scan ON tombstone (scan);
