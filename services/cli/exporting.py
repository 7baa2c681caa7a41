"""Writes exports of scans out."""

from contextlib import aclosing
from uuid import UUID

from services.cli.hull import Hull
from services.cli.options import Session
from services.cli.output import kept, opened
from services.cli.text import escaped
from services.contracts.endpoints import EXPORT
from services.contracts.resources import ExportQuery


async def write_export(hull: Hull, session: Session, query: ExportQuery, output: str | None) -> None:
    """Write an export as it is; to a terminal without what that would obey."""
    flags = " --canonical" * query.canonical + " --all" * query.all
    again = session.line(f"export {str(query.scan)[:8]} --format {query.format}{flags} --output FILE")
    with kept(output, is_kept(query.scan, again)), opened(output) as out:
        shown = escaped if out.isatty() else str
        async with aclosing(hull.calls.follow(EXPORT, query, session.caller)) as chunks:
            async for chunk in chunks:
                out.write(shown(chunk.text))


def is_kept(scan: UUID, again: str) -> str:
    """What is said of a scan that could not be written out; ``again`` is the line that writes it."""
    return f"scan {str(scan)[:8]} is kept, write it out again with: {again}"
