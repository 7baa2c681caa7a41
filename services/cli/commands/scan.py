"""`mirage scan`: make a scan, follow it, print what it found."""

from collections.abc import Collection, Iterable
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import click

from services.cli.authorising import read_window
from services.cli.authorising import unused as authorisation_unused
from services.cli.following import display, exit_code, follow, wait_stored
from services.cli.hull import Hull
from services.cli.networks import described as networks_described
from services.cli.options import Session, data_options, progress_options, run_async
from services.cli.output import FORMS, STDOUT, check_form, check_output, form_by_ending, kept, opened
from services.cli.targets import read_targets, without_credentials
from services.cli.untaken import described as untaken_described
from services.contracts.claims import Entity
from services.contracts.endpoints import CREATE_SCAN, LIST_MODULES, PREVIEW_SCAN, UPLOAD
from services.contracts.plan import PROFILES, Limits
from services.contracts.resources import EXPORT_FORMATS, ExportQuery, NewScan, Preview, Scan, Upload
from services.contracts.targets import recognise
from services.kernel.calls import Nothing
from services.kernel.errors import Invalid

#: Who reads a word list.
GUESSER: Final = "brute"
#: What is written of a scan by itself, by the ending of a file; a report is made of one that is there.
WRITTEN: Final = {ending: form for ending, form in FORMS.items() if form in EXPORT_FORMATS}


@click.command("scan")
@click.argument("targets", nargs=-1, required=True)
@click.option("--type", "kind", help="What the targets are, where their form does not say it.")
@click.option("--profile", type=click.Choice(["passive", "standard", "deep"]), default="passive", show_default=True)
@click.option("--module", "modules", multiple=True, metavar="ID", help="Only these modules or activities (repeatable).")
@click.option("--exclude", multiple=True, metavar="ID", help="Without these modules or activities (repeatable).")
@click.option("--scope", multiple=True, metavar="RULE", help="A name, wildcard or network in scope too (repeatable).")
@click.option("--exclude-scope", multiple=True, metavar="RULE", help="A name, wildcard or network to leave alone.")
@click.option(
    "--allow-network", "networks", multiple=True, metavar="CIDR", help="Private network that may be contacted."
)
@click.option("--authorised", metavar="TEXT", help="Who allowed active work, and why; without it none is done.")
@click.option(
    "--technique", "techniques", multiple=True, metavar="ID", help="Only these active modules are authorised."
)
@click.option("--window", metavar="FROM/UNTIL", help="When active work is authorised; from now for 30 days without it.")
@click.option("--max-depth", type=click.IntRange(0, 20), default=2, show_default=True, help="Steps outside the scope.")
@click.option("--max-items", type=click.IntRange(1), default=1_000_000, show_default=True, help="Work items in all.")
@click.option("--timeout", type=click.FloatRange(min=1), metavar="SECONDS", help="Stop asking after so long.")
@click.option(
    "--resolver", "resolvers", multiple=True, metavar="ADDRESS[:PORT]", help="DNS resolver to use (repeatable)."
)
@click.option("--wordlist", type=click.Path(dir_okay=False, path_type=Path), help="Words for brute force.")
@click.option("--dry-run", is_flag=True, help="Say what would be asked, and ask nobody.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["summary", *EXPORT_FORMATS]),
    help="What to write; without it a summary, or what the ending of FILE says (.txt: hosts).",
)
@click.option("--output", metavar="FILE", help="Where to write; - is standard output.")
@click.option("--all", "everything", is_flag=True, help="Also what is outside the scope or did not resolve.")
@progress_options
@click.option("--strict", is_flag=True, help="Exit with 4 when a source could not be asked.")
@data_options
def command(session: Session, **options: Any) -> int:
    """Scan TARGETS: domains, hosts, addresses, networks, ASNs, URLs, e-mail addresses, names, or files of them.

    A file has one target a line, or is a hosts file or nmap's XML; - is standard input. An organisation is known by its
    blanks on the command line; a file of organisations needs --type organization.

    Exit codes: 0 done, 1 failed, 2 wrong use, 3 stopped or incomplete with partial results, 4 (--strict) done but a
    source could not be asked.
    """
    kind = options.pop("kind")
    targets, own = read_targets(options.pop("targets"), kind)
    targets, secret = without_credentials(targets)
    warn(own)
    warn(secret)
    begins, until = read_window(options.pop("window"), datetime.now().astimezone())
    new = NewScan(
        targets=targets,
        type=kind,
        profile=options["profile"],
        modules=options["modules"],
        exclude=options["exclude"],
        scope=options["scope"],
        exclude_scope=options["exclude_scope"],
        networks=options["networks"],
        authorised=options["authorised"],
        techniques=options["techniques"],
        authorised_from=begins,
        authorised_until=until,
        limits=Limits(max_depth=options["max_depth"], max_items=options["max_items"], timeout=options["timeout"]),
        resolvers=options["resolvers"],
    )
    words = read_words(options["wordlist"])
    check_output(options["output"])
    options["form"] = form_of(options["form"], options["output"])
    check_form(options["form"], options["output"])
    if options["dry_run"]:
        if options["form"] not in {"summary", "json"}:
            raise Invalid("a dry run is written as a summary or, with --format json, as JSON")
        return run_async(preview(session, new, words, options["form"], options["output"]))
    return run_async(scan_and_write(session, new, words, options))


