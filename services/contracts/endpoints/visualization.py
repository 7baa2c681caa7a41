"""What visualization is asked."""
