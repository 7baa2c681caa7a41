"""Regular expressions that somebody else wrote."""

import re
from collections.abc import Callable

from services.kernel.errors import Invalid

MAX_PATTERN = 500
MAX_SEARCHED = 4_096


def compile_pattern(text: str) -> Callable[[str], bool]:
    """What says whether a pattern is found anywhere in a text, whatever the case."""
    if len(text) > MAX_PATTERN:
        raise Invalid(f"a regular expression has at most {MAX_PATTERN} characters")
    try:
        pattern = re.compile(text, re.IGNORECASE)
    except re.error as error:
        raise Invalid(f"{text[:60]!r} is no regular expression: {error}") from error
    return lambda value: pattern.search(value[:MAX_SEARCHED]) is not None
