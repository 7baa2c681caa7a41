-- Which entities may be one and the same. What a statement (an entity, or a relation) says of whose traits, so that it can be
-- taken back; blocks are digests of what is shared.
CREATE TABLE identity_source (
    workspace BYTEA NOT NULL,
    scan BYTEA NOT NULL,
    statement BYTEA NOT NULL,
    entity BYTEA NOT NULL,
    block BYTEA NOT NULL,
    weight BIGINT NOT NULL,
    PRIMARY KEY (workspace, scan, statement, entity, block)
)
--sqlite: WITHOUT ROWID
;
-- The traits of entities: how many statements say so, each as sure as it is.
CREATE TABLE identity_trait (
    workspace BYTEA NOT NULL,
    scan BYTEA NOT NULL,
    entity BYTEA NOT NULL,
    block BYTEA NOT NULL,
    weight BIGINT NOT NULL,
    kind TEXT NOT NULL,
    value TEXT NOT NULL,
    statements BIGINT NOT NULL,
    PRIMARY KEY (workspace, scan, entity, block, weight)
)
--sqlite: WITHOUT ROWID
;
CREATE INDEX identity_trait_block ON identity_trait (workspace, scan, block, kind, entity);
-- How many entities of a type have a trait, those by their registration among them.
CREATE TABLE identity_block (
    workspace BYTEA NOT NULL,
    scan BYTEA NOT NULL,
    block BYTEA NOT NULL,
    type TEXT NOT NULL,
    holders BIGINT NOT NULL,
    PRIMARY KEY (workspace, scan, block, type)
)
--sqlite: WITHOUT ROWID
;
-- What those are that have traits.
CREATE TABLE identity_subject (
    workspace BYTEA NOT NULL,
    scan BYTEA NOT NULL,
    entity BYTEA NOT NULL,
    type TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (workspace, scan, entity)
);
-- What is proposed of two entities in a scan, with its terms as JSON; one has the lesser id.
CREATE TABLE identity_hypothesis (
    workspace BYTEA NOT NULL,
    scan BYTEA NOT NULL,
    one BYTEA NOT NULL,
    other BYTEA NOT NULL,
    id BYTEA NOT NULL,
    type TEXT NOT NULL,
    one_value TEXT NOT NULL,
    other_value TEXT NOT NULL,
    score DOUBLE PRECISION NOT NULL,
    evidence TEXT NOT NULL,
    PRIMARY KEY (workspace, scan, one, other)
);
CREATE INDEX identity_hypothesis_id ON identity_hypothesis (workspace, id);
CREATE INDEX identity_hypothesis_one ON identity_hypothesis (workspace, one, other);
CREATE INDEX identity_hypothesis_other ON identity_hypothesis (workspace, scan, other);
-- What people have decided of two entities, wherever they are seen; it outlives what was proposed.
CREATE TABLE identity_decision (
    workspace BYTEA NOT NULL,
    id BYTEA NOT NULL,
    one BYTEA NOT NULL,
    other BYTEA NOT NULL,
    type TEXT NOT NULL,
    one_value TEXT NOT NULL,
    other_value TEXT NOT NULL,
    status TEXT NOT NULL,
    at BIGINT NOT NULL,
    who TEXT NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (workspace, id)
);
CREATE INDEX identity_decision_one ON identity_decision (workspace, one);
CREATE INDEX identity_decision_other ON identity_decision (workspace, other);
-- All that was ever decided of them.
CREATE TABLE identity_history (
    workspace BYTEA NOT NULL,
    id BYTEA NOT NULL,
    at BIGINT NOT NULL,
    status TEXT NOT NULL,
    who TEXT NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (workspace, id, at)
);
