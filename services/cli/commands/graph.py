"""`mirage graph`: how things that a scan found hang together."""

from contextlib import aclosing
from typing import get_args

import click

from services.cli.exporting import is_kept
from services.cli.finding import find_scan
from services.cli.finding_text import write_path
from services.cli.folder_options import GroupOnData
from services.cli.hull import Hull
from services.cli.judging import wait_judged
from services.cli.options import Session, data_options, format_option, run_async
from services.cli.output import check_output, kept, opened
from services.cli.text import clean, escaped, write_json
from services.contracts.endpoints import DRAW_GRAPH, FIND_PATHS, GET_ENTITY
from services.contracts.resources import EntityQuery, Scan
from services.contracts.resources.correlation import PathsQuery
from services.contracts.resources.visualization import LayoutName, LayoutQuery
from services.kernel.errors import Invalid, NotFound


@click.group("graph", cls=GroupOnData)
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
            missing = await wait_judged(hull, session, named)
            query = PathsQuery(
                scan=named.id, source=source, target=target, types=",".join(types), max_hops=hops, limit=limit
            )
            paths = await hull.calls.ask(FIND_PATHS, query, session.caller)
        if form == "json":
            write_json(paths)
        for each in paths if form == "text" else ():
            write_path(each)
        if not paths:
            click.echo(f"mirage: {clean(source)} and {clean(target)} are not connected within {hops} steps", err=True)
            return 1
        if missing:
            click.echo(f"mirage: not everything was taken in: {missing}", err=True)
        return 3 if missing else 0

    return run_async(work())


@command.command("show")
@click.argument("scan_id", metavar="ID")
@click.option(
    "--layout",
    type=click.Choice(get_args(LayoutName)),
    default="force",
    show_default=True,
    help="force: what belongs together lies together; layered: targets at the top; radial: rings around them.",
)
@click.option("--around", metavar="NAME", help="Only what is near this entity.")
@click.option("--hops", type=click.IntRange(1, 5), default=2, show_default=True, help="How near, with --around.")
@click.option("--type", "types", multiple=True, metavar="TYPE", help="Only entities of this type; may be repeated.")
@click.option(
    "--limit",
    type=click.IntRange(10, 20_000),
    default=2_000,
    show_default=True,
    help="Of a larger graph, what belongs together becomes one node.",
)
@click.option("--output", metavar="FILE", help="Where to write the drawing (SVG); - is standard output.")
@data_options
def show(
    session: Session,
    scan_id: str,
    layout: LayoutName,
    around: str | None,
    hops: int,
    types: tuple[str, ...],
    limit: int,
    output: str | None,
) -> int:
    """Draw the graph of a scan, or of a part of it, as SVG."""
    check_output(output)

    async def work() -> int:
        async with session.open() as hull:
            scan = await find_scan(hull, session, scan_id)
            missing = await wait_judged(hull, session, scan)
            query = LayoutQuery(
                scan=scan.id,
                layout=layout,
                around=await _find(hull, session, scan, around) if around else "",
                hops=hops,
                types=",".join(types),
                limit=limit,
            )
            await _write(hull, session, query, output)
        if missing:
            click.echo(f"mirage: the graph is incomplete: {missing}", err=True)
        return 3 if missing else 0

    return run_async(work())


async def _find(hull: Hull, session: Session, scan: Scan, value: str) -> str:
    """The id of the entity that has a value in a scan.

    Raises:
        NotFound: none has.
        Invalid: several have, of different types.
    """
    found = await hull.calls.ask(GET_ENTITY, EntityQuery(value=value, scan=scan.id), session.caller)
    if not found:
        raise NotFound(f"nothing is known of {clean(value)} in scan {str(scan.id)[:8]}")
    if len(found) > 1:
        kinds = " and ".join(sorted(entity.type for entity in found))
        raise Invalid(f"{clean(value)} is {len(found)} things: {kinds}; name what only one is called")
    return found[0].id


async def _write(hull: Hull, session: Session, query: LayoutQuery, output: str | None) -> None:
    again = session.line(f"graph show {str(query.scan)[:8]} --output FILE")
    with kept(output, is_kept(query.scan, again)), opened(output) as out:
        shown = escaped if out.isatty() else str
        async with aclosing(hull.calls.follow(DRAW_GRAPH, query, session.caller)) as chunks:
            async for chunk in chunks:
                out.write(shown(chunk.data.decode()))
