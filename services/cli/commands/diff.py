"""`mirage diff`: what changed between two scans."""

from contextlib import aclosing

import click

from services.cli.claim_text import change_words
from services.cli.finding import find_scan
from services.cli.options import Session, data_options, format_option, run_async
from services.cli.text import JsonDocument, clean
from services.contracts.endpoints import DIFF
from services.contracts.resources import Change, DiffQuery

SIGNS = {"new": "+", "newly_known": "*", "gone": "-", "changed": "~", "unknown": "?"}


@click.command("diff")
@click.argument("before", metavar="ID1")
@click.argument("after", metavar="ID2")
@format_option("text", "json")
@data_options
def command(session: Session, before: str, after: str, form: str) -> int:
    """Compare two scans: + new, * newly known, ~ changed, - gone, ? unknown.

    A thing is gone only where every source that had said it was asked again, at the same place, and answered; otherwise
    it is unknown.
    It is new only where every source that says it now had been asked before and had answered; otherwise it is newly
    known: it may have been there.
    """

    async def work() -> int:
        counts = dict.fromkeys(SIGNS, 0)
        async with session.open() as hull:
            query = DiffQuery((await find_scan(hull, session, before)).id, (await find_scan(hull, session, after)).id)
            document = (
                JsonDocument({"before": query.before, "after": query.after}, "changes") if form == "json" else None
            )
            async with aclosing(hull.calls.follow(DIFF, query, session.caller)) as changes:
                async for change in changes:
                    counts[change.kind] += 1
                    if document is not None:
                        document.add(change)
                    else:
                        write_change(change)
        if document is not None:
            document.close({"counts": counts})
        else:
            click.echo(", ".join(f"{number} {kind.replace('_', ' ')}" for kind, number in counts.items()))
        return 0

    return run_async(work())


def write_change(change: Change) -> None:
    """Print a change with its sign and who said so."""
    said = clean(f"{change.value}{change_words(change.what)}")
    click.echo(f"{SIGNS[change.kind]} {change.type} {said}  [{', '.join(change.modules)}]")
