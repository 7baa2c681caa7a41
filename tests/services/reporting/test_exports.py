"""Exports as they are asked for: all formats of what is stored, with findings where they are to be had."""

import io
import json
from collections.abc import AsyncGenerator, Callable
from typing import Any
from uuid import UUID

import openpyxl
import pytest

from services.contracts import attributes, relations
from services.contracts import endpoints as e
from services.contracts.claims import Entity
from services.contracts.resources import EXPORT_FORMATS, ExportQuery
from services.contracts.resources.correlation import FindingPage, FindingRef, FindingsQuery, FindingView
from services.kernel.app import create_app, identify_operator, serve_hosts
from services.kernel.calls import Caller, Piece, operator
from services.kernel.errors import Invalid, NotFound
from services.reporting.usecases import exports
from services.reporting.usecases.exports import FORMS
from tests.kernel.asgi import request
from tests.services.reporting.worlds import finding
from tests.services.storage.depot import ADDRESS, ELSEWHERE, SCAN, WORKSPACE, WWW, Depot, admitted, record, result

RESOLVES = relations.resolves_to(WWW, ADDRESS, record="A")
EVIDENCE = record("GET /")


async def stored(store: Depot) -> None:
    await store.take(
        result("web", WWW, RESOLVES, attributes.attribute(WWW, "tag", "mail"), records=[EVIDENCE]),
        admitted((WWW, "in_scope", 0), (ADDRESS, "affiliate", 1)),
    )


class Judge:
    """Correlation, with so many findings about one thing."""

    def __init__(self, store: Depot, about: Entity, count: int, *, judged: bool = True) -> None:
        self.views = [finding(about, number=number + 1) for number in range(count)]
        self.judged = judged
        store.calls.serve(None, {e.LIST_FINDINGS: self.list, e.GET_FINDING: self.get})

    async def list(self, _: object, caller: Caller, query: FindingsQuery) -> FindingPage:
        start = int(query.cursor or 0)
        rows = tuple(each.finding for each in self.views[start : start + query.limit])
        more = str(start + query.limit) if start + query.limit < len(self.views) else None
        return FindingPage(findings=rows, counts={}, judged=self.judged, cursor=more)

    async def get(self, _: object, caller: Caller, query: FindingRef) -> FindingView:
        found = next(each for each in self.views if str(each.finding.id) == query.finding)
        if found.finding.id.int == 2:
            raise NotFound("it is gone")
        return found


async def pieces(store: Depot, form: str, workspace: UUID = WORKSPACE, **fields: Any) -> list[Piece]:
    query = ExportQuery(**{"scan": SCAN, "format": form, **fields})
    return await store.follow(e.EXPORT, query, workspace)


async def whole(store: Depot, form: str, **fields: Any) -> bytes:
    return b"".join([each.data for each in await pieces(store, form, **fields)])


@pytest.mark.parametrize("form", EXPORT_FORMATS)
async def test_each_format_has_a_name_a_type_and_what_is_stored(store: Depot, form: str) -> None:
    await stored(store)
    first, *others = await pieces(store, form)
    assert first.media_type == FORMS[form].media_type  # type: ignore[index]
    assert first.name == f"mirage-00000000.{FORMS[form].ending}"  # type: ignore[index]
    assert not any(each.name or each.media_type for each in others)
    data = b"".join(each.data for each in (first, *others))
    if form == "xlsx":
        rows = openpyxl.load_workbook(io.BytesIO(data))["entities"].iter_rows(values_only=True)
        assert WWW.value in {row[1] for row in rows}
    else:
        assert WWW.value.encode() in data or form == "hosts"
    if form not in {"hosts", "csv", "xlsx"}:
        assert EVIDENCE.id.hex().encode() in data


@pytest.mark.parametrize("form", EXPORT_FORMATS)
async def test_nothing_that_one_workspace_has_is_exported_in_another(store: Depot, form: str) -> None:
    nothing = [each.data for each in await pieces(store, form, ELSEWHERE, all=True)]
    await stored(store)
    there = b"".join(each.data for each in await pieces(store, form, ELSEWHERE, all=True))
    if form == "xlsx":
        assert openpyxl.load_workbook(io.BytesIO(there))["entities"].max_row == 1
    else:
        assert there == b"".join(nothing)


