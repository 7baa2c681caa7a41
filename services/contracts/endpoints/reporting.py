"""What reporting is asked."""
