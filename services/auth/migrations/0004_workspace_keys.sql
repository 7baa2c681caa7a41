-- The key by which what a workspace says is signed: one for each, which stays, since so does what it signed.
CREATE TABLE workspace_key (
    workspace BYTEA NOT NULL PRIMARY KEY,
    kid TEXT NOT NULL,
    sealed TEXT NOT NULL,
    published TEXT NOT NULL,
    made BIGINT NOT NULL
);
