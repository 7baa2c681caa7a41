"""Instants as a rule writes them: ``now``, ``now-30d``, ``now+2w``, a date, a date with a time; and spans."""

import re
from datetime import UTC, datetime
from typing import Final

from services.kernel.errors import Invalid

SECOND: Final = 1_000_000
UNITS: Final = {"h": 3_600 * SECOND, "d": 86_400 * SECOND, "w": 7 * 86_400 * SECOND, "y": 365 * 86_400 * SECOND}

_SPAN: Final = re.compile(r"(\d{1,5})([hdwy])")
_RELATIVE: Final = re.compile(r"now(?:([+-])(\d{1,5})([hdwy]))?")


class Instant:
    """A point in time that may depend on when is judged: ``at(now)`` is it, in UTC microseconds."""

    def __init__(self, base: int | None, offset: int) -> None:
        self._base = base
        self._offset = offset

    def at(self, now: int) -> int:
        return (now if self._base is None else self._base) + self._offset


def read_instant(text: object) -> Instant:
    """The instant of a text, or of what YAML makes of a date.

    Raises:
        Invalid: it is none.
    """
    plain = str(text).strip()
    if relative := _RELATIVE.fullmatch(plain):
        sign, number, unit = relative.groups()
        offset = int(number) * UNITS[unit] if number else 0
        return Instant(None, -offset if sign == "-" else offset)
    try:
        moment = datetime.fromisoformat(plain)
    except ValueError as error:
        raise Invalid(f"{plain[:40]!r} is no instant: now, now-30d (h, d, w, y), or a date") from error
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    return Instant(int(moment.timestamp()) * SECOND, 0)


def read_span(text: object) -> int:
    """Microseconds of ``12h``, ``30d``, ``2w``, ``1y``.

    Raises:
        Invalid: it is none.
    """
    found = _SPAN.fullmatch(str(text).strip())
    if found is None:
        raise Invalid(f"{str(text)[:40]!r} is no span of time: 12h, 30d, 2w, 1y")
    return int(found[1]) * UNITS[found[2]]
