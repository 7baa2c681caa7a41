"""`mirage why-not`: why a scan does not report a name, with the evidence."""

from typing import Any, Final

import click

from services.cli.finding import find_scan, is_interrupted
from services.cli.hull import Hull
from services.cli.options import Session, data_options, format_option, run_async
from services.cli.scan_text import headline, times
from services.cli.text import clean, write_json
from services.cli.unreported import Evidence, asked_about, cited, never_seen
from services.contracts.endpoints import GET_ENTITY, GET_STANDING, LIST_ITEMS
from services.contracts.resources import EntityQuery, EntityView, ItemsQuery, Scan, Standing, StandingQuery

NAMES: Final = frozenset({"domain", "hostname"})
#: What an absence means in words.
MISSING: Final = {
    "resolves_to": "address",
    "reverse_resolves_to": "name for it (PTR)",
    "listed_by": "entry for it on a block list",
}


@click.command("why-not")
@click.argument("value")
@click.option("--scan", "scan_id", default="last", show_default=True, metavar="ID", help="The scan to explain.")
@format_option("text", "json")
@data_options
def command(session: Session, value: str, scan_id: str, form: str) -> int:
    """Say why a scan does not report VALUE: not asked, no answer, wildcard, stale, out of scope, limit reached."""

    async def work() -> int:
        async with session.open() as hull:
            worked = await hull.somebody_works()
            scan = await find_scan(hull, session, scan_id)
            explained = await explain(hull, session, scan, value)
            interrupted = is_interrupted(scan, worked=worked)
        if form == "json":
            write_json(explained)
        else:
            click.echo(f"{headline(scan, interrupted=interrupted)}, {times(scan)}")
            for line in explained["reasons"]:
                click.echo(line)
        return 0

    return run_async(work())


async def explain(hull: Hull, session: Session, scan: Scan, value: str) -> dict[str, Any]:
    """Gather what is known: the standing in the frontier, who was asked, and what they said."""
    caller = session.caller
    standing = await hull.calls.ask(GET_STANDING, StandingQuery(scan.id, value), caller)
    items = await hull.calls.ask(LIST_ITEMS, ItemsQuery(scan=scan.id, subject=standing.entity.value), caller)
    views = await hull.calls.ask(GET_ENTITY, EntityQuery(value=standing.entity.value, scan=scan.id), caller)
    evidence = Evidence(hull, caller, scan.id, standing.entity.value)
    reasons = [_standing_line(standing)]
    for view in views:
        reasons += list(_said(view))
    reasons += await asked_about(evidence, scan, [item for item in items if item.outcome != "found"])
    if standing.unseen and standing.entity.type in NAMES:
        reasons += await never_seen(evidence, scan, standing.entity.value)
    if standing.admitted and not items:
        reasons.append("No module of this scan was asked about it.")
    return {"scan": scan.id, "value": standing.entity.value, "standing": standing, "items": items, "reasons": reasons}


def _standing_line(standing: Standing) -> str:
    name = clean(standing.entity.value)
    if not standing.admitted:
        return f"{name} was not taken into the scan: {standing.reason}."
    reason = f"; {standing.reason}" if standing.reason else ""
    role = (standing.role or "").replace("_", " ")
    return f"{name} is in the scan: {role}, distance {standing.distance}{reason}."


def _said(view: EntityView) -> list[str]:
    said: list[str] = []
    for value in view.attributes:
        shown = cited(value.assertions[0].evidence)
        if value.name == "covered_by_wildcard" and value.value is True:
            said.append(f"wildcard: its answer is what any name beside it gets{shown}.")
        elif value.name == "response_code":
            said.append(f"stale: DNS says {value.value}{shown}.")
    for absence in view.absences:
        shown = cited(absence.assertions[0].evidence)
        missing = MISSING.get(absence.predicate, absence.predicate.replace("_", " "))
        said.append(f"{absence.assertions[0].module} was told that there is no {missing}{shown}.")
    addressed = [r for r in view.relations if r.type == "resolves_to" and r.target_value != view.value]
    if addressed:
        addresses = sorted({relation.target_value for relation in addressed})
        modules = sorted({assertion.module for relation in addressed for assertion in relation.assertions})
        more = f" and {len(addresses) - 5} more" if len(addresses) > 5 else ""
        said.append(f"its address is {', '.join(addresses[:5])}{more}, as told by {', '.join(modules)}.")
    sources = sorted({assertion.module for assertion in view.assertions})
    if sources:
        said.append(f"named by {', '.join(sources)}.")
    return said
