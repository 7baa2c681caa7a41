"""Follows a scan until it ends, showing where it stands; survives the death of the process that runs it."""

import asyncio
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Final, Protocol
from uuid import UUID

import click
import msgspec

from services.cli.hull import Hull
from services.cli.scan_text import held_lines, nobody_was_asked, unasked
from services.cli.text import escaped
from services.contracts.endpoints import (
    GET_SCAN,
    GET_STORED,
    PAUSE_SCAN,
    SWEPT_BY_COLLECTOR,
    SWEPT_BY_CORRELATION,
    SWEPT_BY_REPORTING,
    SWEPT_BY_SCANS,
    SWEPT_BY_STORAGE,
    WATCH_SCAN,
)
from services.contracts.resources import Scan, ScanId, ScanRef, Watch
from services.contracts.states import ENDED
from services.kernel.calls import Caller
from services.kernel.errors import Conflict, NotFound, Unavailable

#: How long an export waits for storage to have what the scan found.
STORING: Final = 30.0
#: How long a deletion waits for all services to have forgotten the scan.
SWEEPING: Final = 30.0
POLL: Final = 0.1
#: Seconds between two lines that say what a scan waits for, and between two that say it of the same sources.
SAID_EVERY: Final = 5.0
SAID_AGAIN: Final = 60.0
#: What the command line exits with where a scan did not come to its end.
STOPPED: Final = 3


class Display(Protocol):
    """Shows a scan's progress to whoever watches."""

    def update(self, scan: Scan) -> None: ...
    def close(self) -> None: ...


class Silent:
    """Shows nothing."""

    def update(self, scan: Scan) -> None:
        """Show nothing."""

    def close(self) -> None:
        """Have nothing to close."""


class Waits:
    """A line on stderr when what a scan waits for changes, where there is no terminal to draw on."""

    def __init__(self) -> None:
        self._said: set[tuple[str, str]] = set()
        self._at = -SAID_AGAIN

    def update(self, scan: Scan) -> None:
        """Say whom it waits for, unless that was said or something was a moment ago."""
        held = held_lines(scan)
        named = {(waiting.module, waiting.reason) for waiting in scan.waiting if waiting.until}
        if held and time.monotonic() >= self._at + (SAID_AGAIN if named == self._said else SAID_EVERY):
            self._said, self._at = named, time.monotonic()
            click.echo(f"mirage: the scan waits for {'; '.join(held)}", err=True)

    def close(self) -> None:
        """Have nothing to close."""


class JsonLines:
    """One JSON object a change on stderr, for programs that watch."""

    def update(self, scan: Scan) -> None:
        progress = {
            "scan": str(scan.id),
            "state": scan.state,
            "run": scan.run,
            "items": scan.items,
            "entities": scan.entities,
            "waiting": [msgspec.to_builtins(waiting) for waiting in scan.waiting],
        }
        sys.stderr.write(escaped(msgspec.json.encode(progress).decode()) + "\n")
        sys.stderr.flush()

    def close(self) -> None:
        sys.stderr.flush()


def display(*, quiet: bool, json_progress: bool) -> Display:
    """How progress is shown: as JSON, not at all, live on a terminal, or elsewhere as what is waited for."""
    if json_progress:
        return JsonLines()
    if quiet:
        return Silent()
    if not sys.stderr.isatty():
        return Waits()
    from services.cli.progress import LiveProgress

    return LiveProgress()


async def follow(hull: Hull, caller: Caller, scan: Scan, display: Display, *, only_watch: bool = False) -> Scan:
    """Return the scan as it ended. Ctrl-C pauses it and returns it paused; a second one gives up waiting.

    With ``only_watch``, Ctrl-C leaves a scan alone that runs in another process. When it is deleted, the command ends.
    """
    try:
        return await _follow(hull, caller, scan, display, only_watch=only_watch)
    except NotFound:
        click.echo("mirage: the scan was deleted", err=True)
        raise click.exceptions.Exit(STOPPED) from None


