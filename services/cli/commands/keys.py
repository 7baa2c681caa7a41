"""`mirage keys`: provider keys, read from a prompt or stdin, never from the command line."""

import sys
from collections.abc import Sequence

import click
from msgspec import Struct

from services.cli.folder_options import GroupOnData
from services.cli.hull import Hull
from services.cli.options import Session, data_options, format_option, run_async
from services.cli.prompts import MOST_READ
from services.cli.text import write_json, write_table
from services.contracts.endpoints import LIST_KEYS, LIST_MODULES, REMOVE_KEY, SET_KEY
from services.contracts.keys import OF_LOGINS
from services.contracts.resources import KeyName, NewKey
from services.kernel.calls import Nothing
from services.kernel.errors import Invalid


class Key(Struct, frozen=True, kw_only=True):
    """A key that is set, and who uses it."""

    name: str
    source: str
    hint: str
    opens: bool
    modules: tuple[str, ...]


async def users_of_keys(hull: Hull, session: Session) -> dict[str, tuple[str, ...]]:
    """The modules that use each key."""
    users: dict[str, tuple[str, ...]] = {}
    for module in await hull.calls.ask(LIST_MODULES, Nothing(), session.caller):
        if key := module.declared.key:
            users[key] = (*users.get(key, ()), module.declared.id)
    return users


@click.group("keys", cls=GroupOnData)
def command() -> None:
    """Set, list and remove provider keys."""


@command.command("list")
@format_option("table", "json")
@data_options
def list_keys(session: Session, form: str) -> int:
    """List the keys that are set, never their values."""

    async def work() -> int:
        async with session.open(makes=True) as hull:
            set_ones = await hull.calls.ask(LIST_KEYS, Nothing(), session.caller)
            users = await users_of_keys(hull, session)
        keys = [
            Key(name=key.name, source=key.source, hint=key.hint, opens=key.opens, modules=users.get(key.name, ()))
            for key in set_ones
        ]
        if form == "json":
            write_json(keys)
            return 0
        write_table(
            ("key", "from", "ends in", "used by"),
            ((key.name, key.source, key.hint, " ".join(key.modules)) for key in keys),
            none=f"No keys are set; which ones help: {session.line('modules list')}",
        )
        for key in keys:
            if not key.opens:
                click.echo(f"{key.name} cannot be used: it was sealed under another master key; set it again", err=True)
        return 0

    return run_async(work())


@command.command("set")
@click.argument("name")
@data_options
def set_key(session: Session, name: str) -> int:
    """Set a key; its value is read from a prompt, or from standard input when that is no terminal."""
    session.look_at_server()
    secret = read_key(session.line(f"keys set {name}"))

    async def work() -> int:
        async with session.open(makes=True) as hull:
            key = await hull.calls.ask(SET_KEY, NewKey(name, secret), session.caller)
            modules = (await users_of_keys(hull, session)).get(name, ())
        click.echo(f"{name} is set ({key.hint}){_use_of(name, modules)}")
        return 0

    return run_async(work())


def _use_of(name: str, modules: Sequence[str]) -> str:
    if name.startswith(OF_LOGINS):
        return f", for logins at the provider {name.removeprefix(OF_LOGINS)}"
    return f", used by {', '.join(modules)}" if modules else "; no module uses a key of this name"


def read_key(line: str) -> str:
    """A key that is typed at a prompt or comes from standard input; ``line`` is how the command is called.

    Raises:
        Invalid: there is none, or more than one line.
    """
    secret = click.prompt("Key", hide_input=True) if sys.stdin.isatty() else sys.stdin.read(MOST_READ)
    lines = secret.strip().splitlines()
    if len(lines) != 1:
        said = "more than one line" if lines else "no key"
        raise Invalid(f"there is {said} on standard input; give one: {line} < FILE")
    return str(lines[0])


@command.command("remove")
@click.argument("name")
@data_options
def remove(session: Session, name: str) -> int:
    """Forget a key."""
    session.ask(REMOVE_KEY, KeyName(name), makes=True)
    click.echo(f"{name} is removed")
    return 0
