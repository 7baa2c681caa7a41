"""The audit trail: chains of entries, which are appended and never changed."""

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

import msgspec
from msgspec import Struct

from services.contracts.audit import BEGINNING
from services.contracts.resources import AuditEntry
from services.kernel.errors import Conflict
from services.kernel.sql import Reader, Tx

_ENTRY: Final = (
    "workspace",
    "sequence",
    "at",
    "what",
    "outcome",
    "kind",
    "name",
    "account",
    "session",
    "address",
    "service",
    "about",
    "trace",
    "hash",
)
_COLUMNS: Final = ", ".join(_ENTRY)
_about: Final = msgspec.json.Decoder(dict[str, str])


async def hold_chain(tx: Tx, workspace: UUID) -> None:
    """Let nobody else append to a chain until the transaction ends."""
    await tx.lock(f"audit {workspace.hex}")


async def read_head(view: Reader, workspace: UUID) -> tuple[int, bytes]:
    """The number and the hash of the last entry of a chain, those from before the first where there is none."""
    row = await view.fetch_one(
        "SELECT sequence, hash FROM audit_entry WHERE workspace = :workspace ORDER BY sequence DESC LIMIT 1",
        workspace=workspace.bytes,
    )
    return (row[0], bytes(row[1])) if row else (0, BEGINNING)


async def append_entries(tx: Tx, entries: Sequence[AuditEntry]) -> None:
    """Append entries, which are numbered and hashed, to the chain that is held.

    Raises:
        Conflict: there is another one with a number of theirs.
    """
    rows = [
        (
            each.workspace.bytes,
            each.sequence,
            each.at,
            each.what,
            each.outcome,
            each.kind,
            each.name,
            each.account and each.account.bytes,
            each.session and each.session.bytes,
            each.address,
            each.service,
            msgspec.json.encode(each.about).decode(),
            each.trace,
            bytes.fromhex(each.hash),
        )
        for each in entries
    ]
    written = await tx.insert_new("audit_entry", _ENTRY, ("workspace", "sequence"), rows)
    if len(written) != len(rows):
        raise Conflict("the audit trail has another entry in the place of the next one")


async def read_entries(view: Reader, workspace: UUID, after: int, until: int, limit: int) -> list[AuditEntry]:
    """The next entries of a chain after a number, up to another one."""
    rows = await view.fetch(
        f"SELECT {_COLUMNS} FROM audit_entry WHERE workspace = :workspace AND sequence > :after"  # noqa: S608  columns
        " AND sequence <= :until ORDER BY sequence LIMIT :limit",
        workspace=workspace.bytes,
        after=after,
        until=until,
        limit=limit,
    )
    return [_entry(row) for row in rows]


async def time_of_entry(view: Reader, workspace: UUID, sequence: int) -> int | None:
    row = await view.fetch_one(
        "SELECT at FROM audit_entry WHERE workspace = :workspace AND sequence = :sequence",
        workspace=workspace.bytes,
        sequence=sequence,
    )
    return row[0] if row else None


class Search(Struct, frozen=True):
    """Entries before a place, the newest first, and not before ``since``; each that is said narrows them down.

    ``text`` is a pattern in small letters, with ``!`` before what is no wildcard.
    """

    workspace: UUID
    at: int
    before: int
    since: int
    account: UUID | None
    name: str
    what: str
    outcome: str
    text: str


async def search_entries(view: Reader, search: Search, window: int, limit: int) -> list[AuditEntry]:
    """The first entries found among the first ``window`` that one index finds."""
    narrowed, narrowing = _narrow(search)
    rows = await view.fetch(
        f"SELECT {_COLUMNS} FROM (SELECT {_COLUMNS} FROM audit_entry"  # noqa: S608  columns and conditions from here
        f" WHERE workspace = :workspace AND (at, sequence) < (:at, :before) AND at >= :since{narrowed}"
        " ORDER BY at DESC, sequence DESC LIMIT :window) AS seen"
        " WHERE (:what = '' OR what = :what) AND (:outcome = '' OR outcome = :outcome) AND (:text = '' OR"
        " LOWER(what || ' ' || outcome || ' ' || name || ' ' || address || ' ' || about || ' ' || trace)"
        " LIKE :text ESCAPE '!') ORDER BY at DESC, sequence DESC LIMIT :limit",
        workspace=search.workspace.bytes,
        at=search.at,
        before=search.before,
        since=search.since,
        what=search.what,
        outcome=search.outcome,
        text=search.text,
        window=window,
        limit=limit,
        **narrowing,
    )
    return [_entry(row) for row in rows]


async def end_of_window(view: Reader, search: Search, window: int) -> int | None:
    """The number of the last entry that such a search looks at, where it may have more beyond."""
    narrowed, narrowing = _narrow(search)
    row = await view.fetch_one(
        "SELECT sequence FROM audit_entry"  # noqa: S608  conditions from here
        f" WHERE workspace = :workspace AND (at, sequence) < (:at, :before) AND at >= :since{narrowed}"
        " ORDER BY at DESC, sequence DESC LIMIT 1 OFFSET :last",
        workspace=search.workspace.bytes,
        at=search.at,
        before=search.before,
        since=search.since,
        last=window - 1,
        **narrowing,
    )
    return row[0] if row else None


#: By what each index narrows down the entries that are looked at.
NARROWED: Final = {
    "account": " AND account = :account",
    "called": " AND name = :called",
    "asked": " AND what = :asked",
    "": "",
}


def _narrow(search: Search) -> tuple[str, dict[str, bytes | str]]:
    """The condition that the best index for a search takes, and its value."""
    if search.account is not None:
        return NARROWED["account"], {"account": search.account.bytes}
    if search.name:
        return NARROWED["called"], {"called": search.name}
    return (NARROWED["asked"], {"asked": search.what}) if search.what else ("", {})


def _entry(row: tuple[Any, ...]) -> AuditEntry:
    workspace, sequence, at, what, outcome, kind, name, account, session, address, service, about, trace, digest = row
    return AuditEntry(
        workspace=UUID(bytes=bytes(workspace)),
        sequence=sequence,
        at=at,
        what=what,
        outcome=outcome,
        kind=kind,
        name=name,
        account=UUID(bytes=bytes(account)) if account is not None else None,
        session=UUID(bytes=bytes(session)) if session is not None else None,
        address=address,
        service=service,
        about=_about.decode(about),
        trace=trace,
        hash=bytes(digest).hex(),
    )
