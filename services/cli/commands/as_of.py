"""`mirage as-of`: what was known at an instant, asked by the commands that tell it."""

from collections.abc import Callable
from datetime import UTC, datetime
from importlib import import_module
from typing import Final

import click

from services.cli.folder_options import folder_options
from services.cli.instants import read_instant
from services.kernel.errors import Invalid

#: What is asked at an instant, and the words for that.
VERBS: Final[dict[str, Callable[[str], list[str]]]] = {
    "show": lambda instant: ["--as-of", instant],
    "export": lambda instant: ["--as-of", instant],
    "diff": lambda instant: [instant, "now"],
}


@click.command("as-of", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("instant", metavar="WHEN")
@click.argument("verb", metavar="COMMAND")
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[ARGUMENT]...")
def command(instant: str, verb: str, words: tuple[str, ...]) -> int | None:
    """Run show or export as of an instant: 2026-12-31, 2026-12-31T18:00 (UTC), 90m, 12h or 7d ago.

    They answer what they answered then: without what came, was withdrawn or restored since. Deleted scans are gone.
    diff says what changed since then, of all scans or of --scan.
    """
    if verb not in VERBS:
        raise Invalid(f"{verb!a} is not asked as of an instant; {', '.join(VERBS)} are")
    at = datetime.fromtimestamp(read_instant(instant, datetime.now(UTC)) / 1_000_000, UTC).isoformat()
    asked: click.Command = import_module(f"services.cli.commands.{verb}").command
    with asked.make_context(verb, [*VERBS[verb](at), *words], parent=click.get_current_context()) as inner:
        code: int | None = asked.invoke(inner)
    return code


command.params += folder_options()
