"""A graph as numbers: nodes are 0 to ``size`` - 1, edges are pairs of them in arrays.

Arrays, since a graph of a million edges is 8 MB that way, and each step of a layout a few calls of numpy.
"""

from typing import Any, Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

Ints = NDArray[np.int32]
Floats = NDArray[np.float64]

_TURNS: Final = np.uint64(0x9E3779B97F4A7C15)


class Network(Struct, frozen=True):
    """An undirected graph: each pair once, the smaller first, and no node with itself; ``weight``: how many it was."""

    size: int
    source: Ints
    target: Ints
    weight: Floats

    def degrees(self) -> Ints:
        return _counted(self.source, self.size) + _counted(self.target, self.size)


class Adjacency(Struct, frozen=True):
    """The neighbours of node ``n``: ``neighbour[start[n] : start[n + 1]]``, in order, and the edges to them."""

    start: NDArray[np.int64]
    neighbour: Ints
    edge: Ints


def network(size: int, source: Any, target: Any, weight: Any = None) -> Network:
    """Make a graph of edges as they come: turned round, repeated, or from a node to itself."""
    first = np.minimum(source, target).astype(np.int64)
    second = np.maximum(source, target).astype(np.int64)
    weights = np.ones(len(first)) if weight is None else np.asarray(weight, dtype=np.float64)
    real = first != second
    pairs, place = np.unique(first[real] * size + second[real], return_inverse=True)
    return Network(
        size,
        (pairs // max(size, 1)).astype(np.int32),
        (pairs % max(size, 1)).astype(np.int32),
        np.bincount(place, weights[real], minlength=len(pairs)).astype(np.float64),
    )


def adjacency(graph: Network) -> Adjacency:
    """Return the graph by nodes."""
    ends = np.concatenate([graph.source, graph.target])
    others = np.concatenate([graph.target, graph.source])
    order = np.argsort(ends.astype(np.int64) * max(graph.size, 1) + others, kind="stable")
    start = np.zeros(graph.size + 1, dtype=np.int64)
    np.cumsum(_counted(ends, graph.size), out=start[1:])
    edges = np.arange(len(graph.source), dtype=np.int32)
    return Adjacency(start, others[order], np.concatenate([edges, edges])[order])


def components(graph: Network) -> Ints:
    """Number the connected parts of a graph: for each node, in the order of their first nodes.

    Each node takes the smallest number among its neighbours', and then what that one has, until nothing changes.
    """
    label = np.arange(graph.size, dtype=np.int32)
    while True:
        lowest = label.copy()
        np.minimum.at(lowest, label[graph.source], label[graph.target])
        np.minimum.at(lowest, label[graph.target], label[graph.source])
        label = lowest[label]
        while not np.array_equal(deeper := label[label], label):
            label = deeper
        if np.array_equal(label[graph.source], label[graph.target]):
            return np.unique(label, return_inverse=True)[1].astype(np.int32)


def subnetwork(graph: Network, kept: NDArray[np.bool_]) -> tuple[Network, Ints]:
    """The part of a graph between some nodes, numbered anew; and which those were."""
    number = np.cumsum(kept, dtype=np.int32) - 1
    inside = kept[graph.source] & kept[graph.target]
    return (
        Network(
            int(kept.sum()),
            number[graph.source[inside]].astype(np.int32),
            number[graph.target[inside]].astype(np.int32),
            graph.weight[inside],
        ),
        np.flatnonzero(kept).astype(np.int32),
    )


def scattered(numbers: Any) -> Floats:
    """A number of 0 to 1 for each, that looks like chance and is always the same (splitmix64)."""
    with np.errstate(over="ignore"):
        mixed = (np.asarray(numbers).astype(np.uint64) + np.uint64(1)) * _TURNS
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed ^= mixed >> np.uint64(31)
    return (mixed >> np.uint64(11)).astype(np.float64) / float(1 << 53)


def distances(graph: Adjacency, starts: Ints, size: int) -> Ints:
    """How many steps each node is from the nearest of ``starts``; -1 where none leads there."""
    steps = np.full(size, -1, dtype=np.int32)
    steps[starts] = 0
    front = np.unique(starts)
    step = 0
    while len(front):
        step += 1
        reached = np.unique(graph.neighbour[places(graph, front)])
        front = reached[steps[reached] < 0]
        steps[front] = step
    return steps


def places(graph: Adjacency, nodes: Ints) -> NDArray[np.int64]:
    """Where the neighbours of some nodes stand, one node after the other."""
    return ranges(graph.start[nodes], graph.start[nodes + 1] - graph.start[nodes])


def ranges(first: NDArray[np.int64], count: NDArray[np.int64]) -> NDArray[np.int64]:
    """``first``, ``first`` + 1 … of each, ``count`` of them, one after the other."""
    ends = np.cumsum(count)
    total = int(ends[-1]) if len(ends) else 0
    return np.arange(total, dtype=np.int64) + np.repeat(first - ends + count, count)


def _counted(nodes: Ints, size: int) -> Ints:
    return np.bincount(nodes, minlength=size).astype(np.int32)
