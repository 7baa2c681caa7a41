"""What every `search` adapter promises."""

import asyncio
import uuid
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from services.kernel.errors import Invalid, Unavailable
from services.kernel.search import COUNTED, Found, Indexed, Search
from tests.kernel.conftest import OpenSearch

A, B = uuid.UUID(int=1), uuid.UUID(int=2)
HOST = "mail-01.eu.example.org"


@pytest.fixture
async def search(open_search: OpenSearch) -> Search:
    opened = open_search()
    await opened.declare("entities", ["type", "scope"])
    return opened


def ident(name: str) -> bytes:
    return uuid.uuid5(uuid.NAMESPACE_DNS, name).bytes


def indexed(name: str, text: str = "", **fields: str) -> Indexed:
    return Indexed(id=ident(name), text=text or name, fields=fields)


async def put(search: Search, documents: Sequence[Indexed], workspace: uuid.UUID = A) -> None:
    await search.put(workspace, "entities", documents)
    await search.refresh("entities")


async def find(search: Search, text: str, workspace: uuid.UUID = A, **how: Any) -> Found:
    return await search.find(workspace, "entities", text, **how)


async def names(search: Search, text: str, candidates: Sequence[str], **how: Any) -> list[str]:
    by_id = {ident(name): name for name in candidates}
    return [by_id[each] for each in (await find(search, text, **how)).ids]


# Text


@pytest.mark.parametrize(
    "text",
    [
        "mail", "MAIL", "mail-01", "mail-01.", "mail 01", "01", "eu", "eu.example", "example.org", "example.org.",
        "org", "org mail", "examp", "xampl", "ail-01.eu.exam", HOST, HOST.upper(), " mail\t\neu ", "ma eu or", "máil",
    ],
)  # fmt: skip
async def test_a_host_name_is_found_by_its_words_and_parts(search: Search, text: str) -> None:
    await put(search, [indexed(HOST), indexed("192.0.2.7"), indexed("unrelated.test")])
    found = await find(search, text)
    assert found.ids == [ident(HOST)]
    assert found.total == 1


@pytest.mark.parametrize("text", ["mail-02", "eu.org", "mailx", "xmail", "example.com", "u", "il", "mail unrelated"])
async def test_what_a_text_does_not_have_does_not_find_it(search: Search, text: str) -> None:
    await put(search, [indexed(HOST)])
    assert await find(search, text) == Found([], 0, {}, None)


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("grün GRUPPE Straße", "grun"), ("grün GRUPPE Straße", "gruppe STRASSE"), ("Ångström", "angstrom"),
        ("東京都庁 Tokyo", "東京都"), ("alice@example.org", "alice@"), ("http://a.example/b?c=d&e=f", "b?c=d"),
        ("+49 30 1234567", "1234"), ("2001:db8::1", "2001:db8"), ("AS64500", "as64500"), ("x_y_zet", "y_zet"),
        ("İstanbul", "istanbul"), ("ﬁle", "file"),
    ],
)  # fmt: skip
async def test_case_accents_and_signs_do_not_matter(search: Search, text: str, query: str) -> None:
    await put(search, [indexed("k", text), indexed("other", "something else")])
    assert (await find(search, query)).ids == [ident("k")]


@pytest.mark.parametrize(
    "text",
    [
        '"', "'", '"mail', "mail*", "mail OR eu", "NOT mail", "NEAR(mail eu)", "text:mail", "(mail", "mail)", "^mail",
        "{}", "mail AND", "--", "\\", "%", "_", "*", "\0", "mail\0eu", "\ud800", "🦜", "a" * 100_000, "x " * 50_000,
        "mail;DROP", "+mail -eu", "/mail/", "~", "mail~2", "[a TO b]", "\u202email",
    ],
    ids=lambda text: ascii(text[:12]),
)  # fmt: skip
async def test_every_text_is_a_valid_query(search: Search, text: str) -> None:
    await put(search, [indexed(HOST)])
    found = await find(search, text)
    assert found.total in {0, 1}


