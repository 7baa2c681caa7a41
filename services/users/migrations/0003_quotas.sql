-- What an operator has set of how much a workspace may use; NULL is what is usual.
CREATE TABLE quota (
    workspace BYTEA NOT NULL PRIMARY KEY,
    scans BIGINT,
    items BIGINT,
    storage BIGINT
);
