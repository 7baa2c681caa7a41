"""What correlation does when it is asked or told something."""
