"""Days as people name them."""

from datetime import UTC, datetime, timedelta
from typing import Final

from services.kernel.errors import Invalid

WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def read_until(text: str, now: datetime) -> datetime:
    """The end of the day that is named: a date, the next day of this name (today counts), or so many days from now.

    Raises:
        Invalid: it is none of these.
    """
    plain = text.strip().lower()
    if plain in WEEKDAYS:
        day = now + timedelta(days=(WEEKDAYS.index(plain) - now.weekday()) % 7)
    elif plain.endswith("d") and plain[:-1].isdecimal() and len(plain) <= 5:
        day = now + timedelta(days=int(plain[:-1]))
    else:
        try:
            day = datetime.strptime(plain, "%Y-%m-%d").replace(tzinfo=now.tzinfo or UTC)
        except ValueError:
            raise Invalid(f"{text} is no day: say 2026-12-31, friday or 7d") from None
    return day.replace(hour=23, minute=59, second=59, microsecond=0)