async def preview(session: Session, new: NewScan, words: bytes | None, form: str, output: str | None) -> int:
    """Print what a scan would do, or write it to a file as JSON."""
    async with session.open(makes=True) as hull:
        previewed = await hull.calls.ask(PREVIEW_SCAN, new, session.caller, seconds=60.0)
        known = await hull.calls.ask(LIST_MODULES, Nothing(), session.caller)
    planned = [module.id for module in previewed.modules]
    networks = list(networks_described(previewed.targets, planned, known))
    warn(untaken_described(new, previewed.targets, planned, known))
    warn(authorisation_unused(new, planned, known))
    if words is not None:
        warn(words_unused(new, planned))
    if form == "json":
        from services.cli.text import write_json

        with opened(output) as out:
            write_json(previewed, out)
    else:
        write_preview(previewed, networks, new.limits)
    return 0


def networks_among(new: NewScan) -> list[Entity]:
    """The networks among the targets of a scan that was made, all of which are sound."""
    named = (recognise(text, new.type) for text in new.targets if "/" in text)
    return [target for target in named if target.type == "netblock"]


async def scan_and_write(session: Session, new: NewScan, words: bytes | None, options: dict[str, Any]) -> int:
    """Scan, then write the export or summary; return the exit code."""
    from services.cli.summary import kept_when_cut_off

    async with session.open(works=True) as hull:
        if words is not None:
            from msgspec.structs import replace

            uploaded = await hull.calls.ask(UPLOAD, Upload(words), session.caller)
            new = replace(new, words=uploaded.digest)
        scan = await hull.calls.ask(CREATE_SCAN, new, session.caller, seconds=60.0)
        known = await hull.calls.ask(LIST_MODULES, Nothing(), session.caller)
        planned = [source.module for source in scan.sources]
        warn(untaken_described(new, scan.targets, planned, known))
        warn(authorisation_unused(new, planned, known))
        if words is not None:
            warn(words_unused(new, planned))
        for sentence in () if options["quiet"] else networks_described(networks_among(new), planned, known):
            warn(sentence)
        shown = display(quiet=options["quiet"], json_progress=options["json_progress"])
        with kept_when_cut_off(session, scan):
            ended = await follow(hull, session.caller, scan, shown)
            missing = await wait_stored(hull, session.caller, ended)
        lacks = await write_scan(hull, session, ended, options)
    if missing := "; ".join(filter(None, (missing, lacks))):
        click.echo(f"mirage: the export is incomplete: {missing}", err=True)
        return 3
    return exit_code(ended, strict=options["strict"])


def warn(sentence: str) -> None:
    """Say something on stderr that is no failure; of nothing, nothing."""
    if sentence:
        click.echo(f"mirage: {sentence}", err=True)


