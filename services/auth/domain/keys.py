"""Which key signs."""

from collections.abc import Iterable
from typing import Final, Protocol, TypeVar

from services.auth.domain.times import DAY

#: A key signs for so long; its successor is published so long before it signs, and it so long after.
KEY_SIGNS: Final = 30 * DAY
KEY_ANNOUNCED: Final = DAY
KEY_REMEMBERED: Final = DAY


class Key(Protocol):
    """``begins`` and ``ends`` to sign."""

    @property
    def begins(self) -> int: ...

    @property
    def ends(self) -> int: ...


K = TypeVar("K", bound=Key)


def signs(keys: Iterable[K], at: int) -> K | None:
    """The key that signs at an instant."""
    return max((key for key in keys if key.begins <= at < key.ends), key=lambda key: key.begins, default=None)


def successor_begins(keys: Iterable[Key], at: int) -> int | None:
    """When the next key is to begin that has to be made now; None where it is there."""
    last = max((key.ends for key in keys), default=0)
    if last <= at:
        return at
    return last if last - at < KEY_ANNOUNCED else None
