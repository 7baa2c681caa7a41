"""`mirage export`: what a scan found, as a file for people or programs."""

from typing import Final, get_args

import click

from services.cli.exporting import write_export
from services.cli.finding import find_scan
from services.cli.following import wait_stored
from services.cli.instants import WHEN, Instant
from services.cli.options import Session, data_options, run_async
from services.cli.output import check_form, check_output, form_by_ending
from services.cli.reporting import write_report
from services.contracts.resources import EXPORT_FORMATS, TLP, ExportQuery, StixProfile
from services.contracts.resources.reports import NewReport, ReportFormat
from services.kernel.errors import Invalid

#: The forms that claims without time and scan have, and those that have a place for a marking.
CANONICAL: Final = ("jsonl", "json")
MARKED: Final = ("stix", "misp")
#: The forms that a report has, which `report` makes for other readers, too.
REPORTED: Final[tuple[ReportFormat, ...]] = ("pdf", "html", "md")


@click.command("export")
@click.argument("scan_id", metavar="ID")
@click.option(
    "--format",
    "form",
    type=click.Choice([*EXPORT_FORMATS, *REPORTED]),
    help="Without it what the ending of FILE says (.txt: hosts); else hosts, and jsonl with --canonical.",
)
@click.option("--canonical", is_flag=True, help="What was claimed by which module, without when and by which scan.")
@click.option("--all", "everything", is_flag=True, help="Also what is outside the scope or did not resolve.")
@click.option(
    "--tlp",
    type=click.Choice([level.replace("-", "+") for level in TLP]),
    help="Mark everything by the Traffic Light Protocol 2.0; of stix and misp.",
)
@click.option(
    "--profile",
    type=click.Choice(get_args(StixProfile)),
    default="opencti",
    show_default=True,
    help="Of stix: with the objects that OpenCTI and Mirage add, or those of the standard alone.",
)
@click.option("--as-of", "as_of", type=Instant(), help=f"What was known at this instant: {WHEN}.")
@click.option("--output", metavar="FILE", help="Where to write; - is standard output.")
@data_options
def command(
    session: Session,
    scan_id: str,
    form: str | None,
    *,
    canonical: bool,
    everything: bool,
    tlp: str | None,
    profile: str,
    as_of: int | None,
    output: str | None,
) -> int:
    """Export a scan.

    hosts: one host name in scope a line. After a scan that asked DNS, those that resolved; --all adds the others with
    a second column: unresolved, unknown, wildcard, stale. After a scan that did not ask DNS every name has the second
    column not-asked.

    stix is a bundle of STIX 2.1, misp an event; gexf and graphml are graphs, for Gephi and others; xlsx is a workbook.
    pdf, html and md are the technical report; `report` has others.
    """
    chosen = form or form_by_ending(output) or ("jsonl" if canonical else "hosts")
    if canonical and chosen not in CANONICAL:
        raise Invalid(f"--canonical is written as {' or '.join(CANONICAL)}, not as {chosen}")
    if tlp and chosen not in {*MARKED, *REPORTED}:
        raise Invalid(f"--tlp marks {', '.join(MARKED)} and reports, and {chosen} has no place for it")
    if profile != "opencti" and chosen != "stix":
        raise Invalid("--profile is of stix")
    check_form(chosen, output)
    check_output(output)

    async def work() -> int:
        async with session.open() as hull:
            scan = await find_scan(hull, session, scan_id)
            if chosen in REPORTED:
                marked = {"tlp": tlp} if tlp else {}
                new = NewReport(scan=scan.id, template="technical", as_of=as_of, **marked)  # type: ignore[arg-type]
                return await write_report(hull, session, scan, new, chosen, output)
            missing = await wait_stored(hull, session.caller, scan) if as_of is None else ""
            query = ExportQuery(
                scan=scan.id,
                format=chosen,  # type: ignore[arg-type]
                canonical=canonical,
                all=everything,
                tlp=tlp.replace("+", "-") if tlp else None,  # type: ignore[arg-type]
                profile=profile,  # type: ignore[arg-type]
                as_of=as_of,
            )
            last = await write_export(hull, session, query, output)
        if last.left_out:
            click.echo(f"mirage: left out: {last.left_out}", err=True)
        if lacking := "; ".join(filter(None, (missing, last.lacks))):
            click.echo(f"mirage: the export is incomplete: {lacking}", err=True)
            return 3
        return 0

    return run_async(work())
