"""Large graphs as small ones: nothing is lost, nothing is twice, and what was put together can be opened."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.visualization.domain.communities import communities
from services.visualization.domain.network import Network, network
from services.visualization.domain.reduction import Reduced, between, reduced
from tests.services.visualization.worlds import company, gathered, hub, name, random_network


def go_on() -> None:
    """Nobody is gone."""


def small(graph: Network, limit: int, opened: frozenset[str] = frozenset(), kinds: int = 1) -> Reduced:
    ids = np.array([name(number + 1) for number in range(graph.size)], dtype="S16")
    return reduced(graph, ids, np.arange(graph.size, dtype=np.int32) % kinds, limit, opened, go_on)


def check(graph: Network, found: Reduced) -> None:
    """Every node is in exactly one group, and every group is of its nodes."""
    assert len(found.inside) == graph.size
    counts = np.bincount(found.inside, minlength=len(found.groups))
    assert [group.count for group in found.groups] == counts.tolist()
    assert all(found.inside[group.head] == number for number, group in enumerate(found.groups))
    assert len({group.id for group in found.groups}) == len(found.groups)
    assert all((group.count == 1) == (group.stands == "node") for group in found.groups)


graphs = st.builds(random_network, st.integers(1, 120), st.integers(0, 200), st.integers(0, 500))


@given(graph=graphs, limit=st.integers(10, 60), kinds=st.integers(1, 5), opens=st.integers(0, 3))
def test_each_node_is_in_exactly_one_node_of_the_smaller_graph(
    graph: Network, limit: int, kinds: int, opens: int
) -> None:
    opened: frozenset[str] = frozenset()
    for _ in range(opens + 1):
        found = small(graph, limit, opened, kinds)
        check(graph, found)
        assert len(found.groups) <= limit * (1 + len(opened)) + len(opened)
        opened |= {group.id for group in found.groups if group.count > 1}
        opened = frozenset(sorted(opened)[:3])


@given(graph=graphs, limit=st.integers(10, 60))
def test_edges_between_groups_are_those_between_their_nodes(graph: Network, limit: int) -> None:
    found = small(graph, limit)
    across = found.inside[graph.source] != found.inside[graph.target]
    assert between(graph, found).weight.sum() == graph.weight[across].sum()


def test_a_graph_that_is_small_enough_stays_as_it_is() -> None:
    graph = random_network(50, 80, 1)
    assert [group.id for group in small(graph, 50).groups] == [name(number + 1).hex() for number in range(50)]


def test_leaves_of_one_type_around_one_hub_become_one() -> None:
    graph = gathered(*hub(90, kinds=3))
    found = reduced(graph.network, graph.ids, graph.kinds, 20, frozenset(), go_on)
    leaves = [group for group in found.groups if group.stands == "leaves"]
    assert sorted(group.count for group in leaves) == [30, 30, 30]
    assert sorted(graph.types[graph.kinds[group.head]] for group in leaves) == ["kind0", "kind1", "kind2"]
    assert len(found.groups) == 5


def test_what_stands_for_many_is_opened_in_its_place() -> None:
    graph = gathered(*hub(60, kinds=3))
    closed = reduced(graph.network, graph.ids, graph.kinds, 30, frozenset(), go_on)
    one = next(group for group in closed.groups if group.stands == "leaves")
    opened = reduced(graph.network, graph.ids, graph.kinds, 30, frozenset({one.id}), go_on)
    check(graph.network, opened)
    shown = {group.id for group in opened.groups}
    assert {group.id for group in closed.groups} - {one.id} <= shown
    assert len(shown) == len(closed.groups) - 1 + one.count


def test_what_is_in_a_cluster_can_be_opened_further() -> None:
    graph = random_network(1_500, 3_000, 6)
    opened: frozenset[str] = frozenset()
    for _ in range(3):
        found = small(graph, 30, opened)
        check(graph, found)
        largest = max(found.groups, key=lambda group: group.count)
        assert largest.id not in opened
        opened |= {largest.id}
    again = small(graph, 30, opened)
    assert max(group.count for group in again.groups) < max(group.count for group in small(graph, 30).groups)


def test_cliques_are_communities() -> None:
    """Eight of twelve nodes each, joined in a ring by one edge."""
    pairs = [(group * 12 + one, group * 12 + other) for group in range(8) for one in range(12) for other in range(one)]
    pairs += [(group * 12, (group + 1) % 8 * 12 + 1) for group in range(8)]
    graph = network(96, *np.array(pairs).T)
    cliques = [range(group * 12, group * 12 + 12) for group in range(8)]
    found = [[set(label[clique]) for clique in cliques] for label in communities(graph, go_on)]
    assert any(all(len(each) == 1 for each in sets) and len(set.union(*sets)) == 8 for sets in found)


def test_communities_nest() -> None:
    before: np.ndarray | None = None
    for label in communities(random_network(2_000, 4_000, 9), go_on):
        if before is not None:
            assert len(set(zip(before.tolist(), label.tolist(), strict=True))) == len(set(before.tolist()))
        before = label
    assert before is not None


@pytest.mark.parametrize("parts", [5_000, 40])
def test_parts_that_nothing_joins_are_put_together_evenly(parts: int) -> None:
    graph = network(parts, np.array([0]), np.array([1]))
    found = small(graph, 30, kinds=parts)
    check(graph, found)
    assert len(found.groups) <= 30
    rest = [group.count for group in found.groups if group.stands == "rest"]
    assert rest
    assert max(rest) - min(rest) <= 1


def test_the_same_graph_is_reduced_alike_in_whatever_order_it_comes() -> None:
    nodes, edges = company(300)
    one, other = gathered(nodes, edges), gathered(nodes[::-1], edges[::-1])
    assert one.digest == other.digest
    groups = [reduced(each.network, each.ids, each.kinds, 50, frozenset(), go_on).groups for each in (one, other)]
    assert groups[0] == groups[1]


def test_a_graph_with_anything_else_in_it_is_another_graph() -> None:
    nodes, edges = company(20)
    digests = {
        gathered(*graph).digest
        for graph in (
            (nodes, edges),
            (nodes[:-1], edges),
            (nodes, edges[:-1]),
            ([*nodes[:-1], nodes[0]], edges),
            (nodes, [*edges, edges[0]]),
        )
    }
    assert len(digests) == 4  # two of them lack the same node
