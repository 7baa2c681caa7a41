"""`mirage replay`: the same modules on the recorded evidence; no socket is opened."""

from contextlib import aclosing

import click

from services.cli.finding import find_scan
from services.cli.options import Session, data_options, format_option, run_async
from services.cli.text import JsonDocument, clean, count
from services.contracts.endpoints import REPLAY
from services.contracts.resources import ReplayDifference, ScanId


@click.command("replay")
@click.argument("scan_id", metavar="ID")
@format_option("text", "json")
@data_options
def command(session: Session, scan_id: str, form: str) -> int:
    """Run the modules of a scan again on what was recorded and print how the claims differ.

    With the same versions of the modules there is no difference. Exits with 1 when there is one.
    """

    async def work() -> int:
        differences = 0
        async with session.open() as hull:
            scan = await find_scan(hull, session, scan_id)
            document = JsonDocument({"scan": scan.id}, "differences") if form == "json" else None
            async with aclosing(hull.calls.follow(REPLAY, ScanId(scan.id), session.caller)) as results:
                async for result in results:
                    differences += bool(result.sign)
                    if document is not None:
                        _add(document, result)
                    elif result.sign:
                        click.echo(f"{result.sign} {clean(result.line)} [{result.module}]")
                    else:
                        other = f", {count(result.superseded, 'item')} in another version" if result.superseded else ""
                        missing = f", {count(result.skipped, 'item')} not recorded" if result.skipped else ""
                        click.echo(
                            f"{count(result.items, 'item')} replayed, {count(result.claims, 'claim')},"
                            f" {count(differences, 'difference')}{other}{missing}"
                        )
        return 1 if differences else 0

    return run_async(work())


def _add(document: JsonDocument, result: ReplayDifference) -> None:
    if result.sign:
        document.add({"sign": result.sign, "line": result.line, "module": result.module})
    else:
        document.close({name: getattr(result, name) for name in ("items", "claims", "skipped", "superseded")})
