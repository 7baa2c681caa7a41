-- Ids are digests, so every index that begins with one costs a page of its own for each row that is written. Entities and
-- relations, and the results that claims and records come with, therefore have numbers in the order in which they came, and
-- all that is kept about them goes by these; a relation is found by the number of its source.
CREATE TABLE entity (
    workspace BYTEA NOT NULL,
    id BYTEA NOT NULL,
    number BIGINT NOT NULL,
    type TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    first_seen BIGINT NOT NULL,
    last_seen BIGINT NOT NULL,
    PRIMARY KEY (workspace, id)
);
CREATE UNIQUE INDEX entity_number ON entity (workspace, number);
CREATE INDEX entity_value ON entity (workspace, value);

CREATE TABLE unindexed (
    workspace BYTEA NOT NULL,
    entity BIGINT NOT NULL,
    PRIMARY KEY (workspace, entity)
);

CREATE TABLE relation (
    workspace BYTEA NOT NULL,
    source BIGINT NOT NULL,
    id BYTEA NOT NULL,
    number BIGINT NOT NULL,
    type TEXT NOT NULL,
    target BIGINT NOT NULL,
    qualifiers TEXT NOT NULL,
    PRIMARY KEY (workspace, source, id)
);
CREATE UNIQUE INDEX relation_number ON relation (workspace, number);
CREATE INDEX relation_target ON relation (workspace, target);

CREATE TABLE claim (
    workspace BYTEA NOT NULL,
    id BYTEA NOT NULL,
    scan BYTEA NOT NULL,
    claim BYTEA NOT NULL,
    about BIGINT NOT NULL,
    kind SMALLINT NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    result BIGINT NOT NULL,
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
CREATE INDEX claim_result ON claim (workspace, scan, result);

CREATE TABLE sighting (
    workspace BYTEA NOT NULL,
    scan BYTEA NOT NULL,
    entity BIGINT NOT NULL,
    type TEXT NOT NULL,
    role SMALLINT,
    distance BIGINT,
    first_seen BIGINT NOT NULL,
    last_seen BIGINT NOT NULL,
    PRIMARY KEY (workspace, entity, scan)
);
CREATE INDEX sighting_scan ON sighting (workspace, scan);

-- A record is written far more often than somebody asks for it by its digest or by that of its body: then the digests of
-- the workspace are read through in the order in which they came, from the indexes alone.
CREATE TABLE record (
    workspace BYTEA NOT NULL,
    scan BYTEA NOT NULL,
    result BIGINT NOT NULL,
    id BYTEA NOT NULL,
    blob BYTEA,
    content BYTEA NOT NULL,
    PRIMARY KEY (workspace, scan, result, id)
);
CREATE INDEX record_blob ON record (workspace, scan, result, blob, id);

CREATE TABLE result (
    workspace BYTEA NOT NULL,
    scan BYTEA NOT NULL,
    item BYTEA NOT NULL,
    turn BIGINT NOT NULL,
    number BIGINT NOT NULL,
    module TEXT NOT NULL,
    version BIGINT NOT NULL,
    subject BYTEA NOT NULL,
    seen BIGINT NOT NULL,
    parts BIGINT NOT NULL,
    outcome TEXT NOT NULL,
    PRIMARY KEY (workspace, scan, item, turn)
);
CREATE UNIQUE INDEX result_number ON result (workspace, number);
CREATE INDEX result_subject ON result (workspace, scan, subject);

CREATE TABLE scan (
    workspace BYTEA NOT NULL,
    id BYTEA NOT NULL,
    admissions BIGINT NOT NULL,
    deleted SMALLINT NOT NULL,
    PRIMARY KEY (workspace, id)
);
