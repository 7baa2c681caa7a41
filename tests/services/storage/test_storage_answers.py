"""What storage answers: search, records by prefix, claims by record, nothing across workspaces; and what it forgets."""

import random
from uuid import UUID

import pytest

from services.contracts import attributes, entities, relations
from services.contracts import endpoints as e
from services.contracts.claims import Absence, claim_key, claim_line, stated
from services.contracts.evidence import record_digest
from services.contracts.facts import Deleted
from services.contracts.resources import (
    ClaimsQuery,
    DiffQuery,
    EntityQuery,
    InstantsQuery,
    RecordQuery,
    Retract,
    ScanId,
    SearchPage,
    SearchQuery,
)
from services.contracts.resources.storage import FactsOf, FactsQuery
from services.kernel.calls import Endpoint, Nothing
from services.kernel.errors import Invalid, NotFound
from tests.services.storage.depot import (
    ADDRESS,
    ELSEWHERE,
    LATER,
    SCAN,
    TARGET,
    WORKSPACE,
    WWW,
    Depot,
    admitted,
    record,
    result,
)

RESOLVES = relations.resolves_to(WWW, ADDRESS, record="A")


# Search


async def found(store: Depot, text: str = "", workspace: UUID = WORKSPACE, **fields) -> SearchPage:
    return await store.ask(e.FIND_ENTITIES, SearchQuery(text=text, **fields), workspace)


@pytest.mark.parametrize("text", ["www", "example", "ww.exam", "WWW.Example.ORG", "ple.org"])
async def test_any_part_of_a_name_finds_it(store: Depot, text: str) -> None:
    await store.take(result("web", WWW, ADDRESS))
    assert not (await found(store, text)).entities
    await store.index()
    assert [row.value for row in (await found(store, text)).entities] == ["www.example.org"]
    assert not (await found(store, "nowhere")).entities


async def test_a_search_can_be_narrowed_to_a_type_a_scan_and_a_role(store: Depot) -> None:
    other = entities.hostname("mail.example.org")
    await store.take(
        result("web", WWW, TARGET),
        result("web", other, of=LATER),
        admitted((WWW, "in_scope", 1), (TARGET, "target", 0)),
    )
    await store.index()
    assert {row.value for row in (await found(store, "example")).entities} == {WWW.value, TARGET.value, other.value}
    assert [row.value for row in (await found(store, "example", type="domain")).entities] == [TARGET.value]
    (row,) = (await found(store, "example", scan=SCAN, role="in_scope")).entities
    assert (row.value, row.scope_role, row.distance) == (WWW.value, "in_scope", 1)
    assert [row.value for row in (await found(store, "example", scan=LATER)).entities] == [other.value]


async def test_pages_follow_each_other_to_the_end(store: Depot) -> None:
    hosts = [entities.hostname(f"n{number}.example.org") for number in range(25)]
    await store.take(result("web", *hosts, records=[]))
    await store.index()
    seen: list[str] = []
    cursor = None
    while True:
        page = await found(store, "example", limit=10, cursor=cursor)
        seen += [row.value for row in page.entities]
        cursor = page.cursor
        if cursor is None:
            break
    assert sorted(seen) == sorted(host.value for host in hosts)
    assert page.total == 25
    assert page.facets == {"type": {"hostname": 25}}


async def pages(store: Depot, **fields) -> list[SearchPage]:
    """All pages of a search, one after the other."""
    found_pages = [await found(store, **fields)]
    while (cursor := found_pages[-1].cursor) is not None:
        found_pages.append(await found(store, cursor=cursor, **fields))
    return found_pages


@pytest.mark.parametrize("text", ["", "example"])
@pytest.mark.parametrize("counted", [2000, 10], ids=["by-the-index", "through-the-scan"])
async def test_what_is_narrowed_to_a_scan_has_full_pages_and_its_own_counts(
    store: Depot, monkeypatch: pytest.MonkeyPatch, text: str, counted: int
) -> None:
    for place in ("kernel.search.fts", "storage.usecases.narrowed"):
        monkeypatch.setattr(f"services.{place}.COUNTED", counted)
    others = [entities.hostname(f"n{number}.example.org") for number in range(40)]
    hosts = [entities.hostname(f"n{number}.example.org") for number in range(0, 60, 10)]
    near = [(host, "in_scope", 0) for host in hosts[:3]] + [(host, "affiliate", 1) for host in hosts[3:]]
    await store.take(
        result("web", *others, of=LATER, records=[]), result("web", *hosts, TARGET, records=[]), admitted(*near)
    )
    await store.index()

    first, second, *rest = await pages(store, text=text, scan=SCAN, type="hostname", limit=3)
    assert [len(page.entities) for page in (first, second, *rest) if page.entities] == [3, 3]
    assert {row.value for page in (first, second) for row in page.entities} == {host.value for host in hosts}
    assert (first.total, first.facets) == (6, {"type": {"hostname": 6}})
    everything = await found(store, text, scan=SCAN)
    assert (everything.total, everything.facets) == (7, {"type": {"hostname": 6, "domain": 1}})
    inside = await found(store, text, scan=SCAN, role="in_scope", limit=3)
    assert ({row.value for row in inside.entities}, inside.total) == ({host.value for host in hosts[:3]}, 3)


