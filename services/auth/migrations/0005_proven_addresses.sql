-- Whether somebody was seen to have the address of his account, which who made it by an invitation was not.
ALTER TABLE account ADD COLUMN proven SMALLINT NOT NULL DEFAULT 0;
