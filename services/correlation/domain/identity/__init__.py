"""Which entities may be one and the same, why, and what people have decided of that. Pure."""
