"""`mirage retention`: delete scans that are old enough, but for the newest of each target."""

import click

from services.cli.hull import Hull
from services.cli.options import Session, data_options, format_option, run_async
from services.cli.text import count, moment, write_json, write_table
from services.contracts.endpoints import DELETE_SCAN, FIND_EXPIRED, GET_SCAN
from services.contracts.resources import Retention, ScanId, ScanRef, ScanSummary
from services.contracts.states import ENDED
from services.kernel.errors import NotFound
from services.kernel.messages import now

DAY = 86_400 * 1_000_000


@click.command("retention")
@click.option("--keep", metavar="DAYS", type=click.IntRange(0), default=90, show_default=True, help="Younger scans.")
@click.option(
    "--keep-last",
    metavar="N",
    type=click.IntRange(0),
    default=2,
    show_default=True,
    help="The newest finished ones of the same targets, however old.",
)
@click.option("--dry-run", is_flag=True, help="Say what would be deleted, and delete nothing.")
@format_option("table", "json")
@data_options
def command(session: Session, keep: int, keep_last: int, form: str, *, dry_run: bool) -> int:
    """Delete scans of the workspace that ended more than so many days ago; running and paused ones stay."""
    retention = Retention(ended_before=now() - keep * DAY, keep_last=keep_last)

    async def work() -> int:
        gone: list[ScanSummary] = []
        async with session.open() as hull:
            while expired := await hull.calls.ask(FIND_EXPIRED, retention, session.caller):
                deleted = expired if dry_run else [s for s in expired if await _delete(hull, session, s, retention)]
                gone += deleted
                if dry_run or not deleted:
                    break
        if form == "json":
            write_json({"ended_before": retention.ended_before, "dry_run": dry_run, "scans": gone})
        else:
            write_gone(gone, dry_run=dry_run)
        return 0

    return run_async(work())


async def _delete(hull: Hull, session: Session, scan: ScanSummary, retention: Retention) -> bool:
    """Delete a scan, unless somebody has taken it up or deleted it since it was found."""
    try:
        seen = await hull.calls.ask(GET_SCAN, ScanRef(str(scan.id)), session.caller)
        if seen.state not in ENDED or seen.ended is None or seen.ended >= retention.ended_before:
            return False
        await hull.calls.ask(DELETE_SCAN, ScanId(scan.id), session.caller)
    except NotFound:
        return False
    return True


def write_gone(gone: list[ScanSummary], *, dry_run: bool) -> None:
    """Print the scans that were deleted, or would be."""
    rows = (
        (
            str(scan.id)[:8],
            scan.state,
            ", ".join(scan.targets[:3]) + (" …" if len(scan.targets) > 3 else ""),
            moment(scan.ended),
            str(scan.entities),
        )
        for scan in gone
    )
    write_table(("scan", "state", "targets", "ended (UTC)", "entities"), rows)
    click.echo(f"{count(len(gone), 'scan')} {'would be deleted' if dry_run else 'deleted'}.")
