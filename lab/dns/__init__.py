"""DNS of the lab: a recursive resolver that knows every zone, and the authoritative servers, each with its log."""
