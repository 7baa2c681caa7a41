"""`mirage risks`: how exposed things are by what was found, those worst off first."""

import click

from services.cli.finding import find_scan
from services.cli.finding_text import by_severity, named
from services.cli.judging import wait_judged
from services.cli.options import Session, data_options, format_option, run_async
from services.cli.text import write_json
from services.contracts.endpoints import GET_RISKS
from services.contracts.resources.correlation import Risk, RiskQuery


@click.command("risks")
@click.argument("scan", metavar="ID")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="At most so many.")
@format_option("text", "json")
@data_options
def command(session: Session, scan: str, limit: int, form: str) -> int:
    """Show how exposed a scan's subject is, 0 to 100, and its parts, by findings, their severity and certainty."""

    async def work() -> int:
        async with session.open() as hull:
            found = await find_scan(hull, session, scan)
            missing = await wait_judged(hull, session, found)
            risks = await hull.calls.ask(GET_RISKS, RiskQuery(scan=found.id, limit=limit), session.caller)
        if form == "json":
            write_json(risks)
        else:
            click.echo(f"{risks.whole.score:>3}  all of it: {_counts(risks.whole)}")
            for each in risks.entities:
                if each.entity is not None:
                    click.echo(f"{each.score:>3}  {named(each.entity)}: {_counts(each)}")
        if missing:
            click.echo(f"mirage: not everything was judged: {missing}", err=True)
        return 3 if missing else 0

    return run_async(work())


def _counts(risk: Risk) -> str:
    return by_severity(risk.counts) or "nothing was found"
