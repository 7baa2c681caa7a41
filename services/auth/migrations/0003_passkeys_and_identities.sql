CREATE TABLE passkey (
    id BYTEA NOT NULL PRIMARY KEY,
    account BYTEA NOT NULL,
    credential BYTEA NOT NULL,
    public_key BYTEA NOT NULL,
    counter BIGINT NOT NULL,
    name TEXT NOT NULL,
    synced SMALLINT NOT NULL,
    created BIGINT NOT NULL,
    used BIGINT
);

CREATE UNIQUE INDEX passkey_credential ON passkey (credential);
CREATE INDEX passkey_account ON passkey (account, created);

CREATE TABLE identity (
    id BYTEA NOT NULL PRIMARY KEY,
    account BYTEA NOT NULL,
    provider TEXT NOT NULL,
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    email TEXT NOT NULL,
    created BIGINT NOT NULL,
    used BIGINT
);

CREATE UNIQUE INDEX identity_subject ON identity (issuer, subject);
CREATE INDEX identity_account ON identity (account, created);
