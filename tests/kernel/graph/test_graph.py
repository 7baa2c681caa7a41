"""What every `graph` adapter promises."""

import asyncio
import uuid
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from services.kernel.errors import Conflict, Exhausted, Invalid, Unavailable
from services.kernel.graph import Condition, Counts, Edge, Graph, Hop, Match, Node, NodePattern, Path, Pattern
from tests.examples import examples
from tests.kernel.conftest import OpenGraph
from tests.kernel.graph.model import GRAPHS, IDS, LABELS, SOME_TYPES, TYPES, Model, edge_key, patterns

#: The first test that needs the server starts it, and every new pattern is planned by it.
pytestmark = pytest.mark.timeout(300)

SOME_IDS = st.lists(st.sampled_from(IDS), max_size=4)
COMPARED: Any = {"suppress_health_check": [HealthCheck.function_scoped_fixture], "deadline": None}


@pytest.fixture
async def graph(open_graph: OpenGraph) -> Graph:
    opened = open_graph()
    await opened.declare({label: ["name"] for label in LABELS}, TYPES)
    return opened


@pytest.fixture
def workspace() -> uuid.UUID:
    return uuid.uuid4()


def key(number: int) -> bytes:
    return uuid.UUID(int=number).bytes


def crew(number: int, **properties: Any) -> Node:
    return Node(key(number), "crew", properties)


def knows(source: int, target: int, id: bytes = b"1", **properties: Any) -> Edge:
    return Edge("knows", key(source), key(target), id, properties)


def sails(source: int, target: int, id: bytes = b"1", **properties: Any) -> Edge:
    return Edge("sails", key(source), key(target), id, properties)


async def all_edges(
    graph: Graph, workspace: uuid.UUID, ids: Sequence[bytes], limit: int = 1_000, **how: Any
) -> list[Edge]:
    edges: list[Edge] = []
    cursor: str | None = None
    while True:
        page = await graph.neighbours(workspace, ids, limit=limit, cursor=cursor, **how)
        edges += page.edges
        cursor = page.cursor
        if cursor is None:
            return edges
        assert len(page.edges) == limit


async def all_matches(
    graph: Graph, workspace: uuid.UUID, pattern: Pattern, limit: int = 1_000, **how: Any
) -> list[Match]:
    matches: list[Match] = []
    cursor: str | None = None
    while True:
        page = await graph.match(workspace, pattern, limit=limit, cursor=cursor, **how)
        matches += page.matches
        cursor = page.cursor
        if cursor is None:
            return matches
        assert len(page.matches) == limit


def told(edges: Sequence[Edge]) -> list[Any]:
    """Edges in an order that can be compared."""
    return sorted([*edge_key(edge), sorted(map(repr, edge.properties.items()))] for edge in edges)


def matched(matches: Sequence[Match]) -> list[Any]:
    return sorted(
        [sorted(each.nodes.items()), sorted((n, told([e])) for n, e in each.edges.items())] for each in matches
    )


def pair(**how: Any) -> Pattern:
    """Two nodes and a hop between them."""
    return Pattern((NodePattern("a"), NodePattern("b")), (Hop("a", "b", **how),))


# Writing


async def test_a_node_comes_back_as_it_was(graph: Graph, workspace: uuid.UUID) -> None:
    properties: dict[str, Any] = {
        "text": "grün 東京 🦜 \u202e\x01\\ '\"`$", "empty": "", "long": "x" * 100_000, "large": 2**63 - 1,
        "small": -(2**63), "float": 0.1, "whole": 1.0, "huge": 1e300, "yes": True, "no": False, "zero": 0,
    }  # fmt: skip
    await graph.put_nodes(workspace, [Node(key(1), "crew", properties)])
    (back,) = await graph.nodes(workspace, [key(1)])
    assert back == Node(key(1), "crew", properties)
    assert {name: type(value) for name, value in back.properties.items()} == {
        name: type(value) for name, value in properties.items()
    }


async def test_an_edge_comes_back_as_it_was(graph: Graph, workspace: uuid.UUID) -> None:
    edge = knows(1, 2, b"\0\xff" * 32, valid_from=-5, valid_to=2**62, note="it's", sure=True, share=1.0)
    await graph.put_edges(workspace, [edge])
    (back,) = await all_edges(graph, workspace, [key(1)])
    assert back == edge
    assert type(back.properties["sure"]) is bool
    assert type(back.properties["share"]) is float


