"""Writes exports of scans out."""

from contextlib import aclosing, suppress
from typing import Final
from uuid import UUID

from services.cli.hull import Hull
from services.cli.judging import wait_until_judged
from services.cli.options import Session
from services.cli.output import kept, opened_for_bytes
from services.contracts.endpoints import EXPORT
from services.contracts.resources import ExportQuery
from services.kernel.calls import Piece
from services.kernel.errors import Unavailable

#: The forms that have a place for findings.
JUDGED: Final = frozenset({"stix", "misp", "xlsx"})


async def write_export(hull: Hull, session: Session, query: ExportQuery, output: str | None) -> Piece:
    """Write an export as it is, to a terminal without what that would obey; its last piece says what is not in it."""
    again = session.line(f"export {str(query.scan)[:8]}{_flags(query)} --output FILE")
    last = Piece(data=b"")
    if query.format in JUDGED and query.as_of is None:
        with suppress(Unavailable):  # who judges may be away, of which the last piece says what that means
            await wait_until_judged(hull, session, query.scan)
    with kept(output, is_kept(query.scan, again)), opened_for_bytes(output) as write:
        async with aclosing(hull.calls.follow(EXPORT, query, session.caller)) as pieces:
            async for last in pieces:
                write(last.data)
    return last


def _flags(query: ExportQuery) -> str:
    flags = f" --format {query.format}" + " --canonical" * query.canonical + " --all" * query.all
    flags += "" if query.tlp is None else f" --tlp {query.tlp.replace('-', '+')}"
    return flags + ("" if query.profile == "opencti" else f" --profile {query.profile}")


def is_kept(scan: UUID, again: str) -> str:
    """What is said of a scan that could not be written out; ``again`` is the line that writes it."""
    return f"scan {str(scan)[:8]} is kept, write it out again with: {again}"
