"""`mirage report`: a report of a scan that can be handed on, those that were made, and the key that signs them."""

from datetime import UTC, datetime
from typing import Final, get_args

import click

from services.cli.finding import find_scan
from services.cli.folder_options import GroupOnData
from services.cli.options import Session, data_options, format_option, run_async
from services.cli.output import STDOUT, check_output
from services.cli.reporting import format_of, pieces_of, told, write_file, write_report
from services.cli.text import clean, instant, moment, write_json, write_table
from services.contracts.bundles import Template, Tlp
from services.contracts.endpoints import (
    DELETE_REPORT,
    GET_REPORT,
    LIST_REPORTS,
    PUBLISH_WORKSPACE_KEYS,
    SHOW_CALLER,
)
from services.contracts.resources import WorkspaceRef
from services.contracts.resources.reports import (
    NewReport,
    ReportFormat,
    ReportRef,
    ReportsQuery,
    ReportView,
)
from services.kernel.calls import Nothing
from services.kernel.errors import Invalid, NotFound

FORMATS: Final[tuple[ReportFormat, ...]] = get_args(ReportFormat)


class Reports(GroupOnData):
    """A group that makes a report of the scan that is named where no command of it is."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        taking = {name for option in self.params if isinstance(option, click.Option) for name in option.opts}
        place = 0
        while place < len(args) and args[place] in taking:
            place += 2
        if place < len(args) and args[place] not in self.commands and args[place] not in {"--help", "-h"}:
            args = [*args[:place], "make", *args[place:]]
        return super().parse_args(ctx, args)

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write_usage(ctx.command_path, "ID [OPTIONS] | COMMAND …")


@click.group("report", cls=Reports)
def command() -> None:
    """Make a report of the scan ID, or list, show and delete those that were made."""


@command.command("make")
@click.argument("scan_id", metavar="ID")
@click.option("--template", type=click.Choice(get_args(Template)), default="executive", show_default=True,
              help="For whom: who decides, who mends, who checks.")  # fmt: skip
@click.option("--format", "form", type=click.Choice(FORMATS), help="Without it what the ending of FILE says; else pdf.")
@click.option("--tlp", type=click.Choice(get_args(Tlp)), default="amber", show_default=True,
              help="With whom it may be shared (Traffic Light Protocol 2.0).")  # fmt: skip
@click.option("--as-of", "at", metavar="TIME", help="The instant that it is about, in UTC: 2026-12-31T18:00; else now.")
@click.option("--title", default="", help="What stands on its first page.")
@click.option("--bundle", is_flag=True, help="A zip of the report in all forms with what it rests on, signed.")
@click.option("--bodies", is_flag=True, help="With the bytes that the evidence is about in the bundle.")
@click.option("--output", metavar="FILE", help="Where to write; - is standard output. Else report-ID in this folder.")
@data_options
def make(
    session: Session,
    scan_id: str,
    template: Template,
    form: ReportFormat | None,
    tlp: Tlp,
    at: str | None,
    title: str,
    output: str | None,
    *,
    bundle: bool,
    bodies: bool,
) -> int:
    """Make a report of the scan ID and write it out; it is kept, and can be written again."""
    if bodies and not bundle:
        raise Invalid("--bodies is about a bundle: say --bundle too")
    if bundle and form is not None:
        raise Invalid("a bundle has all forms: leave --format out")
    chosen, as_of = format_of(output, form), _as_of(at)
    check_output(output)

    async def work() -> int:
        async with session.open() as hull:
            scan = await find_scan(hull, session, scan_id)
            new = NewReport(scan=scan.id, template=template, tlp=tlp, title=title, as_of=as_of)
            return await write_report(hull, session, scan, new, chosen, output, bundle=bundle, bodies=bodies)

    return run_async(work())


@command.command("list")
@click.option("--scan", "scan_id", metavar="ID", help="Those of one scan.")
@format_option("table", "json")
@data_options
def list_reports(session: Session, scan_id: str | None, form: str) -> int:
    """List reports, the newest first."""

    async def work() -> tuple[ReportView, ...]:
        async with session.open() as hull:
            scan = None if scan_id is None else (await find_scan(hull, session, scan_id)).id
            return await hull.calls.ask(LIST_REPORTS, ReportsQuery(scan=scan), session.caller)

    reports = run_async(work())
    if form == "json":
        write_json(reports)
        return 0
    write_table(
        ("id", "scan", "template", "tlp", "as of (UTC)", "findings", "title"),
        (
            (str(r.id)[:8], str(r.scan)[:8], r.template, r.tlp, moment(r.as_of), f"{r.findings:,}", r.title)
            for r in reports
        ),
        none="No reports.",
    )
    return 0


@command.command("show")
@click.argument("report_id", metavar="ID")
@click.option(
    "--format", "form", type=click.Choice(("text", *FORMATS)), help="text says what it is; others are the report."
)
@click.option("--bundle", is_flag=True, help="The bundle of it.")
@click.option("--bodies", is_flag=True, help="With the bytes that the evidence is about in the bundle.")
@click.option("--output", metavar="FILE", help="Where to write the report; - is standard output.")
@data_options
def show(session: Session, report_id: str, form: str | None, output: str | None, *, bundle: bool, bodies: bool) -> int:
    """Say what a report is, or write it out again as it was made."""
    whole = bundle or output is not None or form in FORMATS
    chosen = format_of(output or STDOUT, form if form in FORMATS else None) if whole else "json"
    check_output(output)

    async def work() -> ReportView:
        async with session.open() as hull:
            report = await hull.calls.ask(GET_REPORT, ReportRef(report_id), session.caller)
            if whole:
                again = session.line(f"report show {str(report.id)[:8]} --output FILE" + " --bundle" * bundle)
                pieces = pieces_of(hull, session, report, chosen, bundle=bundle, bodies=bodies)
                await write_file(pieces, output or STDOUT, f"write it out again with: {again}")
        return report

    report = run_async(work())
    if not whole:
        click.echo(f"{clean(report.title)}: {told(report)}")
        click.echo(
            f"report {report.id} of the scan {report.scan}, as of {instant(report.as_of)}, TLP:{report.tlp.upper()}"
        )
        click.echo(
            f"made {instant(report.made)} by {clean(report.by)}, Mirage {report.version}, sha256 {report.sha256}"
        )
    return 0


@command.command("delete")
@click.argument("report_id", metavar="ID")
@data_options
def delete(session: Session, report_id: str) -> int:
    """Forget a report; what was handed on stays with whoever has it."""
    session.ask(DELETE_REPORT, ReportRef(report_id))
    click.echo("It is forgotten", err=True)
    return 0


@command.command("key")
@data_options
def key(session: Session) -> int:
    """Print the keys by which what this workspace signed is verified, for who is to check its bundles."""

    async def work() -> int:
        async with session.open() as hull:
            workspace = (await hull.calls.ask(SHOW_CALLER, Nothing(), session.caller)).workspace
            ref = WorkspaceRef(workspace or session.caller.workspace)
            published = await hull.calls.ask(PUBLISH_WORKSPACE_KEYS, ref, session.caller)
        if not published.keys:
            raise NotFound(f"nothing was signed yet in {session.where}, and so there is no key")
        write_json(published)
        return 0

    return run_async(work())


def _as_of(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text.strip())
        return int((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp() * 1_000_000)
    except (ValueError, OverflowError):
        raise Invalid(f"{text[:64]!a} is neither a day nor a time: say 2026-12-31, or 2026-12-31T18:00") from None