async def test_a_page_of_a_scan_ends_where_enough_was_looked_at_and_the_next_goes_on(
    store: Depot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.storage.usecases.narrowed._AT_ONCE", 10)
    monkeypatch.setattr("services.storage.usecases.narrowed.LOOKED_AT", 20)
    for place in ("kernel.search.fts", "storage.usecases.narrowed"):
        monkeypatch.setattr(f"services.{place}.COUNTED", 1)
    hosts = [entities.hostname(f"n{number}.example.org") for number in range(50)]
    await store.take(result("web", *hosts, records=[]))
    await store.index()
    found_pages = await pages(store, text="n49", scan=SCAN, limit=5)
    assert [row.value for page in found_pages for row in page.entities] == ["n49.example.org"]
    assert len(found_pages) == 3


ODD_CURSORS = ["", "no", "-1", "\xb2", "9" * 19, "9" * 30, "0" * 20 + "9" * 20, "0" * 5000]


@pytest.mark.parametrize(
    "fields",
    [{"role": "target"}, *({"scan": SCAN, "cursor": cursor} for cursor in ODD_CURSORS)],
    ids=lambda each: str(each)[-30:],
)
async def test_a_role_without_a_scan_and_a_cursor_that_is_none_are_refused(store: Depot, fields: dict) -> None:
    await store.take(result("web", WWW))
    with pytest.raises(Invalid):
        await found(store, **fields)


@pytest.mark.parametrize("limit", [0, -1, 1001])
async def test_a_page_has_a_size(store: Depot, limit: int) -> None:
    with pytest.raises(Invalid):
        await found(store, "x", limit=limit)


@pytest.mark.parametrize("text", ['"', "'", "*", "NEAR(a b)", "a OR b", "-x", "(", "\u202e", "a" * 5000, "%", "_"])
async def test_hostile_searches_find_nothing_and_break_nothing(store: Depot, text: str) -> None:
    await store.take(result("web", WWW))
    await store.index()
    assert not (await found(store, text)).entities


# Entities


async def test_an_entity_is_shown_with_all_that_is_said_of_it(store: Depot) -> None:
    said = stated(RESOLVES, confidence=60, valid_from=5, valid_to=9, where="line:3")
    await store.take(
        result("web", WWW, said, attributes.attribute(WWW, "tag", "mail"), Absence(WWW, "alias_of")),
        admitted((WWW, "in_scope", 2)),
    )
    for value in ("www.example.org", "WWW.Example.Org."):
        (view,) = await store.ask(e.GET_ENTITY, EntityQuery(value=value, scan=SCAN))
        assert (view.type, view.key, view.scope_role, view.distance) == ("hostname", WWW.key, "in_scope", 2)
        assert [each.module for each in view.assertions] == ["web"]
        assert [(each.name, each.value) for each in view.attributes] == [("tag", "mail")]
        assert [each.predicate for each in view.absences] == ["alias_of"]
        (relation,) = view.relations
        (assertion,) = relation.assertions
        assert (relation.type, relation.target_value, relation.qualifiers) == (
            "resolves_to",
            "192.0.2.1",
            {"record": "A"},
        )
        assert (assertion.confidence, assertion.valid_from, assertion.valid_to) == (60, 5, 9)
        assert (assertion.where, assertion.scan) == ("line:3", SCAN)
    (seen_from_there,) = await store.ask(e.GET_ENTITY, EntityQuery(value="192.0.2.1"))
    assert [each.source_value for each in seen_from_there.relations] == ["www.example.org"]


async def test_a_scan_tells_when_it_saw_things_itself(store: Depot) -> None:
    await store.take(result("web", WWW, at=1000))
    await store.index()
    alone = await store.export()
    await store.take(result("web", WWW, at=7000, of=LATER))
    assert await store.export() == alone
    for scan, seen in ((SCAN, (1000, 1000)), (LATER, (7000, 7000)), (None, (1000, 7000))):
        (view,) = await store.ask(e.GET_ENTITY, EntityQuery(value="www.example.org", scan=scan))
        (row,) = (await store.ask(e.FIND_ENTITIES, SearchQuery(text="www", scan=scan))).entities
        assert (view.first_seen, view.last_seen) == (row.first_seen, row.last_seen) == seen


async def test_an_entity_of_another_scan_or_type_is_not_shown(store: Depot) -> None:
    await store.take(result("web", WWW))
    assert await store.ask(e.GET_ENTITY, EntityQuery(value="www.example.org", scan=LATER)) == ()
    assert await store.ask(e.GET_ENTITY, EntityQuery(value="www.example.org", type="username")) == ()
    assert await store.ask(e.GET_ENTITY, EntityQuery(value="nowhere.example.org")) == ()


# Evidence


async def test_a_record_is_found_by_the_beginning_of_its_hash_or_of_its_body_s(store: Depot) -> None:
    kept = record("GET /", blob=bytes.fromhex("abcdef" + "00" * 29))
    await store.take(result("web", WWW, records=[kept]), result("web", WWW, of=LATER, records=[kept]))
    for digest in (kept.id.hex(), kept.id.hex()[:5], kept.id.hex()[:4].upper(), "abcd", "abcdef0"):
        views = await store.ask(e.FIND_RECORDS, RecordQuery(digest))
        assert {(view.record, view.scan, view.module, view.version) for view in views} == {
            (kept, SCAN, "web", 1),
            (kept, LATER, "web", 1),
        }
    assert await store.ask(e.FIND_RECORDS, RecordQuery("0" * 64)) == ()


async def test_a_record_is_found_in_every_scan_however_many_items_share_it(store: Depot) -> None:
    shared = record("GET /shared", blob=b"\xab" * 32)
    others = [record(f"GET /{number}", blob=b"\xab" * 32) for number in range(150)]
    for scan in (SCAN, LATER):
        for number in range(120):
            subject = entities.hostname(f"h{number}.example.org")
            await store.take(result("web", subject=subject, of=scan, records=[shared]))
        await store.take(result("crtsh", of=scan, records=others))
    views = await store.ask(e.FIND_RECORDS, RecordQuery(shared.id.hex()))
    assert sorted(view.scan for view in views) == sorted((SCAN, LATER))
    views = await store.ask(e.FIND_RECORDS, RecordQuery("ab" * 32))
    expected = {(each.id, scan) for each in (shared, *others) for scan in (SCAN, LATER)}
    assert {(view.record.id, view.scan) for view in views} == expected
    assert len(views) == len(expected)


@pytest.mark.parametrize("record_id", ["ab", "a" * 63, "zz" * 32])
async def test_claims_are_asked_for_by_a_whole_record_id(store: Depot, record_id: str) -> None:
    with pytest.raises(Invalid):
        await store.follow(e.LIST_CLAIMS, ClaimsQuery(scan=SCAN, record=record_id))


@pytest.mark.parametrize("digest", ["", "abc", "xyz1", "a" * 65, "ab cd", "../.."])
async def test_what_is_no_hash_is_refused(store: Depot, digest: str) -> None:
    with pytest.raises(Invalid):
        await store.ask(e.FIND_RECORDS, RecordQuery(digest))


async def test_all_records_of_a_scan_are_listed_also_those_that_nothing_cites(store: Depot) -> None:
    kept = [record(f"GET /{number}") for number in range(1200)]
    await store.take(result("web", WWW, records=kept), result("crtsh", records=kept[:5]))
    views = await store.follow(e.LIST_RECORDS, ScanId(SCAN))
    assert sorted(view.record.id for view in views) == sorted(each.id for each in kept)
    assert all(record_digest(view.record) == view.record.id for view in views)


async def test_claims_are_listed_by_the_record_that_they_rest_on_and_by_item(store: Depot) -> None:
    one, two = record("GET /1"), record("GET /2")
    results = [result("web", WWW, RESOLVES, records=[one, two]), result("crtsh", WWW, records=[two])]
    await store.take(*results)
    everything = await store.follow(e.LIST_CLAIMS, ClaimsQuery(scan=SCAN))
    assert [(view.module, view.claim) for view in everything] == sorted(
        ((view.module, view.claim) for view in everything),
        key=lambda each: claim_key(each[1], each[0], 1),
    )
    assert len(everything) == 3
    by_record = await store.follow(e.LIST_CLAIMS, ClaimsQuery(scan=SCAN, record=two.id.hex()))
    assert sorted((view.module, claim_line(view.claim)) for view in by_record) == [
        ("crtsh", claim_line(WWW)),
        ("web", claim_line(RESOLVES)),
    ]
    by_item = await store.follow(e.LIST_CLAIMS, ClaimsQuery(scan=SCAN, item=results[1].item))
    assert [(view.module, view.evidence) for view in by_item] == [("crtsh", (two.id.hex(),))]
    assert await store.follow(e.LIST_CLAIMS, ClaimsQuery(scan=SCAN, record="00" * 32)) == []
    with pytest.raises(Invalid):
        await store.follow(e.LIST_CLAIMS, ClaimsQuery(scan=SCAN, record="xyz"))


@pytest.mark.parametrize("content", [b"", b"\xff" * 50, b"\x80", b"\x93\x01\x02\x03"])
async def test_a_record_that_cannot_be_read_is_listed_as_one_that_does_not_fit_its_hash(
    store: Depot, content: bytes
) -> None:
    kept = record("GET /")
    await store.take(result("web", WWW, records=[kept]))
    async with store.sql.begin() as tx:
        await tx.execute("UPDATE record SET content = :content", content=content)
    (view,) = await store.follow(e.LIST_RECORDS, ScanId(SCAN))
    assert view.record.id == kept.id
    assert record_digest(view.record) != kept.id


# Deletion


async def test_deleting_a_scan_leaves_the_others_as_if_it_had_never_been(store: Depot, tmp_path) -> None:
    from tests.services.storage.depot import depot

    rng = random.Random(5)
    hosts = [entities.hostname(f"n{number}.example.org") for number in range(30)]

    def results(scan: UUID, seed: int) -> list:
        own = random.Random(seed)
        picked = own.sample(hosts, 15)
        return [
            *(
                result("web", host, relations.alias_of(host, own.choice([h for h in hosts if h != host])),
                       attributes.attribute(host, "tag", own.choice(("mail", "web"))), of=scan, subject=host,
                       at=own.randrange(1000), records=[record(f"GET /{own.randrange(5)}")])
                for host in picked
            ),
            admitted(*((host, "in_scope", own.randrange(3)) for host in picked), of=scan),
        ]  # fmt: skip

    kept, gone = results(SCAN, 1), results(LATER, 2)
    mixed = [*kept, *gone]
    rng.shuffle(mixed)
    await store.take(*mixed, at=500)
    await store.take(Deleted(scan=LATER))
    folder = tmp_path / "other"
    folder.mkdir()
    async with depot(folder) as alone:
        await alone.take(*kept, at=500)
        expected, left = await alone.tables("recorded_at"), await store.tables("recorded_at")
        left["scan"] = [row for row in left["scan"] if row[1] != LATER.bytes]
        assert left == expected
        assert await store.export() == await alone.export()


async def test_a_deleted_scan_is_no_longer_found_in_any_way(store: Depot) -> None:
    kept = record("GET /")
    await store.take(result("web", WWW, RESOLVES, records=[kept]), admitted((WWW, "in_scope", 0)))
    await store.index()
    assert not (await store.ask(e.SWEPT_BY_STORAGE, ScanId(SCAN))).swept
    await store.take(Deleted(scan=SCAN))
    assert (await store.ask(e.SWEPT_BY_STORAGE, ScanId(SCAN))).swept
    assert not (await found(store, "www")).entities
    assert await store.ask(e.FIND_RECORDS, RecordQuery(kept.id.hex())) == ()
    assert await store.ask(e.GET_ENTITY, EntityQuery(value="www.example.org")) == ()
    assert await store.export() == ""
    tables = await store.tables()
    assert {name: len(rows) for name, rows in tables.items() if rows} == {"scan": 1}


async def test_an_entity_that_another_scan_saw_stays_findable(store: Depot) -> None:
    await store.take(result("web", WWW, at=100), result("web", WWW, of=LATER, at=900))
    await store.index()
    await store.take(Deleted(scan=LATER))
    (row,) = (await found(store, "www")).entities
    assert (row.first_seen, row.last_seen) == (100, 100)


async def test_deleting_in_one_workspace_leaves_the_other_alone(store: Depot) -> None:
    for workspace in (WORKSPACE, ELSEWHERE):
        await store.take(result("web", WWW), admitted((WWW, "in_scope", 0)), workspace=workspace)
    await store.index()
    await store.take(Deleted(scan=SCAN), workspace=ELSEWHERE)
    assert (await store.ask(e.GET_STORED, ScanId(SCAN))).claims == 1
    assert len((await found(store, "www")).entities) == 1
    assert not (await found(store, "www", ELSEWHERE)).entities
    await store.take(result("crtsh", WWW, subject=WWW))
    assert (await store.ask(e.GET_STORED, ScanId(SCAN))).claims == 2


# Workspaces

QUESTIONS: list[tuple[Endpoint, object]] = [
    (e.FIND_ENTITIES, SearchQuery(text="www")),
    (e.FIND_ENTITIES, SearchQuery(scan=SCAN)),
    (e.GET_ENTITY, EntityQuery(value="www.example.org")),
    (e.GET_ENTITY, EntityQuery(value="www.example.org", scan=SCAN)),
    (e.GET_STORED, ScanId(SCAN)),
    (e.DIFF, DiffQuery(SCAN, LATER)),
    (e.DIFF_INSTANTS, InstantsQuery(before=0, after=1 << 62)),
    (e.DIFF_INSTANTS, InstantsQuery(before=0, after=1 << 62, scan=SCAN)),
    (e.FIND_RECORDS, RecordQuery(record("GET /").id.hex())),
    (e.LIST_RECORDS, ScanId(SCAN)),
    (e.LIST_CLAIMS, ClaimsQuery(scan=SCAN)),
    (e.LIST_CLAIMS, ClaimsQuery(scan=SCAN, record=record("GET /").id.hex())),
    (e.RETRACT, Retract(module="dns_records", reason="wrong")),
    (e.LIST_RETRACTIONS, Nothing()),
    (e.READ_FACTS, FactsQuery(scan=SCAN, all=True)),
    (e.READ_FACTS_OF, FactsOf(scan=SCAN, entities=(WWW.id,), relations=((WWW.id, RESOLVES.id),))),
]


def test_every_endpoint_is_asked_across_workspaces() -> None:
    from services.storage.service import service

    asked = {endpoint.name for endpoint, _ in QUESTIONS}
    assert asked | {e.SWEPT_BY_STORAGE.name} == {endpoint.name for endpoint in service.answers}


async def test_what_was_deleted_in_one_workspace_is_not_so_in_another(store: Depot) -> None:
    await store.take(Deleted(scan=SCAN))
    assert (await store.ask(e.SWEPT_BY_STORAGE, ScanId(SCAN))).swept
    assert not (await store.ask(e.SWEPT_BY_STORAGE, ScanId(SCAN), ELSEWHERE)).swept


@pytest.mark.parametrize(("endpoint", "question"), QUESTIONS, ids=lambda value: getattr(value, "name", ""))
async def test_nothing_that_one_workspace_has_is_seen_from_another(store: Depot, endpoint, question) -> None:
    async def told(workspace: UUID) -> str:
        if endpoint.streams:
            return repr(await store.follow(endpoint, question, workspace))
        return repr(await store.ask(endpoint, question, workspace))

    nothing = await told(ELSEWHERE)
    await store.take(result("dns_records", RESOLVES, WWW, records=[record("GET /")]), admitted((WWW, "in_scope", 0)))
    await store.index()
    await store.follow(e.RETRACT, Retract(module="crtsh", reason="wrong"))
    assert await told(ELSEWHERE) == nothing
    assert await told(WORKSPACE) != nothing


@pytest.mark.parametrize(
    ("endpoint", "question"),
    [
        (e.DIFF, DiffQuery(SCAN, LATER)),
        (e.DIFF, DiffQuery(LATER, SCAN)),
        (e.LIST_RECORDS, ScanId(LATER)),
        (e.LIST_CLAIMS, ClaimsQuery(scan=LATER)),
        (e.GET_STORED, ScanId(LATER)),
        (e.GET_ENTITY, EntityQuery(value=WWW.value, scan=LATER)),
        (e.FIND_ENTITIES, SearchQuery(scan=LATER)),
    ],
    ids=lambda value: value.name if isinstance(value, Endpoint) else None,
)
async def test_a_scan_that_there_is_not_is_said_so(store: Depot, endpoint: Endpoint, question: object) -> None:
    await store.take(result("web", WWW, ADDRESS))
    store.unknown.add(LATER)
    with pytest.raises(NotFound, match="there is no scan"):
        await (store.follow if endpoint.streams else store.ask)(endpoint, question)
