CREATE TABLE audit_entry (
    workspace BYTEA NOT NULL,
    sequence BIGINT NOT NULL,
    at BIGINT NOT NULL,
    what TEXT NOT NULL,
    outcome TEXT NOT NULL,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    account BYTEA,
    session BYTEA,
    address TEXT NOT NULL,
    service TEXT NOT NULL,
    about TEXT NOT NULL,
    trace TEXT NOT NULL,
    hash BYTEA NOT NULL,
    PRIMARY KEY (workspace, sequence)
);

CREATE INDEX audit_entry_at ON audit_entry (workspace, at, sequence);
CREATE INDEX audit_entry_account ON audit_entry (workspace, account, at, sequence);
CREATE INDEX audit_entry_name ON audit_entry (workspace, name, at, sequence);
CREATE INDEX audit_entry_what ON audit_entry (workspace, what, at, sequence);

--sqlite: CREATE TRIGGER audit_entry_unchanged BEFORE UPDATE ON audit_entry BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END;
--sqlite: CREATE TRIGGER audit_entry_kept BEFORE DELETE ON audit_entry BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END;
--postgres: CREATE FUNCTION refuse_change() RETURNS TRIGGER LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'the audit trail is append-only' USING ERRCODE = 'integrity_constraint_violation'; END $$;
--postgres: CREATE TRIGGER audit_entry_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_entry FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
