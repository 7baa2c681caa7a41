-- What users said last of a workspace's quotas: they hold where it is away when this service begins. NULL: there is none.
CREATE TABLE known_quota (
    workspace BYTEA NOT NULL PRIMARY KEY,
    scans BIGINT,
    items BIGINT,
    storage BIGINT
);
