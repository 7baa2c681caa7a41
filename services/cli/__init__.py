"""The command line: `mirage`."""
