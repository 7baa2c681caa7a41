"""Where findings, rules and the graph are kept."""