async def _follow(hull: Hull, caller: Caller, scan: Scan, display: Display, *, only_watch: bool) -> Scan:
    async with interrupted() as interrupt:
        watching = asyncio.create_task(_watch(hull, caller, scan, display))
        stopping = asyncio.create_task(interrupt.wait())
        try:
            await asyncio.wait({watching, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if watching.done():
                return watching.result()
            if not (only_watch and hull.runtime is None):
                return await _pause(hull, caller, scan)
            return await hull.calls.ask(GET_SCAN, ScanRef(str(scan.id)), caller)
        finally:
            watching.cancel()
            stopping.cancel()
            await asyncio.gather(watching, stopping, return_exceptions=True)
            display.close()


async def _pause(hull: Hull, caller: Caller, scan: Scan) -> Scan:
    try:
        return await hull.calls.ask(PAUSE_SCAN, ScanId(scan.id), caller)
    except (Conflict, Unavailable) as error:
        seen = await hull.calls.ask(GET_SCAN, ScanRef(str(scan.id)), caller)
        # It ended, or somebody else held it, in the same moment, or who ran it ended by this before it could answer.
        if isinstance(error, Unavailable) and seen.state == "running":
            raise
        return seen


async def _watch(hull: Hull, caller: Caller, scan: Scan, display: Display) -> Scan:
    after: int | None = None
    state = scan.state
    while state not in {*ENDED, "paused"}:
        try:
            async with aclosing(hull.calls.follow(WATCH_SCAN, Watch(scan.id, after), caller)) as watched:
                async for seen in watched:
                    after, state = seen.sequence, seen.progress.state
                    display.update(msgspec.structs.replace(scan, **msgspec.structs.asdict(seen.progress)))
                    if state == "paused":
                        break
        except Unavailable as error:
            if not await hull.lost(error):
                raise
    return await hull.calls.ask(GET_SCAN, ScanRef(str(scan.id)), caller)


async def wait_stored(hull: Hull, caller: Caller, scan: Scan) -> str:
    """Wait until storage has what ``scan`` found; return what is missing, nothing when all is there."""
    deadline = time.monotonic() + STORING
    while True:
        stored = await hull.calls.ask(GET_STORED, ScanId(scan.id), caller)
        if stored.results >= scan.results and stored.admissions >= scan.admissions:
            return ""
        if time.monotonic() > deadline:
            return f"storage has {stored.results} of {scan.results} results"
        await asyncio.sleep(POLL)


async def wait_swept(hull: Hull, caller: Caller, scan: UUID) -> list[str]:
    """Wait until nobody has anything left of a deleted scan; return the services that still have."""
    deadline = time.monotonic() + SWEEPING
    left = [SWEPT_BY_SCANS, SWEPT_BY_STORAGE, SWEPT_BY_COLLECTOR, SWEPT_BY_CORRELATION, SWEPT_BY_REPORTING]
    while True:
        left = [endpoint for endpoint in left if not (await hull.calls.ask(endpoint, ScanId(scan), caller)).swept]
        if not left or time.monotonic() > deadline:
            return [endpoint.service for endpoint in left]
        await asyncio.sleep(POLL)


@asynccontextmanager
async def interrupted() -> AsyncIterator[asyncio.Event]:
    """An event that is set at the first Ctrl-C, SIGTERM or end of the terminal; a second one ends the process."""
    event = asyncio.Event()
    loop = asyncio.get_running_loop()

    def interrupt(number: signal.Signals) -> None:
        event.set()
        loop.remove_signal_handler(number)

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    for number in numbers:
        loop.add_signal_handler(number, interrupt, number)
    try:
        yield event
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


def exit_code(scan: Scan, *, strict: bool = False) -> int:
    """What the command line says of how a scan ended."""
    if scan.state != "finished":
        return STOPPED
    return 4 if strict and (unasked(scan) or nobody_was_asked(scan)) else 0
