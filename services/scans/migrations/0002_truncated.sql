-- Items whose source has more than it gave.
ALTER TABLE source ADD COLUMN truncated BIGINT NOT NULL DEFAULT 0;
