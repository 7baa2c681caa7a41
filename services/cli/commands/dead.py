"""`mirage dead`: messages that a consumer gave up on; what they say, one more try, or away with them."""

from typing import Any

import click
import msgspec

from services.cli.folder_options import GroupOnData
from services.cli.hull import Hull
from services.cli.options import Session, data_options, format_option, run_async
from services.cli.text import clean, count, instant, write_json, write_table
from services.kernel.calls import Endpoint, Nothing
from services.kernel.errors import Invalid
from services.kernel.letters import DROP_DEAD, LIST_DEAD, MOST, OPEN_DEAD, RETRY_DEAD, Letter, LetterRef, Letters


@click.group("dead", cls=GroupOnData)
def command() -> None:
    """List, show, retry and drop dead letters: messages that could not be taken in after five tries.

    They are of the whole data folder, whatever workspace. ID is a letter's id or a unique beginning of it.
    """


@command.command("list")
@format_option("table", "json")
@data_options
def list_dead(session: Session, form: str) -> int:
    """List dead letters, newest first."""

    async def work() -> int:
        async with session.open() as hull:
            letters = await hull.calls.ask(LIST_DEAD, Nothing(), session.caller)
        if form == "json":
            write_json({"letters": letters})
            return 0
        write_table(("letter", "consumer", "message", "at", "tries", "reason"), map(_row, letters))
        if not letters:
            click.echo("No dead letters.")
        elif len(letters) == MOST:
            click.echo(f"These are the newest {MOST}.")
        return 0

    return run_async(work())


def _row(letter: Letter) -> tuple[str, ...]:
    return (
        str(letter.id)[:8],
        letter.consumer,
        letter.type,
        instant(letter.at),
        str(letter.tries),
        letter.reason[:200],
    )


@command.command("show")
@click.argument("letter_id", metavar="ID")
@format_option("text", "json")
@data_options
def show(session: Session, letter_id: str, form: str) -> int:
    """Show why a message was given up, and what it says."""

    async def work() -> int:
        async with session.open() as hull:
            opened = await hull.calls.ask(OPEN_DEAD, LetterRef(letter_id), session.caller)
        if form == "json":
            write_json({"letter": opened.letter, "data": opened.data.decode("utf-8", "replace")})
            return 0
        for name, value in msgspec.to_builtins(opened.letter).items():
            click.echo(f"{name:<10}{instant(value) + ' UTC' if name == 'at' else clean(str(value))}")
        click.echo("")
        click.echo(clean(opened.data.decode("utf-8", "replace")))
        return 0

    return run_async(work())


def _verb(name: str, endpoint: Endpoint[Letters, int], summary: str, done: str) -> None:
    """Add a verb for letters by their ids, or for all of them."""

    @command.command(name, help=summary)
    @click.argument("letter_ids", metavar="ID...", nargs=-1)
    @click.option("--all", "everything", is_flag=True, help="All dead letters.")
    @data_options
    def change(session: Session, letter_ids: tuple[str, ...], *, everything: bool) -> int:
        if bool(letter_ids) == everything:
            raise Invalid("say which letters by their ids, or --all")

        async def work() -> int:
            changed = 0
            async with session.open() as hull:
                if everything:
                    changed = await _change_all(hull, session, endpoint)
                else:
                    asked = [await hull.calls.ask(OPEN_DEAD, LetterRef(each), session.caller) for each in letter_ids]
                    ids = tuple(opened.letter.id for opened in asked)
                    changed = await hull.calls.ask(endpoint, Letters(ids), session.caller)
            click.echo(f"{count(changed, 'dead letter')} {done}.")
            return 0

        return run_async(work())


async def _change_all(hull: Hull, session: Session, endpoint: Endpoint[Letters, Any]) -> int:
    """Page by page, each letter once: one that is tried again may soon be back."""
    seen: set[object] = set()
    changed = 0
    while True:
        letters = await hull.calls.ask(LIST_DEAD, Nothing(), session.caller)
        fresh = tuple(letter.id for letter in letters if letter.id not in seen)
        if not fresh:
            return changed
        seen.update(fresh)
        changed += await hull.calls.ask(endpoint, Letters(fresh), session.caller)


_verb("retry", RETRY_DEAD, "Deliver letters once more to the consumer that gave up.", "delivered once more")
_verb("drop", DROP_DEAD, "Forget letters for good.", "dropped")