@pytest.mark.parametrize("text", ["mail OR nothing", "NOT mail", "nothing mail"])
async def test_words_of_an_engine_are_words(search: Search, text: str) -> None:
    await put(search, [indexed(HOST)])
    assert (await find(search, text)).total == 0


async def test_a_text_without_letters_and_digits_finds_nothing_and_a_blank_one_everything(search: Search) -> None:
    await put(search, [indexed(HOST), indexed("b")])
    assert (await find(search, "...")).total == 0
    for blank in ("", "  \n"):
        found = await find(search, blank)
        assert sorted(found.ids) == sorted([ident(HOST), ident("b")])
        assert found.total == 2


async def test_the_best_come_first(search: Search) -> None:
    hosts = ["deep.down.www.example.org", "notexample.org", "www.example.org", "example.org", "example.org.uk"]
    await put(search, [indexed(name) for name in hosts])
    found = await names(search, "example.org", hosts)
    assert found[0] == "example.org"
    assert found[-1] in {"notexample.org", "deep.down.www.example.org"}
    assert sorted(found) == sorted(hosts)


async def test_a_long_text_is_searched_and_harmless(search: Search) -> None:
    await put(search, [indexed("k", "needle " + "hay " * 2_000 + "thread " + "x" * 300_000)])
    assert (await find(search, "needle thread")).ids == [ident("k")]


async def test_a_text_without_words_is_kept_too(search: Search) -> None:
    await put(search, [indexed("k", "...", type="t")])
    assert (await find(search, "", where={"type": "t"})).ids == [ident("k")]


# Documents


async def test_an_index_is_the_same_for_as_long_as_it_keeps_what_was_put(open_search: OpenSearch) -> None:
    search = open_search()
    made = await search.declare("entities", ["type"])
    assert await search.declare("entities", ["type", "scope"]) == made
    assert await search.declare("others", []) != made
    await search.close()
    again = open_search()
    assert await again.declare("entities", []) == made
    await again.ping()


async def test_indexing_again_replaces_text_and_fields(search: Search) -> None:
    await put(search, [indexed("k", "alpha", type="a"), indexed("k", "beta", type="b")])
    assert (await find(search, "alpha")).ids == []
    for _ in range(2):
        await put(search, [indexed("k", "gamma", scope="c")])
    assert (await find(search, "")).total == 1
    assert (await find(search, "beta")).ids == []
    assert (await find(search, "gamma")).ids == [ident("k")]
    assert (await find(search, "gamma", where={"type": "b"})).ids == []
    assert (await find(search, "gamma", where={"scope": "c"}, facets=["type", "scope"])).facets == {
        "type": {},
        "scope": {"c": 1},
    }
    await put(search, [])


async def test_deleted_documents_are_not_found(search: Search) -> None:
    await put(search, [indexed("a", "alpha one"), indexed("b", "alpha two")])
    await search.delete(A, "entities", [ident("a"), ident("a"), ident("never")])
    await search.delete(B, "entities", [ident("b")])
    await search.delete(A, "entities", [])
    await search.refresh("entities")
    assert (await find(search, "alpha")).ids == [ident("b")]
    assert (await find(search, "one")).total == 0
    await put(search, [indexed("a", "alpha again")])
    assert (await find(search, "alpha")).total == 2


async def test_a_workspace_finds_its_own_only(search: Search) -> None:
    await put(search, [indexed("k", "alpha", type="a")])
    await put(search, [indexed("k", "beta", type="b"), indexed("l", "alpha", type="b")], B)
    assert (await find(search, "alpha", facets=["type"])) == Found([ident("k")], 1, {"type": {"a": 1}}, None)
    assert (await find(search, "", B)).total == 2
    assert (await find(search, "", uuid.UUID(int=3), facets=["type"])) == Found([], 0, {"type": {}}, None)