@pytest.mark.parametrize(
    "id", [b"\0", b"a", b"\xff" * 64, b"\0" * 64, b"'\"`$"], ids=lambda each: f"{len(each)} of {each[:1]!r}"
)
async def test_any_bytes_are_an_id(graph: Graph, workspace: uuid.UUID, id: bytes) -> None:
    await graph.put_nodes(workspace, [Node(id, "crew")])
    await graph.put_edges(workspace, [Edge("knows", id, key(1), id)])
    assert await graph.nodes(workspace, [id]) == [Node(id, "crew")]
    assert await all_edges(graph, workspace, [id]) == [Edge("knows", id, key(1), id)]


async def test_writing_again_adds_and_takes_away_properties(graph: Graph, workspace: uuid.UUID) -> None:
    for _ in range(2):
        await graph.put_nodes(workspace, [crew(1, a=1, b=2, gone=None), crew(2), crew(1, b=3, c="x")])
        await graph.put_edges(workspace, [knows(1, 2, a=1, b=2, gone=None), knows(1, 2, b=True)])
    assert await graph.nodes(workspace, [key(1), key(2)]) == [crew(1, a=1, b=3, c="x"), crew(2)]
    assert await all_edges(graph, workspace, [key(1)]) == [knows(1, 2, a=1, b=True)]
    await graph.put_nodes(workspace, [crew(1, a=None, d=4)])
    await graph.put_edges(workspace, [knows(1, 2, a=None, never=None)])
    assert await graph.nodes(workspace, [key(1)]) == [crew(1, b=3, c="x", d=4)]
    assert await all_edges(graph, workspace, [key(1)]) == [knows(1, 2, b=True)]
    await graph.put_nodes(workspace, [])
    await graph.put_edges(workspace, [])


async def test_an_edge_without_its_nodes_is_kept_until_they_come(graph: Graph, workspace: uuid.UUID) -> None:
    await graph.put_edges(workspace, [knows(1, 2), knows(3, 3)])
    assert await graph.nodes(workspace, [key(2), key(1)]) == [Node(key(2)), Node(key(1))]
    assert (await graph.counts(workspace)).nodes == {"": 3}
    await graph.put_nodes(workspace, [crew(1, name="x"), crew(2)])
    assert await graph.nodes(workspace, [key(1), key(2)]) == [crew(1, name="x"), crew(2)]
    assert await all_edges(graph, workspace, [key(2)]) == [knows(1, 2)]
    await graph.put_edges(workspace, [knows(2, 1)])
    assert await graph.nodes(workspace, [key(1)]) == [crew(1, name="x")]


async def test_a_label_once_given_stays(graph: Graph, workspace: uuid.UUID) -> None:
    await graph.put_nodes(workspace, [crew(1, a=1)])
    for nodes in ([Node(key(1), "ship", {"a": 2})], [crew(2), Node(key(2), "ship")]):
        with pytest.raises(Conflict):
            await graph.put_nodes(workspace, nodes)
    assert await graph.nodes(workspace, [key(1)]) == [crew(1, a=1)]
    assert (await graph.counts(workspace)).nodes.keys() == {"crew"}


async def test_edges_are_told_apart_by_type_ends_and_id(graph: Graph, workspace: uuid.UUID) -> None:
    edges = [knows(1, 2), knows(2, 1), knows(1, 2, b"2"), sails(1, 2), knows(1, 1)]
    for _ in range(2):
        await graph.put_edges(workspace, edges)
    assert told(await all_edges(graph, workspace, [key(1)])) == told(edges)
    assert await graph.counts(workspace) == Counts({"": 2}, {"knows": 4, "sails": 1})


async def test_a_large_batch_is_kept(graph: Graph, workspace: uuid.UUID) -> None:
    await graph.put_nodes(workspace, [crew(n, name=f"n{n}") for n in range(3_000)])
    await graph.put_edges(workspace, [knows(n, (n * 7) % 3_000) for n in range(3_000)])
    assert await graph.counts(workspace) == Counts({"crew": 3_000}, {"knows": 3_000})
    assert len(await graph.nodes(workspace, [key(n) for n in range(5_000)])) == 3_000


async def test_many_write_the_same_at_once(graph: Graph, open_graph: OpenGraph, workspace: uuid.UUID) -> None:
    other = open_graph()
    await other.declare({label: [] for label in LABELS}, TYPES)
    edges = [knows(n, n % 5, turn=0) for n in range(60)]

    async def write(to: Graph, turn: int) -> None:
        await to.put_nodes(workspace, [crew(n, turn=turn) for n in range(0, 60, 2)])
        await to.put_edges(workspace, edges if turn % 2 else edges[::-1])

    await asyncio.gather(*(write((graph, other)[turn % 2], turn) for turn in range(8)))
    assert await graph.counts(workspace) == Counts({"crew": 30, "": 30}, {"knows": 60})


