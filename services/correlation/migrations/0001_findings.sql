-- A scan by how far it was taken in and judged. ``base``: storage's ordinal up to which all was taken in; ``work``: what is to be done (0 nothing, 1 what is pending,
-- 2 everything is judged again, 3 the graph is made again), by ``holder``, who has it until ``held`` (without one it rests until then); ``wishes`` and ``orders``: how
-- often something, and how often more than what is pending, was to be done; ``due``: not before when; ``run`` and ``began``: its last run, as of the beginning of which
-- it is judged; ``ended``: when the run ``ended_run`` ended; ``targets``: a digest of what it was asked for; ``rules``: a digest of those it was judged by.
CREATE TABLE scan (
    workspace BYTEA NOT NULL,
    id BYTEA NOT NULL,
    base BIGINT NOT NULL,
    work SMALLINT NOT NULL,
    held BIGINT NOT NULL,
    holder BIGINT NOT NULL,
    wishes BIGINT NOT NULL,
    orders BIGINT NOT NULL,
    due BIGINT NOT NULL,
    run BIGINT NOT NULL,
    began BIGINT NOT NULL,
    ended_run BIGINT NOT NULL,
    ended BIGINT NOT NULL,
    targets BYTEA,
    rules BYTEA,
    deleted SMALLINT NOT NULL,
    PRIMARY KEY (workspace, id)
);
CREATE INDEX scan_work ON scan (work, held);
CREATE INDEX scan_id ON scan (id);
CREATE INDEX scan_targets ON scan (workspace, targets);

-- Ordinals of what storage said of a scan beyond its base: all is taken in where none is missing.
CREATE TABLE heard (
    workspace BYTEA NOT NULL,
    scan BYTEA NOT NULL,
    ordinal BIGINT NOT NULL,
    PRIMARY KEY (workspace, scan, ordinal)
);

-- What is to be read again from storage: entities (no id), and relations by their source. ``ticket`` counts how often it was listed.
CREATE TABLE pending (
    workspace BYTEA NOT NULL,
    scan BYTEA NOT NULL,
    source BYTEA NOT NULL,
    id BYTEA NOT NULL,
    ticket BIGINT NOT NULL,
    PRIMARY KEY (workspace, scan, source, id)
);

-- Findings, each once in a workspace; a person's word on one counts in every scan. ``told``: whether it was said that there is one.
CREATE TABLE finding (
    workspace BYTEA NOT NULL,
    id BYTEA NOT NULL,
    rule TEXT NOT NULL,
    status TEXT NOT NULL,
    reason TEXT NOT NULL,
    status_at BIGINT NOT NULL,
    first_found BIGINT NOT NULL,
    last_found BIGINT NOT NULL,
    last_scan BYTEA NOT NULL,
    told SMALLINT NOT NULL,
    PRIMARY KEY (workspace, id)
);
CREATE INDEX finding_scan ON finding (workspace, last_scan);

CREATE TABLE status_change (
    workspace BYTEA NOT NULL,
    finding BYTEA NOT NULL,
    at BIGINT NOT NULL,
    status TEXT NOT NULL,
    who TEXT NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (workspace, finding, at, status)
);

-- A finding as a scan has it. ``first``: the entity by whose matches it stands, NULL where it was gathered from many.
CREATE TABLE occurrence (
    workspace BYTEA NOT NULL,
    scan BYTEA NOT NULL,
    finding BYTEA NOT NULL,
    rule TEXT NOT NULL,
    first BYTEA,
    version BIGINT NOT NULL,
    category TEXT NOT NULL,
    severity SMALLINT NOT NULL,
    confidence SMALLINT NOT NULL,
    title TEXT NOT NULL,
    entities TEXT NOT NULL,
    matches BIGINT NOT NULL,
    grounds TEXT NOT NULL,
    PRIMARY KEY (workspace, scan, finding)
);
CREATE INDEX occurrence_worst ON occurrence (workspace, scan, severity, finding);
CREATE INDEX occurrence_first ON occurrence (workspace, scan, rule, first);
CREATE INDEX occurrence_finding ON occurrence (workspace, finding);

CREATE TABLE about (
    workspace BYTEA NOT NULL,
    scan BYTEA NOT NULL,
    entity BYTEA NOT NULL,
    finding BYTEA NOT NULL,
    PRIMARY KEY (workspace, scan, entity, finding)
);
CREATE INDEX about_finding ON about (workspace, scan, finding);

-- Matches of rules whose findings are gathered from many first things, by the groups that they belong to; and how many first things each group has.
CREATE TABLE hit (
    workspace BYTEA NOT NULL,
    scan BYTEA NOT NULL,
    rule TEXT NOT NULL,
    first BYTEA NOT NULL,
    place BIGINT NOT NULL,
    member TEXT NOT NULL,
    content TEXT NOT NULL,
    PRIMARY KEY (workspace, scan, rule, first, place, member)
);
CREATE INDEX hit_member ON hit (workspace, scan, rule, member);

CREATE TABLE tally (
    workspace BYTEA NOT NULL,
    scan BYTEA NOT NULL,
    rule TEXT NOT NULL,
    member TEXT NOT NULL,
    firsts BIGINT NOT NULL,
    PRIMARY KEY (workspace, scan, rule, member)
);

-- Rules of a workspace by their text; without one, what is set of a rule that comes with Mirage.
CREATE TABLE rule (
    workspace BYTEA NOT NULL,
    id TEXT NOT NULL,
    text TEXT,
    enabled SMALLINT NOT NULL,
    who TEXT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (workspace, id)
);

-- What is not shown: findings of a rule, on an entity, or both, until a time or for good.
CREATE TABLE suppression (
    workspace BYTEA NOT NULL,
    id BYTEA NOT NULL,
    rule TEXT NOT NULL,
    entity BYTEA,
    value TEXT NOT NULL,
    reason TEXT NOT NULL,
    who TEXT NOT NULL,
    at BIGINT NOT NULL,
    ends BIGINT,
    PRIMARY KEY (workspace, id)
);
