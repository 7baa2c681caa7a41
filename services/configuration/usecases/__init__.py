"""What the configuration does."""
