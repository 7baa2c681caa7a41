"""What visualization does, whichever door asks."""
