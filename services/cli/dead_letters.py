"""The commands for messages that a consumer gave up on: what they say, one more try, or away with them.

They are the same for a data folder and for a fleet; what opens the one or the other gives them a `Session`.
"""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

import click
import msgspec

from services.cli.options import format_option, run_async
from services.cli.text import clean, count, instant, moment, write_json, write_table
from services.kernel.calls import Caller, Calls, Endpoint, Nothing
from services.kernel.errors import Invalid
from services.kernel.letters import DROP_DEAD, LIST_DEAD, MOST, OPEN_DEAD, RETRY_DEAD, Letter, LetterRef, Letters


class Asked(Protocol):
    """Whoever knows the letters."""

    @property
    def calls(self) -> Calls: ...


class Session(Protocol):
    """Opens whoever knows the letters."""

    caller: Caller

    def open(self) -> AbstractAsyncContextManager[Asked]: ...


def add_commands(group: click.Group, with_session: Callable[[Any], Any]) -> None:
    """Add ``list``, ``show``, ``retry`` and ``drop``; ``with_session`` gives a function a `Session` first."""
    group.command("list")(format_option("table", "json")(with_session(list_dead)))
    shown = click.argument("letter_id", metavar="ID")(format_option("text", "json")(with_session(show)))
    group.command("show")(shown)
    _add_verb(group, with_session, "retry", RETRY_DEAD, "delivered once more")
    _add_verb(group, with_session, "drop", DROP_DEAD, "dropped")


def list_dead(session: Session, form: str) -> int:
    """List dead letters, newest first."""

    async def work() -> int:
        async with session.open() as hull:
            letters = await hull.calls.ask(LIST_DEAD, Nothing(), session.caller)
        if form == "json":
            write_json({"letters": letters})
            return 0
        write_table(
            ("letter", "consumer", "message", "at (UTC)", "tries", "reason"),
            map(_row, letters),
            none="No dead letters.",
        )
        if len(letters) == MOST:
            click.echo(f"These are the newest {MOST}.")
        return 0

    return run_async(work())


def _row(letter: Letter) -> tuple[str, ...]:
    return (
        str(letter.id)[:8],
        letter.consumer,
        letter.type,
        moment(letter.at),
        str(letter.tries),
        letter.reason[:200],
    )


def show(session: Session, letter_id: str, form: str) -> int:
    """Show why a message was given up, and what it says."""

    async def work() -> int:
        async with session.open() as hull:
            opened = await hull.calls.ask(OPEN_DEAD, LetterRef(letter_id), session.caller)
        if form == "json":
            write_json({"letter": opened.letter, "data": opened.data.decode("utf-8", "replace")})
            return 0
        for name, value in msgspec.to_builtins(opened.letter).items():
            click.echo(f"{name:<10}{instant(value) if name == 'at' else clean(str(value))}")
        click.echo("")
        click.echo(clean(opened.data.decode("utf-8", "replace")))
        return 0

    return run_async(work())


#: What each verb does, as its help says it.
VERBS = {"retry": "Deliver letters once more to the consumer that gave up.", "drop": "Forget letters for good."}


def _add_verb(
    group: click.Group, with_session: Callable[[Any], Any], name: str, endpoint: Endpoint[Letters, int], done: str
) -> None:
    """Add a verb for letters by their ids, or for all of them."""

    @group.command(name, help=VERBS[name])
    @click.argument("letter_ids", metavar="ID...", nargs=-1)
    @click.option("--all", "everything", is_flag=True, help="All dead letters.")
    @with_session
    def change(session: Session, letter_ids: tuple[str, ...], *, everything: bool) -> int:
        if bool(letter_ids) == everything:
            raise Invalid("say which letters by their ids, or --all")

        async def work() -> int:
            async with session.open() as asked:
                if everything:
                    changed = await _change_all(asked.calls, session.caller, endpoint)
                else:
                    refs = [LetterRef(each) for each in letter_ids]
                    found = [await asked.calls.ask(OPEN_DEAD, each, session.caller) for each in refs]
                    ids = tuple(opened.letter.id for opened in found)
                    changed = await asked.calls.ask(endpoint, Letters(ids), session.caller)
            click.echo(f"{count(changed, 'dead letter')} {done}.")
            return 0

        return run_async(work())


async def _change_all(calls: Calls, caller: Caller, endpoint: Endpoint[Letters, int]) -> int:
    """Page by page, each letter once: one that is tried again may soon be back."""
    seen: set[object] = set()
    changed = 0
    while True:
        letters = await calls.ask(LIST_DEAD, Nothing(), caller)
        fresh = tuple(letter.id for letter in letters if letter.id not in seen)
        if not fresh:
            return changed
        seen.update(fresh)
        changed += await calls.ask(endpoint, Letters(fresh), caller)
