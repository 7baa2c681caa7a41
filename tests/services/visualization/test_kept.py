"""What was made is kept by its content and its workspace, in memory and on Redis, and made again where it is not."""

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from services.contracts.resources.visualization import LayoutPiece, PlacedEdge, PlacedNode
from services.kernel.cache import Cache
from services.kernel.cache.memory import MemoryCache
from services.kernel.cache.redis import RedisCache
from services.kernel.calls import operator
from services.kernel.server import Server
from services.visualization.domain import picture
from services.visualization.usecases import kept
from tests.services.visualization.worlds import CALLER, World, company, head, pieces


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.server)])
async def cache(request: pytest.FixtureRequest) -> AsyncIterator[Cache]:
    if request.param == "memory":
        opened: Cache = MemoryCache()
    else:
        running = request.getfixturevalue("shared_server")("redis")
        opened = RedisCache(Server.parse(f"redis://127.0.0.1:{running.port}/test-{uuid4().hex}"))
    yield opened
    await opened.close()


@pytest.fixture
def world(cache: Cache) -> World:
    return World(cache)


def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Keys of pictures that are made from now on."""
    made: list[str] = []
    make = picture.pictured

    def pictured(graph: picture.Graph, wanted: picture.Wanted, key: str, *others: object) -> list[LayoutPiece]:
        made.append(key)
        return make(graph, wanted, key, *others)  # type: ignore[arg-type]

    monkeypatch.setattr(picture, "pictured", pictured)
    return made


async def test_a_picture_of_the_same_content_is_made_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    made = counted(monkeypatch)
    world.has(company(50))
    first = await pieces(world)
    world.nodes.reverse()
    world.edges.reverse()
    assert await pieces(world) == first
    assert len(made) == 1
    await pieces(world, limit=1_000)
    world.edges.pop()
    await pieces(world)
    assert len(set(made)) == 3
    monkeypatch.setattr(picture, "VERSION", picture.VERSION + 1)
    await pieces(world)
    assert len(set(made)) == 4


async def test_what_is_kept_of_one_workspace_is_not_given_to_another(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = counted(monkeypatch)
    world.has(company(10))
    await pieces(world)
    await pieces(world, operator(uuid4()))
    assert len(made) == 2


async def test_a_cache_that_is_away_stops_nothing(world: World) -> None:
    world.has(company(10))
    await world.ports.cache.close()
    assert head(await pieces(world)).nodes == len(world.nodes)


async def test_what_is_kept_in_another_form_is_made_again(world: World) -> None:
    world.has(company(10))
    first = await pieces(world)
    key = head(first).key
    await world.ports.cache.set(f"{CALLER.workspace}/{key}", b"\x93\x01\x02\x03", 60)
    assert await pieces(world) == first


async def test_a_name_is_made_of_all_its_parts() -> None:
    names = {kept.key_of(1, b"a", "b"), kept.key_of(2, b"a", "b"), kept.key_of(1, b"b", "b"), kept.key_of(1, b"a", "c")}
    assert len(names) == 4


async def test_what_is_too_large_is_not_kept(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "LARGEST", 100)
    world.has(company(50))
    key = head(await pieces(world)).key
    assert await world.ports.cache.get(f"{CALLER.workspace}/{key}") is None


async def test_the_largest_picture_that_may_be_asked_for_is_kept(world: World) -> None:
    nodes = tuple(
        PlacedNode(f"{number:032x}", 1234.567, -234.567, 9.25, "node", "hostname", f"h{number}.some.example.org",
                   "in_scope", 1, 1_790_000_000_000_000)
        for number in range(20_000)
    )  # fmt: skip
    edges = tuple(PlacedEdge(nodes[n % 20_000].id, nodes[n // 5].id, "resolves_to", 1) for n in range(100_000))
    await kept.keep(world.ports, CALLER.workspace, "largest", [LayoutPiece(nodes=nodes, edges=edges)])
    assert await kept.find(world.ports, CALLER.workspace, "largest", list[LayoutPiece])


async def test_a_graph_is_not_read_again_as_long_as_it_has_not_changed(world: World) -> None:
    world.has(company(50))
    world.waiting = 0
    first = await pieces(world)
    assert await pieces(world) == first
    assert len(world.read) == 1
    world.edges.pop()
    world.changes += 1
    assert head(await pieces(world)).edges == head(first).edges - 1
    assert len(world.read) == 2


async def test_a_graph_to_which_more_comes_is_read_each_time(world: World) -> None:
    world.has(company(50))
    world.waiting = 3
    await pieces(world)
    world.edges.pop()
    assert head(await pieces(world)).edges == len(world.edges)
    assert len(world.read) == 2
