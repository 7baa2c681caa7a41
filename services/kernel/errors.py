"""What can go wrong between services, and what each error means at every edge.

MirageError
├── Invalid          the caller asked for something that makes no sense
├── NotFound         no such thing in this workspace
├── Conflict         the thing is in a state that forbids it
├── Unauthenticated  nobody knows who asks
├── Denied           the caller may not
├── Limited          the caller asks too often; try again in some seconds
├── Unavailable      a port or service is away; try again later
├── Exhausted        a disk or a quota is full; try again when there is room
├── Corrupt          stored bytes are not what was written
└── Incompatible     data of a newer version than this code, or of another build
"""

from typing import Final, Literal

from msgspec import Struct


class MirageError(Exception):
    """The root; besides its leaves it says that another process has a fault. Its text is one sentence for a person."""


class Invalid(MirageError):
    pass


class NotFound(MirageError):
    pass


class Conflict(MirageError):
    pass


class Unauthenticated(MirageError):
    pass


class Denied(MirageError):
    pass


class Limited(MirageError):
    """``seconds`` from now on it may be asked again, where that is known."""

    def __init__(self, reason: str, seconds: float = 1.0) -> None:
        super().__init__(reason)
        self.seconds = seconds


class Unavailable(MirageError):
    pass


class Exhausted(MirageError):
    pass


class Corrupt(MirageError):
    pass


class Incompatible(MirageError):
    pass


class Meaning(Struct, frozen=True):
    """What an error is at each edge: HTTP, the shell, the bus, a work item."""

    code: str
    status: int
    exit: int
    bus: Literal["pause", "count"]
    outcome: Literal["failed", "skipped"]


MEANING: Final[dict[type[MirageError], Meaning]] = {
    Invalid: Meaning("invalid", 400, 2, "count", "failed"),
    NotFound: Meaning("not_found", 404, 1, "count", "failed"),
    Conflict: Meaning("conflict", 409, 1, "count", "failed"),
    Unauthenticated: Meaning("unauthenticated", 401, 1, "pause", "failed"),
    Denied: Meaning("denied", 403, 1, "pause", "failed"),
    Limited: Meaning("limited", 429, 1, "pause", "failed"),
    Unavailable: Meaning("unavailable", 503, 1, "pause", "failed"),
    Exhausted: Meaning("exhausted", 507, 1, "pause", "failed"),
    Corrupt: Meaning("corrupt", 500, 1, "count", "failed"),
    Incompatible: Meaning("incompatible", 500, 1, "count", "failed"),
}

UNKNOWN: Final = Meaning("internal", 500, 1, "count", "failed")
BY_CODE: Final[dict[str, type[MirageError]]] = {meaning.code: error for error, meaning in MEANING.items()}


def meaning(error: BaseException) -> Meaning:
    """Say what ``error`` means at the edges, as its nearest ancestor in the table does; anything else is internal."""
    return next((MEANING[kind] for kind in type(error).__mro__ if kind in MEANING), UNKNOWN)
