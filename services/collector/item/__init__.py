"""One work item: what its module sees of the world, and what comes of it."""
