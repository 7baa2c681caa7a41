-- Reports that were made; the document of each is among the documents, under its id.
CREATE TABLE report (
    workspace BYTEA NOT NULL,
    id BYTEA NOT NULL,
    scan BYTEA NOT NULL,
    template TEXT NOT NULL,
    tlp TEXT NOT NULL,
    title TEXT NOT NULL,
    as_of BIGINT NOT NULL,
    made BIGINT NOT NULL,
    made_by TEXT NOT NULL,
    version TEXT NOT NULL,
    findings BIGINT NOT NULL,
    shown BIGINT NOT NULL,
    digest BYTEA NOT NULL,
    PRIMARY KEY (workspace, id)
);
CREATE INDEX report_made ON report (workspace, made, id);
CREATE INDEX report_scan ON report (workspace, scan, made);
-- Whose a scan is that a message names.
CREATE INDEX report_scan_id ON report (scan);
