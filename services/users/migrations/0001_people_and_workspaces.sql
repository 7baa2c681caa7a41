CREATE TABLE profile (
    account BYTEA NOT NULL PRIMARY KEY,
    email TEXT NOT NULL,
    name TEXT NOT NULL,
    created BIGINT NOT NULL
);

CREATE UNIQUE INDEX profile_email ON profile (email);

CREATE TABLE workspace (
    workspace BYTEA NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    title TEXT NOT NULL,
    created BIGINT NOT NULL
);

CREATE TABLE membership (
    workspace BYTEA NOT NULL,
    account BYTEA NOT NULL,
    role TEXT NOT NULL,
    since BIGINT NOT NULL,
    PRIMARY KEY (workspace, account)
);

CREATE INDEX membership_account ON membership (account, since);

CREATE TABLE invitation (
    workspace BYTEA NOT NULL,
    id BYTEA NOT NULL,
    digest BYTEA NOT NULL,
    email TEXT NOT NULL,
    role TEXT NOT NULL,
    invited_by TEXT NOT NULL,
    created BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    accepted BIGINT,
    withdrawn BIGINT,
    PRIMARY KEY (workspace, id)
);

CREATE UNIQUE INDEX invitation_digest ON invitation (digest);
CREATE INDEX invitation_email ON invitation (workspace, email);
CREATE INDEX invitation_created ON invitation (workspace, created);
