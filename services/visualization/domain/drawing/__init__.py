"""Pictures as SVG: one file, no script, no font, nothing from elsewhere; what is collected is text and nothing else."""
