"""`mirage identity`: what may be one and the same, why, and what people say of it."""

from typing import Literal, get_args

import click

from services.cli.finding import find_scan
from services.cli.folder_options import GroupOnData
from services.cli.hull import Hull
from services.cli.judging import wait_until_judged
from services.cli.options import Session, data_options, format_option, run_async
from services.cli.text import clean, instant, write_json, write_table
from services.contracts.endpoints import DECIDE_HYPOTHESIS, GET_CLUSTER, LIST_HYPOTHESES
from services.contracts.resources.identity import (
    ClusterQuery,
    ClusterView,
    DecideHypothesis,
    HypothesesQuery,
    HypothesisStatus,
    HypothesisView,
)
from services.kernel.errors import Invalid, NotFound


@click.group("identity", cls=GroupOnData)
def command() -> None:
    """List what may be one and the same, and say what is: merging is a view, and is taken back without loss."""


@command.command("list")
@click.argument("scan_id", metavar="[ID]", required=False)
@click.option("--status", type=click.Choice(get_args(HypothesisStatus)), help="Only those of this status.")
@click.option("--least", type=click.FloatRange(0, 1), default=0.0, help="Only those of this score and above.")
@click.option("--limit", type=click.IntRange(1, 1_000), default=100, show_default=True)
@format_option("table", "json")
@data_options
def list_hypotheses(
    session: Session, scan_id: str | None, status: HypothesisStatus | None, least: float, limit: int, form: str
) -> int:
    """List hypotheses of a scan, or of the whole workspace, the likeliest first."""

    async def work() -> int:
        async with session.open() as hull:
            scan = (await find_scan(hull, session, scan_id)).id if scan_id else None
            missing = "" if scan is None else await wait_until_judged(hull, session, scan)
            query = HypothesesQuery(scan=scan, status=status, least=least, limit=limit)
            found = await hull.calls.ask(LIST_HYPOTHESES, query, session.caller)
        if missing:
            click.echo(f"mirage: not everything was compared: {missing}", err=True)
        if form == "json":
            write_json(found)
            return 3 if missing else 0
        write_table(
            ("id", "score", "status", "type", "one", "other", "because"),
            (
                (
                    str(each.id)[:8],
                    f"{each.score:.2f}",
                    _status(each),
                    each.type,
                    clean(each.one.value),
                    clean(each.other.value),
                    clean("; ".join(term.words for term in each.evidence)),
                )
                for each in found.hypotheses
            ),
            first=("id", "one", "other", "score"),
            none="Nothing may be one and the same, as far as is known.",
        )
        if found.cursor is not None:
            click.echo(f"mirage: there are more than {limit}; say --limit or --least", err=True)
        return 3 if missing else 0

    return run_async(work())


@command.command("show")
@click.argument("one", metavar="NAME")
@click.argument("other", metavar="[OTHER]", required=False)
@click.option("--type", "kind", help="Only entities of this type.")
@format_option("text", "json")
@data_options
def show(session: Session, one: str, other: str | None, kind: str | None, form: str) -> int:
    """Show why two things may be one; or what NAME was decided to be one with, and what may be yet."""

    async def work() -> int:
        async with session.open() as hull:
            query = HypothesesQuery(entity=one, other=other or "")
            hypotheses = (await hull.calls.ask(LIST_HYPOTHESES, query, session.caller)).hypotheses
            cluster = ClusterQuery(value=one, type=kind)
            clusters = await hull.calls.ask(GET_CLUSTER, cluster, session.caller) if other is None else ()
        hypotheses = tuple(each for each in hypotheses if kind is None or each.type == kind)
        if form == "json":
            write_json({"clusters": clusters, "hypotheses": hypotheses})
        else:
            for each in clusters:
                write_cluster(each)
            for found in hypotheses:
                write_hypothesis(found)
        if not hypotheses and not clusters:
            pair = clean(one) if other is None else f"{clean(one)} and {clean(other)}"
            click.echo(f"mirage: nothing speaks for or against {pair} being one with anything", err=True)
            return 1
        return 0

    return run_async(work())


@command.command("accept")
@click.argument("named", metavar="ID")
@click.option("--reason", default="", help="Why; it is kept with the decision.")
@format_option("text", "json")
@data_options
def accept(session: Session, named: str, reason: str, form: str) -> int:
    """Say that the two of a hypothesis are one; a unique beginning of its ID is enough."""
    return _decide(session, named, "accept", reason, form)


