"""`mirage retract`: withdraw claims that turned out to be wrong, and restore them."""

import re
from contextlib import aclosing

import click

from services.cli.finding import find_scan
from services.cli.hull import Hull
from services.cli.options import Session, data_options, format_option, run_async
from services.cli.text import clean, count, moment, write_json, write_table
from services.contracts.endpoints import FIND_RECORDS, LIST_RETRACTIONS, RETRACT
from services.contracts.resources import RecordQuery, Retract, Retraction
from services.kernel.calls import Nothing
from services.kernel.errors import Invalid, NotFound


@click.command("retract")
@click.option("--module", metavar="ID[@VERSION]", default="", help="What this module said, or one version of it.")
@click.option("--scan", "scan_id", metavar="ID", help="What was said in this scan.")
@click.option("--record", metavar="HASH", help="What rests on this evidence record.")
@click.option("--reason", default="", help="Why; it is kept with what is withdrawn.")
@click.option("--undo", is_flag=True, help="Restore what was withdrawn by the same options.")
@format_option("table", "json")
@data_options
def command(
    session: Session, module: str, scan_id: str | None, record: str | None, reason: str, form: str, *, undo: bool
) -> int:
    """Withdraw claims: show, export, search and diff count them no longer; nothing is deleted.

    Of several options, what all of them take in. What is said later counts. Without options: what is withdrawn.
    """

    async def work() -> int:
        claims = 0
        async with session.open() as hull:
            if module or scan_id or record:
                name, version = _split(module)
                question = Retract(
                    module=name,
                    version=version,
                    scan=(await find_scan(hull, session, scan_id)).id if scan_id else None,
                    record=await _find_record(hull, session, record) if record else "",
                    reason=reason,
                    undo=undo,
                )
                async with aclosing(hull.calls.follow(RETRACT, question, session.caller)) as batches:
                    async for batch in batches:
                        claims += batch.claims
            elif undo or reason:
                raise Invalid("say whose claims, with --module, --scan or --record")
            stand = await hull.calls.ask(LIST_RETRACTIONS, Nothing(), session.caller)
        if form == "json":
            write_json({"claims": claims, "retractions": stand})
            return 0
        if module or scan_id or record:
            click.echo(f"{count(claims, 'claim')} {'restored' if undo else 'withdrawn'}.")
        write_retractions(stand)
        return 0

    return run_async(work())


def write_retractions(stand: tuple[Retraction, ...]) -> None:
    """Print what is withdrawn, since when and why."""
    rows = ((_words(each), moment(each.at), clean(each.reason)) for each in stand)
    write_table(("withdrawn", "since (UTC)", "reason"), rows, none="Nothing is withdrawn.")


def _words(retraction: Retraction) -> str:
    version = "" if retraction.version is None else f"@{retraction.version}"
    words = (
        ("module", retraction.module + version),
        ("scan", str(retraction.scan or "")[:8]),
        ("record", retraction.record[:16]),
    )
    return ", ".join(f"{name} {word}" for name, word in words if word)


def _split(module: str) -> tuple[str, int | None]:
    name, at, version = module.partition("@")
    if at and not re.fullmatch(r"[0-9]{1,9}", version):
        raise Invalid(f"{module!a} is not a module, nor a module and a version as in crtsh@2")
    return name, int(version) if at else None


async def _find_record(hull: Hull, session: Session, digest: str) -> str:
    """The whole hash of the record that begins so."""
    found = await hull.calls.ask(FIND_RECORDS, RecordQuery(digest.lower()), session.caller)
    records = {view.record.id.hex() for view in found if view.record.id.hex().startswith(digest.lower())}
    if not records:
        raise NotFound(f"there is no evidence record {digest}")
    if len(records) > 1:
        raise Invalid(f"{digest} is the beginning of {len(records)} records; say more of it")
    return records.pop()