@pytest.mark.parametrize("form", ["stix", "misp", "xlsx"])
async def test_without_findings_there_is_an_export_that_says_so(store: Depot, form: str) -> None:
    await stored(store)
    assert (await pieces(store, form))[-1].lacks == "findings were not to be had"
    Judge(store, WWW, 1, judged=False)
    assert (await pieces(store, form))[-1].lacks == "not all that is stored was judged yet"


@pytest.mark.parametrize("form", ["hosts", "jsonl", "json", "csv", "gexf", "graphml"])
async def test_a_format_without_findings_lacks_none(store: Depot, form: str) -> None:
    await stored(store)
    assert not any(each.lacks for each in await pieces(store, form))


async def test_all_findings_are_there_the_worst_of_them_explained(
    store: Depot, monkeypatch: pytest.MonkeyPatch
) -> None:
    await stored(store)
    monkeypatch.setattr(exports, "FINDINGS", 3)
    monkeypatch.setattr(exports, "EXPLAINED", 4)
    Judge(store, WWW, 8)
    last = (await pieces(store, "stix"))[-1]
    assert not last.lacks
    notes = [each for each in json.loads(await whole(store, "stix"))["objects"] if each["type"] == "note"]
    assert len(notes) == 8
    explained = [note["content"] != note["abstract"] for note in notes]
    assert explained == [True, False, True, True, True, True, False, False], "one was gone when it was asked for"


async def test_of_an_instant_there_are_no_findings(store: Depot) -> None:
    await stored(store)
    Judge(store, WWW, 1)
    last = (await pieces(store, "stix", as_of=3000))[-1]
    assert last.lacks == "findings are of now, not of an instant"
    early = json.loads(await whole(store, "stix", as_of=10))["objects"]
    assert not [each for each in early if each["type"] == "domain-name"]


@pytest.mark.parametrize(
    ("form", "fields"),
    [
        ("stix", {"canonical": True}),
        ("csv", {"tlp": "red"}),
        ("misp", {"profile": "strict"}),
    ],
)
async def test_what_a_format_has_no_place_for_is_refused(store: Depot, form: str, fields: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        await pieces(store, form, **fields)


async def test_large_pieces_are_cut_for_the_way(store: Depot, monkeypatch: pytest.MonkeyPatch) -> None:
    await stored(store)
    uncut = await whole(store, "jsonl")
    monkeypatch.setattr(exports, "PIECE", 100)
    cut = await pieces(store, "jsonl")
    assert max(len(each.data) for each in cut) == 100
    assert b"".join(each.data for each in cut) == uncut


async def test_who_leaves_early_leaves_nothing_open(store: Depot, monkeypatch: pytest.MonkeyPatch) -> None:
    await stored(store)
    closed: list[object] = []
    begin: Callable[..., Any] = exports.begin_export

    def watched(*given: Any) -> Any:
        export = begin(*given)
        close = export.close
        export.close = lambda: (closed.append(export), close())
        return export

    monkeypatch.setattr(exports, "begin_export", watched)
    parts: AsyncGenerator[Piece, None] = store.calls.follow(
        e.EXPORT, ExportQuery(scan=SCAN, format="gexf"), operator(WORKSPACE)
    )
    await anext(parts)
    await parts.aclose()
    assert len(closed) == 1


async def test_a_person_with_curl_gets_the_file(store: Depot) -> None:
    await stored(store)
    app = create_app(store.calls, [e.EXPORT], hosts=serve_hosts("127.0.0.1:1"), identify=identify_operator())
    for form, ending in (("xlsx", "xlsx"), ("stix", "stix.json"), ("hosts", "txt")):
        url = f"/v1/scans/{SCAN}/export?format={form}"
        reply = await request(app, "GET", url, headers={"Mirage-Workspace": str(WORKSPACE)})
        assert reply.status == 200
        assert reply.headers["content-disposition"] == f'attachment; filename="mirage-00000000.{ending}"'
        assert reply.headers["content-type"] == FORMS[form].media_type  # type: ignore[index]
        if form == "xlsx":
            assert openpyxl.load_workbook(io.BytesIO(reply.body))["entities"].max_row == 2
        if form == "stix":
            assert json.loads(reply.body)["type"] == "bundle"
    events = await request(app, "GET", url, headers={"Mirage-Workspace": str(WORKSPACE), "Accept": "text/event-stream"})
    assert events.events()[-1] == ("end", "")


def test_every_format_is_made() -> None:
    assert set(FORMS) == set(EXPORT_FORMATS)
