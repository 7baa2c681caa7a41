"""What visualization answers: pieces that a page draws early, made once for all who ask, and kept by their content."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import aclosing
from typing import NoReturn
from uuid import UUID

import msgspec
import pytest

from services.contracts.claims import Entity
from services.contracts.endpoints import (
    DRAW_CHART,
    DRAW_GRAPH,
    GET_MAP,
    GET_SERIES,
    GET_TIMELINE,
    GET_WORLD,
    LAY_OUT,
)
from services.contracts.resources.storage import EntityFacts, Facts
from services.contracts.resources.visualization import (
    ChartQuery,
    LayoutQuery,
    MapQuery,
    SeriesQuery,
    TimelineQuery,
    WorldQuery,
)
from services.kernel.cache.memory import MemoryCache
from services.kernel.errors import Invalid, NotFound, Unavailable
from services.visualization.domain import picture
from services.visualization.usecases.making import Abandoned, Making, making_of
from tests.services.visualization.worlds import (
    CALLER,
    SCAN,
    World,
    company,
    edge,
    finding,
    head,
    hub,
    name,
    node,
    pieces,
)


@pytest.fixture
def world() -> World:
    return World(MemoryCache())


@pytest.mark.parametrize("layout", ["force", "radial", "layered"])
async def test_a_layout_has_every_node_and_edge_once(world: World, layout: str) -> None:
    world.has(company(500))
    parts = await pieces(world, layout=layout)
    nodes = [each for part in parts for each in part.nodes]
    edges = [each for part in parts for each in part.edges]
    assert sorted(each.id for each in nodes) == sorted(each.id.hex() for each in world.nodes)
    said = {frozenset((each.source.hex(), each.target.hex())) for each in world.edges}
    assert {frozenset((each.source, each.target)) for each in edges} == said
    told = head(parts)
    assert (told.nodes, told.edges) == (len(world.nodes), len(world.edges))
    assert (told.nodes_shown, told.edges_shown) == (len(nodes), len(edges))
    assert all(told.low[0] <= each.x <= told.high[0] and told.low[1] <= each.y <= told.high[1] for each in nodes)


async def test_what_matters_most_comes_first_and_an_edge_when_both_its_ends_have(world: World) -> None:
    world.has(company(900))
    parts = await pieces(world)
    assert len(parts) > 2
    assert parts[0].nodes[0].role == "target"
    there: set[str] = set()
    for part in parts:
        there |= {each.id for each in part.nodes}
        assert all(each.source in there and each.target in there for each in part.edges)
    assert all(part.edges for part in parts[:2])


async def test_a_large_graph_is_shown_as_few_nodes_that_can_be_opened(world: World) -> None:
    world.has(hub(300, kinds=2))
    parts = await pieces(world, limit=20)
    closed = [each for part in parts for each in part.nodes if each.count > 1]
    assert [(each.stands, each.count) for each in closed] == [("leaves", 150), ("leaves", 150)]
    assert sum(each.count for part in parts for each in part.nodes) == len(world.nodes)
    opened = await pieces(world, limit=200, opened=closed[0].id)
    assert head(opened).nodes_shown == 2 + 150 + 1


async def test_so_much_that_is_opened_that_no_picture_shows_it_is_refused(world: World) -> None:
    world.has(hub(400, kinds=7))
    closed = [each.id for part in await pieces(world, limit=10) for each in part.nodes if each.count > 1]
    assert len(closed) == 7
    assert head(await pieces(world, limit=10, opened=",".join(closed[:3]))).nodes_shown < 50
    with pytest.raises(Invalid, match="open fewer"):
        await pieces(world, limit=10, opened=",".join(closed))


async def test_what_is_opened_does_not_move_the_rest(world: World) -> None:
    world.has(hub(300, kinds=3))
    before = await pieces(world, limit=200)
    places = picture.places_of(before)
    closed = next(each for part in before for each in part.nodes if each.count > 1)
    after = await pieces(world, limit=200, opened=closed.id, after=head(before).key)
    assert head(after).continued
    now = picture.places_of(after)
    width = head(before).high[0] - head(before).low[0]
    assert all(abs(now[each][0] - places[each][0]) < width / 10 for each in places.keys() & now.keys())


async def test_an_earlier_layout_that_is_forgotten_is_done_without(world: World) -> None:
    world.has(company(20))
    parts = await pieces(world, after="0" * 32)
    assert not head(parts).continued
    assert parts == await pieces(world)


async def test_types_restrict_what_is_shown(world: World) -> None:
    world.has(company(100))
    parts = await pieces(world, types="hostname,domain")
    assert {each.type for part in parts for each in part.nodes} == {"hostname", "domain"}
    assert {each.type for part in parts for each in part.edges} == {"part_of"}


async def test_edges_between_two_nodes_are_one_with_their_number(world: World) -> None:
    world.has(([node(1), node(2), node(3)], [edge(1, 2), edge(2, 1), edge(1, 2, "alias_of"), edge(2, 3)]))
    edges = {(each.type, each.count) for part in await pieces(world) for each in part.edges}
    assert edges == {("", 3), ("resolves_to", 1)}


async def test_of_a_neighbourhood_only_that_is_read(world: World) -> None:
    world.has(company(5))
    await pieces(world, around=str(UUID(bytes=name(1))), hops=2, layout="radial")
    assert (world.read[0].around, world.read[0].hops) == (name(1).hex(), 2)


@pytest.mark.parametrize(
    ("asked", "error"),
    [
        ({"around": "xyz"}, Invalid),
        ({"around": "ab"}, Invalid),
        ({"opened": ",".join(map(str, range(21)))}, Invalid),
    ],
)
async def test_a_question_of_no_sense_is_refused_before_anything_is_read(
    world: World, asked: dict[str, object], error: type[Exception]
) -> None:
    with pytest.raises(error):
        await pieces(world, **asked)
    assert not world.read


async def test_who_asks_for_a_scan_that_is_not_there_is_told(world: World) -> None:
    with pytest.raises(NotFound):
        async with aclosing(world.calls.follow(LAY_OUT, LayoutQuery(scan=UUID(int=1)), CALLER)) as parts:
            await anext(parts)


async def test_a_graph_that_is_too_large_is_refused(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.visualization.domain.gathered.MOST_NODES", 10)
    world.has(company(20))
    with pytest.raises(Invalid, match="around an entity"):
        await pieces(world)


async def test_many_who_ask_the_same_at_once_have_it_made_once(world: World) -> None:
    world.has(company(100))
    answers = await asyncio.gather(*(pieces(world) for _ in range(20)))
    assert all(each == answers[0] for each in answers)
    assert len(world.read) == 1


async def test_what_is_made_ends_with_the_last_who_waits_for_it() -> None:
    making, begun, over = Making(), asyncio.Event(), asyncio.Event()

    async def make() -> int:
        begun.set()
        try:
            await over.wait()
        finally:
            begun.clear()
        return 1

    one, other = (asyncio.create_task(making.share("it", make)) for _ in range(2))
    await begun.wait()
    one.cancel()
    await asyncio.wait([one])
    assert begun.is_set()
    other.cancel()
    await asyncio.wait([other])
    await asyncio.sleep(0)
    assert not begun.is_set()
    over.set()
    assert await making.share("it", make) == 1


async def test_a_layout_ends_when_who_asked_for_it_is_gone(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, loop, ended = asyncio.Event(), asyncio.get_running_loop(), threading.Event()

    def endless(graph: object, wanted: object, key: str, check: Callable[[], None], before: object) -> NoReturn:
        loop.call_soon_threadsafe(begun.set)
        try:
            while True:
                check()
        finally:
            ended.set()

    monkeypatch.setattr(picture, "pictured", endless)
    world.has(company(10))
    asking = asyncio.create_task(pieces(world))
    await begun.wait()
    asking.cancel()
    await asyncio.wait([asking])
    assert await asyncio.to_thread(ended.wait, 10)


async def test_work_beside_the_loop_ends_at_its_next_step_when_nobody_waits() -> None:
    making, begun, ended = Making(), asyncio.Event(), []
    loop = asyncio.get_running_loop()

    def work(check: object) -> None:
        loop.call_soon_threadsafe(begun.set)
        try:
            while True:
                check()  # type: ignore[operator]
        except Abandoned:
            ended.append(True)
            raise

    task = asyncio.create_task(making.beside(work))
    await begun.wait()
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert ended == [True]


def entity(number: int, type: str = "hostname") -> EntityFacts:
    return EntityFacts(
        entity=Entity(type, (f"h{number}.example.org",)),
        role="in_scope",
        distance=0,
        first_seen=1_790_000_000_000_000,
        last_seen=0,
    )


async def test_series_are_counted_again_when_storage_has_more(world: World) -> None:
    world.facts = [Facts(entities=tuple(entity(number) for number in range(5)))]
    question = SeriesQuery(scan=SCAN, of="types")
    assert (await world.calls.ask(GET_SERIES, question, CALLER)).total == 5
    assert (await world.calls.ask(GET_SERIES, question, CALLER)).total == 5
    assert len(world.read) == 1
    world.facts.append(Facts(entities=(entity(9),)))
    world.changes += 1
    assert (await world.calls.ask(GET_SERIES, question, CALLER)).total == 6
    assert (await world.calls.ask(GET_TIMELINE, TimelineQuery(scan=SCAN, of="entities"), CALLER)).total == 6
    assert (await world.calls.ask(GET_MAP, MapQuery(scan=SCAN), CALLER)).countries == {}


async def test_what_is_counted_waits_for_its_turn(world: World) -> None:
    world.facts = [Facts(entities=(entity(1),))]
    turn = making_of(world.ports).turn
    async with turn, turn:
        counting = asyncio.create_task(world.calls.ask(GET_SERIES, SeriesQuery(scan=SCAN, of="types"), CALLER))
        done, _ = await asyncio.wait({counting}, timeout=0.1)
        assert not done
        assert not world.read
    assert (await counting).total == 1


async def test_findings_of_all_pages_are_counted(world: World) -> None:
    world.findings = [finding(number, "exposure", "high" if number % 3 else "low") for number in range(2_500)]
    counted = await world.calls.ask(GET_SERIES, SeriesQuery(scan=SCAN, of="severities"), CALLER)
    assert (counted.total, counted.rows, counted.columns) == (2_500, ("exposure",), ("high", "low"))
    assert len(world.read) == 3
    timeline = await world.calls.ask(GET_TIMELINE, TimelineQuery(scan=SCAN, of="findings"), CALLER)
    assert timeline.total == 2_500


@pytest.mark.parametrize("of", ["types", "providers", "severities", "entities", "certificates", "findings", "map"])
async def test_every_chart_is_drawn(world: World, of: str) -> None:
    world.facts = [Facts(entities=(entity(1), entity(2)))]
    world.findings = [finding(1, "exposure", "high")]
    question = msgspec.convert({"scan": str(SCAN), "of": of}, ChartQuery)
    async with aclosing(world.calls.follow(DRAW_CHART, question, CALLER)) as chunks:
        text = "".join([chunk.data.decode() async for chunk in chunks])
    assert text.startswith("<svg ")
    assert text.endswith("</svg>\n")


async def test_a_graph_is_drawn_in_chunks(world: World) -> None:
    world.has(company(600))
    async with aclosing(world.calls.follow(DRAW_GRAPH, LayoutQuery(scan=SCAN), CALLER)) as chunks:
        parts = [chunk.data.decode() async for chunk in chunks]
    assert len(parts) > 5
    assert "example.org" in "".join(parts)


async def test_a_drawing_begins_before_its_layout_is_made(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = threading.Event()

    def endless(graph: object, wanted: object, key: str, check: Callable[[], None], before: object) -> NoReturn:
        try:
            while True:
                check()
        finally:
            ended.set()

    monkeypatch.setattr(picture, "pictured", endless)
    monkeypatch.setattr("services.visualization.usecases.making.MOMENT", 0.1)
    world.has(company(10))
    async with aclosing(world.calls.follow(DRAW_GRAPH, LayoutQuery(scan=SCAN), CALLER)) as chunks:
        assert (await anext(chunks)).media_type == "image/svg+xml"
    assert await asyncio.to_thread(ended.wait, 10), "who leaves ends the work"


async def test_what_is_not_there_to_be_drawn_is_told_before_the_file_begins(world: World) -> None:
    for question in (LayoutQuery(scan=UUID(int=1)), LayoutQuery(scan=SCAN, around="xyz")):
        with pytest.raises((NotFound, Invalid)):
            async with aclosing(world.calls.follow(DRAW_GRAPH, question, CALLER)) as chunks:
                await anext(chunks)


async def test_the_world_is_given_with_where_it_is_from(world: World) -> None:
    given = await world.calls.ask(GET_WORLD, WorldQuery(), CALLER)
    assert "Natural Earth" in given.source
    assert "public domain" in given.source


async def test_what_fails_is_told_to_all_and_tried_again(world: World) -> None:
    tries = 0

    async def make() -> int:
        nonlocal tries
        tries += 1
        await asyncio.sleep(0)
        if tries == 1:
            raise Unavailable("storage is away")
        return tries

    making = making_of(world.ports)
    failed = await asyncio.gather(*(making.share("it", make) for _ in range(3)), return_exceptions=True)
    assert all(isinstance(each, Unavailable) for each in failed)
    assert await making.share("it", make) == 2
