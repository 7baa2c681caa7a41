"""Has reports made, and writes their files out."""

import asyncio
import sys
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, contextmanager
from pathlib import Path
from typing import IO, Final

import click

from services.cli.following import POLL, wait_stored
from services.cli.hull import Hull
from services.cli.options import Session
from services.cli.output import STDOUT, kept
from services.cli.text import count
from services.contracts.endpoints import GET_JUDGED, GET_STORED, MAKE_REPORT
from services.contracts.resources import Scan, ScanId
from services.contracts.resources.reports import NewReport, ReportFormat, ReportView
from services.kernel.calls import Piece
from services.kernel.errors import Invalid, MirageError

#: Seconds that a report waits for all that was found to be judged.
JUDGING: Final = 60.0
#: What is said of a step in the making of a report.
STEPS: Final = {
    "findings": "reading findings",
    "facts": "counting what there is",
    "changes": "comparing with the scan before",
    "evidence": "reading evidence",
}
ENDINGS: Final[dict[str, ReportFormat]] = {
    ".pdf": "pdf",
    ".html": "html",
    ".htm": "html",
    ".md": "md",
    ".json": "json",
}


async def wait_judged(hull: Hull, session: Session, scan: Scan) -> str:
    """Wait until all that a scan found is stored and judged; return what is missing, nothing when all is."""
    if missing := await wait_stored(hull, session.caller, scan):
        return missing
    stored = await hull.calls.ask(GET_STORED, ScanId(scan.id), session.caller)
    deadline = time.monotonic() + JUDGING
    while True:
        judged = await hull.calls.ask(GET_JUDGED, ScanId(scan.id), session.caller)
        if judged.changes >= stored.changes and not judged.waiting:
            return ""
        if time.monotonic() > deadline:
            return f"{count(max(1, judged.waiting), 'thing')} of it not judged yet"
        await asyncio.sleep(POLL)


async def make_report(hull: Hull, session: Session, new: NewReport) -> ReportView:
    """Have a report made, and say how far it is to whoever looks."""
    async with aclosing(hull.calls.follow(MAKE_REPORT, new, session.caller)) as steps:
        async for making in steps:
            if making.report is not None:
                return making.report
            if making.step in STEPS and sys.stderr.isatty():
                click.echo(f"mirage: {STEPS[making.step]}", err=True)
    raise MirageError("reporting ended without a report")


async def write_file(pieces: AsyncGenerator[Piece, None], output: str, then: str) -> None:
    """Write a file piece by piece; ``then`` says how it is written again where that fails."""
    with kept(output, then), _opened(output) as out:
        async with aclosing(pieces):
            async for piece in pieces:
                out.write(piece.data)


def format_of(output: str | None, form: ReportFormat | None) -> ReportFormat:
    """The format that was said, or that the ending of a file stands for; else PDF.

    Raises:
        Invalid: a PDF would be written to a terminal.
    """
    chosen = form or ENDINGS.get(Path(output or "").suffix.lower(), "pdf")
    if chosen == "pdf" and output == STDOUT and sys.stdout.isatty():
        raise Invalid("a PDF is not for a terminal: say --output FILE")
    return chosen


@contextmanager
def _opened(output: str) -> Iterator[IO[bytes]]:
    if output == STDOUT:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    with Path(output).open("wb") as out:
        yield out