def words_unused(new: NewScan, modules: Collection[str]) -> str:
    """Why nobody reads the word list that was given, where the module that reads it is not among ``modules``."""
    if GUESSER in modules:
        return ""
    guesses = "guess" in PROFILES[new.profile]
    why = f"{GUESSER} is left out" if guesses else f"the profile {new.profile} guesses no names, --profile deep does"
    return f"the word list is not used: {why}"


def read_words(file: Path | None) -> bytes | None:
    """The content of a word list."""
    if file is None:
        return None
    try:
        words = file.read_bytes()
    except OSError as error:
        raise Invalid(f"the word list {file} cannot be read: {error.strerror}") from error
    if b"\0" in words or not words.strip():
        raise Invalid(f"{file} is not a list of words, one a line")
    return words


def form_of(form: str | None, output: str | None) -> str:
    """What is written of a scan: what was said, or what the ending of the file says; a summary is for people to read.

    Raises:
        Invalid: a summary or a report shall go to a file, or nothing says what shall.
    """
    if output in {None, STDOUT}:
        return form or "summary"
    if form == "summary":
        raise Invalid(f"a summary goes to standard output; say --format {_either(WRITTEN.values())} for a file")
    chosen = form or form_by_ending(output)
    if chosen is None:
        raise Invalid(
            f"nothing says what to write to {output}: say --format {_either(WRITTEN.values())},"
            f" or let its name end in {_either(WRITTEN)}"
        )
    if chosen not in EXPORT_FORMATS:
        raise Invalid(
            f"{output} would be a report, which is made of a scan that is there: write one with report, or export;"
            f" for this file say --format {_either(WRITTEN.values())}"
        )
    return chosen


def _either(words: Iterable[str]) -> str:
    *others, last = words
    return f"{', '.join(others)} or {last}"


async def write_scan(hull: Hull, session: Session, scan: Scan, options: dict[str, Any]) -> str:
    """Write what was asked for to the output, and how it went to stderr; return what is missing in it."""
    from services.cli.exporting import is_kept, write_export
    from services.cli.scan_text import left_out_lines
    from services.cli.summary import write_how_to_go_on, write_summary

    lacks = ""
    if options["form"] == "summary":
        with kept(None, is_kept(scan.id, session.line(f"scans show {str(scan.id)[:8]}"))):
            write_summary(session, scan)
    else:
        query = ExportQuery(scan=scan.id, format=options["form"], all=options["everything"])
        lacks = (await write_export(hull, session, query, options["output"])).lacks
        for line in () if options["quiet"] else left_out_lines(scan):
            click.echo(line, err=True)
    write_how_to_go_on(session, scan)
    return lacks


def write_preview(previewed: Preview, networks: Iterable[str], limits: Limits) -> None:
    """Print which sources would be asked, what they learn, and which keys would help."""
    from services.cli.text import clean, write_table

    targets = ", ".join(f"{clean(target.value)} ({target.type})" for target in previewed.targets[:20])
    click.echo(f"Targets: {targets}")
    write_table(
        ("source", "class", "requests", "left", "a second", "talks to", "which learns", "key"),
        (
            (
                module.id,
                module.activity,
                f"{module.requests:g}",
                "" if module.left is None else f"{module.left:,}",
                f"{module.rate:g}" if module.rate else "-",
                ", ".join(module.tells)[:60] or ("recursive resolvers" if module.rate else "nobody"),
                ", ".join(module.learns)[:60],
                ": ".join(filter(None, (f"{module.missing_key} missing", module.key_adds)))
                if module.missing_key
                else "",
            )
            for module in previewed.modules
        ),
        first=("source", "requests", "talks to"),
    )
    if previewed.left_out:
        click.echo("Left out:")
        for why in sorted({*previewed.left_out.values()}):
            names = ", ".join(sorted(name for name, reason in previewed.left_out.items() if reason == why))
            click.echo(f"  {why.removeprefix('it is ')}: {names}")
    for sentence in networks:
        click.echo(f"Network: {sentence}.")
    click.echo(
        "Requests are those about the targets themselves; more follow from what is found,"
        f" up to {limits.max_items:,} work items (--max-items), and no more than a source's quota leaves."
    )