async def test_deleted_nodes_take_their_edges_along(graph: Graph, workspace: uuid.UUID) -> None:
    await graph.put_nodes(workspace, [crew(1), crew(2)])
    await graph.put_edges(workspace, [knows(1, 2), knows(2, 3), knows(3, 4), sails(4, 2), knows(2, 2)])
    await graph.delete_nodes(workspace, [key(2), key(2), key(99)])
    await graph.delete_nodes(workspace, [])
    assert await graph.nodes(workspace, [key(1), key(2), key(3)]) == [crew(1), Node(key(3))]
    assert await all_edges(graph, workspace, [key(n) for n in range(9)]) == [knows(3, 4)]
    await graph.put_edges(workspace, [knows(1, 2)])
    assert await graph.nodes(workspace, [key(2)]) == [Node(key(2))]


async def test_deleted_edges_leave_their_nodes(graph: Graph, workspace: uuid.UUID) -> None:
    await graph.put_nodes(workspace, [crew(1)])
    await graph.put_edges(workspace, [knows(1, 2), knows(1, 2, b"2"), sails(1, 2)])
    await graph.delete_edges(workspace, [knows(1, 2, any="thing"), knows(2, 1), knows(8, 9), knows(1, 2)])
    await graph.delete_edges(workspace, [])
    assert told(await all_edges(graph, workspace, [key(1)])) == told([knows(1, 2, b"2"), sails(1, 2)])
    assert len(await graph.nodes(workspace, [key(1), key(2)])) == 2


async def test_a_workspace_is_dropped_alone(graph: Graph, workspace: uuid.UUID) -> None:
    other = uuid.uuid4()
    for each in (workspace, other):
        await graph.put_nodes(each, [crew(n) for n in range(2_500)])
        await graph.put_edges(each, [knows(n, 1) for n in range(2_500)])
    await graph.drop(workspace)
    await graph.drop(workspace)
    assert await graph.counts(workspace) == Counts({}, {})
    assert await graph.nodes(workspace, [key(1)]) == []
    assert await graph.counts(other) == Counts({"crew": 2_500}, {"knows": 2_500})
    await graph.put_nodes(workspace, [crew(1)])
    assert await graph.nodes(workspace, [key(1)]) == [crew(1)]


async def test_no_question_reads_across_workspaces(graph: Graph, workspace: uuid.UUID) -> None:
    """The same ids stand in both, and one that only the other has."""
    other = uuid.uuid4()
    await graph.put_nodes(workspace, [crew(1, name="mine"), crew(2)])
    await graph.put_edges(workspace, [knows(1, 2)])
    await graph.put_nodes(other, [Node(key(1), "ship", {"name": "theirs"}), Node(key(2), "ship")])
    await graph.put_edges(other, [sails(1, 2), sails(2, 3), sails(3, 1), knows(2, 1, b"theirs")])
    assert await graph.nodes(workspace, [key(1), key(2), key(3)]) == [crew(1, name="mine"), crew(2)]
    assert await all_edges(graph, workspace, [key(1), key(2), key(3)]) == [knows(1, 2)]
    assert await graph.paths(workspace, key(1), key(3)) == []
    assert await graph.paths(workspace, key(3), key(3)) == []
    assert len(await graph.paths(workspace, key(1), key(2))) == 1
    assert await all_matches(graph, workspace, pair()) == [Match({"a": key(1), "b": key(2)}, {})]
    for name in ("mine", "theirs"):
        one = Pattern((NodePattern("a", where=(Condition("name", "=", name),)),))
        assert len(await all_matches(graph, workspace, one)) == (name == "mine")
        labelled = Pattern((NodePattern("a", ("ship", "crew"), where=(Condition("name", "=", name),)),))
        assert len(await all_matches(graph, workspace, labelled)) == (name == "mine")
    both = Pattern((NodePattern("a"), NodePattern("b")), (Hop("a", "b", either=True, most=5),))
    assert len(await all_matches(graph, workspace, both, only={"b": [key(2), key(3)]})) == 1
    assert await graph.counts(workspace) == Counts({"crew": 2}, {"knows": 1})
    await graph.delete_edges(workspace, [sails(1, 2)])
    await graph.delete_nodes(workspace, [key(3)])
    assert await graph.counts(other) == Counts({"ship": 2, "": 1}, {"sails": 3, "knows": 1})
    assert await graph.counts(uuid.uuid4()) == Counts({}, {})


