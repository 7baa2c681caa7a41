"""`mirage operators`: who looks after an installation."""

import click

from services.cli.finding import find_person
from services.cli.folder_options import GroupOnData
from services.cli.options import Session, data_options, format_option, run_async
from services.cli.text import clean, moment, write_json, write_table
from services.contracts.endpoints import ADD_OPERATOR, LIST_OPERATORS, REMOVE_OPERATOR
from services.contracts.resources import AccountRef, NewOperator
from services.kernel.calls import Nothing


@click.group("operators", cls=GroupOnData)
def command() -> None:
    """List, make and unmake operators: they see to services, keys and workspaces, and into none of these."""


@command.command("list")
@format_option("table", "json")
@data_options
def list_operators(session: Session, form: str) -> int:
    """List the operators of this installation."""
    found = session.ask(LIST_OPERATORS, Nothing())
    if form == "json":
        write_json(found)
        return 0
    write_table(
        ("email", "name", "since (UTC)"),
        ((clean(each.email), clean(each.name), moment(each.since)) for each in found),
        none="No operators.",
    )
    return 0


@command.command("add")
@click.argument("email")
@data_options
def add(session: Session, email: str) -> int:
    """Make who has EMAIL, and an account, an operator of this installation."""
    added = session.ask(ADD_OPERATOR, NewOperator(email))
    click.echo(f"{added.email} is an operator", err=True)
    return 0


@command.command("remove")
@click.argument("email")
@data_options
def remove(session: Session, email: str) -> int:
    """Have who has EMAIL be no operator any more, at once."""

    async def work() -> int:
        async with session.open() as hull:
            operators = await hull.calls.ask(LIST_OPERATORS, Nothing(), session.caller)
            found = find_person(email, operators, "is no operator")
            await hull.calls.ask(REMOVE_OPERATOR, AccountRef(found.account), session.caller)
        click.echo(f"{found.email} is no operator any more", err=True)
        return 0

    return run_async(work())
