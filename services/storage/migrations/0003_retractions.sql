-- What was withdrawn, and why: the claims of a module, or of one version of it, of a scan, or on a record; of several of these, what
-- is all of them. A claim that one of these takes in has its time in retracted_at.
CREATE TABLE retraction (
    workspace BYTEA NOT NULL,
    id BYTEA NOT NULL,
    module TEXT NOT NULL,
    version BIGINT,
    scan BYTEA,
    record BYTEA,
    reason TEXT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (workspace, id)
);
