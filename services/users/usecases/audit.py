"""The audit trail: entries are appended as they come, each chain by one at a time, and read by who may."""

from collections import defaultdict
from collections.abc import AsyncGenerator, Iterable, Sequence
from typing import Final
from uuid import UUID

import msgspec
import structlog

from services.contracts import endpoints
from services.contracts.audit import hash_of
from services.contracts.commands import Record
from services.contracts.people import plain_email
from services.contracts.resources import AuditEntries, AuditEntry, AuditPage, AuditQuery
from services.kernel.calls import Caller, Endpoint, Entry, Nothing
from services.kernel.errors import Invalid, NotFound
from services.kernel.messages import EVERYWHERE
from services.kernel.service import Ports, Received, Unit
from services.kernel.sql import Reader
from services.kernel.trail import DONE
from services.users.store import audit as store
from services.users.store import people

#: Who says what was refused at the door, of the questions of all.
DOOR: Final = "gateway"
#: Entries that one question looks at, whatever it looks for.
WINDOW: Final = 20_000
#: Entries in a part of an export.
PART: Final = 500
#: The services of endpoints, by their names.
SERVICES: Final = {each.name: each.service for each in vars(endpoints).values() if isinstance(each, Endpoint)}

_log = structlog.get_logger(__name__)


async def record(ports: Ports, unit: Unit, batch: Sequence[Received[Record]]) -> None:
    """Append a batch to the chains that it belongs to; whoever speaks of what is not his own is not heard."""
    chains: dict[UUID, list[Entry]] = defaultdict(list)
    for each in batch:
        if _may_say(each.filter, each.message):
            chains[each.workspace].append(each.message)
        else:
            _log.error("an entry is not of who says it", by=each.filter, what=each.message.what)
    for workspace in sorted(chains):
        await store.hold_chain(unit.tx, workspace)
        number, last = await store.read_head(unit.tx, workspace)
        await store.append_entries(unit.tx, _chained(workspace, number, last, chains[workspace]))


async def list_audit(ports: Ports, caller: Caller, question: AuditQuery) -> AuditPage:
    return await _search(ports, caller.workspace, question)


async def list_installation_audit(ports: Ports, caller: Caller, question: AuditQuery) -> AuditPage:
    return await _search(ports, EVERYWHERE, question)


def export_audit(ports: Ports, caller: Caller, question: Nothing) -> AsyncGenerator[AuditEntries, None]:
    return _export(ports, caller.workspace)


def export_installation_audit(ports: Ports, caller: Caller, question: Nothing) -> AsyncGenerator[AuditEntries, None]:
    return _export(ports, EVERYWHERE)


def _may_say(service: str, entry: Entry) -> bool:
    return entry.what.startswith(f"{service}.") or (service == DOOR and entry.outcome != DONE)


def _chained(workspace: UUID, number: int, last: bytes, entries: Iterable[Entry]) -> list[AuditEntry]:
    """Entries with the numbers and hashes that follow the last one of a chain."""
    chained = []
    for sequence, each in enumerate(entries, number + 1):
        bare = AuditEntry(
            workspace=workspace, sequence=sequence, at=each.at, what=each.what, outcome=each.outcome, kind=each.kind,
            name=each.name, account=each.account, session=each.session, address=each.address, service=each.service,
            about=each.about, trace=each.trace, hash="",
        )  # fmt: skip
        last = hash_of(last, bare)
        chained.append(msgspec.structs.replace(bare, hash=last.hex()))
    return chained


async def _search(ports: Ports, workspace: UUID, question: AuditQuery) -> AuditPage:
    async with ports.sql.read() as view:
        search = await _read_search(view, workspace, question)
        sifted = search.text or search.outcome or (search.what and question.who)
        window = WINDOW if sifted else question.limit  # where an index finds just what is looked for
        found = await store.search_entries(view, search, window, question.limit)
        if len(found) == question.limit:
            return AuditPage(tuple(found), found[-1].sequence)
        return AuditPage(tuple(found), await store.end_of_window(view, search, window))


async def _read_search(view: Reader, workspace: UUID, question: AuditQuery) -> store.Search:
    """What a question looks for, and from where on.

    Raises:
        Invalid: there is no such endpoint.
        NotFound: the chain has no entry to go on from.
    """
    at, before = question.until + 1, 0
    if question.before is not None:
        seen = await store.time_of_entry(view, workspace, question.before)
        if seen is None:
            raise NotFound(f"there is no entry {question.before}")
        at, before = seen, question.before
    account, name = await _read_who(view, question.who)
    return store.Search(
        workspace=workspace, at=at, before=before, since=question.since, account=account, name=name,
        what=_read_what(question.what), outcome=question.outcome, text=_pattern(question.text),
    )  # fmt: skip


async def _read_who(view: Reader, who: str) -> tuple[UUID | None, str]:
    """The account that somebody is, or the name that is looked for."""
    if "@" in who:
        email = plain_email(who)
        profile = await people.find_profile(view, email)
        # Nobody is told whether somebody who did nothing here has an account.
        return (profile.account, "") if profile is not None else (None, email)
    try:
        return UUID(who), ""
    except ValueError:
        return None, who


def _read_what(what: str) -> str:
    if not what or "." in what:
        return what
    if what not in SERVICES:
        raise Invalid(f"there is no question {what} that is asked of a service")
    return f"{SERVICES[what]}.{what}"


def _pattern(text: str) -> str:
    """What a text is compared with, in which it may be anywhere; only small letters of ASCII are made of large ones."""
    if not text:
        return ""
    small = "".join(each.lower() if each.isascii() else each for each in text)
    return "%" + "".join(f"!{each}" if each in "!%_" else each for each in small) + "%"


async def _export(ports: Ports, workspace: UUID) -> AsyncGenerator[AuditEntries, None]:
    """All entries that there are now; each part is read by itself, so that nothing is held for whoever reads slowly."""
    async with ports.sql.read() as view:
        until, _ = await store.read_head(view, workspace)
    after = 0
    while after < until:
        async with ports.sql.read() as view:
            entries = await store.read_entries(view, workspace, after, until, PART)
        if not entries:
            return
        yield AuditEntries(tuple(entries))
        after = entries[-1].sequence