# Neighbours


async def test_neighbours_lead_out_in_or_both(graph: Graph, workspace: uuid.UUID) -> None:
    out, into, own = knows(1, 2), sails(3, 1), knows(1, 1, b"own")
    await graph.put_edges(workspace, [out, into, own, knows(2, 3)])
    for how, expected in (
        ({"direction": "out"}, [out, own]),
        ({"direction": "in"}, [into, own]),
        ({}, [out, into, own]),
        ({"types": ["sails"]}, [into]),
        ({"types": ["sails", "knows"], "direction": "out"}, [out, own]),
    ):
        assert told(await all_edges(graph, workspace, [key(1)], **how)) == told(expected)
    assert await all_edges(graph, workspace, [key(99)]) == []
    assert await all_edges(graph, workspace, []) == []


async def test_an_edge_between_two_asked_nodes_is_listed_once(graph: Graph, workspace: uuid.UUID) -> None:
    await graph.put_edges(workspace, [knows(1, 2), knows(2, 1), knows(2, 2), sails(3, 1)])
    for ids in ([key(1), key(2)], [key(2), key(1), key(2)]):
        for limit in (1, 2, 3, 10):
            edges = await all_edges(graph, workspace, ids, limit)
            assert told(edges) == told([knows(1, 2), knows(2, 1), knows(2, 2), sails(3, 1)])


async def test_a_node_with_many_edges_is_read_in_pages(graph: Graph, workspace: uuid.UUID) -> None:
    edges = [knows(0, n, b"1", n=n) for n in range(1, 1_500)] + [sails(n, 0) for n in range(1, 1_500)]
    await graph.put_edges(workspace, edges)
    for how, count in (({}, 2_998), ({"types": ["sails"]}, 1_499), ({"direction": "out"}, 1_499)):
        found = await all_edges(graph, workspace, [key(0), key(7)], 500, **how)
        assert len(found) == len({edge_key(edge) for edge in found})
        assert len(found) >= count
    first = await graph.neighbours(workspace, [key(0)], limit=10)
    await graph.delete_edges(workspace, first.edges)
    await graph.put_edges(workspace, [knows(0, n, b"2") for n in range(3_000, 3_010)])
    second = await graph.neighbours(workspace, [key(0)], limit=10, cursor=first.cursor)
    assert not {edge_key(edge) for edge in first.edges} & {edge_key(edge) for edge in second.edges}


@examples(40, **COMPARED)
@given(GRAPHS, SOME_IDS, SOME_TYPES, st.sampled_from(["out", "in", "both"]), st.integers(1, 4))
async def test_neighbours_are_those_of_the_definition(
    graph: Graph, given_graph: Any, ids: list[bytes], types: Any, direction: Any, limit: int
) -> None:
    workspace, model = uuid.uuid4(), Model(*given_graph)
    await graph.put_edges(workspace, model.edges)
    await graph.put_nodes(workspace, given_graph[0])
    found = await all_edges(graph, workspace, ids, limit, types=types, direction=direction)
    assert told(found) == told(model.neighbours(ids, types, direction))


# Paths


async def test_the_shortest_paths_are_found_with_all_their_edges(graph: Graph, workspace: uuid.UUID) -> None:
    edges = [
        knows(1, 2),
        knows(2, 3),
        knows(2, 3, b"2"),
        sails(1, 4),
        sails(3, 4),
        knows(1, 5),
        knows(5, 6),
        knows(6, 3),
    ]
    await graph.put_edges(workspace, edges)
    paths = await graph.paths(workspace, key(1), key(3))
    assert {path.nodes for path in paths} == {(key(1), key(2), key(3)), (key(1), key(4), key(3))}
    assert sorted([[edge_key(edge) for edge in path.edges] for path in paths]) == sorted(
        [
            [edge_key(one), edge_key(other)]
            for one, other in ((edges[0], edges[1]), (edges[0], edges[2]), (edges[3], edges[4]))
        ]
    )
    assert {path.nodes for path in await graph.paths(workspace, key(3), key(1), types=["sails"])} == {
        (key(3), key(4), key(1))
    }
    assert len(await graph.paths(workspace, key(1), key(3), directed=True)) == 2
    assert await graph.paths(workspace, key(3), key(1), directed=True) == []
    assert await graph.paths(workspace, key(1), key(3), max_hops=1) == []
    assert len(await graph.paths(workspace, key(1), key(3), limit=1)) == 1


