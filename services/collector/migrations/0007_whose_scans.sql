-- Whose the scans are that a collector has worked for.
CREATE TABLE scan (
    scan BYTEA NOT NULL PRIMARY KEY,
    workspace BYTEA NOT NULL
);
