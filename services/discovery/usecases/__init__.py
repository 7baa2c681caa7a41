"""What discovery does."""
