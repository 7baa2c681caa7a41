"""`mirage graph`: how things that a scan found hang together."""

import click

from services.cli.finding import find_scan
from services.cli.finding_text import write_path
from services.cli.judging import wait_until_judged
from services.cli.options import Session, data_options, format_option, run_async
from services.cli.text import clean, write_json
from services.contracts.endpoints import FIND_PATHS
from services.contracts.resources.correlation import PathsQuery


@click.group("graph")
def command() -> None:
    """How things that a scan found hang together."""


@command.command("path")
@click.argument("scan", metavar="ID")
@click.argument("source")
@click.argument("target")
@click.option("--relation", "types", multiple=True, help="Along this relation; may be given several times.")
@click.option("--hops", type=click.IntRange(1, 12), default=6, show_default=True, help="At most so many steps.")
@click.option("--limit", type=click.IntRange(1, 100), default=5, show_default=True, help="At most so many paths.")
@format_option("text", "json")
@data_options
def path(
    session: Session, scan: str, source: str, target: str, types: tuple[str, ...], hops: int, limit: int, form: str
) -> int:
    """Show how SOURCE and TARGET are connected in a scan: the shortest paths, with the claims along the way."""

    async def work() -> int:
        async with session.open() as hull:
            named = await find_scan(hull, session, scan)
            judged = await wait_until_judged(hull, session, named.id)
            query = PathsQuery(scan=named.id, source=source, target=target, types=types, max_hops=hops, limit=limit)
            paths = await hull.calls.ask(FIND_PATHS, query, session.caller)
        if form == "json":
            write_json(paths)
        for each in paths if form == "text" else ():
            write_path(each)
        if not paths:
            click.echo(f"mirage: {clean(source)} and {clean(target)} are not connected within {hops} steps", err=True)
            return 1
        return 0 if judged else 3

    return run_async(work())
