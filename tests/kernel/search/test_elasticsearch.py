"""What only the adapter on Elasticsearch does: outlive its server, keep its layout, say what the server means."""

import asyncio
import random
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from elasticsearch import AsyncElasticsearch
from hypothesis import given
from hypothesis import strategies as st

from services.kernel.errors import Denied, Exhausted, Incompatible, Invalid, MirageError, Unavailable
from services.kernel.search import Indexed, Search, elastic, elastic_connection, elastic_index
from services.kernel.search.elastic import ElasticsearchSearch
from services.kernel.search.elastic_index import grams
from services.kernel.search.fts import FtsSearch
from services.kernel.search.words import fold, terms
from services.kernel.server import Server, Trust
from tests.collector.fetch.authority import Signer
from tests.kernel.conftest import drop_indexes
from tests.kernel.search.front import HEADERS, Front, Slow, refuses
from tests.servers.running import Server as Running

A, B = uuid.UUID(int=1), uuid.UUID(int=2)
SECONDS = 60  # that a test waits for what has to come
Bare = Callable[[], AsyncElasticsearch]


def indexed(number: int, text: str, **fields: str) -> Indexed:
    return Indexed(id=number.to_bytes(8, "big"), text=text, fields=fields)


def located(running: Running, prefix: str = "mirage") -> Server:
    return Server.parse(f"{running.url}/{prefix}")


async def settled(call: Callable[[], Awaitable[Any]]) -> Any:
    """What a call brings as soon as the server is there again."""
    async with asyncio.timeout(SECONDS):
        while True:
            try:
                return await call()
            except Unavailable:
                await asyncio.sleep(0.05)


