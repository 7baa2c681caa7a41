"""`mirage diff`: what changed between two scans, or two instants."""

from contextlib import aclosing
from datetime import UTC, datetime

import click

from services.cli.claim_text import change_words
from services.cli.finding import find_scan
from services.cli.instants import is_dated, read_instant
from services.cli.options import Session, data_options, format_option, run_async
from services.cli.text import JsonDocument, clean
from services.contracts.endpoints import DIFF, DIFF_INSTANTS
from services.contracts.resources import Change, DiffQuery, InstantsQuery

SIGNS = {"new": "+", "newly_known": "*", "gone": "-", "changed": "~", "unknown": "?"}


@click.command("diff")
@click.argument("before", metavar="ID1|WHEN")
@click.argument("after", metavar="ID2|WHEN")
@click.option("--scan", "scan_id", metavar="ID", help="Between two instants: only what this scan says.")
@format_option("text", "json")
@data_options
def command(session: Session, before: str, after: str, scan_id: str | None, form: str) -> int:
    """Compare two scans: + new, * newly known, ~ changed, - gone, ? unknown.

    A thing is gone only where every source that had said it was asked again, at the same place, and answered; otherwise
    it is unknown.
    It is new only where every source that says it now had been asked before and had answered; otherwise it is newly
    known: it may have been there.

    Or compare what was known at two instants, such as 2026-12-31, 2026-12-31T18:00 (UTC) or now; with --scan also 90m,
    12h or 7d ago. What was known is told for certain: + new, ~ changed, - gone.
    """

    async def work() -> int:
        counts = dict.fromkeys(SIGNS, 0)
        async with session.open() as hull:
            if scan_id or (is_dated(before) and is_dated(after)):
                at = datetime.now(UTC)
                scan = (await find_scan(hull, session, scan_id)).id if scan_id else None
                since = InstantsQuery(before=read_instant(before, at), after=read_instant(after, at), scan=scan)
                head = {"before": since.before, "after": since.after, "scan": scan}
                told = hull.calls.follow(DIFF_INSTANTS, since, session.caller)
            else:
                scans = [(await find_scan(hull, session, named)).id for named in (before, after)]
                head = dict(zip(("before", "after"), scans, strict=True))
                told = hull.calls.follow(DIFF, DiffQuery(*scans), session.caller)
            document = JsonDocument(head, "changes") if form == "json" else None
            async with aclosing(told) as changes:
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
