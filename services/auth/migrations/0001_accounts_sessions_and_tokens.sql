CREATE TABLE account (
    account BYTEA NOT NULL PRIMARY KEY,
    email TEXT NOT NULL,
    password TEXT NOT NULL,
    created BIGINT NOT NULL
);

CREATE UNIQUE INDEX account_email ON account (email);

CREATE TABLE first_code (
    one SMALLINT NOT NULL PRIMARY KEY,
    digest BYTEA NOT NULL
);

CREATE TABLE authenticator (
    account BYTEA NOT NULL PRIMARY KEY,
    sealed TEXT NOT NULL,
    confirmed SMALLINT NOT NULL,
    step BIGINT NOT NULL
);

CREATE TABLE recovery_code (
    account BYTEA NOT NULL,
    digest BYTEA NOT NULL,
    PRIMARY KEY (account, digest)
);

CREATE TABLE known_place (
    account BYTEA NOT NULL,
    network TEXT NOT NULL,
    seen BIGINT NOT NULL,
    PRIMARY KEY (account, network)
);

CREATE TABLE session (
    id BYTEA NOT NULL PRIMARY KEY,
    account BYTEA NOT NULL,
    family BYTEA NOT NULL,
    refresh BYTEA NOT NULL,
    former BYTEA NOT NULL,
    device TEXT NOT NULL,
    address TEXT NOT NULL,
    created BIGINT NOT NULL,
    seen BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    ended BIGINT
);

CREATE UNIQUE INDEX session_family ON session (family);
CREATE INDEX session_account ON session (account, seen);
CREATE INDEX session_expires ON session (expires);

CREATE TABLE api_token (
    workspace BYTEA NOT NULL,
    id BYTEA NOT NULL,
    account BYTEA NOT NULL,
    digest BYTEA NOT NULL,
    name TEXT NOT NULL,
    permissions TEXT NOT NULL,
    created BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    used BIGINT,
    ended BIGINT,
    PRIMARY KEY (workspace, id)
);

CREATE UNIQUE INDEX api_token_digest ON api_token (digest);
CREATE INDEX api_token_account ON api_token (workspace, account, created);

CREATE TABLE signing_key (
    kid TEXT NOT NULL PRIMARY KEY,
    sealed TEXT NOT NULL,
    published TEXT NOT NULL,
    begins BIGINT NOT NULL,
    ends BIGINT NOT NULL
);

CREATE TABLE revocation (
    number BIGINT NOT NULL PRIMARY KEY,
    subject TEXT NOT NULL,
    over BIGINT NOT NULL
);

CREATE INDEX revocation_over ON revocation (over);
