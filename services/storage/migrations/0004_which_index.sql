-- Which index of search has all entities but those in unindexed. When it is another one, made anew because the one before was
-- lost, all are listed in unindexed again, batch by batch: those up to (workspace, number) are, and all where these are NULL.
CREATE TABLE search_index (
    name TEXT NOT NULL PRIMARY KEY,
    made TEXT NOT NULL,
    workspace BYTEA,
    number BIGINT
);
