"""Where nodes are laid: all of them, always at the same places, apart from one another, and kept when more come."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.visualization.domain.layouts.coarsening import coarsened
from services.visualization.domain.layouts.force import force
from services.visualization.domain.layouts.layered import layered
from services.visualization.domain.layouts.radial import radial
from services.visualization.domain.layouts.repulsion import Mesh, Pairs
from services.visualization.domain.network import Network, adjacency, components, distances, network
from tests.services.visualization.worlds import company, gathered, random_network


def go_on() -> None:
    """Nobody is gone."""


def laid_out(graph: Network, how: str) -> np.ndarray:
    roots, kinds = np.zeros(min(1, graph.size), dtype=np.int32), np.zeros(graph.size, dtype=np.int32)
    match how:
        case "force":
            return force(graph, go_on)
        case "radial":
            return radial(graph, go_on, roots, kinds)
        case _:
            return layered(graph, go_on, roots, kinds)


def lattice(side: int) -> Network:
    number = np.arange(side * side).reshape(side, side)
    across, down = (number[:, :-1], number[:, 1:]), (number[:-1], number[1:])
    return network(
        side * side,
        np.concatenate([across[0].ravel(), down[0].ravel()]),
        np.concatenate([across[1].ravel(), down[1].ravel()]),
    )


HOW = ("force", "radial", "layered")


@pytest.mark.parametrize("how", HOW)
@given(size=st.integers(0, 60), edges=st.integers(0, 120), seed=st.integers(0, 1_000))
def test_every_node_of_every_graph_has_a_place_of_its_own(how: str, size: int, edges: int, seed: int) -> None:
    graph = random_network(size, edges if size else 0, seed)
    at = laid_out(graph, how)
    assert at.shape == (size, 2)
    assert np.isfinite(at).all()
    assert len(np.unique(np.round(at, 6), axis=0)) == size


@pytest.mark.parametrize("how", HOW)
def test_the_same_graph_is_the_same_picture(how: str) -> None:
    graph = random_network(900, 1_500, 3)
    assert np.array_equal(laid_out(graph, how), laid_out(graph, how))


@pytest.mark.parametrize("how", HOW)
def test_parts_that_nothing_joins_lie_side_by_side(how: str) -> None:
    graph = random_network(300, 220, 5)
    at, part = laid_out(graph, how), components(graph)
    boxes = [(at[part == each].min(axis=0), at[part == each].max(axis=0)) for each in range(part.max() + 1)]
    assert len(boxes) > 50
    for number, (low, high) in enumerate(boxes):
        for other_low, other_high in boxes[:number]:
            assert (low > other_high).any() or (other_low > high).any()


def test_large_hubs_do_not_lie_in_one_another() -> None:
    """Three hubs of 400 leaves that are joined: each leaf is nearer to its own hub than to another one."""
    hubs, leaves = np.array([0, 1, 2]), np.arange(3, 1_203)
    own = np.repeat(hubs, 400)
    graph = network(1_203, np.concatenate([[0, 1, 2], own]), np.concatenate([[1, 2, 0], leaves]))
    at = force(graph, go_on)
    apart = np.sqrt(((at[leaves][:, None] - at[hubs][None]) ** 2).sum(axis=2))
    assert (apart.argmin(axis=1) == own).all()


def test_a_lattice_unfolds() -> None:
    """Neighbours lie beside one another, and opposite corners at opposite ends."""
    at = force(lattice(30), go_on)
    graph = lattice(30)
    near = np.sqrt(((at[graph.source] - at[graph.target]) ** 2).sum(axis=1))
    whole = np.sqrt(((at.max(axis=0) - at.min(axis=0)) ** 2).sum())
    assert near.mean() < whole / 20
    assert np.sqrt(((at[0] - at[-1]) ** 2).sum()) > whole / 2


def test_neighbours_are_nearer_than_strangers() -> None:
    graph = gathered(*company(400)).network
    at = force(graph, go_on)
    near = np.sqrt(((at[graph.source] - at[graph.target]) ** 2).sum(axis=1))
    order = np.random.default_rng(1).permutation(graph.size)
    strangers = np.sqrt(((at - at[order]) ** 2).sum(axis=1))
    assert np.median(near) < np.median(strangers) / 3


def test_what_was_there_stays_about_where_it_is_when_more_comes() -> None:
    nodes, edges = company(300)
    whole = gathered(nodes, edges)
    known = nodes[: len(nodes) * 9 // 10]
    part = gathered(known, edges)
    first = force(part.network, go_on)
    place = np.searchsorted(whole.ids, part.ids)
    before = np.full((whole.network.size, 2), np.nan)
    before[place] = first
    grown = force(whole.network, go_on, before)
    assert np.isfinite(grown).all()
    width = math.dist(first.min(axis=0), first.max(axis=0))
    moved = np.sqrt(((grown[place] - first) ** 2).sum(axis=1))
    afresh = np.sqrt(((force(whole.network, go_on)[place] - first) ** 2).sum(axis=1))
    assert np.median(moved) < 0.02 * width
    assert np.median(moved) < np.median(afresh) / 3


def test_a_new_part_is_laid_below_what_was_there() -> None:
    old = lattice(6)
    before = np.full((72, 2), np.nan)
    before[:36] = force(old, go_on)
    two = network(72, np.concatenate([old.source, old.source + 36]), np.concatenate([old.target, old.target + 36]))
    at = force(two, go_on, before)
    assert at[36:, 1].min() > at[:36, 1].max()


def test_rings_are_as_far_out_as_they_are_steps_away() -> None:
    graph = random_network(200, 500, 2)
    at = radial(graph, go_on, np.array([0], dtype=np.int32), np.zeros(200, dtype=np.int32))
    steps = distances(adjacency(graph), np.array([0], dtype=np.int32), 200)
    out = np.round(np.sqrt(((at - at[0]) ** 2).sum(axis=1)), 6)
    rings = [set(out[steps == step]) for step in range(steps.max() + 1)]
    assert all(len(ring) == 1 for ring in rings)
    assert sorted(rings, key=min) == rings


def test_layers_go_down_by_steps_from_the_top() -> None:
    graph = random_network(200, 500, 2)
    at = layered(graph, go_on, np.array([0], dtype=np.int32), np.zeros(200, dtype=np.int32))
    steps = distances(adjacency(graph), np.array([0], dtype=np.int32), 200)
    heights = [at[steps == step][:, 1] for step in range(steps.max() + 1)]
    assert all(above.max() < below.min() for above, below in pairwise(heights))


def test_order_in_layers_lets_fewer_edges_cross() -> None:
    """Two rows joined by a shuffled matching: without order about half of all pairs cross."""
    order = np.random.default_rng(4).permutation(40)
    source = np.concatenate([np.zeros(40), np.arange(1, 41), np.arange(41, 81)]).astype(int)
    target = np.concatenate([np.arange(1, 41), 41 + order, np.full(40, 81)]).astype(int)
    at = layered(network(82, source, target), go_on, np.array([0], dtype=np.int32), np.zeros(82, dtype=np.int32))
    above, below = at[1:41, 0], at[41 + order, 0]
    crossings = sum(
        (above[one] < above[other]) != (below[one] < below[other]) for one in range(40) for other in range(one)
    )
    assert crossings < 40


def test_the_mesh_pushes_about_as_all_pairs_do() -> None:
    at = np.random.default_rng(2).normal(size=(400, 2)) * 20
    mass = np.random.default_rng(3).uniform(1, 3, 400)
    exact, meshed = Pairs(np.array([400])).pushed(at, mass), Mesh(400).pushed(at, mass)
    off = np.sqrt(((exact - meshed) ** 2).sum(axis=1)) / np.sqrt((exact**2).sum(axis=1))
    assert np.median(off) < 0.15


def test_smaller_pictures_have_every_node_and_what_joins_them() -> None:
    graph = random_network(3_000, 6_000, 8)
    levels = coarsened(graph, np.full(3_000, 0.5))
    assert len(levels) > 2
    for level, smaller in pairwise(levels):
        assert len(level.inside) == level.graph.size
        assert set(level.inside) == set(range(smaller.graph.size))
        joined = level.inside[level.graph.source] != level.inside[level.graph.target]
        assert smaller.graph.weight.sum() == level.graph.weight[joined].sum()


@settings(max_examples=20)
@given(size=st.integers(1, 40), edges=st.integers(0, 60), seed=st.integers(0, 1_000))
def test_parts_are_those_that_edges_join(size: int, edges: int, seed: int) -> None:
    graph = random_network(size, edges, seed)
    part = components(graph)
    assert set(part) == set(range(part.max() + 1))
    for node in range(size):
        reached = distances(adjacency(graph), np.array([node], dtype=np.int32), size) >= 0
        assert (reached == (part == part[node])).all()


def test_a_layout_that_nobody_waits_for_ends_at_its_next_step() -> None:
    steps = 0

    def gone() -> None:
        nonlocal steps
        steps += 1
        if steps == 3:
            raise TimeoutError

    with pytest.raises(TimeoutError):
        force(random_network(2_000, 4_000, 1), gone)
    assert steps == 3
