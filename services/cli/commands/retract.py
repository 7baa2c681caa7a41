"""`mirage retract`: withdraw claims that turned out to be wrong, and restore them."""

import re
from contextlib import aclosing

import click

from services.cli.finding import find_scan
from services.cli.hull import Hull
from services.cli.instants import WHEN, Instant
from services.cli.options import Session, data_options, format_option, run_async
from services.cli.text import clean, count, instant, moment, write_json, write_table
from services.contracts.endpoints import FIND_RECORDS, LIST_RETRACTIONS, RETRACT
from services.contracts.resources import RecordQuery, Retract, Retraction
from services.kernel.calls import Nothing
from services.kernel.errors import Invalid, NotFound


@click.command("retract")
@click.option("--module", metavar="ID[@VERSION]", default="", help="What this module said, or one version of it.")
@click.option("--version", type=click.IntRange(0), metavar="VERSION", help="What this version of --module said.")
@click.option(
    "--source", metavar="NAME", default="", help="What modules said that ask this source, or this host of it."
)
@click.option("--since", type=Instant(), metavar="WHEN", help=f"Of that, what was observed since then: {WHEN}.")
@click.option("--scan", "scan_id", metavar="ID", help="What was said in this scan.")
@click.option("--record", metavar="HASH", help="What rests on this evidence record.")
@click.option("--reason", default="", help="Why; it is kept with what is withdrawn.")
@click.option("--undo", is_flag=True, help="Restore what was withdrawn by the same options.")
@format_option("table", "json")
@data_options
def command(
    session: Session,
    module: str,
    version: int | None,
    source: str,
    since: int | None,
    scan_id: str | None,
    record: str | None,
    reason: str,
    form: str,
    *,
    undo: bool,
) -> int:
    """Withdraw claims: show, export, search and diff count them no longer; nothing is deleted.

    Of several options, what all of them take in; what comes later, too, until it is undone. What was found by what is
    withdrawn alone is hidden with it. Without options: what is withdrawn.
    """
    withdraws = bool(module or source or scan_id or record) or since is not None

    async def work() -> int:
        claims = derived = 0
        async with session.open() as hull:
            if withdraws:
                name, named_version = _split(module)
                if None not in (version, named_version) and version != named_version:
                    raise Invalid(f"{module} is another version than {version}")
                question = Retract(
                    module=name,
                    version=named_version if version is None else version,
                    source=source,
                    since=since,
                    scan=(await find_scan(hull, session, scan_id)).id if scan_id else None,
                    record=await _find_record(hull, session, record) if record else "",
                    reason=reason,
                    undo=undo,
                )
                async with aclosing(hull.calls.follow(RETRACT, question, session.caller)) as batches:
                    async for batch in batches:
                        claims, derived = claims + batch.claims, derived + batch.derived
            elif undo or reason or version is not None:
                raise Invalid("say whose claims, with --module, --source, --scan, --record or --since")
            stand = await hull.calls.ask(LIST_RETRACTIONS, Nothing(), session.caller)
        if form == "json":
            write_json({"claims": claims, "derived": derived, "retractions": stand})
            return 0
        if withdraws:
            done = ("restored", "supported again") if undo else ("withdrawn", "hidden, which rested on such alone")
            more = f", {count(derived, 'claim')} {done[1]}" if derived else ""
            click.echo(f"{count(claims, 'claim')} {done[0]}{more}.")
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
        ("source", clean(retraction.source)),
        ("scan", str(retraction.scan or "")[:8]),
        ("record", retraction.record[:16]),
        ("since", instant(retraction.since) if retraction.since is not None else ""),
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
