"""Has reports made, and writes their files out."""

import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import Final

import click

from services.cli.hull import Hull
from services.cli.judging import wait_judged
from services.cli.options import Session
from services.cli.output import STDOUT, kept, opened_for_bytes
from services.cli.text import count
from services.contracts.endpoints import MAKE_REPORT, READ_BUNDLE, READ_REPORT
from services.contracts.resources import Scan
from services.contracts.resources.reports import BundleQuery, NewReport, ReportFile, ReportFormat, ReportView
from services.kernel.calls import Piece
from services.kernel.errors import Invalid, MirageError

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
    with kept(output, then), opened_for_bytes(output) as write:
        async with aclosing(pieces):
            async for piece in pieces:
                write(piece.data)


def format_of(output: str | None, form: ReportFormat | None) -> ReportFormat:
    """The format that was said, or that the ending of a file stands for; else PDF.

    Raises:
        Invalid: a PDF would be written to a terminal.
    """
    chosen = form or ENDINGS.get(Path(output or "").suffix.lower(), "pdf")
    if chosen == "pdf" and output == STDOUT and sys.stdout.isatty():
        raise Invalid("a PDF is not for a terminal: say --output FILE")
    return chosen


async def write_report(
    hull: Hull,
    session: Session,
    scan: Scan,
    new: NewReport,
    form: ReportFormat,
    output: str | None,
    *,
    bundle: bool = False,
    bodies: bool = False,
) -> int:
    """Make a report and write it out, to a file of its own where none is named; return the exit code."""
    missing = await wait_judged(hull, session, scan)
    report = await make_report(hull, session, new)
    short = str(report.id)[:8]
    where = output or f"report-{short}.{'zip' if bundle else form}"
    again = session.line(f"report show {short} --output FILE" + " --bundle" * bundle)
    pieces = pieces_of(hull, session, report, form, bundle=bundle, bodies=bodies)
    await write_file(pieces, where, f"the report {short} is kept, write it out again with: {again}")
    if where != STDOUT:
        click.echo(f"Report {short}: {told(report)}; written to {where}", err=True)
    if missing:
        click.echo(f"mirage: the report is incomplete: {missing}", err=True)
    return 3 if missing else 0


def pieces_of(
    hull: Hull, session: Session, report: ReportView, form: ReportFormat, *, bundle: bool, bodies: bool
) -> AsyncGenerator[Piece, None]:
    if bundle:
        return hull.calls.follow(READ_BUNDLE, BundleQuery(report=str(report.id), bodies=bodies), session.caller)
    return hull.calls.follow(READ_REPORT, ReportFile(report=str(report.id), format=form), session.caller)


def told(report: ReportView) -> str:
    more = f", of which it tells {report.shown:,}" if report.shown < report.findings else ""
    return f"{report.template}, {count(report.findings, 'finding')}{more}"
