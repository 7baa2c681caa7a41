"""`mirage suppress`: put findings aside, with a reason and an end."""

from datetime import datetime
from uuid import UUID

import click

from services.cli.days import read_until
from services.cli.finding import find_id
from services.cli.folder_options import GroupOnData
from services.cli.options import Session, data_options, format_option, run_async
from services.cli.text import clean, count, instant, write_json
from services.contracts.endpoints import LIFT_SUPPRESSION, LIST_SUPPRESSIONS, SUPPRESS
from services.contracts.resources.correlation import Suppress, Suppression, SuppressionRef
from services.kernel.calls import Nothing


@click.group("suppress", cls=GroupOnData)
def command() -> None:
    """Put findings aside: nothing is lost, and they come back when it ends."""


@command.command("add")
@click.option("--rule", default="", help="Findings of this rule.")
@click.option("--entity", default="", metavar="VALUE", help="Findings on this name, address, …")
@click.option("--type", "kind", help="What the entity is, where its value can be of several types.")
@click.option("--reason", required=True, help="Why.")
@click.option("--until", metavar="DAY", help="Its last day: 2026-12-31, friday or 30d; without it never ends.")
@format_option("text", "json")
@data_options
def add(session: Session, rule: str, entity: str, kind: str | None, reason: str, until: str | None, form: str) -> int:
    """Put aside what is found by a rule, on an entity, or both."""
    ends = int(read_until(until, datetime.now().astimezone()).timestamp()) * 1_000_000 if until else None
    said = session.ask(SUPPRESS, Suppress(rule=rule, entity=entity, type=kind, reason=reason, ends=ends))
    if form == "json":
        write_json(said)
    else:
        write_suppression(said)
    return 0


@command.command("list")
@format_option("text", "json")
@data_options
def list_suppressions(session: Session, form: str) -> int:
    """List what is put aside, by whom, why, and until when."""
    found = session.ask(LIST_SUPPRESSIONS, Nothing())
    if form == "json":
        write_json(found)
        return 0
    for each in found:
        write_suppression(each)
    click.echo(count(len(found), "suppression") if found else "Nothing is put aside")
    return 0


@command.command("remove")
@click.argument("suppression")
@data_options
def remove(session: Session, suppression: str) -> int:
    """Show again what a SUPPRESSION (its id, or the beginning of it) put aside."""

    async def work() -> int:
        async with session.open() as hull:
            found = await hull.calls.ask(LIST_SUPPRESSIONS, Nothing(), session.caller)
            identity: UUID = find_id(suppression, (each.id for each in found), "suppression")
            await hull.calls.ask(LIFT_SUPPRESSION, SuppressionRef(identity), session.caller)
        click.echo("Its findings are shown again")
        return 0

    return run_async(work())


def write_suppression(said: Suppression) -> None:
    what = f"findings of {said.rule}" if said.rule else "all findings"
    what += f" on {clean(said.entity)}" if said.entity else ""
    ends = f"until {instant(said.ends)}" if said.ends is not None else "for good"
    click.echo(f"{str(said.id)[:8]}  {what}, {ends}: {clean(said.reason)} ({clean(said.who)})")
