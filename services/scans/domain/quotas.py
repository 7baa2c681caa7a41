"""What the quotas of a workspace leave, and in which words it is said. Pure."""

from msgspec import Struct

from services.contracts.resources import Quotas
from services.scans.domain.times import clock
from services.scans.settings import DAY, SECOND

_UNITS = (("TB", 10**12), ("GB", 10**9), ("MB", 10**6), ("kB", 10**3))


class Left(Struct, frozen=True):
    """How many items may be handed out, None for any number; where it is none, what they wait for, and until when."""

    items: int | None = None
    reason: str = ""
    until: int | None = None


def left_of(quotas: Quotas, *, items: int, storage: int, at: int) -> Left:
    """What is left at an instant of a workspace that had so many items handed out today, and keeps so many bytes."""
    if quotas.storage is not None and storage >= quotas.storage:
        return Left(0, f"room in the workspace's quota of {size(quotas.storage)} of evidence; it keeps {size(storage)}")
    if quotas.items is None:
        return Left()
    if items < quotas.items:
        return Left(quotas.items - items)
    return used_up(quotas.items, at)


def not_known(at: int) -> Left:
    """Nothing is left as long as it is not known how much is, which is looked at again at once."""
    return Left(0, "word of how much the workspace may use, which is not known at this moment", at + SECOND)


def used_up(quota: int, at: int) -> Left:
    """Nothing is left until the next day begins."""
    tomorrow = (day_of(at) + 1) * DAY
    said = f"room in the workspace's quota of {quota:,} work items a day, used up until {clock(tomorrow)}"
    return Left(0, said, tomorrow)


def day_of(at: int) -> int:
    """The day (UTC, since 1970) of an instant."""
    return at // DAY


def size(number: int) -> str:
    """Bytes for a person."""
    for unit, length in _UNITS:
        if number >= length:
            return f"{number / length:.3g} {unit}"
    return f"{number} bytes"
