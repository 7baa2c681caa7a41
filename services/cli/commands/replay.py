"""`mirage replay`: the same modules on the recorded evidence; no socket is opened."""

from contextlib import aclosing
from uuid import UUID

import click
from msgspec.structs import asdict

from services.cli.finding import find_scan
from services.cli.options import Session, data_options, format_option, run_async
from services.cli.text import JsonDocument, clean, count
from services.contracts.endpoints import REPLAY
from services.contracts.resources import ReplayCounts, Replayed, ScanId


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
                    differences += result.difference is not None
                    if document is not None:
                        _add(document, result)
                    elif result.difference is not None:
                        line = clean(result.difference.line)
                        click.echo(f"{result.difference.sign} {line} [{result.difference.module}]")
                    elif result.counts is not None:
                        click.echo(_summary(session, scan.id, result.counts, differences))
        return 1 if differences else 0

    return run_async(work())


def _summary(session: Session, scan: UUID, counts: ReplayCounts, differences: int) -> str:
    other = f", {count(counts.superseded, 'item')} in another version" if counts.superseded else ""
    missing = f", {count(counts.skipped, 'item')} not recorded" if counts.skipped else ""
    failed = ""
    if counts.failed:
        check = session.line(f"evidence verify {str(scan)[:8]}")
        failed = f"\n{count(counts.failed, 'item')} failed, the first: {clean(counts.failure)}; check with: {check}"
    return (
        f"{count(counts.items, 'item')} replayed, {count(counts.claims, 'claim')},"
        f" {count(differences, 'difference')}{other}{missing}{failed}"
    )


def _add(document: JsonDocument, result: Replayed) -> None:
    if result.difference is not None:
        document.add(asdict(result.difference))
    elif result.counts is not None:
        document.close(asdict(result.counts))
