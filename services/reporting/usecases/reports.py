"""Reports: made once for an instant, kept as they were, read in any form as often as somebody likes."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final
from uuid import UUID

import msgspec

from services.contracts.bundles import digest
from services.contracts.resources import ScanId, Swept
from services.contracts.resources.reports import (
    Making,
    NewReport,
    ReportFile,
    ReportFormat,
    ReportRef,
    ReportsQuery,
    ReportView,
)
from services.kernel.calls import Caller, Nothing, Piece
from services.kernel.errors import Corrupt, Invalid, NotFound
from services.kernel.messages import NAMESPACE, derive, now
from services.kernel.service import Ports
from services.kernel.trail import say_about, say_made
from services.kernel.version import VERSION
from services.reporting.domain.reports.build import build
from services.reporting.domain.reports.document import Document
from services.reporting.store import reports as store
from services.reporting.usecases.gathering import Gathering
from services.reporting.usecases.rendering import render, write_document

#: Bytes of a document, which the port keeps as one; and of a piece that is read.
LARGEST: Final = 14_000_000
PIECE: Final = 262_144
MEDIA_TYPES: Final[dict[ReportFormat, str]] = {
    "pdf": "application/pdf",
    "html": "text/html; charset=utf-8",
    "md": "text/markdown; charset=utf-8",
    "json": "application/json",
}


async def make(ports: Ports, caller: Caller, new: NewReport) -> AsyncGenerator[Making, None]:
    """Make a report, or find the one that was made of the same for the same instant.

    Raises:
        NotFound: there is no such scan.
        Conflict: it began later than that.
        Invalid: the instant is to come, or there is more to tell than a report has room for.
    """
    at = now()
    as_of = at if new.as_of is None else new.as_of
    if not 0 <= as_of <= at:
        raise Invalid("a report is about an instant that is past")
    identity = report_id(caller.workspace, new, as_of)
    kept = await _find(ports, caller, identity.hex)
    if kept is not None:
        say_about(report=kept.id)
        yield Making(report=kept)
        return
    gathering = Gathering(ports, caller, new, as_of)
    async with aclosing(gathering.gather()) as steps:
        async for step in steps:
            yield Making(step=step)
    document = build(gathering.inputs)
    content = write_document(document)
    if len(content) > LARGEST:
        raise Invalid("there is more to tell than one report has room for; the export has all of it")
    report = ReportView(
        id=identity,
        scan=new.scan,
        template=new.template,
        tlp=new.tlp,
        title=document.front.title,
        as_of=as_of,
        made=at,
        by=caller.name,
        version=VERSION,
        findings=gathering.inputs.tally.total,
        shown=len(gathering.inputs.findings),
        sha256=digest(content),
    )
    findings = [msgspec.to_builtins(view) for view in gathering.inputs.findings]
    async with ports.outbox.unit() as unit:
        await store.hold_scan(unit.tx, caller.workspace, new.scan)
        if await store.is_deleted(unit.tx, caller.workspace, new.scan):
            raise NotFound(f"the scan {new.scan} was deleted")
        await store.hold(unit.tx, caller.workspace, identity)
        other = await store.within(unit.tx, caller.workspace, identity.bytes, identity.bytes)
        if not other:
            say_made(report=identity)
            await store.keep(ports.documents, caller.workspace, identity, msgspec.to_builtins(document), findings)
            await store.insert(unit.tx, caller.workspace, report)
    yield Making(report=next(iter(other), report))


async def list_reports(ports: Ports, caller: Caller, query: ReportsQuery) -> tuple[ReportView, ...]:
    async with ports.sql.read() as view:
        return await store.newest(view, caller.workspace, query.scan, query.limit)


async def get(ports: Ports, caller: Caller, ref: ReportRef) -> ReportView:
    """A report by its id or a beginning of it.

    Raises:
        NotFound: there is none.
        Invalid: it is the beginning of several.
    """
    found = await _find(ports, caller, ref.report)
    if found is None:
        raise NotFound(f"there is no report {ref.report[:64]}")
    return found


def name_of(report: ReportView, ending: str) -> str:
    """What the file of a report is called."""
    return f"mirage-{report.scan.hex[:8]}-{report.template}.{ending}"


async def read(ports: Ports, caller: Caller, query: ReportFile) -> AsyncGenerator[Piece, None]:
    """A report in a form, piece by piece; the file begins before it is made."""
    report = await get(ports, caller, ReportRef(query.report))
    say_about(report=report.id, scan=report.scan)
    document = await document_of(ports, caller, report)
    yield Piece(data=b"", media_type=MEDIA_TYPES[query.format], name=name_of(report, query.format))
    content = await render(ports, document, query.format)
    for start in range(0, len(content), PIECE):
        yield Piece(data=content[start : start + PIECE])


async def swept(ports: Ports, caller: Caller, question: ScanId) -> Swept:
    """Whether a scan was deleted here: its tombstone is written with the last of its reports."""
    async with ports.sql.read() as view:
        return Swept(question.scan, await store.is_deleted(view, caller.workspace, question.scan))


async def delete(ports: Ports, caller: Caller, ref: ReportRef) -> Nothing:
    """Forget a report; what was handed on stays with whoever has it."""
    report = await get(ports, caller, ref)
    say_about(report=report.id, scan=report.scan)
    async with ports.outbox.unit() as unit:
        await store.delete(unit.tx, caller.workspace, report.id)
    await store.forget(ports.documents, caller.workspace, report.id)
    return Nothing()


async def document_of(ports: Ports, caller: Caller, report: ReportView) -> Document:
    """The document of a report, as it was made.

    Raises:
        Corrupt: what is kept is not what was made.
    """
    content = await store.read(ports.documents, caller.workspace, report.id)
    if content is None:
        raise NotFound(f"of the report {report.id} there is no document any more")
    document = msgspec.convert(content, Document)
    if digest(write_document(document)) != report.sha256:
        raise Corrupt(f"the report {report.id} is not what was made")
    return document


def report_id(workspace: UUID, new: NewReport, as_of: int) -> UUID:
    """The id of a report: of the same for the same instant there is one."""
    said = msgspec.json.encode([str(new.scan), new.template, new.tlp, new.title, as_of]).decode()
    return derive(NAMESPACE, f"report|{workspace.hex}|{said}")


async def _find(ports: Ports, caller: Caller, named: str) -> ReportView | None:
    plain = named.strip().lower().replace("-", "")
    if not 0 < len(plain) <= 32 or set(plain) - set("0123456789abcdef"):
        return None
    first, last = bytes.fromhex(plain.ljust(32, "0")), bytes.fromhex(plain.ljust(32, "f"))
    async with ports.sql.read() as view:
        found = await store.within(view, caller.workspace, first, last)
    if len(found) > 1:
        raise Invalid(f"{named} is the beginning of several ids; say more of it")
    return found[0] if found else None
