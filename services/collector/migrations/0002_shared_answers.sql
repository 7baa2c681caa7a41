-- What one item of a scan was answered is looked for by others that ask the same.
DROP INDEX exchange_scan;
CREATE INDEX exchange_scan ON exchange (workspace, scan, key);
