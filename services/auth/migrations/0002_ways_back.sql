CREATE TABLE reset (
    account BYTEA NOT NULL PRIMARY KEY,
    digest BYTEA NOT NULL,
    expires BIGINT NOT NULL,
    second_factor SMALLINT NOT NULL
);

CREATE UNIQUE INDEX reset_digest ON reset (digest);
