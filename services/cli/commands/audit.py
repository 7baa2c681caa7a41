"""`mirage audit`: who did what, and whether that is as it was written."""

from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Final
from uuid import UUID

import click
import msgspec

from services.cli.folder_options import GroupOnData
from services.cli.hull import Hull
from services.cli.instants import read_instant
from services.cli.options import Session, data_options, format_option, run_async
from services.cli.output import check_output, kept, opened
from services.cli.text import clean, count, escaped, moment, write_json, write_table
from services.contracts.audit import Chain, Head, write_line
from services.contracts.endpoints import (
    EXPORT_AUDIT,
    EXPORT_INSTALLATION_AUDIT,
    LIST_AUDIT,
    LIST_INSTALLATION_AUDIT,
)
from services.contracts.resources import AuditEntry, AuditQuery
from services.kernel.calls import Nothing
from services.kernel.errors import Corrupt, Unavailable
from services.kernel.messages import EVERYWHERE, workspace_id

#: Bytes of a line of an export that is looked at: an entry has fewer.
LONGEST_LINE: Final = 100_000
#: The consumer that takes in what was done.
RECORDS: Final = "users__record"
#: Entries of a page.
PAGE: Final = 1000
#: What is said of who asked, by what that was.
_HOW: Final = {"operator": ["of this machine"], "person": [], "token": ["by a token"], "service": []}

_entries = msgspec.json.Decoder(AuditEntry)

of_installation = click.option(
    "--installation", is_flag=True, help="What is in no workspace: accounts, logins, keys, settings; for operators."
)


@click.group("audit", cls=GroupOnData)
def command() -> None:
    """Search, export and verify who did what."""


@command.command("list")
@click.option("--who", default="", metavar="WHO", help="An email address, a name, or the id of an account.")
@click.option("--what", default="", metavar="WHAT", help="What was asked: create_scan, or scans.create_scan.")
@click.option("--since", metavar="WHEN", help="From then on: 2026-12-31, 2026-12-31T18:00 (UTC), 90m, 12h or 7d ago.")
@click.option("--until", metavar="WHEN", help="Up to then.")
@click.option("--outcome", default="", metavar="CODE", help="done, denied, not_found, conflict …")
@click.option("--text", default="", metavar="TEXT", help="What any text of an entry has.")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="The newest so many.")
@of_installation
@format_option("table", "json", "jsonl")
@data_options
def list_entries(
    session: Session,
    who: str,
    what: str,
    since: str | None,
    until: str | None,
    outcome: str,
    text: str,
    limit: int,
    form: str,
    *,
    installation: bool,
) -> int:
    """List who did what, the newest first."""
    now = datetime.now(UTC)
    query = AuditQuery(who=who, what=what, outcome=outcome, text=text, limit=min(limit, PAGE))
    if since is not None:
        query = msgspec.structs.replace(query, since=read_instant(since, now))
    if until is not None:
        query = msgspec.structs.replace(query, until=read_instant(until, now))
    found = run_async(_find(session, query, limit, installation=installation))
    if form == "json":
        write_json(found)
    elif form == "jsonl":
        for each in found:
            click.echo(escaped(write_line(each).decode()))
    else:
        write_table(("when (UTC)", "who", "what", "about", "outcome", "from"), map(_row, found), none="No entries.")
    return 0


@command.command("export")
@click.option("--output", metavar="FILE", help="Where to write; - is standard output.")
@of_installation
@data_options
def export(session: Session, output: str | None, *, installation: bool) -> int:
    """Write all entries, the oldest first, as JSON lines that `audit verify FILE` checks."""
    check_output(output)

    async def work() -> int:
        last: AuditEntry | None = None
        async with session.open() as hull, aclosing(_follow(hull, session, installation=installation)) as entries:
            with kept(output, session.line("audit export")), opened(output) as out:
                async for last in entries:
                    out.write(write_line(last).decode() + "\n")
        head = f"; the head is {last.sequence}:{clean(last.hash)}" if last else ""
        click.echo(f"{count(last.sequence if last else 0, 'entry')}{head}", err=True)
        return 0

    return run_async(work())


