"""`mirage scans`: the scans of a workspace and what can be done with them."""

from typing import Any

import click
from msgspec import to_builtins

from services.cli.finding import find_scan, is_interrupted
from services.cli.folder_options import GroupOnData
from services.cli.hull import Hull
from services.cli.options import Session, data_options, format_option, progress_options, run_async
from services.cli.scan_text import INTERRUPTED
from services.contracts.endpoints import (
    DELETE_SCAN,
    GET_SCAN,
    LIST_SCANS,
    PAUSE_SCAN,
    RESUME_SCAN,
    RETRY_SCAN,
    STOP_SCAN,
)
from services.contracts.resources import Scan, ScanId, ScanRef
from services.contracts.states import ENDED
from services.kernel.calls import Endpoint, Nothing
from services.kernel.errors import Conflict, NotFound, Unavailable


@click.group("scans", cls=GroupOnData)
def command() -> None:
    """List, show, watch, stop, pause, resume, retry and delete scans.

    ID is a scan's id, a unique beginning of it, or `last`.
    """


@command.command("list")
@format_option("table", "json")
@data_options
def list_scans(session: Session, form: str) -> int:
    """List scans, newest first."""

    async def work() -> int:
        from services.cli.text import moment, write_json, write_table

        async with session.open() as hull:
            worked = await hull.somebody_works()
            scans = await hull.calls.ask(LIST_SCANS, Nothing(), session.caller)
            interrupted = {scan.id for scan in scans if is_interrupted(scan, worked=worked)}
        if form == "json":
            write_json([{**to_builtins(scan), "interrupted": scan.id in interrupted} for scan in scans])
            return 0
        write_table(
            ("scan", "state", "targets", "profile", "created (UTC)", "entities", "asked", "open"),
            (
                (
                    str(scan.id)[:8],
                    INTERRUPTED if scan.id in interrupted else scan.state,
                    ", ".join(scan.targets[:3]) + (" …" if len(scan.targets) > 3 else ""),
                    scan.profile,
                    moment(scan.created),
                    str(scan.entities),
                    str(scan.done),
                    str(scan.open),
                )
                for scan in scans
            ),
            none=f"No scans yet; make one with: {session.line('scan example.org')}",
        )
        if interrupted:
            click.echo(f"The process of an interrupted scan is gone; go on with: {session.line('scans resume ID')}")
        return 0

    return run_async(work())


@command.command("show")
@click.argument("scan_id", metavar="ID")
@format_option("table", "json")
@data_options
def show(session: Session, scan_id: str, form: str) -> int:
    """Show where a scan stands, source by source."""

    async def work() -> int:
        from services.cli.summary import write_summary
        from services.cli.text import write_json

        async with session.open() as hull:
            worked = await hull.somebody_works()
            scan = await find_scan(hull, session, scan_id)
            interrupted = is_interrupted(scan, worked=worked)
        if form == "json":
            write_json({**to_builtins(scan, builtin_types=(bytes,)), "interrupted": interrupted})
        else:
            write_summary(session, scan, interrupted=interrupted)
        return 0

    return run_async(work())


@command.command("authorisation")
@click.argument("scan_id", metavar="ID")
@format_option("text", "json")
@data_options
def authorisation(session: Session, scan_id: str, form: str) -> int:
    """Show who authorised the active work of a scan, and verify that the workspace signed it."""

    async def work() -> int:
        from services.cli.authorising import authorisation_lines, find_authorisation
        from services.cli.text import write_json, write_line

        async with session.open() as hull:
            found = await find_authorisation(hull, session, await find_scan(hull, session, scan_id))
        if form == "json":
            write_json({**to_builtins(found), "verified": True})
            return 0
        for line in authorisation_lines(found.statement):
            write_line(line)
        click.echo("The signature holds: a key of the workspace has signed this")
        return 0

    return run_async(work())


@command.command("watch")
@click.argument("scan_id", metavar="ID")
@progress_options
@data_options
def watch(session: Session, scan_id: str, *, quiet: bool, json_progress: bool) -> int:
    """Watch a scan until it ends; Ctrl-C leaves it running where it runs."""
    return run_async(_follow(session, scan_id, None, quiet=quiet, json_progress=json_progress))


