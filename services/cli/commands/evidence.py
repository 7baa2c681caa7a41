"""`mirage evidence`: the bytes behind a claim, and whether they are still what they were."""

import sys
from contextlib import aclosing
from typing import Final
from uuid import UUID

import click
from msgspec.structs import asdict

from services.cli.claim_text import claim_words
from services.cli.finding import find_scan
from services.cli.folder_options import GroupOnData
from services.cli.options import Session, data_options, format_option, run_async
from services.cli.text import JsonDocument, clean, count, instant, write_json
from services.contracts.endpoints import FIND_RECORDS, GET_BLOB, VERIFY
from services.contracts.resources import BlobQuery, Fault, RecordQuery, RecordView, ScanId, Verified
from services.kernel.errors import Invalid, NotFound

#: Claims that are named of each fault.
CLAIMS_SHOWN: Final = 20


@click.group("evidence", cls=GroupOnData)
def command() -> None:
    """Show the bytes behind a claim, or verify all that a scan rests on."""


@command.command("show")
@click.argument("digest", metavar="HASH")
@click.option("--body", is_flag=True, help="Write the body alone, byte by byte.")
@format_option("text", "json")
@data_options
def show(session: Session, digest: str, form: str, *, body: bool) -> int:
    """Show a piece of evidence by the hash of its record or of its body, or a unique beginning of it."""

    async def work() -> int:
        async with session.open() as hull:
            found = await hull.calls.ask(FIND_RECORDS, RecordQuery(digest.lower()), session.caller)
            if not found:
                raise NotFound(f"there is no evidence {digest}")
            records = {view.id: view for view in found}
            if body and len({view.blob for view in found}) > 1:
                raise Invalid(f"{digest} is the beginning of {len(records)} hashes; say more of it")
            blob = found[0].blob
            content = b""
            if blob is not None:
                content = (await hull.calls.ask(GET_BLOB, BlobQuery(blob), session.caller)).content
        if body:
            sys.stdout.buffer.write(content)
            sys.stdout.buffer.flush()
        elif form == "json":
            write_json(list(records.values()))
        else:
            for view in records.values():
                write_record(view)
            if len({view.blob for view in found}) == 1:
                _write_body(session, found[0], content)
        return 0

    return run_async(work())


@command.command("verify")
@click.argument("scan_id", metavar="ID")
@format_option("text", "json")
@data_options
def verify(session: Session, scan_id: str, form: str) -> int:
    """Check every record, body and claim of a scan; name what was altered and each claim resting on it."""

    async def work() -> int:
        async with session.open() as hull:
            scan = await find_scan(hull, session, scan_id)
            report = JsonReport(scan.id) if form == "json" else TextReport()
            async with aclosing(hull.calls.follow(VERIFY, ScanId(scan.id), session.caller)) as results:
                async for result in results:
                    report.add(result)
        return 1 if report.faults else 0

    return run_async(work())


class TextReport:
    """Faults as they come, each over the first claims that rest on it; ``faults`` counts them."""

    def __init__(self) -> None:
        self.faults = 0
        self._goes_on = False
        self._claims = 0

    def add(self, result: Verified) -> None:
        """Print a fault, further claims of the last one, or the counts."""
        if result.checked is not None:
            numbers = (
                (result.checked.records, "record"),
                (result.checked.blobs, "body"),
                (result.checked.claims, "claim"),
            )
            checked = ", ".join(count(number, what) for number, what in numbers)
            click.echo(f"{checked} checked, {count(self.faults, 'fault')}")
        if result.fault is not None:
            self._add_fault(result.fault)

    def _add_fault(self, fault: Fault) -> None:
        if not self._goes_on:
            self.faults += 1
            click.echo(f"{fault.kind}: {fault.artefact} {clean(fault.request)}".rstrip())
            self._claims = 0
        for said in fault.claims[: max(0, CLAIMS_SHOWN - self._claims)]:
            module, _, claim = said.partition(": ")
            rests = "it says now" if fault.kind == "claim altered" else "rests on it"
            click.echo(f"    {rests}: {clean(claim_words(claim))}  [{module}]")
        self._claims += len(fault.claims)
        self._goes_on = fault.more
        if self._claims > CLAIMS_SHOWN and not fault.more:
            click.echo(f"    and {count(self._claims - CLAIMS_SHOWN, 'other claim')} (--format json has all)")


class JsonReport:
    """One JSON object with all faults; ``faults`` counts them."""

    def __init__(self, scan: UUID) -> None:
        self.faults = 0
        self._claims: list[str] = []
        self._document = JsonDocument({"scan": scan}, "faults")

    def add(self, result: Verified) -> None:
        """Write a fault when all of its claims are there, or the counts."""
        fault = result.fault
        if result.checked is not None:
            self._document.close(asdict(result.checked))
        if fault is None:
            return
        self._claims += fault.claims
        if not fault.more:
            self.faults += 1
            named = {"fault": fault.kind, "artefact": fault.artefact, "request": fault.request}
            self._document.add({**named, "claims": self._claims})
            self._claims = []


def write_record(view: RecordView) -> None:
    """Print what was asked and how it was answered."""
    record = view.record
    click.echo(f"record    {view.id}")
    click.echo(f"request   {record.protocol}: {clean(record.request)}")
    click.echo(f"asked by  {view.module}@{view.version}, scan {str(view.scan)[:8]}")
    click.echo(f"at        {instant(record.at)}, {record.elapsed / 1000:.1f} ms, {record.egress} to {record.peer}")
    if record.error:
        click.echo(f"failure   {clean(record.error)}")
    if record.tls_error:
        click.echo(f"TLS       {clean(record.tls_error)}")
    for line in record.head.splitlines():
        click.echo(f"  {clean(line)}")
    if record.blob is not None:
        cut = ", cut at the limit" if record.truncated else ""
        click.echo(f"body      {view.blob}, {count(record.size, 'byte')}{cut}")


def _write_body(session: Session, view: RecordView, content: bytes) -> None:
    if view.record.protocol == "dns":
        from services.cli.transcripts import transcript_lines

        lines = transcript_lines(content)
    else:
        lines = content[:20_000].decode("utf-8", "replace").splitlines()
    click.echo("")
    for line in lines[:200]:
        click.echo(clean(line))
    if len(lines) > 200 or len(content) > 20_000:
        click.echo(f"… the whole body: {session.line(f'evidence show {view.id[:16]} --body')}")
