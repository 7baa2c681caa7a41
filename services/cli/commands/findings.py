"""`mirage findings`: what is wrong, or worth a look, in what a scan found."""

from collections.abc import AsyncGenerator
from typing import cast

import click
import msgspec

from services.cli.finding import find_scan
from services.cli.finding_text import by_severity, write_row
from services.cli.hull import Hull
from services.cli.judging import wait_judged
from services.cli.options import Session, data_options, format_option, run_async
from services.cli.text import JsonDocument, count
from services.contracts.endpoints import LIST_FINDINGS
from services.contracts.findings import FINDING_STATUSES, SEVERITIES, FindingStatus, Severity
from services.contracts.resources.correlation import FindingPage, FindingsQuery

#: Findings that are asked for at once.
PAGE = 500


@click.command("findings")
@click.argument("scan", metavar="ID")
@click.option("--severity", type=click.Choice(SEVERITIES), default="info", help="Only these, and worse ones.")
@click.option("--status", type=click.Choice(FINDING_STATUSES), help="Only those of which this was said.")
@click.option("--rule", default="", help="Only those of this rule.")
@click.option("--entity", default="", metavar="VALUE", help="Only those on this name, address, …")
@click.option("--all", "everything", is_flag=True, help="Also what is suppressed, fixed, or a false positive.")
@format_option("text", "json")
@data_options
def command(
    session: Session, scan: str, severity: str, status: str | None, rule: str, entity: str, everything: bool, form: str
) -> int:
    """Show what rules say of a scan, the worst first. `rules why` shows what one rests on."""

    async def work() -> int:
        async with session.open() as hull:
            named = await find_scan(hull, session, scan)
            missing = await wait_judged(hull, session, named)
            query = FindingsQuery(
                scan=named.id,
                severity=cast("Severity", severity),
                status=cast("FindingStatus | None", status),
                rule=rule,
                entity=entity,
                all=everything,
                limit=PAGE,
            )
            document = JsonDocument({"scan": named.id, "judged": not missing}, "findings") if form == "json" else None
            counts: dict[Severity, int] = {}
            async for page in pages(hull, session, query):
                counts = page.counts
                for row in page.findings:
                    if document is not None:
                        document.add(row)
                    else:
                        write_row(row)
        if document is not None:
            document.close({"counts": counts})
        else:
            click.echo(summed_up(counts))
        if missing:
            click.echo(f"mirage: not everything was judged: {missing}", err=True)
        return 3 if missing else 0

    return run_async(work())


async def pages(hull: Hull, session: Session, query: FindingsQuery) -> AsyncGenerator[FindingPage, None]:
    """All pages of findings."""
    while True:
        page = await hull.calls.ask(LIST_FINDINGS, query, session.caller)
        yield page
        if page.cursor is None:
            return
        query = msgspec.structs.replace(query, cursor=page.cursor)


def summed_up(counts: dict[Severity, int]) -> str:
    """How many findings there are, by severity."""
    if not counts:
        return "No findings"
    return f"{count(sum(counts.values()), 'finding')}: {by_severity(counts)}"