@command.command("resume")
@click.argument("scan_id", metavar="ID")
@progress_options
@data_options
def resume(session: Session, scan_id: str, *, quiet: bool, json_progress: bool) -> int:
    """Go on with a paused, stopped or incomplete scan, and watch it.

    A scan that was running when its process died goes on by itself with the next command that scans, resumes, retries
    or watches, and with `mirage up`; commands that look at the data folder or change it ask no source.
    """
    return run_async(_follow(session, scan_id, RESUME_SCAN, quiet=quiet, json_progress=json_progress))


@command.command("retry")
@click.argument("scan_id", metavar="ID")
@progress_options
@data_options
def retry(session: Session, scan_id: str, *, quiet: bool, json_progress: bool) -> int:
    """Ask again what could not be asked, and watch it."""
    return run_async(_follow(session, scan_id, RETRY_SCAN, quiet=quiet, json_progress=json_progress))


async def _follow(
    session: Session, scan_id: str, opening: Endpoint[ScanId, Scan] | None, *, quiet: bool, json_progress: bool
) -> int:
    from services.cli.following import display, exit_code, follow, wait_stored
    from services.cli.summary import kept_when_cut_off, write_how_to_go_on, write_summary

    async with session.open(works=True) as hull:
        scan = await find_scan(hull, session, scan_id)
        goes_on = opening is RESUME_SCAN and scan.state == "running"
        if opening is not None and not goes_on:
            scan = await hull.calls.ask(opening, ScanId(scan.id), session.caller)
        if scan.state not in ENDED:
            shown = display(quiet=quiet, json_progress=json_progress)
            with kept_when_cut_off(session, scan):
                scan = await follow(hull, session.caller, scan, shown, only_watch=opening is None)
        if scan.state in ENDED:
            await wait_stored(hull, session.caller, scan)
    write_summary(session, scan)
    write_how_to_go_on(session, scan)
    return exit_code(scan)


async def _state(hull: Hull, session: Session, scan: Scan) -> str:
    try:
        return (await hull.calls.ask(GET_SCAN, ScanRef(str(scan.id)), session.caller)).state
    except NotFound:
        return "deleted"


async def _change(hull: Hull, session: Session, scan: Scan, endpoint: Endpoint[ScanId, Any], state: str) -> None:
    """Bring a scan into ``state``; where it is in it already, that is well."""
    try:
        await hull.calls.ask(endpoint, ScanId(scan.id), session.caller)
    except (Conflict, NotFound, Unavailable):
        # The process that ran the scan may have ended by this before it could answer, and is not asked twice.
        if await _state(hull, session, scan) != state:
            raise


def _simple(name: str, endpoint: Endpoint[ScanId, Any], summary: str, state: str, done: str) -> None:
    """Add a verb that brings a scan into ``state``."""

    @command.command(name, help=summary)
    @click.argument("scan_id", metavar="ID")
    @data_options
    def change(session: Session, scan_id: str) -> int:
        async def work() -> int:
            async with session.open() as hull:
                scan = await find_scan(hull, session, scan_id)
                await _change(hull, session, scan, endpoint, state)
            short = str(scan.id)[:8]
            click.echo(done.format(scan=short, resume=session.line(f"scans resume {short}")))
            return 0

        return run_async(work())


_simple(
    "stop",
    STOP_SCAN,
    "End a scan's run; what it found stays.",
    "stopped",
    "Scan {scan} is stopped; go on with: {resume}",
)
_simple(
    "pause",
    PAUSE_SCAN,
    "Hold a scan where it is; nothing is lost.",
    "paused",
    "Scan {scan} is paused; go on with: {resume}",
)


@command.command("delete")
@click.argument("scan_id", metavar="ID")
@click.option("--force", is_flag=True, help="Also a scan that is running, which ends it.")
@data_options
def delete(session: Session, scan_id: str, *, force: bool) -> int:
    """Forget a scan, its claims and its evidence."""

    async def work() -> int:
        from services.cli.following import wait_swept

        async with session.open() as hull:
            worked = await hull.somebody_works()
            scan = await find_scan(hull, session, scan_id)
            if scan.state == "running" and worked and not force:
                stop = session.line(f"scans stop {str(scan.id)[:8]}")
                raise Conflict(f"the scan is running; stop it first with: {stop}, or delete it with --force")
            await _change(hull, session, scan, DELETE_SCAN, "deleted")
            left = await wait_swept(hull, session.caller, scan.id)
        click.echo(f"Scan {str(scan.id)[:8]} is deleted.")
        if left:
            click.echo(
                f"mirage: {', '.join(left)} still remove what they had of it, and go on with the next command", err=True
            )
        return 0

    return run_async(work())
