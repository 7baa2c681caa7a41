"""What is said when a scan has ended or is looked at: what it found, what was not asked, and what to do next."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from shlex import quote

import click

from services.cli.authorising import authorised_line
from services.cli.options import Session
from services.cli.scan_text import found, headline, held_lines, left_out_lines, times, write_sources
from services.cli.text import write_line
from services.contracts.resources import Scan
from services.kernel.errors import Exhausted


def write_how_to_go_on(session: Session, scan: Scan) -> None:
    """Say on stderr how a scan that was interrupted or stopped short is taken up again."""
    reason = f" ({scan.reason})" if scan.reason else ""
    if scan.resumable:
        click.echo(f"The scan is {scan.state}{reason}; go on with: {resuming(session, scan)}", err=True)
    elif scan.state == "incomplete":
        click.echo(f"The scan is incomplete{reason}; a new scan with a larger limit finds more", err=True)


@contextmanager
def kept_when_cut_off(session: Session, scan: Scan) -> Iterator[None]:
    """Say how a scan goes on of which the block was cut off, as by a full disk."""
    try:
        yield
    except (Exhausted, asyncio.CancelledError):  # what runs the services ends its user when one of them cannot go on
        click.echo(f"Scan {str(scan.id)[:8]} is kept; go on with: {resuming(session, scan)}", err=True)
        raise


def resuming(session: Session, scan: Scan) -> str:
    """The line that takes a scan up again."""
    return session.line(f"scans resume {str(scan.id)[:8]}")


def write_summary(session: Session, scan: Scan, *, interrupted: bool = False) -> None:
    """Print where a scan stands and what it found; ``interrupted``: nobody runs it although it should be running."""
    short = str(scan.id)[:8]
    write_line(f"{headline(scan, interrupted=interrupted)}, {times(scan)}")
    if authorised := authorised_line(scan):
        write_line(authorised)
    write_line(f"Found: {found(scan)}")
    write_sources(scan, interrupted=interrupted)
    for line in left_out_lines(scan):
        write_line(line)
    for held in () if interrupted else held_lines(scan):
        write_line(f"Waiting: {held}")
    if interrupted:
        click.echo(f"It was interrupted: the process that ran it is gone; go on with: {resuming(session, scan)}")
        return
    form = "hosts" if scan.entities.keys() & {"domain", "hostname"} else "csv"
    target = quote(scan.targets[0].value) if scan.targets else "NAME"
    following = (f"findings {short}", f"export {short} --format {form}", f"show {target}", f"evidence verify {short}")
    click.echo("Next: " + "\n      ".join(session.line(words) for words in following))