@command.command("verify")
@click.argument("file", metavar="[FILE]", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--head", metavar="SEQUENCE:HASH", help="What an earlier call printed, and you have kept.")
@of_installation
@data_options
def verify(session: Session, file: Path | None, head: str | None, *, installation: bool) -> int:
    """Check that no entry was changed, removed, added or moved, here and not at the server; print the head.

    Whoever can write the database could write the whole chain anew. A head that was kept elsewhere proves by --head
    that what there was then is still there, as it was.
    """
    known = Head.read(head) if head is not None else None
    chain = Chain(known, None if file is not None else _workspace(session, installation=installation))
    if file is not None:
        with file.open("rb") as lines:
            for entry in _read_lines(lines):
                chain.add(entry)
        found = chain.end()
    else:
        found = run_async(_verify(session, chain, installation=installation))
    click.echo(str(found))
    unbroken = f"{count(found.sequence, 'entry')}, none changed or added, none missing before the last"
    told = "keep this head elsewhere" if known is None else f"those up to {known.sequence:,} are what was kept"
    click.echo(f"{unbroken}; {told}", err=True)
    return 0


async def _find(session: Session, query: AuditQuery, limit: int, *, installation: bool) -> list[AuditEntry]:
    """The newest entries that were looked for, page by page."""
    found: list[AuditEntry] = []
    endpoint = LIST_INSTALLATION_AUDIT if installation else LIST_AUDIT
    async with session.open() as hull:
        await hull.heard(RECORDS)
        while len(found) < limit:
            page = await hull.calls.ask(endpoint, query, session.caller)
            found += page.entries
            if page.next is None:
                break
            query = msgspec.structs.replace(query, before=page.next)
    return found[:limit]


async def _follow(hull: Hull, session: Session, *, installation: bool) -> AsyncGenerator[AuditEntry, None]:
    """All entries of a chain, in order."""
    await hull.heard(RECORDS)
    endpoint = EXPORT_INSTALLATION_AUDIT if installation else EXPORT_AUDIT
    async with aclosing(hull.calls.follow(endpoint, Nothing(), session.caller)) as parts:
        async for part in parts:
            for entry in part.entries:
                yield entry


async def _verify(session: Session, chain: Chain, *, installation: bool) -> Head:
    async with session.open() as hull, aclosing(_follow(hull, session, installation=installation)) as entries:
        async for entry in entries:
            chain.add(entry)
    return chain.end()


def _workspace(session: Session, *, installation: bool) -> UUID | None:
    """Whose chain is asked for; a server alone knows where none is named."""
    if installation:
        return EVERYWHERE
    if session.settings.server:
        return workspace_id(session.named) if session.named else None
    return session.caller.workspace


def _read_lines(lines: BinaryIO) -> Iterator[AuditEntry]:
    """The entries of an export.

    Raises:
        Corrupt: a line is not as it was written.
    """
    number = 0
    try:
        while line := lines.readline(LONGEST_LINE):
            number += 1
            entry = _entries.decode(line)
            if write_line(entry) + b"\n" != line:
                raise Corrupt(f"line {number} (entry {entry.sequence}) is not written as an export writes it")
            yield entry
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise Corrupt(f"line {number} is no entry") from None
    except OSError as error:
        raise Unavailable(f"the file cannot be read: {error.strerror}") from error


def _row(entry: AuditEntry) -> tuple[str, ...]:
    # Anybody may call himself as he likes, so the beginning of his account stands beside that.
    known = [entry.account.hex[:8] if entry.account is not None else "", *_HOW[entry.kind], entry.service]
    who = f"{entry.name} ({', '.join(filter(None, known))})" if any(known) else entry.name
    about = ", ".join(f"{name}: {said}" for name, said in entry.about.items())
    return (moment(entry.at), clean(who), clean(entry.what), clean(about), clean(entry.outcome), clean(entry.address))