async def test_a_path_to_itself_has_no_edges(graph: Graph, workspace: uuid.UUID) -> None:
    await graph.put_edges(workspace, [knows(1, 1)])
    assert await graph.paths(workspace, key(1), key(1)) == [Path((key(1),), ())]
    assert await graph.paths(workspace, key(2), key(2)) == []
    assert await graph.paths(workspace, key(1), key(2)) == []


async def test_a_path_leads_through_a_node_with_many_edges(graph: Graph, workspace: uuid.UUID) -> None:
    await graph.put_edges(workspace, [knows(0, n) for n in range(1, 3_000)] + [sails(5_000, 17), sails(18, 5_001)])
    (path,) = await graph.paths(workspace, key(5_000), key(5_001))
    assert path.nodes == (key(5_000), key(17), key(0), key(18), key(5_001))


@examples(60, **COMPARED)
@given(GRAPHS, *[st.sampled_from(IDS)] * 2, SOME_TYPES, st.booleans(), st.integers(1, 5), st.integers(1, 3))
async def test_paths_are_those_of_the_definition(
    graph: Graph, given_graph: Any, source: bytes, target: bytes, types: Any, directed: bool, hops: int, limit: int
) -> None:
    workspace, model = uuid.uuid4(), Model(*given_graph)
    await graph.put_nodes(workspace, given_graph[0])
    await graph.put_edges(workspace, model.edges)
    expected = model.paths(source, target, types, directed=directed, hops=hops)
    how = {"types": types, "directed": directed, "max_hops": hops}
    found = await graph.paths(workspace, source, target, limit=1_000, **how)
    assert sorted((path.nodes, told(path.edges)) for path in found) == sorted(
        (path.nodes, told(path.edges)) for path in expected
    )
    some = await graph.paths(workspace, source, target, limit=limit, **how)
    assert len(some) == min(limit, len(expected))
    assert all(path in found for path in some)


# Patterns


async def test_a_pattern_of_one_node_finds_nodes(graph: Graph, workspace: uuid.UUID) -> None:
    await graph.put_nodes(workspace, [crew(1, name="x"), crew(2), Node(key(3), "ship", {"name": "x"})])
    await graph.put_edges(workspace, [knows(4, 4)])
    for node, expected in (
        (NodePattern("a"), [1, 2, 3, 4]),
        (NodePattern("a", ("crew",)), [1, 2]),
        (NodePattern("a", ("crew", "ship"), (Condition("name", "=", "x"),)), [1, 3]),
        (NodePattern("a", ("crew",), (Condition("name", "absent"),)), [2]),
    ):
        found = await all_matches(graph, workspace, Pattern((node,)))
        assert matched(found) == matched([Match({"a": key(n)}, {}) for n in expected])


async def test_a_pattern_finds_what_two_share(graph: Graph, workspace: uuid.UUID) -> None:
    """Two crew on one ship at a time after 10, who do not know each other."""
    await graph.put_nodes(workspace, [*(crew(n) for n in range(1, 6)), Node(key(9), "ship")])
    await graph.put_edges(
        workspace, [*(sails(n, 9, since=n * 5) for n in range(1, 6)), sails(1, 9, b"again", since=50), knows(4, 5)]
    )
    late = (Condition("since", ">", 10),)
    pattern = Pattern(
        (NodePattern("one", ("crew",)), NodePattern("other", ("crew",)), NodePattern("ship", ("ship",))),
        (
            Hop("one", "ship", ("sails",), late, "aboard"),
            Hop("other", "ship", ("sails",), late),
            Hop("one", "other", ("knows",), either=True, absent=True),
        ),
    )
    found = await all_matches(graph, workspace, pattern, 2)
    pairs = sorted((each.nodes["one"], each.nodes["other"]) for each in found)
    numbers = [(1, 3), (1, 4), (1, 5), (3, 1), (3, 4), (3, 5), (4, 1), (4, 3), (5, 1), (5, 3)]
    assert pairs == [(key(one), key(other)) for one, other in numbers]
    assert {each.edges["aboard"].properties["since"] for each in found} == {15, 20, 25, 50}


