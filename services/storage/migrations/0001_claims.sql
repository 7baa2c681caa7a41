-- Keys are digests, so every index that begins with one costs a page of its own for each row that is written: tables have
-- one such index where they can, and the others follow the order in which rows come (by scan, by work item).
CREATE TABLE entity (
    workspace BYTEA NOT NULL,
    id BYTEA NOT NULL,
    type TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    first_seen BIGINT NOT NULL,
    last_seen BIGINT NOT NULL,
    PRIMARY KEY (workspace, id)
);
CREATE INDEX entity_value ON entity (workspace, value);

CREATE TABLE unindexed (
    workspace BYTEA NOT NULL,
    id BYTEA NOT NULL,
    PRIMARY KEY (workspace, id)
);

CREATE TABLE relation (
    workspace BYTEA NOT NULL,
    id BYTEA NOT NULL,
    type TEXT NOT NULL,
    source BYTEA NOT NULL,
    target BYTEA NOT NULL,
    qualifiers TEXT NOT NULL,
    PRIMARY KEY (workspace, id)
);
CREATE INDEX relation_source ON relation (workspace, source);
CREATE INDEX relation_target ON relation (workspace, target);

CREATE TABLE claim (
    workspace BYTEA NOT NULL,
    id BYTEA NOT NULL,
    scan BYTEA NOT NULL,
    claim BYTEA NOT NULL,
    about BYTEA NOT NULL,
    kind SMALLINT NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    item BYTEA NOT NULL,
    module TEXT NOT NULL,
    version BIGINT NOT NULL,
    at BIGINT NOT NULL,
    recorded_at BIGINT NOT NULL,
    retracted_at BIGINT,
    confidence SMALLINT NOT NULL,
    valid_from BIGINT,
    valid_to BIGINT,
    place TEXT NOT NULL,
    details TEXT NOT NULL,
    evidence BYTEA NOT NULL,
    PRIMARY KEY (workspace, about, scan, id)
);
CREATE INDEX claim_item ON claim (workspace, scan, item);

CREATE TABLE sighting (
    workspace BYTEA NOT NULL,
    scan BYTEA NOT NULL,
    entity BYTEA NOT NULL,
    type TEXT NOT NULL,
    role SMALLINT,
    distance BIGINT,
    first_seen BIGINT NOT NULL,
    last_seen BIGINT NOT NULL,
    PRIMARY KEY (workspace, entity, scan)
);
CREATE INDEX sighting_scan ON sighting (workspace, scan);

CREATE TABLE record (
    workspace BYTEA NOT NULL,
    scan BYTEA NOT NULL,
    id BYTEA NOT NULL,
    item BYTEA NOT NULL,
    blob BYTEA,
    content BYTEA NOT NULL,
    PRIMARY KEY (workspace, id, scan)
);
CREATE INDEX record_scan ON record (workspace, scan);
CREATE INDEX record_blob ON record (workspace, blob);

CREATE TABLE result (
    workspace BYTEA NOT NULL,
    scan BYTEA NOT NULL,
    item BYTEA NOT NULL,
    turn BIGINT NOT NULL,
    module TEXT NOT NULL,
    version BIGINT NOT NULL,
    subject BYTEA NOT NULL,
    seen BIGINT NOT NULL,
    parts BIGINT NOT NULL,
    outcome TEXT NOT NULL,
    PRIMARY KEY (workspace, scan, item, turn)
);
CREATE INDEX result_subject ON result (workspace, scan, subject);

CREATE TABLE scan (
    workspace BYTEA NOT NULL,
    id BYTEA NOT NULL,
    admissions BIGINT NOT NULL,
    deleted SMALLINT NOT NULL,
    PRIMARY KEY (workspace, id)
);
