"""Questions about the audit trail, and their answers."""

from typing import Annotated, Literal
from uuid import UUID

from msgspec import Meta, Struct

Searched = Annotated[str, Meta(max_length=200)]


class AuditEntry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who did what: one entry of a chain, numbered from 1; times in UTC microseconds, hashes in hexadecimal digits.

    ``what``: ``service.endpoint``. ``outcome``: *done*, or the code of the error. ``kind``: what asked, and ``service``
    through which other one. ``account``, ``session`` (or token) and ``address``: of whoever it was. ``about``: ids and
    words of what was asked and of what came of it. ``trace``: what the logs have of it.
    """

    workspace: UUID
    sequence: int
    at: int
    what: str
    outcome: str
    kind: Literal["operator", "person", "token", "service"]
    name: str
    account: UUID | None
    session: UUID | None
    address: str
    service: str
    about: dict[str, str]
    trace: str
    hash: str


class AuditQuery(Struct, frozen=True):
    """Which entries, the newest first; each that is said narrows them down.

    ``who``: an address, the id of an account, or a name. ``what``: an endpoint, with or without its service.
    ``since`` and ``until``: UTC microseconds, both included. ``text``: in any text of an entry, in either case.
    ``before``: the ``next`` of the page before.
    """

    who: Searched = ""
    what: Searched = ""
    since: Annotated[int, Meta(ge=0, le=1 << 53)] = 0
    until: Annotated[int, Meta(ge=0, le=1 << 53)] = 1 << 53
    outcome: Searched = ""
    text: Searched = ""
    before: Annotated[int, Meta(ge=1, le=1 << 53)] | None = None
    limit: Annotated[int, Meta(ge=1, le=1000)] = 100


class AuditPage(Struct, frozen=True):
    """Some of what was looked for; where ``next`` is none there is no more, and a page may be empty that has one."""

    entries: tuple[AuditEntry, ...]
    next: int | None = None


class AuditEntries(Struct, frozen=True):
    """Entries of a chain, in order."""

    entries: tuple[AuditEntry, ...]
