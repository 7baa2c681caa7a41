"""What sources of one kind have in common, so that a module says only what is its own."""
