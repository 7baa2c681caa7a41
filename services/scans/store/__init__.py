"""The only SQL of this service; a scan's work is kept under its `Key`."""
