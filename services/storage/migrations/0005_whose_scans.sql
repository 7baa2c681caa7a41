-- Whose a scan is that a message names, by whatever workspace it comes from.
CREATE INDEX scan_id ON scan (id);
