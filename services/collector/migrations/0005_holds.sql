-- Batches that collectors work on, so that the bus may give one out twice and nothing is asked twice.
CREATE TABLE hold (
    workspace BYTEA NOT NULL,
    batch BYTEA NOT NULL,
    holder BYTEA NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (workspace, batch)
);
CREATE INDEX hold_holder ON hold (holder);
