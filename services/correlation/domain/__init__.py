"""What a rule says, what a scan says, and what follows. Pure."""
