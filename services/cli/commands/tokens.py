"""`mirage tokens`: tokens for scripts, which may less than you and end by themselves."""

from datetime import datetime

import click

from services.cli.days import read_until
from services.cli.finding import find_id
from services.cli.folder_options import GroupOnData
from services.cli.options import Session, data_options, format_option, run_async
from services.cli.text import instant, moment, write_json, write_table
from services.contracts.endpoints import CREATE_TOKEN, END_TOKEN, LIST_TOKENS
from services.contracts.resources import NewToken, TokenRef
from services.kernel.calls import Nothing


@click.group("tokens", cls=GroupOnData)
def command() -> None:
    """Make, list and end tokens for scripts at a server."""


@command.command("make")
@click.argument("name")
@click.option(
    "--may", "may", multiple=True, metavar="PERMISSION",
    help="What it may, as scans.run; `read`: what you may that only reads (the default); `all`: all that you may.",
)  # fmt: skip
@click.option("--until", metavar="DAY", default="30d", help="Its last day: 2026-12-31, friday or 7d (30d).")
@format_option("text", "json")
@data_options
def make(session: Session, name: str, may: tuple[str, ...], until: str, form: str) -> int:
    """Make a token NAME for a script; it is shown this once."""
    ends = read_until(until, datetime.now().astimezone())

    new = NewToken(name=name, permissions=may or ("read",), expires=int(ends.timestamp() * 1_000_000))
    made = session.ask(CREATE_TOKEN, new)
    if form == "json":
        write_json(made)
        return 0
    click.echo(made.token)
    click.echo(f"It may {', '.join(made.view.permissions)} until {instant(made.view.expires)}", err=True)
    return 0


@command.command("list")
@format_option("table", "json")
@data_options
def list_tokens(session: Session, form: str) -> int:
    """List your tokens in this workspace."""
    tokens = session.ask(LIST_TOKENS, Nothing())
    if form == "json":
        write_json(tokens)
        return 0
    write_table(
        ("id", "name", "may", "until (UTC)", "used (UTC)"),
        (
            (str(each.id), each.name, " ".join(each.permissions), moment(each.expires), moment(each.used))
            for each in tokens
        ),
        none="No tokens.",
    )
    return 0


@command.command("end")
@click.argument("token", metavar="ID")
@data_options
def end(session: Session, token: str) -> int:
    """Have a token let nobody in any more; a unique beginning of its ID is enough."""

    async def work() -> int:
        async with session.open() as hull:
            tokens = await hull.calls.ask(LIST_TOKENS, Nothing(), session.caller)
            found = find_id(token, (each.id for each in tokens), "token")
            await hull.calls.ask(END_TOKEN, TokenRef(found), session.caller)
        click.echo("It lets nobody in any more", err=True)
        return 0

    return run_async(work())
