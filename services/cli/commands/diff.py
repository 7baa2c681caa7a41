"""`mirage diff`: what changed between two scans."""

from contextlib import aclosing

import click
import msgspec

from services.cli.finding import find_scan
from services.cli.options import Session, data_options, format_option, run_async
from services.cli.text import clean
from services.contracts.endpoints import DIFF
from services.contracts.resources import DiffQuery

SIGNS = {"new": "+", "gone": "-", "changed": "~", "unknown": "?"}


@click.command("diff")
@click.argument("before", metavar="ID1")
@click.argument("after", metavar="ID2")
@format_option("text", "json")
@data_options
def command(session: Session, before: str, after: str, form: str) -> int:
    """Compare two scans: + new, ~ changed, - gone, ? unknown.

    A thing is gone only where every source that had said it was asked again and answered; otherwise it is unknown.
    """

    async def work() -> int:
        counts = dict.fromkeys(SIGNS, 0)
        async with session.open() as hull:
            query = DiffQuery((await find_scan(hull, session, before)).id, (await find_scan(hull, session, after)).id)
            async with aclosing(hull.calls.follow(DIFF, query, session.caller)) as changes:
                async for change in changes:
                    counts[change.kind] += 1
                    if form == "json":
                        click.echo(msgspec.json.encode(change).decode())
                    else:
                        what = f"  {clean(change.what)}" if change.what else ""
                        click.echo(
                            f"{SIGNS[change.kind]} {change.type} {clean(change.value)}{what}"
                            f"  [{', '.join(change.modules)}]"
                        )
        click.echo(", ".join(f"{number} {kind}" for kind, number in counts.items()), err=form == "json")
        return 0

    return run_async(work())
