"""What auth decides, without asking anybody."""
