"""What decides how many instances there are to be, and what is said of those that there are. Pure."""
