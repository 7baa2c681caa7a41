CREATE TABLE exchange (
    workspace BYTEA NOT NULL,
    item BYTEA NOT NULL,
    key BYTEA NOT NULL,
    scan BYTEA NOT NULL,
    turn BIGINT NOT NULL,
    failed SMALLINT NOT NULL,
    blob BYTEA,
    record BYTEA NOT NULL,
    PRIMARY KEY (workspace, item, key)
);
CREATE INDEX exchange_scan ON exchange (workspace, scan);
CREATE INDEX exchange_blob ON exchange (workspace, blob);

CREATE TABLE work (
    workspace BYTEA NOT NULL,
    item BYTEA NOT NULL,
    scan BYTEA NOT NULL,
    turn BIGINT NOT NULL,
    module TEXT NOT NULL,
    version BIGINT NOT NULL,
    outcome TEXT NOT NULL,
    subject BYTEA NOT NULL,
    at BIGINT NOT NULL,
    claims BYTEA NOT NULL,
    PRIMARY KEY (workspace, item)
);
CREATE INDEX work_scan ON work (workspace, scan, item);

CREATE TABLE upload (
    workspace BYTEA NOT NULL,
    digest BYTEA NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (workspace, digest)
);
