"""What this service does, whichever door it came through."""
