"""Instants as sources write them, as UTC microseconds."""

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_MAX_TEXT = 64


def instant(text: str | None, *forms: str) -> int | None:
    """The instant that a text names, None when it names none; without an offset it is UTC.

    ``forms`` are `strptime` formats to try before ISO 8601.
    """
    plain = (text or "").strip()
    if not plain or len(plain) > _MAX_TEXT:
        return None
    for form in forms:
        try:
            return _micros(datetime.strptime(plain, form))  # noqa: DTZ007 - an offset is honoured, else it is UTC
        except ValueError:
            continue
    try:
        return _micros(datetime.fromisoformat(plain))
    except ValueError:
        return None


def _micros(moment: datetime) -> int | None:
    try:
        aware = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
        return (aware - _EPOCH) // _MICROSECOND
    except OverflowError:
        return None
