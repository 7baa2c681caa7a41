"""Times for a person."""

from datetime import UTC, datetime


def clock(at: int) -> str:
    """An instant (UTC microseconds)."""
    return f"{datetime.fromtimestamp(at / 1_000_000, UTC):%Y-%m-%d %H:%M:%S} UTC"
