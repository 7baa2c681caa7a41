"""`mirage scan`: make a scan, follow it, print what it found."""

import sys
from contextlib import aclosing
from pathlib import Path
from typing import Any, TextIO

import click

from services.cli.following import Display, JsonLines, Silent, exit_code, follow, unasked, wait_stored
from services.cli.hull import Hull
from services.cli.options import Session, data_options, run_async
from services.contracts.endpoints import CREATE_SCAN, EXPORT, UPLOAD
from services.contracts.plan import Limits
from services.contracts.resources import ExportQuery, NewScan, Scan, Upload
from services.kernel.errors import Invalid


@click.command("scan")
@click.argument("targets", nargs=-1, required=True)
@click.option("--type", "kind", help="What the targets are, where their form does not say it.")
@click.option("--profile", type=click.Choice(["passive", "standard", "deep"]), default="passive", show_default=True)
@click.option("--module", "modules", multiple=True, help="Only these modules or activities (repeatable).")
@click.option("--exclude", multiple=True, help="Without these modules or activities (repeatable).")
@click.option("--scope", multiple=True, help="A name, wildcard or network that is in scope too (repeatable).")
@click.option("--exclude-scope", multiple=True, help="A name, wildcard or network to leave alone (repeatable).")
@click.option("--allow-network", "networks", multiple=True, help="A network that may be dialled although private.")
@click.option("--authorised", metavar="TEXT", help="Who allowed active work, and why; without it none is done.")
@click.option("--max-depth", type=click.IntRange(0, 20), default=2, show_default=True, help="Steps outside the scope.")
@click.option("--max-items", type=click.IntRange(1), default=1_000_000, show_default=True, help="Work items in all.")
@click.option("--timeout", type=click.FloatRange(min=1), metavar="SECONDS", help="Stop asking after so long.")
@click.option("--resolver", "resolvers", multiple=True, metavar="ADDRESS[:PORT]", help="Ask this one (repeatable).")
@click.option("--wordlist", type=click.Path(dir_okay=False, path_type=Path), help="Words for brute force.")
@click.option("--dry-run", is_flag=True, help="Say what would be asked, and ask nobody.")
@click.option("--format", "form", type=click.Choice(["summary", "hosts", "jsonl", "csv", "json"]), default="summary")
@click.option("--output", metavar="FILE", help="Where to write; - is standard output.")
@click.option("--all", "everything", is_flag=True, help="Also what is outside the scope or did not resolve.")
@click.option("--quiet", is_flag=True, help="No progress.")
@click.option("--json-progress", is_flag=True, help="Progress as JSON lines on stderr.")
@click.option("--strict", is_flag=True, help="Exit with 4 when a source could not be asked.")
@data_options
def command(session: Session, **options: Any) -> int:
    """Scan TARGETS: domains, hosts, addresses, networks, ASNs, URLs, e-mail addresses, names, or files of them."""
    return run_async(_scan(session, options))


async def _scan(session: Session, options: dict[str, Any]) -> int:
    async with session.open() as hull:
        new = NewScan(
            targets=options["targets"],
            type=options["kind"],
            profile=options["profile"],
            modules=options["modules"],
            exclude=options["exclude"],
            scope=options["scope"],
            exclude_scope=options["exclude_scope"],
            networks=options["networks"],
            authorised=options["authorised"],
            limits=Limits(max_depth=options["max_depth"], max_items=options["max_items"], timeout=options["timeout"]),
            resolvers=options["resolvers"],
            words=await _upload_words(hull, session, options["wordlist"]),
        )
        scan = await hull.calls.ask(CREATE_SCAN, new, session.caller, seconds=60.0)
        display: Display = JsonLines() if options["json_progress"] else Silent()
        ended = await follow(hull, session.caller, scan, display)
        missing = await wait_stored(hull, session.caller, ended)
        with _output(options["output"]) as out:
            await _write(hull, session, ended, options, out)
        return 3 if missing else exit_code(ended, strict=options["strict"])


async def _upload_words(hull: Hull, session: Session, file: Path | None) -> bytes | None:
    if file is None:
        return None
    try:
        content = file.read_bytes()
    except OSError as error:
        raise Invalid(f"the word list {file} cannot be read: {error.strerror}") from error
    return (await hull.calls.ask(UPLOAD, Upload(content), session.caller)).digest


async def _write(hull: Hull, session: Session, scan: Scan, options: dict[str, Any], out: TextIO) -> None:
    if options["form"] == "summary":
        out.write(f"{scan.id} {scan.state} {scan.reason}\n{scan.items}\n{scan.entities}\n")
        out.writelines(f"{source.module}: {source.state} {source.reason}\n" for source in unasked(scan))
        return
    query = ExportQuery(scan=scan.id, format=options["form"], all=options["everything"])
    async with aclosing(hull.calls.follow(EXPORT, query, session.caller)) as chunks:
        async for chunk in chunks:
            out.write(chunk.text)


def _output(path: str | None) -> TextIO:
    return sys.stdout if path in {None, "-"} else Path(str(path)).open("w", encoding="utf-8")
