"""Exports of a scan: what storage has of it and what correlation has found in it, written as it comes."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import aclosing
from tempfile import TemporaryFile
from typing import Final, NamedTuple

from services.contracts.endpoints import GET_FINDING, GET_PLAN, GET_SCAN, LIST_CLAIMS, LIST_FINDINGS, READ_FACTS
from services.contracts.plan import Plan
from services.contracts.resources import ClaimsQuery, ClaimView, ExportFormat, ExportQuery, ScanId, ScanRef
from services.contracts.resources.correlation import FindingRef, FindingRow, FindingsQuery, FindingView
from services.contracts.resources.storage import FactsQuery
from services.kernel.calls import Caller, Calls, Piece
from services.kernel.errors import Invalid, NotFound, Unavailable
from services.kernel.service import Ports
from services.reporting.domain.exports.documents import Canonical, Csv, Json, Lines
from services.reporting.domain.exports.export import About, Export
from services.reporting.domain.exports.graphs import Gexf, GraphMl
from services.reporting.domain.exports.hosts import RESOLVES, Hosts
from services.reporting.domain.exports.misp import MispEvent
from services.reporting.domain.exports.stix import StixBundle
from services.reporting.domain.exports.xlsx import Workbook

#: Bytes of a piece of the file at most, and claims and findings that are taken at a time.
PIECE: Final = 1_000_000
CLAIMS: Final = 500
FINDINGS: Final = 200
#: Findings, the worst first, that are told with what they rest on; each costs a question.
EXPLAINED: Final = 5_000
#: Questions for findings at a time.
AT_ONCE: Final = 8


class Form(NamedTuple):
    """What a format is as a file; ``judged``: whether findings have a place in it."""

    media_type: str
    ending: str
    judged: bool = False


FORMS: Final[dict[ExportFormat, Form]] = {
    "hosts": Form("text/plain; charset=utf-8", "txt"),
    "jsonl": Form("application/jsonl", "jsonl"),
    "json": Form("application/json", "json"),
    "csv": Form("text/csv; charset=utf-8", "csv"),
    "stix": Form("application/stix+json;version=2.1", "stix.json", judged=True),
    "misp": Form("application/json", "misp.json", judged=True),
    "gexf": Form("application/gexf+xml", "gexf"),
    "graphml": Form("application/graphml+xml", "graphml"),
    "xlsx": Form("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "xlsx", judged=True),
}


def begin_export(query: ExportQuery, about: About, plan: Plan) -> Export:
    """The file that is asked for, of which nothing is written yet."""
    match query.format:
        case "hosts":
            return Hosts(resolving(plan), TemporaryFile, everything=query.all)
        case "jsonl":
            return Lines(TemporaryFile)
        case "json":
            return Json(TemporaryFile)
        case "csv":
            return Csv(TemporaryFile)
        case "stix":
            return StixBundle(about, TemporaryFile, profile=query.profile, tlp=query.tlp)
        case "misp":
            return MispEvent(about, TemporaryFile, tlp=query.tlp)
        case "gexf":
            return Gexf(about, TemporaryFile)
        case "graphml":
            return GraphMl(about, TemporaryFile)
        case "xlsx":
            return Workbook(about, TemporaryFile)


def resolving(plan: Plan) -> frozenset[str]:
    """The modules of a scan that ask the DNS for addresses of names."""
    asks = (module for module in plan.modules if module.activity != "passive" and RESOLVES in module.produces)
    return frozenset(module.id for module in asks)


async def export_scan(ports: Ports, caller: Caller, query: ExportQuery) -> AsyncGenerator[Piece, None]:
    """Stream an export of what is stored now."""
    check(query)
    plan = await ports.calls.ask(GET_PLAN, ScanId(query.scan), caller)
    pieces = _canonical(ports.calls, caller, query) if query.canonical else _export(ports.calls, caller, query, plan)
    async with aclosing(pieces):
        async for piece in pieces:
            yield piece


def check(query: ExportQuery) -> None:
    """Raise `Invalid` for what the format has no place for."""
    if query.canonical and query.format not in {"jsonl", "json"}:
        raise Invalid("the canonical form is written as jsonl or json")
    if query.tlp is not None and query.format not in {"stix", "misp"}:
        raise Invalid(f"{query.format} has no place for a marking, stix and misp do")
    if query.profile != "opencti" and query.format != "stix":
        raise Invalid("a profile is one of stix")


async def _export(calls: Calls, caller: Caller, query: ExportQuery, plan: Plan) -> AsyncGenerator[Piece, None]:
    scan = await calls.ask(GET_SCAN, ScanRef(str(query.scan)), caller)
    form = FORMS[query.format]
    export = begin_export(query, About(scan=query.scan.hex, at=scan.created), plan)
    try:
        yield Piece(data=b"".join(export.begin()), media_type=form.media_type, name=_name(query, form))
        if form.judged:
            async for found in _findings(calls, caller, query, export):
                yield Piece(data=b"".join(export.find(found)))
        facts = calls.follow(READ_FACTS, FactsQuery(scan=query.scan, all=query.all, as_of=query.as_of), caller)
        async with aclosing(facts):
            async for some in facts:
                async for piece in _pieces(export.add(some)):
                    yield piece
        async for piece in _pieces(export.end()):
            yield piece
        if export.without or export.left_out:
            yield Piece(data=b"", lacks=export.without, left_out=export.left_out)
    finally:
        export.close()


async def _canonical(calls: Calls, caller: Caller, query: ExportQuery) -> AsyncGenerator[Piece, None]:
    form, export = FORMS[query.format], Canonical(as_list=query.format == "json")
    yield Piece(data=b"".join(export.begin()), media_type=form.media_type, name=_name(query, form))
    claims = calls.follow(LIST_CLAIMS, ClaimsQuery(scan=query.scan, as_of=query.as_of), caller)
    async with aclosing(claims):
        async for some in _batches(claims):
            async for piece in _pieces(export.add(some)):
                yield piece
    async for piece in _pieces(export.end()):
        yield piece


async def _batches(claims: AsyncIterator[ClaimView]) -> AsyncIterator[list[ClaimView]]:
    batch: list[ClaimView] = []
    async for claim in claims:
        batch.append(claim)
        if len(batch) >= CLAIMS:
            yield batch
            batch = []
    if batch:
        yield batch


async def _pieces(made: Iterator[bytes]) -> AsyncIterator[Piece]:
    """What is made in a thread, so that it holds up nobody, in pieces that are not too large to be passed on."""
    while (data := await _aside(made)) is not None:
        for start in range(0, len(data), PIECE):
            yield Piece(data=data[start : start + PIECE])


async def _aside(made: Iterator[bytes]) -> bytes | None:
    """The next of what is made; a thread cannot be broken off, so who goes away waits for its step."""
    step = asyncio.ensure_future(asyncio.to_thread(next, made, None))
    try:
        return await asyncio.shield(step)
    except asyncio.CancelledError:
        await asyncio.wait({step})
        raise


async def _findings(
    calls: Calls, caller: Caller, query: ExportQuery, export: Export
) -> AsyncIterator[Sequence[FindingView]]:
    """The findings of a scan, the worst first; the export is told where it has to do without."""
    if query.as_of is not None:
        export.without = "findings are of now, not of an instant"
        return
    asked = FindingsQuery(scan=query.scan, limit=FINDINGS)
    explained = 0
    try:
        while True:
            page = await calls.ask(LIST_FINDINGS, asked, caller)
            if not page.judged:
                export.without = "not all that is stored was judged yet"
            views = [_unexplained(row) for row in page.findings]
            if explained < EXPLAINED:
                views = await _explained(calls, caller, query, views)
                explained += len(views)
            if views:
                yield views
            if page.cursor is None:
                return
            asked = FindingsQuery(scan=query.scan, limit=FINDINGS, cursor=page.cursor)
    except Unavailable:
        export.without = "findings were not to be had"


async def _explained(
    calls: Calls, caller: Caller, query: ExportQuery, views: Sequence[FindingView]
) -> list[FindingView]:
    """The same with what they rest on; one that is gone meanwhile stays as it was listed."""
    turns = asyncio.Semaphore(AT_ONCE)

    async def explain(view: FindingView) -> FindingView:
        async with turns:
            try:
                return await calls.ask(GET_FINDING, FindingRef(finding=str(view.finding.id), scan=query.scan), caller)
            except NotFound:
                return view

    return list(await asyncio.gather(*map(explain, views)))


def _unexplained(row: FindingRow) -> FindingView:
    return FindingView(finding=row, description="", advice="", references=(), matches=1, grounds=(), history=())


def _name(query: ExportQuery, form: Form) -> str:
    return f"mirage-{query.scan.hex[:8]}.{form.ending}"
