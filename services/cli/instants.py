"""Instants as a person says them."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import click

from services.kernel.errors import Invalid

#: How an instant may be said.
WHEN: Final = "2026-12-31, 2026-12-31T18:00 (UTC), 90m, 12h or 7d ago"
_UNITS: Final = {"m": "minutes", "h": "hours", "d": "days"}
_DATED: Final = re.compile(r"\d{4}-\d\d-\d\d|now$", re.ASCII)


def is_dated(text: str) -> bool:
    """Whether a text can be nothing but an instant, where it might be the beginning of an id."""
    return _DATED.match(text) is not None


class Instant(click.ParamType[int]):
    """An option or argument that is an instant, in UTC microseconds."""

    name = "when"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        return value if isinstance(value, int) else read_instant(value, datetime.now(UTC))


def read_instant(text: str, now: datetime) -> int:
    """A time in UTC microseconds, of a date, a date and time in UTC unless it says another zone, or so long ago.

    Raises:
        Invalid: it is none of these.
    """
    number, unit = text[:-1], text[-1:]
    try:
        if text == "now":
            at = now
        elif unit in _UNITS and number.isascii() and number.isdecimal():
            at = now - timedelta(**{_UNITS[unit]: int(number)})
        else:
            at = datetime.fromisoformat(text)
        at = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
        return max(0, (at - datetime.fromtimestamp(0, UTC)) // timedelta(microseconds=1))
    except (ValueError, OverflowError):
        raise Invalid(f"{text} is no time: say 2026-12-31, 2026-12-31T18:00, 90m, 12h or 7d") from None
