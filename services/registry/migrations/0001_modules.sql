CREATE TABLE setting (
    workspace BYTEA NOT NULL,
    module TEXT NOT NULL,
    enabled SMALLINT,
    options TEXT,
    PRIMARY KEY (workspace, module)
);

CREATE TABLE health (
    module TEXT NOT NULL PRIMARY KEY,
    answered BIGINT NOT NULL,
    failed BIGINT NOT NULL,
    failing BIGINT NOT NULL,
    last_answer BIGINT,
    last_failure BIGINT,
    reason TEXT NOT NULL
);
