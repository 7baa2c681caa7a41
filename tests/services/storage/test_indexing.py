"""The index of search is made of what is stored: what it lost, or what an instance left behind, it has again."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import pytest

from services.contracts import endpoints as e
from services.contracts import entities
from services.contracts.resources import SearchQuery
from services.kernel.errors import Unavailable
from services.kernel.search.fts import FtsSearch
from services.storage.usecases import index
from tests.services.storage.depot import ELSEWHERE, LATER, SCAN, WORKSPACE, Depot, admitted, result

HOSTS = [entities.hostname(f"n{number}.example.org") for number in range(15)]


async def found(store: Depot, workspace: UUID = WORKSPACE) -> list[str]:
    page = await store.ask(e.FIND_ENTITIES, SearchQuery(text="example"), workspace)
    return sorted(row.value for row in page.entities)


async def lose_index(store: Depot) -> None:
    """Put an empty index in the place of the one that there is."""
    await store.search.close()
    path = store.folder / "search-anew.db"
    store.search = store.ports.search = FtsSearch(path)
    await store.search.declare(index.ENTITIES, ("type",))


async def waiting(store: Depot) -> int:
    async with store.sql.read() as view:
        return (await view.fetch("SELECT COUNT(*) FROM unindexed"))[0][0]


@asynccontextmanager
async def indexing(store: Depot) -> AsyncIterator[None]:
    following = asyncio.create_task(index.index_new(store.ports))
    try:
        yield
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


async def eventually_found(store: Depot, total: int) -> None:
    async with asyncio.timeout(30):
        while len(await found(store)) < total:
            await asyncio.sleep(0.005)


async def test_the_index_follows_what_is_stored_and_goes_on_where_it_ended_or_search_was_away(
    store: Depot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index, "GATHER", 0.0)
    monkeypatch.setattr(index, "BATCH", 2)
    hosts = [entities.hostname(f"n{number}.example.org") for number in range(15)]
    await store.take(result("web", *hosts[:5], records=[]))
    put, away = store.search.put, [Unavailable("search is away")] * 2

    async def put_or_fail(*given: Any) -> None:
        if away:
            raise away.pop()
        await put(*given)

    async with indexing(store):
        await eventually_found(store, 5)
        monkeypatch.setattr(store.search, "put", put_or_fail)
        await store.take(result("web", *hosts[5:10], of=LATER, records=[]))
        await eventually_found(store, 10)
        await store.take(admitted(*((host, "in_scope", 1) for host in hosts[10:])))
        await eventually_found(store, 15)


async def test_an_index_that_was_lost_gets_everything_again(store: Depot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "BATCH", 2)
    await store.take(result("web", *HOSTS[:5], records=[]))
    await store.take(result("web", *HOSTS[5:8], records=[]), workspace=ELSEWHERE)
    await store.index()
    await store.take(result("dns_records", *HOSTS[8:10], records=[]))
    await lose_index(store)
    await store.index()
    assert await found(store) == sorted(host.value for host in (*HOSTS[:5], *HOSTS[8:10]))
    assert await found(store, ELSEWHERE) == sorted(host.value for host in HOSTS[5:8])
    assert not await waiting(store)


async def test_nothing_is_indexed_again_while_the_index_is_the_same(store: Depot) -> None:
    await store.take(result("web", *HOSTS, records=[]))
    await store.index()
    made = await index.look(store.ports)
    assert not await index.index_some(store.ports, made)
    assert not await waiting(store)


async def test_listing_everything_again_goes_on_where_a_process_ended(
    store: Depot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index, "BATCH", 4)
    await store.take(result("web", *HOSTS, records=[]))
    await store.index()
    await lose_index(store)
    assert await index.index_some(store.ports, await index.look(store.ports))
    assert len(await found(store)) == 4
    await store.index()
    assert len(await found(store)) == len(HOSTS)


async def test_what_was_put_into_an_index_that_is_lost_stays_on_the_list(store: Depot) -> None:
    await store.take(result("web", *HOSTS, records=[]))
    before = await index.look(store.ports)
    await lose_index(store)
    await index.look(store.ports)  # as another instance does that has seen it first
    with pytest.raises(Unavailable):
        await index.index_some(store.ports, before)
    assert await waiting(store) == len(HOSTS)


async def test_a_service_that_runs_sees_that_the_index_was_lost(store: Depot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "GATHER", 0.0)
    monkeypatch.setattr(index, "LOOK", 0.01)
    await store.take(result("web", *HOSTS, records=[]))
    async with indexing(store):
        await eventually_found(store, len(HOSTS))
        await lose_index(store)
        await eventually_found(store, len(HOSTS))


async def test_what_an_instance_left_that_is_gone_is_indexed_by_another(
    store: Depot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index, "GATHER", 0.0)
    monkeypatch.setattr(index, "LOOK", 0.01)
    async with indexing(store), asyncio.timeout(30):
        while "unindexed" not in store.ports.state:
            await asyncio.sleep(0.005)
        own = store.ports.state.pop("unindexed")  # whoever takes these in wakes nobody here
        await store.take(result("web", *HOSTS, of=SCAN, records=[]))
        assert store.ports.state["unindexed"] is not own
        await eventually_found(store, len(HOSTS))
