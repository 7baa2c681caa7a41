-- Scans that were deleted, so that a report that is still being made of one leaves nothing behind.
CREATE TABLE deleted_scan (
    workspace BYTEA NOT NULL,
    scan BYTEA NOT NULL,
    PRIMARY KEY (workspace, scan)
);
