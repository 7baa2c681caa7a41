"""Instants as most formats write them: RFC 3339, in milliseconds of UTC."""

from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

#: The last whole second that a timestamp can name.
_LAST: Final = 253_402_300_799


def stamp(at: int) -> str:
    """UTC microseconds as a timestamp, in milliseconds; the nearest one that there is."""
    seconds, rest = divmod(at, 1_000_000)
    if not 0 <= seconds <= _LAST:
        seconds, rest = (0, 0) if seconds < 0 else (_LAST, 0)
    return f"{_to_seconds(seconds)}.{rest // 1000:03}Z"


@lru_cache(maxsize=16_384)
def _to_seconds(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
