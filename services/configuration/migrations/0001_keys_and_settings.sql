CREATE TABLE provider_key (
    name TEXT NOT NULL PRIMARY KEY,
    sealed TEXT NOT NULL,
    hint TEXT NOT NULL,
    at BIGINT NOT NULL
);

CREATE TABLE settings_change (
    service TEXT NOT NULL,
    version BIGINT NOT NULL,
    content TEXT NOT NULL,
    changed_by TEXT NOT NULL,
    reason TEXT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (service, version)
);
