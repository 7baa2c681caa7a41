-- What a workspace has set of how reliable sources are and how fast what they said fades, as JSON; what is usual is not in it.
CREATE TABLE confidence_policy (
    workspace BYTEA NOT NULL PRIMARY KEY,
    reliability TEXT NOT NULL,
    half_lives TEXT NOT NULL,
    at BIGINT NOT NULL,
    who TEXT NOT NULL,
    reason TEXT NOT NULL
);
