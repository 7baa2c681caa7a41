"""A report says what is in the data and nothing else, for whom it is made, and says it again in the same bytes."""

import asyncio
import io
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any, NoReturn, get_args
from uuid import UUID

import msgspec
import pypdf
import pytest
from msgspec.structs import replace
from selectolax.lexbor import LexborHTMLParser

from services.contracts import endpoints as e
from services.contracts import entities
from services.contracts.facts import Deleted
from services.contracts.resources import ScanId
from services.contracts.resources.correlation import Ground
from services.contracts.resources.reports import (
    BundleQuery,
    NewReport,
    ReportFile,
    ReportFormat,
    ReportRef,
    ReportsQuery,
    ReportView,
)
from services.contracts.resources.storage import EntityFacts, Facts
from services.kernel.calls import operator
from services.kernel.errors import Conflict, Corrupt, Invalid, NotFound, Unavailable
from services.kernel.service import Received
from services.reporting.consumers import CONSUMERS
from services.reporting.domain.reports.citing import statements
from services.reporting.domain.reports.document import Document
from services.reporting.domain.reports.plain import visible
from services.reporting.store import reports as store
from services.reporting.usecases import bundling, reports, typesetting
from services.reporting.usecases.rendering import read_document
from tests.services.reporting.press import AS_OF, BEFORE, CREATED, ELSEWHERE, HOUR, SCAN, WORKSPACE, Press

TEMPLATES = ("executive", "technical", "evidence")
FORMS = ("pdf", "html", "md", "json")
#: What would be markup in HTML, Markdown or typst, be read as a control, or turn a line round.
HOSTILE = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "](javascript:alert(1)) ![x](http://evil.example/x)",
    "*bold* _it_ `code` | cell | # head",
    '#panic("x") #read("/etc/passwd") $x$ @ref \\ <label>',
    "{{ 7 * 7 }} {% raw %}",
    "a\u202egpj.exe\u2066",
    "line\nbreak\r\n# heading",
    "中文 😀 \x00\x1b[31m",
    "&lt;b&gt; &#60;",
)


def pages_of(pdf: bytes) -> list[str]:
    return [page.extract_text() for page in pypdf.PdfReader(io.BytesIO(pdf)).pages]


def joined(text: str) -> str:
    """A text without what a page does to it: where its lines end."""
    return "".join(text.split())


async def document(press: Press, report: ReportView) -> Document:
    return read_document(await press.read(report, "json"))


def texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for member in value.values():
            yield from texts(member)
    elif isinstance(value, list):
        for member in value:
            yield from texts(member)


@pytest.mark.parametrize("template", TEMPLATES)
async def test_every_finding_of_the_data_is_in_every_form(press: Press, template: str) -> None:
    report = await press.make(template)
    assert (report.findings, report.shown) == (8, 8)
    for form in ("html", "md", "pdf"):
        content = await press.read(report, form)
        text = joined("".join(pages_of(content)) if form == "pdf" else content.decode()).replace("\\", "")
        for view in press.views:
            assert joined(view.finding.title) in text, (form, view.finding.title)
            assert view.finding.entities[0].value in text, form


@pytest.mark.parametrize("form", FORMS)
async def test_each_form_says_what_it_is_and_is_called(press: Press, form: str) -> None:
    assert set(FORMS) == set(get_args(ReportFormat))
    report = await press.make()
    first, *others = await press.follow(e.READ_REPORT, ReportFile(report=report.id.hex, format=form))  # type: ignore[arg-type]
    assert first.media_type
    assert first.name.endswith(f".{form}")
    assert not any(piece.media_type for piece in others)


