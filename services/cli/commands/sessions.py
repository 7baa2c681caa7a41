"""`mirage sessions`: where you are logged in."""

import click

from services.cli.finding import find_id
from services.cli.folder_options import GroupOnData
from services.cli.options import Session, data_options, format_option, run_async
from services.cli.text import clean, moment, write_json, write_table
from services.contracts.endpoints import END_SESSION, LIST_SESSIONS
from services.contracts.resources import SessionRef
from services.kernel.calls import Nothing


@click.group("sessions", cls=GroupOnData)
def command() -> None:
    """List and end your sessions at a server."""


@command.command("list")
@format_option("table", "json")
@data_options
def list_sessions(session: Session, form: str) -> int:
    """List your sessions, the one used last first."""
    found = session.ask(LIST_SESSIONS, Nothing())
    if form == "json":
        write_json(found)
        return 0
    write_table(
        ("id", "where", "from", "since (UTC)", "used (UTC)", "this one"),
        (
            (str(each.id), clean(each.device), each.address, moment(each.created), moment(each.seen),
             "yes" if each.current else "")
            for each in found
        ),
        none="No sessions.",
    )  # fmt: skip
    return 0


@command.command("end")
@click.argument("which", metavar="ID")
@data_options
def end(session: Session, which: str) -> int:
    """End one of your sessions, everywhere and at once; a unique beginning of its ID is enough."""

    async def work() -> int:
        async with session.open() as hull:
            sessions = await hull.calls.ask(LIST_SESSIONS, Nothing(), session.caller)
            found = find_id(which, (each.id for each in sessions), "session")
            await hull.calls.ask(END_SESSION, SessionRef(found), session.caller)
        click.echo("It has ended", err=True)
        return 0

    return run_async(work())
