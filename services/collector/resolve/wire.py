class ParseError(Exception):
    """Bytes that are no DNS message, or not the answer to the question asked."""
