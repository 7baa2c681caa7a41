"""`mirage demo`: the lab's organisation, scanned without a network and without anything to set up."""

import asyncio
import json
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import click
from msgspec.structs import replace

from services.cli.folder_options import said
from services.cli.hull import Hull
from services.cli.options import Session, data_options, progress_options, run_async
from services.contracts.resources import NewScan
from services.kernel.errors import Unavailable
from services.kernel.folder import LOG
from services.kernel.observe import LogFile, configure_logs
from services.kernel.settings import Settings

READY_SECONDS = 30.0


@click.command("demo")
@progress_options
@click.option("--strict", is_flag=True, help="Exit with 4 when a source could not be asked.")
@data_options
def command(session: Session, *, quiet: bool, json_progress: bool, strict: bool) -> int:
    """Start the lab, a small internet on this machine, and scan its organisation in the workspace "demo".

    What it finds is kept in a data folder of its own, `mirage-demo` beside the usual one, unless one is named.
    """
    return run_async(scan_lab(apart(session), quiet=quiet, json_progress=json_progress, strict=strict))


def apart(session: Session) -> Session:
    """Where the demo works: the usual folder may be at work, and in the world as it is."""
    settings = session.settings
    if settings.data:
        return session
    folder = settings.folder.with_name("mirage-demo")
    if said("log") is None:
        configure_logs(settings.log, LogFile(folder / LOG))
    return Session(replace(settings, data=str(folder)), data=str(folder))


async def scan_lab(session: Session, *, quiet: bool, json_progress: bool, strict: bool) -> int:
    from services.cli.following import display, exit_code, follow, wait_stored
    from services.cli.summary import write_summary
    from services.contracts.endpoints import CREATE_SCAN

    with tempfile.TemporaryDirectory(prefix="mirage-lab-") as folder:
        async with running_lab(Path(folder), "--weak") as lab:
            inside = Session(within(session.settings, lab), "demo", session.data)
            click.echo(
                f"The lab is up; scanning its organisation {lab['target']}: no packet leaves this machine.", err=True
            )
            async with Hull(inside.settings, works=True) as hull:
                if hull.runtime is None:
                    raise Unavailable("another process owns this data folder; end it first, or use another --data")
                new = NewScan(
                    targets=tuple(lab["targets"]),
                    profile="deep",
                    authorised="the lab, for the demo",
                    resolvers=(lab["resolver"],),
                )
                scan = await hull.calls.ask(CREATE_SCAN, new, inside.caller, seconds=60.0)
                ended = await follow(hull, inside.caller, scan, display(quiet=quiet, json_progress=json_progress))
                await wait_stored(hull, inside.caller, ended)
    write_summary(inside, ended)
    write_next(inside, str(ended.id)[:8], lab["target"])
    return exit_code(ended, strict=strict)


def write_next(session: Session, short: str, target: str) -> None:
    """Say what to try next."""
    click.echo("")
    click.echo("Try next (all of it works without the lab, on what was kept):")
    for words in (
        f"findings {short} --severity high",
        f"export {short} --format hosts",
        f"show {target}",
        f"why-not ftp.{target}",
        f"evidence verify {short}",
        f"replay {short}",
    ):
        click.echo(f"  {session.line(words)}")
    click.echo("  ./mirage scan YOUR-DOMAIN --dry-run")


def within(settings: Settings, lab: dict[str, Any]) -> Settings:
    """The same settings, in the lab: its addresses, its authority, its resolver."""
    variables = lab["environment"]
    return replace(
        settings,
        dial_table=variables["MIRAGE_DIAL_TABLE"],
        ca_file=variables["SSL_CERT_FILE"],
        resolvers=(lab["resolver"],),
        proxy="",
        server="",
    )


@asynccontextmanager
async def running_lab(folder: Path, *arguments: str) -> AsyncIterator[dict[str, Any]]:
    """The lab as a process of its own, ended with the block; yields its description."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "lab",
        "--dir",
        str(folder),
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.environ.get("PYTHONPATH", str(Path(__file__).parents[3]))},
        start_new_session=True,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(READY_SECONDS):
            line = await process.stdout.readline()
        if not line.startswith(b"lab ready"):
            raise Unavailable("the lab did not start")
        described: dict[str, Any] = json.loads((folder / "lab.json").read_bytes())
        yield described
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            await process.wait()
