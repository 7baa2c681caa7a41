"""Smaller and smaller pictures of a graph: neighbours are drawn together until few are left.

A graph that is laid out from the smallest one up unfolds as a whole before its details do (multilevel, Walshaw 2000).
"""

from typing import Final

import numpy as np
from msgspec import Struct

from services.visualization.domain.layouts.repulsion import FEW
from services.visualization.domain.network import Floats, Ints, Network, network, scattered

#: One that does not make a graph smaller by more than this is not worth its steps.
WORTH: Final = 0.85
DEEPEST: Final = 24


class Level(Struct, frozen=True):
    """A graph with the radius of each node, and the node of the next smaller graph that each one is in."""

    graph: Network
    radius: Floats
    inside: Ints


def coarsened(graph: Network, radius: Floats) -> list[Level]:
    """Return the graph and its smaller ones, the largest first; ``inside`` of the last one says nothing."""
    levels: list[Level] = []
    while graph.size > FEW and len(levels) < DEEPEST:
        inside = drawn_together(graph)
        size = int(inside.max()) + 1
        if size > WORTH * graph.size:
            break
        levels.append(Level(graph, radius, inside))
        graph = network(size, inside[graph.source], inside[graph.target], graph.weight)
        radius = np.sqrt(np.bincount(inside, radius**2, minlength=size))
    return [*levels, Level(graph, radius, np.zeros(graph.size, dtype=np.int32))]


def drawn_together(graph: Network) -> Ints:
    """Say for each node in which one of the smaller graph it is.

    Each points at the neighbour with the highest number by chance, if that is higher than its own; those that point
    at nobody are the nodes of the smaller graph, and who points at somebody is where that one is.
    """
    chance = scattered(np.arange(graph.size))
    order = np.argsort(chance, kind="stable")
    rank = np.empty(graph.size, dtype=np.int32)
    rank[order] = np.arange(graph.size, dtype=np.int32)
    highest = rank.copy()
    np.maximum.at(highest, graph.source, rank[graph.target])
    np.maximum.at(highest, graph.target, rank[graph.source])
    to = order[highest].astype(np.int32)
    # Chains of pointers are cut after one step, or a long path would become one node.
    roots = to == np.arange(graph.size)
    to = np.where(roots[to], to, np.arange(graph.size, dtype=np.int32))
    return np.unique(to, return_inverse=True)[1].astype(np.int32)