@command.command("reject")
@click.argument("named", metavar="ID")
@click.option("--reason", default="", help="Why; it is kept with the decision.")
@format_option("text", "json")
@data_options
def reject(session: Session, named: str, reason: str, form: str) -> int:
    """Say that the two of a hypothesis are different, whatever speaks for it later."""
    return _decide(session, named, "reject", reason, form)


@command.command("split")
@click.argument("named", metavar="ID")
@click.option("--different", is_flag=True, help="They are different; else it is only open again.")
@click.option("--reason", default="", help="Why; it is kept with the decision.")
@format_option("text", "json")
@data_options
def split(session: Session, named: str, reason: str, form: str, *, different: bool) -> int:
    """Take back that two are one; both have all that was said of them, before and since."""
    return _decide(session, named, "reject" if different else "reset", reason, form)


def _decide(session: Session, named: str, verdict: Literal["accept", "reject", "reset"], reason: str, form: str) -> int:
    async def work() -> int:
        async with session.open() as hull:
            found = await _find(hull, session, named)
            question = DecideHypothesis(hypothesis=found.id, verdict=verdict, reason=reason)
            decided = await hull.calls.ask(DECIDE_HYPOTHESIS, question, session.caller)
            asked = ClusterQuery(value=decided.one.value, type=decided.type)
            clusters = await hull.calls.ask(GET_CLUSTER, asked, session.caller)
        if form == "json":
            write_json({"hypothesis": decided, "clusters": clusters})
            return 0
        click.echo(f"{clean(decided.one.value)} and {clean(decided.other.value)}: {_status(decided)}", err=True)
        for cluster in clusters:
            write_cluster(cluster)
        return 0

    return run_async(work())


async def _find(hull: Hull, session: Session, named: str) -> HypothesisView:
    """The hypothesis whose id begins so."""
    if not named.strip():
        raise Invalid("say which hypothesis, by the beginning of its id")
    query = HypothesesQuery(id=named, limit=2)
    found = (await hull.calls.ask(LIST_HYPOTHESES, query, session.caller)).hypotheses
    if not found:
        raise NotFound(f"there is no hypothesis {named} in {session.where}")
    if len(found) > 1:
        raise Invalid(f"{named} is the beginning of several ids; say more of it")
    return found[0]


def write_hypothesis(found: HypothesisView) -> None:
    """Print a hypothesis with the terms of its score, and what was decided of it."""
    click.echo(f"{str(found.id)[:8]}  {clean(found.one.value)} = {clean(found.other.value)}  ({found.type})")
    click.echo(f"  score {found.score:.2f}, {_status(found)}")
    for term in found.evidence:
        sign = "-" if term.against else "+"
        of = f", which {term.holders} have" if term.holders > 2 else ""
        more = f", and {term.more} more" if term.more else ""
        click.echo(f"  {sign} {term.term:.2f}  {clean(term.words)}{of}{more}")
    if found.at:
        _write_change(found.status, found.at, found.who, found.reason)
    for change in found.history[1:]:
        _write_change(change.status, change.at, change.who, change.reason)


def write_cluster(cluster: ClusterView) -> None:
    """Print what is one, by whose word, and what contradicts that."""
    first, *others = cluster.members
    click.echo(f"{clean(first.value)}  ({cluster.type}) is one with {', '.join(clean(each.value) for each in others)}")
    for link in cluster.links:
        why = f": {clean(link.reason)}" if link.reason else ""
        gone = "" if link.supported else "; nothing speaks for it any more"
        both = f"{clean(link.one.value)} = {clean(link.other.value)}"
        click.echo(f"  {str(link.id)[:8]}  {both}, accepted by {clean(link.who)}{why}{gone}")
    for each in cluster.conflicts:
        both = f"{clean(each.one.value)} ≠ {clean(each.other.value)}"
        click.echo(f"  {str(each.id)[:8]}  {both}, rejected by {clean(each.who)}: this contradicts the others")
    if cluster.cut:
        click.echo("  and more than is shown")


def _write_change(status: str, at: int, who: str, reason: str) -> None:
    why = f": {clean(reason)}" if reason else ""
    click.echo(f"  {'taken back' if status == 'proposed' else status} by {clean(who)} on {instant(at)}{why}")


def _status(found: HypothesisView) -> str:
    return found.status if found.supported or found.status == "proposed" else f"{found.status}, unsupported"
