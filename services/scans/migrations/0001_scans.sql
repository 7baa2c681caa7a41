-- A scan is (workspace, id); within the tables that hold its work it goes by a number, which is short in every index.

CREATE TABLE scan (
    workspace BYTEA NOT NULL,
    id BYTEA NOT NULL,
    number BIGINT NOT NULL,
    hex TEXT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT NOT NULL,
    run BIGINT NOT NULL,
    profile TEXT NOT NULL,
    targets TEXT NOT NULL,
    authorised TEXT,
    plan TEXT NOT NULL,
    plan_version BIGINT NOT NULL,
    created BIGINT NOT NULL,
    started BIGINT,
    ended BIGINT,
    deadline BIGINT,
    time_left BIGINT,
    wake BIGINT,
    changed BIGINT NOT NULL,
    items BIGINT NOT NULL,
    results BIGINT NOT NULL,
    admissions BIGINT NOT NULL,
    entities BIGINT NOT NULL,
    batches BIGINT NOT NULL,
    rounds BIGINT NOT NULL,
    names BIGINT NOT NULL,
    named BIGINT NOT NULL,
    limited SMALLINT NOT NULL,
    evidence_root BYTEA,
    PRIMARY KEY (workspace, id)
);
CREATE UNIQUE INDEX scan_number ON scan (number);
CREATE UNIQUE INDEX scan_hex ON scan (workspace, hex);
CREATE INDEX scan_created ON scan (workspace, created);
CREATE INDEX scan_running ON scan (workspace, number) WHERE state = 'running';

-- How each module of the plan stands; `module` is its number there.
CREATE TABLE source (
    workspace BYTEA NOT NULL,
    scan BIGINT NOT NULL,
    module BIGINT NOT NULL,
    waiting BIGINT NOT NULL,
    leased BIGINT NOT NULL,
    held BIGINT NOT NULL,
    held_until BIGINT,
    claims BIGINT NOT NULL,
    requests BIGINT NOT NULL,
    found BIGINT NOT NULL,
    empty BIGINT NOT NULL,
    rate_limited BIGINT NOT NULL,
    blocked BIGINT NOT NULL,
    unauthorised BIGINT NOT NULL,
    unreachable BIGINT NOT NULL,
    failed BIGINT NOT NULL,
    skipped BIGINT NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (workspace, scan, module)
);

-- Admitted entities by type, those outside the scope and its affiliates left out.
CREATE TABLE tally (
    workspace BYTEA NOT NULL,
    scan BIGINT NOT NULL,
    type TEXT NOT NULL,
    entities BIGINT NOT NULL,
    PRIMARY KEY (workspace, scan, type)
);

-- Entities seen; rank 0 is not admitted, -1 ruled out, and so on up to 6 for a target.
CREATE TABLE member (
    workspace BYTEA NOT NULL,
    scan BIGINT NOT NULL,
    id BYTEA NOT NULL,
    type TEXT NOT NULL,
    key TEXT NOT NULL,
    rank SMALLINT NOT NULL,
    distance SMALLINT NOT NULL,
    PRIMARY KEY (workspace, scan, id)
);

-- What an entity that is not inside the scope gives to others, should it get nearer.
CREATE TABLE way (
    workspace BYTEA NOT NULL,
    scan BIGINT NOT NULL,
    origin BYTEA NOT NULL,
    heir BYTEA NOT NULL,
    kind SMALLINT NOT NULL,
    PRIMARY KEY (workspace, scan, origin, heir, kind)
)
--sqlite: WITHOUT ROWID
;

-- Names in scope, in the order they were admitted, for sets of names.
CREATE TABLE known_name (
    workspace BYTEA NOT NULL,
    scan BIGINT NOT NULL,
    zone TEXT NOT NULL,
    name TEXT NOT NULL,
    ordinal BIGINT NOT NULL,
    PRIMARY KEY (workspace, scan, zone, name)
);

-- A set that was handed out: the names of the zone up to an ordinal.
CREATE TABLE name_set (
    workspace BYTEA NOT NULL,
    scan BIGINT NOT NULL,
    digest TEXT NOT NULL,
    zone TEXT NOT NULL,
    ordinal BIGINT NOT NULL,
    PRIMARY KEY (workspace, scan, digest)
);

-- Subjects that are no entities: relations, levels, sets of names. `judge` is the entity whose place decides.
CREATE TABLE subject (
    workspace BYTEA NOT NULL,
    scan BIGINT NOT NULL,
    id BYTEA NOT NULL,
    kind TEXT NOT NULL,
    judge BYTEA NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (workspace, scan, id)
);
CREATE INDEX subject_judge ON subject (workspace, scan, judge);

CREATE TABLE item (
    workspace BYTEA NOT NULL,
    scan BIGINT NOT NULL,
    id BYTEA NOT NULL,
    module BIGINT NOT NULL,
    subject BYTEA NOT NULL,
    state SMALLINT NOT NULL,
    turn BIGINT NOT NULL,
    waits BIGINT NOT NULL,
    ready BIGINT NOT NULL,
    batch BIGINT NOT NULL,
    outcome TEXT,
    reason TEXT NOT NULL,
    claims BIGINT NOT NULL,
    requests BIGINT NOT NULL,
    changed BIGINT NOT NULL,
    records BYTEA,
    PRIMARY KEY (workspace, scan, id)
);
CREATE INDEX item_waiting ON item (workspace, scan, module, ready) WHERE state = 0;

-- Parts of results that are not complete yet; the last one knows how many there are.
CREATE TABLE part (
    workspace BYTEA NOT NULL,
    scan BIGINT NOT NULL,
    item BYTEA NOT NULL,
    part BIGINT NOT NULL,
    parts BIGINT NOT NULL,
    outcome TEXT,
    reason TEXT NOT NULL,
    retry_after BIGINT,
    claims BIGINT NOT NULL,
    requests BIGINT NOT NULL,
    records BYTEA NOT NULL,
    PRIMARY KEY (workspace, scan, item, part)
);

-- Batches in flight; one that ends is gone. `items` are the ids of its items, one after the other.
CREATE TABLE batch (
    workspace BYTEA NOT NULL,
    scan BIGINT NOT NULL,
    number BIGINT NOT NULL,
    id BYTEA NOT NULL,
    module BIGINT NOT NULL,
    attempt BIGINT NOT NULL,
    seconds BIGINT NOT NULL,
    open BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    ends BIGINT,
    items BYTEA NOT NULL,
    PRIMARY KEY (workspace, scan, number)
);
CREATE UNIQUE INDEX batch_id ON batch (workspace, id);

-- Results that came while no run wanted them.
CREATE TABLE late (
    workspace BYTEA NOT NULL,
    scan BIGINT NOT NULL,
    item BYTEA NOT NULL,
    turn BIGINT NOT NULL,
    part BIGINT NOT NULL,
    body BYTEA NOT NULL,
    PRIMARY KEY (workspace, scan, item, turn, part)
);

-- Scans that were deleted and whose rows are still being removed.
CREATE TABLE dropped (
    workspace BYTEA NOT NULL,
    scan BIGINT NOT NULL,
    PRIMARY KEY (workspace, scan)
);
