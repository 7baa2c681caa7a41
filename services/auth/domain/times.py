"""Units of time, in microseconds."""

from typing import Final

SECOND: Final = 1_000_000
DAY: Final = 86_400 * SECOND