async def test_an_absent_hop_leaves_bound_nodes_aside(graph: Graph, workspace: uuid.UUID) -> None:
    """Who knows b and nobody else."""
    await graph.put_edges(workspace, [knows(1, 2), knows(3, 2), knows(3, 4)])
    nodes = (NodePattern("a"), NodePattern("b"), NodePattern("else"))
    pattern = Pattern(nodes, (Hop("a", "b", ("knows",)), Hop("a", "else", ("knows",), absent=True)))
    assert await all_matches(graph, workspace, pattern) == [Match({"a": key(1), "b": key(2)}, {})]
    alone = Pattern((NodePattern("a"), NodePattern("x")), (Hop("x", "a", absent=True),))
    assert {each.nodes["a"] for each in await all_matches(graph, workspace, alone)} == {key(1), key(3)}


async def test_a_hop_over_several_edges_finds_what_is_near(graph: Graph, workspace: uuid.UUID) -> None:
    await graph.put_edges(workspace, [knows(n, n + 1) for n in range(1, 8)] + [knows(3, 1)])
    found = await all_matches(graph, workspace, pair(most=3), only={"a": [key(1)]})
    assert {each.nodes["b"] for each in found} == {key(2), key(3), key(4)}
    found = await all_matches(graph, workspace, pair(most=2), only={"b": [key(3)]})
    assert {each.nodes["a"] for each in found} == {key(1), key(2)}
    found = await all_matches(graph, workspace, pair(most=2, either=True), only={"b": [key(8)]})
    assert {each.nodes["a"] for each in found} == {key(6), key(7)}


async def test_only_what_is_asked_for_is_looked_at(graph: Graph, workspace: uuid.UUID) -> None:
    await graph.put_edges(workspace, [knows(n, n + 1) for n in range(40)])
    found = await all_matches(graph, workspace, pair(name="e"), 3, only={"b": [key(n) for n in range(5, 30, 2)]})
    assert matched(found) == matched(
        [Match({"a": key(n), "b": key(n + 1)}, {"e": knows(n, n + 1)}) for n in range(4, 29, 2)]
    )
    both = {"a": [key(n) for n in range(1_500)], "b": [key(5), key(5), key(99)]}
    assert await all_matches(graph, workspace, pair(), only=both) == [Match({"a": key(4), "b": key(5)}, {})]
    assert await all_matches(graph, workspace, pair(), only={"a": []}) == []


async def test_text_is_ordered_by_code_points_and_compared_as_it_is(graph: Graph, workspace: uuid.UUID) -> None:
    names = ["", "A", "a", "a'b", "é", "ﬁ", "\uffff"]
    await graph.put_nodes(workspace, [crew(n, name=name) for n, name in enumerate(names)])
    for name in names:
        for operator, expected in (
            ("<", {n for n, each in enumerate(names) if each < name}),
            (">=", {n for n, each in enumerate(names) if each >= name}),
            ("=", {names.index(name)}),
        ):
            pattern = Pattern((NodePattern("a", ("crew",), (Condition("name", operator, name),)),))  # type: ignore[arg-type]
            found = {each.nodes["a"] for each in await all_matches(graph, workspace, pattern)}
            assert found == {key(n) for n in expected}


@examples(80, **COMPARED)
@given(GRAPHS, patterns(), st.integers(1, 5), st.sampled_from(["", "a", "b"]), SOME_IDS)
async def test_matches_are_those_of_the_definition(
    graph: Graph, given_graph: Any, pattern: Pattern, limit: int, name: str, ids: list[bytes]
) -> None:
    workspace, model = uuid.uuid4(), Model(*given_graph)
    await graph.put_nodes(workspace, given_graph[0])
    await graph.put_edges(workspace, model.edges)
    only = {name: ids} if name else {}
    expected = [each for each in model.match(pattern) if not name or each.nodes[name] in ids]
    assert matched(await all_matches(graph, workspace, pattern, limit, only=only)) == matched(expected)


# What makes no sense