async def all_unavailable(search: Search, *calls: Awaitable[Any]) -> None:
    everything = (
        *calls,
        search.ping(),
        search.declare("entities", ["type"]),
        search.put(A, "entities", [indexed(9_999, "never acknowledged")]),
        search.delete(A, "entities", [indexed(9_998, "").id]),
        search.find(A, "entities", "example"),
        search.refresh("entities"),
    )
    async with asyncio.timeout(SECONDS):
        outcomes = await asyncio.gather(*everything, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [Unavailable] * len(everything)


@pytest.fixture
async def place(shared_server: Callable[[str], Running]) -> AsyncIterator[Server]:
    server = located(shared_server("elasticsearch"), f"test-{uuid.uuid4().hex}")
    yield server
    await drop_indexes(server)


@pytest.fixture
async def search(place: Server) -> AsyncIterator[ElasticsearchSearch]:
    opened = ElasticsearchSearch(place)
    await opened.declare("entities", ["type"])
    yield opened
    await opened.close()


@pytest.fixture
async def bare(place: Server) -> AsyncIterator[AsyncElasticsearch]:
    """The library itself, to look at what the adapter does from the other side."""
    async with AsyncElasticsearch(f"http://{place.address}") as client:
        yield client


# Lives of the server


@pytest.mark.server
@pytest.mark.slow
async def test_it_waits_for_a_server_that_is_away_killed_or_held(own_server: Callable[[str], Running]) -> None:
    running = own_server("elasticsearch")
    search = ElasticsearchSearch(located(running))
    await search.declare("entities", ["type"])
    documents = [indexed(n, f"host{n}.example.org", type="hostname") for n in range(500)]
    await search.put(A, "entities", documents)
    await search.put(A, "entities", documents)

    with running.held():
        await all_unavailable(search, *(search.find(A, "entities", "host") for _ in range(50)))
    await settled(search.ping)

    running.kill()
    await all_unavailable(search)
    starting = ElasticsearchSearch(located(running))
    with pytest.raises(Unavailable):
        await starting.declare("entities", [])
    running.start(wait=False)
    await settled(lambda: starting.declare("entities", []))
    await settled(lambda: search.refresh("entities"))
    found = await search.find(A, "entities", "example", facets=["type"])
    assert (found.total, found.facets) == (500, {"type": {"hostname": 500}})
    await search.put(A, "entities", [indexed(1_000, "after.example.org")])
    await starting.refresh("entities")
    assert (await starting.find(A, "entities", "example")).total == 501
    await search.close()
    await starting.close()


@pytest.mark.server
async def test_of_several_hosts_one_is_enough(place: Server) -> None:
    search = ElasticsearchSearch(Server.parse(f"elasticsearch://127.0.0.1:1,{place.address}/{place.path}"))
    await search.declare("entities", [])
    for n in range(5):
        await search.put(A, "entities", [indexed(n, "alpha")])
    await search.refresh("entities")
    assert (await search.find(A, "entities", "alpha")).total == 5
    await search.close()


@pytest.mark.server
async def test_a_slow_answer_of_a_live_server_is_waited_for(place: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(elastic_connection, "DOUBT_SECONDS", 0.01)
    done = asyncio.Event()
    probes: list[str] = []

    def answer(request: web.Request) -> web.StreamResponse | None:
        if request.method == "HEAD":
            probes.append(request.path)
            if len(probes) == 3:
                done.set()
        return Slow('{"_shards": {"failed": 0}}', done) if request.path.endswith("/_refresh") else None

    async with fronted(place, answer) as search:
        await search.declare("entities", ["type"])
        async with asyncio.timeout(SECONDS):
            await search.refresh("entities")
    assert len(probes) >= 3


@pytest.mark.server
async def test_closing_lets_what_was_begun_end(search: ElasticsearchSearch, bare: AsyncElasticsearch) -> None:
    puts = [asyncio.create_task(search.put(A, "entities", [indexed(n, f"host{n}")])) for n in range(20)]
    while not search.measures()["in_flight"]:
        await asyncio.sleep(0)
    await search.close()
    outcomes = await asyncio.gather(*puts, return_exceptions=True)
    acknowledged = outcomes.count(None)
    assert acknowledged
    assert {type(outcome) for outcome in outcomes} <= {type(None), Unavailable}
    alias = search._alias("entities")
    await bare.indices.refresh(index=alias)
    assert (await bare.count(index=alias))["count"] == acknowledged


# What it finds


@given(text=st.text(max_size=40), part=st.text(max_size=6))
def test_the_trigrams_of_a_part_follow_each_other_in_those_of_a_text(text: str, part: str) -> None:
    folded = fold(text)
    for term in terms(part):
        assert f" {grams(term)} " in f" {grams(folded)} " or term not in folded
        assert f" {grams(term)} " not in f" {grams(folded)} " or term in folded


LETTERS = "aab .-_1ñßﬁ東京\u0301ЖS☃X"


@pytest.mark.server
async def test_it_finds_what_the_embedded_index_finds_in_the_same_order(
    search: ElasticsearchSearch, tmp_path: Path
) -> None:
    source = random.Random(7)
    embedded = FtsSearch(tmp_path / "search.db")
    await embedded.declare("entities", ["type"])
    texts = ["".join(source.choices(LETTERS, k=source.randint(0, 30))) for _ in range(400)]
    documents = [indexed(n, text, type=source.choice("xy")) for n, text in enumerate(texts)]
    for each in (search, embedded):
        await each.put(A, "entities", documents)
        await each.refresh("entities")
    for _ in range(150):
        text = source.choice(texts)
        start = source.randrange(len(text) + 1)
        query = text[start : start + source.randint(0, 12)]
        how: dict[str, Any] = {"limit": 1000, "facets": ["type"], "where": source.choice([None, {"type": "x"}])}
        found = [await each.find(A, "entities", query, **how) for each in (search, embedded)]
        assert found[0] == found[1], query
    await embedded.close()


@pytest.mark.server
async def test_every_document_of_a_common_word_comes_once_and_the_best_first(search: ElasticsearchSearch) -> None:
    hosts = [indexed(n, f"h{n}.{'x' * (n % 40)}.example.org", type="hostname") for n in range(4_100)]
    await search.put(A, "entities", [*hosts, indexed(5_000, "example.org"), indexed(5_001, "example.org.uk")])
    await search.refresh("entities")
    seen: list[int] = []
    cursor = None
    while cursor is not None or not seen:
        page = await search.find(A, "entities", "example.org", limit=1000, cursor=cursor)
        seen += [int.from_bytes(each, "big") for each in page.ids]
        cursor = page.cursor
    assert seen[:2] == [5_000, 5_001]
    assert len(seen) == len(set(seen)) == 4_102


@pytest.mark.server
async def test_a_query_that_folding_makes_much_longer_is_one_too(search: ElasticsearchSearch) -> None:
    long = "ﷺ" * 1000
    await search.put(A, "entities", [indexed(1, long), indexed(2, "a b c d e f g h i j k l m n o p q r s t")])
    await search.refresh("entities")
    assert (await search.find(A, "entities", long)).total == 1
    assert (await search.find(A, "entities", "a b c d e f g h i j k l m n o p q r s t u")).total == 1


# What it keeps


@pytest.mark.server
async def test_every_document_carries_its_workspace(search: ElasticsearchSearch, bare: AsyncElasticsearch) -> None:
    for workspace in (A, B):
        await search.put(workspace, "entities", [indexed(1, "alpha"), indexed(2, "beta")])
    await search.refresh("entities")
    hits = (await bare.search(index=search._alias("entities")))["hits"]["hits"]
    assert sorted((hit["_source"]["workspace"], hit["_routing"]) for hit in hits) == [
        (each.hex, each.hex) for each in (A, A, B, B)
    ]
    await search.delete(A, "entities", [indexed(1, "").id])
    await search.refresh("entities")
    assert (await search.find(B, "entities", "alpha")).total == 1


@pytest.mark.server
async def test_what_is_too_much_for_one_request_goes_in_several(
    search: ElasticsearchSearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(elastic_index, "MAX_BULK", 5_000)
    before = search.measures()["calls"]
    await search.put(A, "entities", [indexed(n, f"example {'word ' * 3 * n}") for n in range(60)])
    assert search.measures()["calls"] - before > 10
    await search.refresh("entities")
    assert (await search.find(A, "entities", "example")).total == 60
    await search.delete(A, "entities", [n.to_bytes(8, "big") for n in range(1, 60)])
    await search.refresh("entities")
    assert (await search.find(A, "entities", "example")).total == 1


@pytest.mark.server
async def test_a_document_that_cannot_be_indexed_is_invalid_and_keeps_no_other_back(
    search: ElasticsearchSearch,
) -> None:
    for content in ("x" * 40_000, "\ud800"):
        with pytest.raises(Invalid) as caught:
            await search.put(A, "entities", [indexed(1, "alpha"), indexed(2, "beta", type=content)])
        assert "xxx" not in str(caught.value)
    with pytest.raises(Invalid):
        await search.put(A, "entities", [Indexed(bytes(300), "alpha", {})])
    await search.refresh("entities")
    assert (await search.find(A, "entities", "alpha")).total == 1


@pytest.mark.server
async def test_an_index_of_another_layout_is_incompatible(
    place: Server, search: ElasticsearchSearch, bare: AsyncElasticsearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    alias = search._alias("entities")
    await bare.indices.put_mapping(index=alias, meta={"format": 2})
    later = ElasticsearchSearch(place)
    with pytest.raises(Incompatible):
        await later.declare("entities", ["type"])
    await later.close()


# What the server says


@pytest.mark.server
async def test_a_full_disk_takes_no_more_and_still_finds(search: ElasticsearchSearch, bare: AsyncElasticsearch) -> None:
    await search.put(A, "entities", [indexed(1, "alpha")])
    await search.refresh("entities")
    blocked = {"index.blocks.read_only_allow_delete": True}  # as the server does at its flood stage
    await bare.indices.put_settings(index=search._alias("entities"), settings=blocked)
    with pytest.raises(Exhausted, match="elasticsearch at 127"):
        await search.put(A, "entities", [indexed(2, "beta")])
    assert (await search.find(A, "entities", "alpha")).total == 1
    await bare.indices.put_settings(
        index=search._alias("entities"), settings={"index.blocks.read_only_allow_delete": None}
    )
    await search.put(A, "entities", [indexed(2, "beta")])


@pytest.mark.server
async def test_without_its_shards_an_index_is_unavailable(
    search: ElasticsearchSearch, bare: AsyncElasticsearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(elastic, "SERVER_WAITS", "100ms")
    alias = search._alias("entities")
    mapping = next(iter((await bare.indices.get_mapping(index=alias)).values()))["mappings"]
    await bare.indices.delete(index=f"{alias}-1")
    await bare.indices.create(
        index=f"{alias}-1",
        aliases={alias: {}},
        mappings={"_meta": mapping["_meta"], "properties": {"workspace": {"type": "keyword"}}},
        settings={"index.routing.allocation.require._name": "nowhere"},
        wait_for_active_shards=0,
    )
    for call in (
        search.ping(),
        search.find(A, "entities", ""),
        search.put(A, "entities", [indexed(1, "alpha")]),
        search.refresh("entities"),
    ):
        with pytest.raises(Unavailable):
            await call


@pytest.mark.server
async def test_an_index_that_is_gone_is_not_made_by_writing(
    search: ElasticsearchSearch, bare: AsyncElasticsearch
) -> None:
    alias = search._alias("entities")
    made = await search.declare("entities", [])
    await search.ping()
    await bare.indices.delete(index=f"{alias}-1")
    with pytest.raises(Unavailable, match=f"lacks a part of {alias}"):
        await search.ping()
    for call in (
        search.put(A, "entities", [indexed(1, "alpha")]),
        search.find(A, "entities", "alpha"),
    ):
        with pytest.raises(Unavailable, match="declare"):
            await call
    with pytest.raises(Unavailable):
        await search.refresh("entities")
    assert not await bare.indices.exists(index=alias)
    assert await search.declare("entities", []) != made
    await search.ping()
    await search.put(A, "entities", [indexed(1, "alpha", type="a")])


class fronted:  # noqa: N801  used as a function
    """An adapter that speaks with the server through a front."""

    def __init__(self, place: Server, answer: Callable[[web.Request], web.StreamResponse | None], **how: Any) -> None:
        self.front = Front(f"http://{place.address}", answer)
        self.place = place
        self.tls = how.get("tls")
        self.login = how.get("login", "")
        self.trust = how.get("trust", Trust())

    async def __aenter__(self) -> ElasticsearchSearch:
        await self.front.open(self.tls)
        url = f"elasticsearch{'+tls' if self.tls else ''}://{self.login}localhost:{self.front.port}/{self.place.path}"
        self.search = ElasticsearchSearch(Server.parse(url, trust=self.trust))
        return self.search

    async def __aexit__(self, *_: object) -> None:
        await self.search.close()
        await self.front.close()


@pytest.mark.server
async def test_a_server_with_too_much_to_do_is_asked_again(place: Server) -> None:
    bulks = 0

    def answer(request: web.Request) -> web.StreamResponse | None:
        nonlocal bulks
        if not request.path.endswith("/_bulk"):
            return None
        bulks += 1
        error = {"type": "es_rejected_execution_exception", "reason": "the queue is full"}
        items = [{"index": {"status": 201}}, {"index": {"status": 429, "error": error}}]
        match bulks:
            case 1:
                return refuses("es_rejected_execution_exception")
            case 2:
                return web.json_response({"errors": True, "items": items}, headers=HEADERS)
            case _:
                return None

    async with fronted(place, answer) as search:
        await search.declare("entities", [])
        await search.put(A, "entities", [indexed(1, "alpha one"), indexed(2, "alpha two")])
        await search.refresh("entities")
        found = await search.find(A, "entities", "alpha")
        assert found.ids == [indexed(2, "").id]  # the first was said to be there already
        assert search.measures()["refusals"] == 2


@pytest.mark.server
async def test_who_has_too_much_to_do_for_long_is_unavailable(place: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(elastic, "PATIENCE", 0.0)

    def answer(request: web.Request) -> web.StreamResponse | None:
        return refuses("circuit_breaking_exception") if request.path.endswith(("/_bulk", "/_msearch")) else None

    async with fronted(place, answer) as search:
        await search.declare("entities", [])
        for call in (search.put(A, "entities", [indexed(1, "alpha")]), search.find(A, "entities", "alpha")):
            with pytest.raises(Unavailable):
                await call


@pytest.mark.server
async def test_it_shows_its_password_over_tls_to_whom_it_trusts(place: Server, tmp_path: Path) -> None:
    signer = Signer(tmp_path)
    denied = refuses("security_exception", 401)

    def answer(request: web.Request) -> web.StreamResponse | None:
        return None if request.headers.get("Authorization") == "Basic dTpzZWNyZXQ=" else denied

    async with fronted(
        place, answer, tls=signer.context("localhost"), login="u:secret@", trust=Trust(ca=str(signer.file))
    ) as search:
        await search.declare("entities", [])
        await search.put(A, "entities", [indexed(1, "alpha")])
    denied = refuses("security_exception", 401)
    async with fronted(
        place, answer, tls=signer.context("localhost"), login="u:wrong@", trust=Trust(ca=str(signer.file))
    ) as search:
        with pytest.raises(Denied) as caught:
            await search.declare("entities", [])
        assert "wrong" not in str(caught.value)
    async with fronted(place, answer, tls=signer.context("localhost", trusted=False), login="u:secret@") as search:
        with pytest.raises(Unavailable):
            await search.declare("entities", [])


def version(number: str) -> dict[str, Any]:
    return {"version": {"number": number}}


@pytest.mark.parametrize(
    "response",
    [
        lambda: web.json_response(version("2.19.0")),
        lambda: web.json_response(version("7.17.28"), headers=HEADERS),
        lambda: refuses("media_type_header_exception", 400),
        lambda: web.json_response({"error": "Content-Type header is not supported", "status": 406}, status=406),
    ],
    ids=["another product", "an older version", "an older form", "another form"],
)
async def test_a_server_of_another_kind_or_age_is_incompatible(response: Callable[[], web.Response]) -> None:
    async with fronted(Server.parse("elasticsearch://nowhere/x"), lambda request: response()) as search:
        with pytest.raises(Incompatible):
            await search.declare("entities", [])


@pytest.mark.parametrize("path", ["_hidden", "Upper", "a b", "-x"])
def test_a_prefix_that_no_index_can_have_is_invalid(path: str) -> None:
    with pytest.raises(Invalid):
        ElasticsearchSearch(Server.parse(f"elasticsearch://localhost/{path}"))


async def test_nothing_is_asked_of_a_server_before_the_first_call() -> None:
    search = ElasticsearchSearch(Server.parse("elasticsearch://u:secret@localhost:1,localhost:2"))
    with pytest.raises(Unavailable) as caught:
        await search.ping()
    assert isinstance(caught.value, MirageError)
    assert "localhost:1,localhost:2" in str(caught.value)
    assert "secret" not in str(caught.value)
    await search.close()
