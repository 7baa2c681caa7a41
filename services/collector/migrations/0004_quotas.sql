-- Requests that were made of sources with a quota, by whom they are counted under: a module or what several share, and
-- the fingerprint of a key or nothing.
CREATE TABLE quota (
    source TEXT NOT NULL,
    holder TEXT NOT NULL,
    period TEXT NOT NULL,
    begun BIGINT NOT NULL,
    workspace BYTEA NOT NULL,
    used BIGINT NOT NULL,
    PRIMARY KEY (source, holder, period, begun, workspace)
);
