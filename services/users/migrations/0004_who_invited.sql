ALTER TABLE invitation ADD COLUMN inviter BYTEA;

CREATE INDEX invitation_inviter ON invitation (workspace, inviter);