async def test_indexes_are_apart(search: Search) -> None:
    await search.declare("findings", [])
    await put(search, [indexed("k", "alpha")])
    assert (await search.find(A, "findings", "alpha")).total == 0


# Filters, facets, pages


async def test_filters_hold_together_and_facets_count_what_is_found(search: Search) -> None:
    hostile = 'it\'s "odd" OR 1=1 ünï'
    await put(
        search, [indexed(f"h{n}.example.org", type="hostname", scope="in" if n % 3 else "out") for n in range(30)]
    )
    await put(search, [indexed("example.org", type="domain", scope="in"), indexed("none", "example nothing")])
    await put(search, [indexed("odd", "example odd", type=hostile)])
    found = await find(search, "example", facets=["type", "scope", "type"], limit=5)
    assert found.total == 33
    assert found.facets == {"type": {"hostname": 30, "domain": 1, hostile: 1}, "scope": {"in": 21, "out": 10}}
    found = await find(search, "example", where={"type": "hostname", "scope": "out"}, facets=["scope"])
    assert (found.total, len(found.ids), found.facets) == (10, 10, {"scope": {"out": 10}})
    assert (await find(search, "", where={"type": hostile})).ids == [ident("odd")]
    assert (await find(search, "h1", where={"type": "domain"})).ids == []