async def test_a_file_begins_before_it_is_made(press: Press, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody between waits for long for its headers, and who leaves meanwhile ends the work."""

    async def endless(*_: object) -> NoReturn:
        await asyncio.Event().wait()
        raise AssertionError

    report = await press.make()
    for module in (reports, bundling):
        monkeypatch.setattr(module, "render", endless)
    for asked in (
        press.calls.follow(e.READ_REPORT, ReportFile(report=report.id.hex, format="pdf"), operator(WORKSPACE)),
        press.calls.follow(e.READ_BUNDLE, BundleQuery(report=report.id.hex), operator(WORKSPACE)),
    ):
        async with aclosing(asked) as pieces, asyncio.timeout(10):
            assert (await anext(pieces)).name


async def test_the_pdf_says_what_the_data_says(press: Press) -> None:
    press.authorise()
    report = await press.make("technical", tlp="red", title="Example Ltd, autumn")
    pages = pages_of(await press.read(report, "pdf"))
    first, text = joined(pages[0]), joined("".join(pages))
    for said in ("Example Ltd, autumn", "example.org", str(SCAN), "Technical report", "Jo Doe, ticket 7", "TLP:RED"):
        assert joined(said) in first or said.upper() in first, said
    assert joined("2026-11-02 08:00:00 UTC to 2026-11-04 08:00:00 UTC") in first, "the window"
    assert joined("As of 2026-11-02 13:00:00 UTC") in first
    assert "Contents" in first
    for severity, number in press.counts.items():
        assert f"{severity.capitalize()}{number}" in text
    for source in press.sources:
        assert f"{source.module}@{source.version}" in text
    for place, page in enumerate(pages, 1):
        assert f"{place}/{len(pages)}" in joined(page)
        assert "TLP:RED" in page
    assert press.scan.evidence_root is not None
    assert press.scan.evidence_root in text


async def test_an_executive_summary_is_two_to_four_pages(tmp_path: Path) -> None:
    for number in (1, 60):
        press = await Press(
            tmp_path / str(number) if (tmp_path / str(number)).mkdir() is None else tmp_path, number
        ).open()
        report = await press.make("executive")
        assert len(pages_of(await press.read(report, "pdf"))) in range(1 if number == 1 else 2, 5)
        await press.close()


async def test_the_evidence_report_has_the_chain_from_each_claim_to_its_bytes(press: Press) -> None:
    text = joined("".join(pages_of(await press.read(await press.make("evidence"), "pdf"))))
    for each in press.records:
        assert each.id.hex() in text
        assert each.blob is not None
        assert each.blob.hex() in text
        assert joined(each.request) in text
    assert "crtsh@2" in text


async def test_a_record_that_is_kept_no_more_is_said_to_be_so(press: Press) -> None:
    gone = press.records.pop(0)
    said = (await press.read(await press.make("evidence"), "md")).decode()
    assert gone.id.hex() in said
    assert "not kept any more" in said


@pytest.mark.parametrize("template", TEMPLATES)
async def test_every_number_in_a_statement_comes_from_the_data(press: Press, template: str) -> None:
    """Other data have other numbers: none is written into a sentence."""
    for number in range(11, 31):
        press.add_finding(number)
    press.sources = tuple(replace(source, claims=7777) for source in press.sources)
    press.scan = replace(press.scan, sources=press.sources)
    made = await document(press, await press.make(template))
    data = {view.finding.confidence for view in press.views} | set(press.counts.values()) | {len(press.views)}
    data |= {len(press.hosts), 7777, 80, 50} | {sum(press.counts.values())}
    strong = sum(view.finding.confidence >= 80 for view in press.views)
    weak = sum(view.finding.confidence < 50 for view in press.views)
    data |= {strong, weak, len(press.changes), 0, 1}
    plain = re.compile(r"(?<![\w.@:/-])\d+(?![\w.:@/-]|,\d)")
    for section in made.sections:
        for block in section.blocks:
            if msgspec.to_builtins(block)["kind"] in {"paragraph", "bullets"}:
                for said in block.statements:  # type: ignore[union-attr]
                    if "Concerns" in said.text or "RFC" in said.text:
                        continue
                    assert {int(found) for found in plain.findall(said.text)} <= data, said.text


@pytest.mark.parametrize("template", TEMPLATES)
async def test_what_a_statement_rests_on_is_there(press: Press, template: str) -> None:
    made = await document(press, await press.make(template))
    ids, numbers = {each.id for each in made.findings}, {claim.number for claim in made.claims}
    assert ids == {view.finding.id for view in press.views}
    said = list(statements(made))
    assert {finding for each in said for finding in each.findings} == ids
    assert {number for each in said for number in each.claims} == numbers
    records = {record.id.hex() for record in press.records}
    assert {record for claim in made.claims for record in claim.evidence} == records
    for view in press.views:
        told = [each for each in said if view.finding.id in each.findings]
        grounds = {(ground.entity.id, ground.predicate) for ground in view.grounds}
        assert all(
            grounds <= {(made.claims[n - 1].entity, made.claims[n - 1].predicate) for n in each.claims} for each in told
        )


async def test_what_could_not_be_asked_is_said(press: Press) -> None:
    press.judged = False
    press.scan = replace(press.scan, state="stopped", reason="the timeout was reached")
    text = (await press.read(await press.make("executive"), "md")).decode()
    for said in ("stopped (the timeout was reached)", "Nobody authorised active work", "has been judged yet"):
        assert said in text
    plain = text.replace("\\", "")
    assert "Want to be asked later: urlscan (again after 09:00)" in plain
    assert "Asked in part: web (no answer within 10 s)" in plain
    assert "Asked without a key, which may know less: urlscan" in plain
    assert "answered in full" not in text


async def test_nothing_missing_is_said_too(press: Press) -> None:
    press.authorise()
    press.modules = press.modules[:2]
    press.scan = replace(press.scan, sources=press.sources[:1])
    text = (await press.read(await press.make("executive"), "md")).decode()
    assert "Every source that was to be asked has answered in full" in text


async def test_what_changed_is_counted_and_compared_with_the_scan_before(press: Press) -> None:
    old = press.add_finding(40, first_found=CREATED - HOUR)
    text = (await press.read(await press.make("executive"), "md")).decode()
    assert f"{len(press.views) - 1} findings are new since the scan of 2026-10-04" in text.replace("\\", "")
    assert "Things that are known: 1 new since then, 1 gone" in text
    assert old.finding.title in text
    assert BEFORE != SCAN


@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize("form", FORMS)
async def test_made_again_for_the_same_instant_it_has_the_same_bytes(
    press: Press, template: str, form: str, tmp_path: Path
) -> None:
    report = await press.make(template)
    first = await press.read(report, form)
    assert await press.read(report, form) == first, "read again"
    assert await press.make(template) == report, "made again where it is kept"
    (tmp_path / "other").mkdir()
    other = await Press(tmp_path / "other").open()
    again = await other.make(template)
    assert (again.id, again.sha256) == (report.id, report.sha256)
    assert await other.read(again, form) == first, "made again where it is not"
    await other.close()


async def test_a_report_stays_as_it_was_whatever_becomes_of_the_findings(keeping: Press) -> None:
    report = await keeping.make("technical")
    before = await keeping.read(report, "html")
    keeping.views = keeping.views[:1]
    keeping.scan = replace(keeping.scan, sources=())
    assert await keeping.read(report, "html") == before
    later = await keeping.make("technical", as_of=AS_OF + HOUR)
    assert later.id != report.id
    assert later.findings == 1


async def test_what_was_found_later_is_not_in_a_report_of_an_earlier_instant(press: Press) -> None:
    late = press.add_finding(50, first_found=AS_OF + 1)
    made = await document(press, await press.make("technical"))
    assert late.finding.id not in {each.id for each in made.findings}


async def test_an_instant_that_a_report_cannot_be_about_is_refused(press: Press) -> None:
    with pytest.raises(Conflict):
        await press.make(as_of=CREATED - 1)
    with pytest.raises(Invalid):
        await press.make(as_of=2**62)
    with pytest.raises(NotFound):
        await press.follow(e.MAKE_REPORT, NewReport(scan=UUID(int=77)))


@pytest.mark.parametrize("template", TEMPLATES)
async def test_the_page_needs_nothing_from_elsewhere_and_runs_nothing(press: Press, template: str) -> None:
    page = (await press.read(await press.make(template), "html")).decode()
    tree = LexborHTMLParser(page)
    assert not tree.css("script, link, iframe, object, embed, img, form, base, video, audio, meta[http-equiv=refresh]")
    for node in tree.css("*"):
        for name, value in node.attributes.items():
            assert not name.startswith("on"), name
            assert name not in {"style", "src", "srcset", "action"}
            if name in {"href", "xlink:href"}:
                assert (value or "").startswith("#")
    policy = tree.css_first("meta[http-equiv=Content-Security-Policy]").attributes["content"]
    assert policy is not None
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    style = tree.css_first("style").text()
    assert "url(" not in style
    assert "@import" not in style
    targets = {node.attributes["id"] for node in tree.css("[id]")}
    assert {(node.attributes["href"] or "")[1:] for node in tree.css("a")} <= targets


@pytest.mark.parametrize("value", HOSTILE)
async def test_a_hostile_value_is_text_in_every_form(press: Press, value: str) -> None:
    press.add_finding(60, value=value, rule="database", title=value, reason=value)
    press.extra = [Facts(entities=(hostile_fact(value),))]
    report = await press.make("technical", title="Plain")
    page = (await press.read(report, "html")).decode()
    tree = LexborHTMLParser(page)
    assert not tree.css("script, img, b, a[href^=javascript]")
    assert joined(visible(value)) in joined(tree.body.text() if tree.body is not None else "")
    plain = (await press.read(report, "md")).decode()
    assert not re.search(r"(?<!\\)<|(?<!\\)!\[|(?<!\\)\]\(|\n# heading", plain)
    assert "\u202e" not in plain + page
    assert "\x1b" not in plain + page
    text = joined("".join(pages_of(await press.read(report, "pdf"))))
    assert joined(re.sub(r"[^\x20-\x7e]", lambda c: f"\\u{{{ord(c[0]):x}}}", value)) in text
    assert "\x00" not in text, "a character without a glyph"


def hostile_fact(value: str) -> EntityFacts:
    entity = replace(entities.hostname("a.example.org"), key=(value,))
    return EntityFacts(entity=entity, role="in_scope", distance=0, first_seen=CREATED, last_seen=CREATED)


async def test_a_long_value_is_cut_and_says_so(press: Press) -> None:
    press.add_finding(61, title="x" * 5000)
    text = (await press.read(await press.make("technical"), "md")).decode()
    assert "4,400 further characters" in text
    assert "x" * 601 not in text


async def test_a_digest_is_broken_before_it_runs_into_the_next_column_and_copied_whole(press: Press) -> None:
    digest = "9f3e86564f3335f1" * 4
    entity = entities.hostname("a.example.org")
    fact = EntityFacts(
        entity=replace(entity, key=(digest,)), role="in_scope", distance=0, first_seen=CREATED, last_seen=CREATED
    )
    press.extra = [Facts(entities=(fact,))]
    text = "".join(pages_of(await press.read(await press.make("technical"), "pdf")))
    assert digest not in text
    assert digest in joined(text)


async def test_the_worst_are_told_of_more_than_a_report_has_room_for(press: Press) -> None:
    for number in range(100, 5092):
        view = press.views[number % 8]
        row = replace(view.finding, id=UUID(int=number))
        press.views.append(replace(view, finding=row))
    press.views.sort(key=lambda each: each.finding.severity != "critical")
    report = await press.make("technical")
    assert (report.findings, report.shown) == (5000, 500)
    assert press.asked == {"findings": 5, "finding": 500}
    made = await document(press, report)
    assert {each.severity for each in made.findings} == {"critical"}
    text = (await press.read(report, "md")).decode()
    assert "This report tells the 500 worst of 5,000 findings; all of them are in the export." in text


@pytest.mark.parametrize(("limit", "value"), [("SECONDS", 0.01), ("MEMORY", 150_000_000)])
async def test_a_pdf_that_takes_more_than_it_may_takes_nothing_else_down(
    press: Press, monkeypatch: pytest.MonkeyPatch, limit: str, value: float
) -> None:
    report = await press.make("technical")
    with monkeypatch.context() as patched:
        patched.setattr(typesetting, limit, value)
        with pytest.raises(Unavailable):
            await press.read(report, "pdf")
    assert (await press.read(report, "pdf")).startswith(b"%PDF")


async def test_a_finding_with_many_grounds_tells_some_and_says_how_many_more_there_are(press: Press) -> None:
    view = press.views[0]
    grounds = [replace(view.grounds[2], value=f"Another title {number}") for number in range(40)]
    press.views[0] = replace(view, grounds=tuple(grounds))
    text = (await press.read(await press.make("technical"), "md")).decode()
    assert "28 further grounds in the finding itself" in text
    assert text.count("Another title") == 12


async def test_what_follows_from_the_scan_has_no_time_and_no_module(press: Press) -> None:
    view = press.views[0]
    ground = Ground(role="host", entity=view.finding.entities[0], predicate="distance", value=0)
    press.views[0] = replace(view, grounds=(*view.grounds, ground))
    for template in ("technical", "evidence"):
        text = (await press.read(await press.make(template), "md")).decode()
        assert "the scan itself" in text
        assert "1970" not in text


async def test_what_people_have_put_aside_is_counted_and_not_told(press: Press) -> None:
    aside = [
        press.add_finding(70, status="false_positive", title="Put aside"),
        press.add_finding(71, suppressed="until May", title="Put aside"),
        press.add_finding(72, status="fixed", title="Put aside"),
    ]
    for template in TEMPLATES:
        report = await press.make(template)
        assert report.findings == len(press.views) - len(aside)
        text = (await press.read(report, "md")).decode()
        assert "Put aside" not in text
        assert "not told: 1 false positive, 1 fixed and 1 suppressed" in text


async def test_there_is_a_report_where_nothing_was_found(tmp_path: Path) -> None:
    press = await Press(tmp_path, findings=0).open()
    for template in TEMPLATES:
        report = await press.make(template)
        text = joined("".join(pages_of(await press.read(report, "pdf"))))
        assert joined("example.org") in text
        assert report.findings == 0
    await press.close()


async def test_reports_are_listed_found_and_deleted_in_their_workspace_alone(keeping: Press) -> None:
    first = await keeping.make("executive")
    second = await keeping.make("technical")
    assert {each.id for each in await keeping.ask(e.LIST_REPORTS, ReportsQuery())} == {first.id, second.id}
    assert await keeping.ask(e.LIST_REPORTS, ReportsQuery(scan=UUID(int=8))) == ()
    assert await keeping.ask(e.GET_REPORT, ReportRef(str(first.id)[:6])) == first
    assert await keeping.ask(e.LIST_REPORTS, ReportsQuery(), ELSEWHERE) == ()
    for endpoint in (e.GET_REPORT, e.DELETE_REPORT):
        with pytest.raises(NotFound):
            await keeping.ask(endpoint, ReportRef(str(first.id)), ELSEWHERE)
    for named in ("", "zz", "%", "x" * 100):
        with pytest.raises(NotFound):
            await keeping.ask(e.GET_REPORT, ReportRef(named))
    await keeping.ask(e.DELETE_REPORT, ReportRef(str(first.id)))
    assert [each.id for each in await keeping.ask(e.LIST_REPORTS, ReportsQuery())] == [second.id]
    assert await documents(keeping) == {second.id.hex}


async def test_two_that_make_the_same_at_once_keep_one(keeping: Press) -> None:
    one, other = await asyncio.gather(keeping.make("technical"), keeping.make("technical"))
    assert one == other
    assert await keeping.ask(e.LIST_REPORTS, ReportsQuery()) == (one,)
    assert await keeping.read(one, "json") == await keeping.read(other, "json")


async def test_no_report_is_kept_of_a_scan_that_was_deleted_while_it_was_made(keeping: Press) -> None:
    handle = CONSUMERS[0].handle
    assert handle is not None
    await keeping.make("executive")
    assert not (await keeping.ask(e.SWEPT_BY_REPORTING, ScanId(SCAN))).swept
    async with keeping.ports.outbox.unit() as unit:
        await handle(keeping.ports, unit, [Received(Deleted(scan=SCAN), WORKSPACE, 0)])
    with pytest.raises(NotFound, match="was deleted"):
        await keeping.make("technical")
    assert await documents(keeping) == set()
    assert (await keeping.ask(e.SWEPT_BY_REPORTING, ScanId(SCAN))).swept


async def test_reports_go_with_their_scan(keeping: Press) -> None:
    await keeping.make("technical")
    handle = CONSUMERS[0].handle
    assert handle is not None
    for workspace, left in ((ELSEWHERE, 1), (WORKSPACE, 0)):
        async with keeping.ports.outbox.unit() as unit:
            await handle(keeping.ports, unit, [Received(Deleted(scan=SCAN), workspace, 0)])
        assert len(await keeping.ask(e.LIST_REPORTS, ReportsQuery())) == left
    assert await documents(keeping) == set()


async def test_a_report_that_was_changed_where_it_is_kept_is_refused(keeping: Press) -> None:
    report = await keeping.make("executive")
    content = await store.read(keeping.documents, WORKSPACE, report.id)
    assert content is not None
    content["front"]["title"] = "All is well"
    await store.keep(keeping.documents, WORKSPACE, report.id, content, [])
    with pytest.raises(Corrupt):
        await keeping.read(report, "md")


async def documents(press: Press) -> set[str]:
    kept: AsyncIterator[Any] = press.documents.find(WORKSPACE, store.DOCUMENTS)
    return {each.key async for found in kept for each in found}