@pytest.mark.parametrize(
    "properties",
    [
        {"a": b"bytes"}, {"a": [1]}, {"a": float("nan")}, {"a": float("inf")}, {"a": 2**63}, {"a": -(2**63) - 1},
        {"a": "\ud800"}, {"a": "a\0b"}, {"A": 1}, {"a b": 1}, {"_a": 1}, {"a__b": 1}, {"": 1}, {"a" * 41: 1},
        {"name": "x" * 1_001},
    ],
    ids=lambda properties: ascii(properties)[:20],
)  # fmt: skip
async def test_what_is_no_property_is_invalid(graph: Graph, workspace: uuid.UUID, properties: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        await graph.put_nodes(workspace, [crew(1), Node(key(2), "crew", properties)])
    if "name" not in properties:
        with pytest.raises(Invalid):
            await graph.put_edges(workspace, [knows(1, 2), Edge("knows", key(3), key(4), b"1", properties)])
    assert await graph.counts(workspace) == Counts({}, {})


A, B, C = NodePattern("a"), NodePattern("b"), NodePattern("c")
SENSELESS = {
    "no nodes": Pattern(()),
    "a name twice": Pattern((A, A)),
    "a name of two things": Pattern((A, B), (Hop("a", "b", name="a"),)),
    "not joined": Pattern((A, B)),
    "joined by what is absent": Pattern(
        (A, B, C), (Hop("a", "b"), Hop("b", "c", absent=True), Hop("c", "a", absent=True))
    ),
    "unknown node": Pattern((A,), (Hop("a", "z"),)),
    "a loop": Pattern((A,), (Hop("a", "a"),)),
    "undeclared label": Pattern((NodePattern("a", ("nobody",)),)),
    "undeclared type": Pattern((A, B), (Hop("a", "b", ("nothing",)),)),
    "a name that is none": Pattern((NodePattern('a" --'),)),
    "too far": Pattern((A, B), (Hop("a", "b", most=6),)),
    "nowhere": Pattern((A, B), (Hop("a", "b", most=0),)),
    "a name of a chain": Pattern((A, B), (Hop("a", "b", most=2, name="e"),)),
    "too many": Pattern(tuple(NodePattern(f"n{n}") for n in range(9))),
    "no operator": Pattern((NodePattern("a", where=(Condition("x", "~", 1),)),)),  # type: ignore[arg-type]
    "no property": Pattern((NodePattern("a", where=(Condition("x') OR 1", "=", 1),)),)),
    "no value": Pattern((NodePattern("a", where=(Condition("x", "="),)),)),
    "a value too many": Pattern((NodePattern("a", where=(Condition("x", "absent", 1),)),)),
    "no list": Pattern((NodePattern("a", where=(Condition("x", "in", 1),)),)),
    "booleans in order": Pattern((NodePattern("a", where=(Condition("x", "<", True),)),)),
}


@pytest.mark.parametrize("what", SENSELESS)
async def test_a_pattern_that_makes_no_sense_is_invalid(graph: Graph, workspace: uuid.UUID, what: str) -> None:
    with pytest.raises(Invalid):
        await graph.match(workspace, SENSELESS[what])


async def test_what_makes_no_sense_is_invalid(graph: Graph, workspace: uuid.UUID) -> None:
    many = [key(n) for n in range(10_001)]
    for call in (
        graph.declare({"Crew": []}, ()),
        graph.declare({"crew": ["a b"]}, ()),
        graph.declare({}, ["x; DROP"]),
        graph.put_nodes(workspace, [Node(key(1), "nobody")]),
        graph.put_nodes(workspace, [Node(key(1))]),
        graph.put_nodes(workspace, [Node(b"", "crew")]),
        graph.put_nodes(workspace, [Node(b"x" * 65, "crew")]),
        graph.put_nodes(workspace, [Node("text", "crew")]),  # type: ignore[arg-type]
        graph.put_edges(workspace, [Edge("nothing", key(1), key(2), b"1")]),
        graph.put_edges(workspace, [knows(1, 2, b"")]),
        graph.delete_nodes(workspace, [b""]),
        graph.delete_edges(workspace, [Edge("nothing", key(1), key(2), b"1")]),
        graph.nodes(workspace, many),
        graph.neighbours(workspace, many),
        graph.neighbours(workspace, [key(1)], types=["nothing"]),
        graph.neighbours(workspace, [key(1)], direction="up"),  # type: ignore[arg-type]
        graph.neighbours(workspace, [key(1)], limit=0),
        graph.neighbours(workspace, [key(1)], limit=10_001),
        graph.neighbours(workspace, [key(1)], seconds=0),
        graph.paths(workspace, key(1), key(2), max_hops=0),
        graph.paths(workspace, key(1), key(2), max_hops=13),
        graph.paths(workspace, key(1), b""),
        graph.match(workspace, Pattern((A,)), only={"z": [key(1)]}),
        graph.match(workspace, Pattern((A,)), only={"a": many}),
        graph.match(workspace, Pattern((A,)), limit=0),
    ):
        with pytest.raises(Invalid):
            await call


@pytest.mark.parametrize(
    "cursor", ["", "x", "!!", "bnVsbA==", "W10=", "WzEsMl0=", "é", "WzFlOTk5LDEsMV0=", "WyJ4IiwieCJd"]
)
async def test_a_cursor_that_is_none_is_invalid(graph: Graph, workspace: uuid.UUID, cursor: str) -> None:
    await graph.put_edges(workspace, [knows(1, 2)])
    with pytest.raises(Invalid):
        await graph.neighbours(workspace, [key(1)], cursor=cursor)
    with pytest.raises(Invalid):
        await graph.match(workspace, pair(name="e"), cursor=cursor)


# Costs


def tangle() -> list[Edge]:
    """Sixty nodes of which each knows each."""
    return [knows(one, other) for one in range(60) for other in range(60) if one != other]


async def test_a_question_that_takes_too_long_is_given_up(graph: Graph, workspace: uuid.UUID) -> None:
    await graph.put_edges(workspace, tangle())
    with pytest.raises(Exhausted):
        await graph.match(workspace, many_ways(), seconds=0.2)
    assert len(await graph.paths(workspace, key(1), key(2))) == 2


def many_ways() -> Pattern:
    """Seven nodes that all know each other in a ring, and differ in nothing: found only after all have been tried."""
    names = "abcdefg"
    nodes = tuple(NodePattern(name) for name in names)
    return Pattern(
        nodes,
        tuple(Hop(one, other, ("knows",)) for one, other in zip(names, (*names[1:], "a"), strict=True)),
    )


async def test_a_question_whose_caller_is_gone_stops(graph: Graph, workspace: uuid.UUID) -> None:
    await graph.put_edges(workspace, tangle())
    asked = [asyncio.ensure_future(graph.match(workspace, many_ways(), seconds=3_600)) for _ in range(4)]
    await asyncio.sleep(0)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.shield(asked[0]), 0.3)
    for each in asked:
        each.cancel()
    await asyncio.gather(*asked, return_exceptions=True)
    assert len(await graph.paths(workspace, key(1), key(2))) == 2


