"""Reports: what one says and why, before it has a form."""
