-- The entities of a scan are gone through in the order in which they came.
DROP INDEX sighting_scan;
CREATE INDEX sighting_scan ON sighting (workspace, scan, entity);
