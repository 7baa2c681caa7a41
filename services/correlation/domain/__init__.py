"""What is decided about facts, without asking anybody. Pure."""
