"""What correlation does: follows what scans say, judges it, and answers for it."""
