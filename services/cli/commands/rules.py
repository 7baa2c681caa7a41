"""`mirage rules`: what findings are made by."""

import click

from services.cli.finding import find_scan
from services.cli.finding_text import write_finding
from services.cli.options import Session, data_options, format_option, run_async
from services.cli.text import write_json
from services.contracts.endpoints import GET_FINDING
from services.contracts.resources.correlation import FindingRef


@click.group("rules")
def command() -> None:
    """What findings are made by, and why they are."""


@command.command("why")
@click.argument("finding")
@click.option("--scan", "scan_id", metavar="ID", help="As it is in this scan; without, in the last one that has it.")
@format_option("text", "json")
@data_options
def why(session: Session, finding: str, scan_id: str | None, form: str) -> int:
    """Show what a FINDING means and rests on: the facts that made the rule fire, with who said them, and evidence."""

    async def work() -> int:
        async with session.open() as hull:
            scan = (await find_scan(hull, session, scan_id)).id if scan_id else None
            view = await hull.calls.ask(GET_FINDING, FindingRef(finding=finding, scan=scan), session.caller)
        if form == "json":
            write_json(view)
        else:
            write_finding(view)
        return 0

    return run_async(work())
