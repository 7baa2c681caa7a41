-- Who authorised the active work of a scan, as the workspace's key has signed it.
CREATE TABLE authorisation (
    workspace BYTEA NOT NULL,
    scan BIGINT NOT NULL,
    id BYTEA NOT NULL,
    signed TEXT NOT NULL,
    PRIMARY KEY (workspace, scan, id)
);