# Life


async def test_declaring_again_and_at_once_keeps_what_is_there(
    graph: Graph, open_graph: OpenGraph, workspace: uuid.UUID
) -> None:
    other = open_graph()
    label = f"new_{uuid.uuid4().hex[:8]}"
    await graph.put_nodes(workspace, [crew(1, name="x")])
    await asyncio.gather(*(each.declare({label: ["size"], "crew": ["rank"]}, [label]) for each in (graph, other)))
    await other.put_nodes(workspace, [Node(key(2), label, {"size": 3})])
    await other.put_edges(workspace, [Edge(label, key(1), key(2), b"1")])
    large = Pattern((NodePattern("a", (label,), (Condition("size", ">", 2),)),))
    assert await all_matches(graph, workspace, large) == [Match({"a": key(2)}, {})]
    assert await graph.nodes(workspace, [key(1)]) == [crew(1, name="x")]
    with pytest.raises(Invalid):
        await other.put_edges(workspace, [knows(1, 2)])


async def test_what_was_written_is_there_after_opening_again(
    graph: Graph, open_graph: OpenGraph, workspace: uuid.UUID
) -> None:
    await graph.put_nodes(workspace, [crew(1, name="x")])
    await graph.put_edges(workspace, [knows(1, 2)])
    await graph.close()
    again = open_graph()
    await again.declare({label: ["name"] for label in LABELS}, TYPES)
    assert await again.nodes(workspace, [key(1)]) == [crew(1, name="x")]
    assert await all_edges(again, workspace, [key(2)]) == [knows(1, 2)]


async def test_a_label_that_another_declared_is_read(graph: Graph, open_graph: OpenGraph, workspace: uuid.UUID) -> None:
    other = open_graph()
    await other.declare({}, [])
    await graph.put_nodes(workspace, [crew(1)])
    await graph.put_edges(workspace, [knows(1, 2)])
    assert await other.nodes(workspace, [key(1)]) == [crew(1)]
    assert await all_edges(other, workspace, [key(1)]) == [knows(1, 2)]
    assert await other.counts(workspace) == Counts({"crew": 1, "": 1}, {"knows": 1})


async def test_a_closed_graph_is_unavailable(graph: Graph, workspace: uuid.UUID) -> None:
    await graph.ping()
    assert all(isinstance(value, int | float) for value in graph.measures().values())
    await graph.close()
    await graph.close()
    for call in (
        graph.ping(),
        graph.put_nodes(workspace, [crew(1)]),
        graph.nodes(workspace, [key(1)]),
        graph.counts(workspace),
        graph.match(workspace, pair()),
        graph.declare({}, []),
    ):
        with pytest.raises(Unavailable):
            await call
