-- What was known at an instant. Claims say when they were recorded; what else is not only added to has its past here: which places an
-- entity was given in a scan, and when, and in which spans of time a claim did not count that counts again.
CREATE TABLE admission (
    workspace BYTEA NOT NULL,
    entity BIGINT NOT NULL,
    scan BYTEA NOT NULL,
    role SMALLINT NOT NULL,
    distance BIGINT NOT NULL,
    recorded_at BIGINT NOT NULL,
    first_at BIGINT NOT NULL,
    last_at BIGINT NOT NULL,
    PRIMARY KEY (workspace, entity, scan, role, distance)
)
--sqlite: WITHOUT ROWID
;

CREATE TABLE withheld (
    workspace BYTEA NOT NULL,
    about BIGINT NOT NULL,
    scan BYTEA NOT NULL,
    id BYTEA NOT NULL,
    since BIGINT NOT NULL,
    until BIGINT NOT NULL,
    PRIMARY KEY (workspace, about, scan, id, since)
);

-- When a scan first saw an entity, by the clock of who wrote it; what was seen before has none, and goes by first_seen.
ALTER TABLE sighting ADD COLUMN recorded_at BIGINT;

-- Since when the subject that a result is about rests on withdrawn claims alone, and with it what came with the result.
ALTER TABLE claim ADD COLUMN unsupported_at BIGINT;
ALTER TABLE result ADD COLUMN unsupported_at BIGINT;