@pytest.mark.parametrize("text", ["", "example", "example host", "ho ex"])
async def test_pages_follow_each_other_without_gap_or_repetition(search: Search, text: str) -> None:
    hosts = [f"host{n}.{'x' * (n % 7)}.example.org" for n in range(83)]
    await put(search, [indexed(name, type="a" if name.startswith("host1") else "b") for name in hosts])
    for where in ({}, {"type": "b"}):
        seen: list[bytes] = []
        cursor: str | None = None
        pages = 0
        while True:
            page = await find(search, text, where=where, limit=10, cursor=cursor)
            seen += page.ids
            pages += 1
            cursor = page.cursor
            if cursor is None:
                break
            assert len(page.ids) == 10
        whole = await find(search, text, where=where, limit=1000)
        assert seen == whole.ids
        assert len(set(seen)) == len(seen) == whole.total
        assert pages == -(-whole.total // 10)


@pytest.mark.parametrize("text", ["", "example", "host"])
async def test_beyond_what_is_counted_the_counts_are_at_least_that_many(search: Search, text: str) -> None:
    await put(search, [indexed(f"host{n}.example.org", type="ab"[n % 2]) for n in range(COUNTED + 100)])
    found = await find(search, text, facets=["type"], limit=1000)
    assert found.total >= COUNTED
    assert sum(found.facets["type"].values()) >= COUNTED
    following = await find(search, text, limit=1000, cursor=found.cursor)
    assert len(set(found.ids) | set(following.ids)) == 2000


@pytest.mark.parametrize("text", ["example", ""])
async def test_as_many_as_are_counted_are_counted_exactly(search: Search, text: str) -> None:
    await put(search, [indexed(f"host{n}.example.org", type=f"t{n}") for n in range(COUNTED - 1)])
    found = await find(search, text, facets=["type"])
    assert found.total == COUNTED - 1
    assert found.facets["type"] == {f"t{n}": 1 for n in range(COUNTED - 1)}


async def test_a_cursor_holds_while_others_are_added(search: Search) -> None:
    await put(search, [indexed(f"host{n}.example.org") for n in range(20)])
    first = await find(search, "example", limit=10)
    await put(search, [indexed(f"more{n}.example.org.of.greater.length") for n in range(20)])
    second = await find(search, "example", limit=10, cursor=first.cursor)
    assert not set(first.ids) & set(second.ids)
    assert {ident(f"host{n}.example.org") for n in range(20)} == set(first.ids) | set(second.ids)


@pytest.mark.parametrize("cursor", ["", "x", "!!", "AAAA", "bnVsbA==", "WzFd", "é", "WzFlOTk5LDEsMV0="])
async def test_a_cursor_that_is_none_is_invalid(search: Search, cursor: str) -> None:
    await put(search, [indexed(HOST)])
    with pytest.raises(Invalid):
        await find(search, "mail", cursor=cursor)


async def test_what_was_not_declared_is_invalid(search: Search) -> None:
    for call in (
        search.find(A, "nowhere", "x"),
        search.put(A, "nowhere", [indexed("k")]),
        search.put(A, "entities", [indexed("k", colour="red")]),
        search.delete(A, "nowhere", [ident("k")]),
        search.refresh("nowhere"),
        find(search, "x", where={"colour": "red"}),
        find(search, "x", facets=["colour"]),
        find(search, "x", limit=0),
        find(search, "x", limit=1001),
        search.declare("Bad Name", []),
        search.declare("entities", ["a b"]),
    ):
        with pytest.raises(Invalid):
            await call


async def test_a_field_may_be_added_later(search: Search) -> None:
    await put(search, [indexed("k", "alpha", type="a")])
    await search.declare("entities", ["colour"])
    await put(search, [indexed("l", "alpha", type="a", colour="red")])
    assert (await find(search, "alpha", where={"colour": "red"}, facets=["type"])).facets == {"type": {"a": 1}}
    assert (await find(search, "alpha", facets=["type", "colour"])).facets == {"type": {"a": 2}, "colour": {"red": 1}}


async def test_an_index_may_be_declared_by_several_at_once(open_search: OpenSearch) -> None:
    one, other = open_search(), open_search()
    await asyncio.gather(
        *(each.declare("entities", fields) for each in (one, other) for fields in (["type"], ["scope"]))
    )
    await one.declare("entities", [])
    await put(one, [indexed("k", "alpha", type="a", scope="s")])
    assert (await find(other, "alpha", where={"type": "a", "scope": "s"})).ids == [ident("k")]


# Lives


async def test_many_index_at_once(search: Search) -> None:
    batches = [[indexed(f"host{n}.example.org") for n in range(start, start + 60)] for start in range(0, 200, 20)]
    await asyncio.gather(*(put(search, batch) for batch in batches))
    assert (await find(search, "example")).total == 240


async def test_the_index_is_there_after_opening_again(open_search: OpenSearch, search: Search) -> None:
    await put(search, [indexed(HOST, type="hostname")])
    await search.close()
    again = open_search()
    await again.declare("entities", ["type", "scope"])
    assert (await find(again, "mail", where={"type": "hostname"})).ids == [ident(HOST)]


KILLED = """
import asyncio, uuid
from services.kernel.search import Indexed
from services.kernel.server import Server
{opening}

async def main():
    await search.declare("entities", ["type", "scope"])
    document = Indexed(uuid.uuid5(uuid.NAMESPACE_DNS, "mail-01.eu.example.org").bytes, "mail-01.eu.example.org", {{}})
    await search.put(uuid.UUID(int=1), "entities", [document])
    print("ready", flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""
ON_FILE = """from services.kernel.search.fts import FtsSearch
search = FtsSearch("data/search.db")"""
ON_SERVER = """from services.kernel.search.elastic import ElasticsearchSearch
search = ElasticsearchSearch(Server.parse("{url}"))"""


async def test_a_killed_process_keeps_what_it_indexed(
    open_search: OpenSearch, search_place: str, kill_when_ready: Callable[[str], None]
) -> None:
    opening = ON_SERVER.format(url=search_place) if search_place else ON_FILE
    await asyncio.to_thread(kill_when_ready, KILLED.format(opening=opening))
    search = open_search()
    await search.declare("entities", ["type", "scope"])
    await search.refresh("entities")
    assert (await find(search, "mail")).ids == [ident(HOST)]


async def test_a_closed_index_is_unavailable(search: Search) -> None:
    await search.ping()
    await search.close()
    await search.close()
    for call in (search.ping(), search.put(A, "entities", [indexed("k")]), find(search, "x")):
        with pytest.raises(Unavailable):
            await call
