-- How often collectors that had no such version took the items of a batch; nobody was lost with it then.
ALTER TABLE batch ADD COLUMN superseded BIGINT NOT NULL DEFAULT 0;
