"""`mirage show`: everything that is said of a thing, by whom, from which evidence."""

from shlex import quote

import click

from services.cli.claim_text import value_words
from services.cli.confidence_text import write_confidence
from services.cli.finding import find_scan
from services.cli.instants import WHEN, Instant
from services.cli.options import Session, data_options, format_option, run_async
from services.cli.text import clean, instant, moment, write_json
from services.contracts.endpoints import GET_CONFIDENCE, GET_ENTITY
from services.contracts.entities import ENTITY_TYPES
from services.contracts.resources import Assertion, EntityQuery, EntityView
from services.contracts.resources.confidence import ConfidenceQuery, ConfidenceView
from services.kernel.errors import Invalid

ASSERTIONS_SHOWN = 5


@click.command("show")
@click.argument("value")
@click.option("--scan", "scan_id", metavar="ID", help="Only what this scan says.")
@click.option("--type", "kind", help="Only entities of this type.")
@click.option("--as-of", "as_of", type=Instant(), help=f"What was known at this instant: {WHEN}.")
@click.option("--valid-at", "valid_at", type=Instant(), help="Only what sources say to hold at this instant.")
@click.option("--confidence", "judged", is_flag=True, help="How sure one can be of each statement, and why.")
@click.option("--withdrawn", is_flag=True, help="Also what is withdrawn, or rests on such claims alone.")
@format_option("text", "json")
@data_options
def command(
    session: Session,
    value: str,
    scan_id: str | None,
    kind: str | None,
    as_of: int | None,
    valid_at: int | None,
    form: str,
    *,
    judged: bool,
    withdrawn: bool,
) -> int:
    """Show the entities of a value: attributes, relations, who said so, when, from what evidence."""
    if kind is not None and kind not in ENTITY_TYPES:
        raise Invalid(f"there is no type of entity {kind!a}; there are {', '.join(sorted(ENTITY_TYPES))}")

    if judged and (as_of is not None or valid_at is not None or withdrawn):
        raise Invalid("how sure one can be is said of what stands now alone")

    async def work() -> int:
        async with session.open() as hull:
            scan = (await find_scan(hull, session, scan_id)).id if scan_id else None
            found: tuple[EntityView, ...] | tuple[ConfidenceView, ...]
            if judged:
                how_sure = ConfidenceQuery(value=value, type=kind, scan=scan)
                found = await hull.calls.ask(GET_CONFIDENCE, how_sure, session.caller)
            else:
                query = EntityQuery(
                    value=value, type=kind, scan=scan, as_of=as_of, valid_at=valid_at, withdrawn=withdrawn
                )
                found = await hull.calls.ask(GET_ENTITY, query, session.caller)
        if form == "json":
            write_json(found)
        for entity in found if form == "text" else ():
            if isinstance(entity, ConfidenceView):
                write_confidence(entity)
            else:
                write_entity(entity)
        if not found and as_of is not None:
            click.echo(f"mirage: nothing was known of {clean(value)} on {instant(as_of)}", err=True)
            return 1
        if not found:
            asked = f"why-not {quote(clean(value))}" + (f" --scan {scan_id}" if scan_id else "")
            what = f"the {kind} {clean(value)}" if kind else clean(value)
            where = f"scan {scan_id}" if scan_id else session.where
            click.echo(f"mirage: nothing is known of {what} in {where}; see: {session.line(asked)}", err=True)
            return 1
        return 0

    return run_async(work())


def write_entity(entity: EntityView) -> None:
    """Print an entity with its sources."""
    place = f", {entity.scope_role}, distance {entity.distance}" if entity.scope_role else ""
    click.echo(f"{clean(entity.value)}  ({entity.type}{place})")
    click.echo(f"  seen {moment(entity.first_seen)} to {instant(entity.last_seen)}")
    _write_assertions(entity.assertions, "  ")
    for value in entity.attributes:
        click.echo(f"  {value.name} = {clean(value_words(value.name, value.value))}")
        _write_assertions(value.assertions, "    ")
    for absence in entity.absences:
        click.echo(f"  no {absence.predicate}")
        _write_assertions(absence.assertions, "    ")
    for relation in entity.relations:
        outward = relation.source_value == entity.value and relation.source_type == entity.type
        arrow, other, kind = (
            ("→", relation.target_value, relation.target_type)
            if outward
            else ("←", relation.source_value, relation.source_type)
        )
        qualified = "".join(f" {name}={clean(value)}" for name, value in sorted(relation.qualifiers.items()))
        described = "".join(f" {name}={clean(str(value))}" for name, value in sorted(relation.details.items()))
        click.echo(f"  {relation.type} {arrow} {clean(other)} ({kind}){qualified}{described}")
        _write_assertions(relation.assertions, "    ")


def _write_assertions(assertions: tuple[Assertion, ...], indent: str) -> None:
    for assertion in assertions[:ASSERTIONS_SHOWN]:
        evidence = " ".join(identity[:16] for identity in assertion.evidence[:3]) or "none"
        sure = f", {assertion.confidence} % sure" if assertion.confidence != 100 else ""
        where = f" at {clean(assertion.where)}" if assertion.where else ""
        click.echo(
            f"{indent}said by {assertion.module}@{assertion.version} on {instant(assertion.at)}{sure},"
            f" evidence {evidence}{where}{_doubt(assertion)}"
        )
    if len(assertions) > ASSERTIONS_SHOWN:
        click.echo(f"{indent}and {len(assertions) - ASSERTIONS_SHOWN} times more")


def _doubt(assertion: Assertion) -> str:
    if assertion.retracted_at is not None:
        return f", withdrawn on {instant(assertion.retracted_at)}"
    since = assertion.unsupported_at
    return "" if since is None else f", unsupported since {instant(since)}: what led to it is withdrawn"
