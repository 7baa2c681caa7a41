"""A graph as trees: each part from its root on, by the number of steps."""

import numpy as np
from msgspec import Struct

from services.visualization.domain.network import Ints, Network, adjacency, components, distances, places


class Tree(Struct, frozen=True):
    """``parent`` of each node (its own number for a root), and the nodes by how many steps they are from a root.

    In a layer children of one parent lie beside one another, in the order of the parents.
    """

    parent: Ints
    steps: Ints
    layers: list[Ints]


def tree_of(graph: Network, roots: Ints, kinds: Ints) -> Tree:
    """Grow trees from the roots; a part without one has the node with most neighbours as its root.

    A node that several parents could have belongs to the first of them. Children are in the order of ``kinds``.
    """
    around = adjacency(graph)
    roots = _with_all_parts(graph, roots)
    steps = distances(around, roots, graph.size)
    parent = np.arange(graph.size, dtype=np.int32)
    place = np.zeros(graph.size, dtype=np.int64)
    part = components(graph)
    layer = roots[np.lexsort((roots, part[roots]))]
    layers = []
    while len(layer):
        place[layer] = np.arange(len(layer))
        layers.append(layer)
        counts = around.start[layer + 1] - around.start[layer]
        child, above = around.neighbour[places(around, layer)], np.repeat(layer, counts)
        below = steps[child] == len(layers)
        child, above = child[below], above[below]
        order = np.lexsort((place[above], child))
        child, above = child[order], above[order]
        first = np.ones(len(child), dtype=bool)
        first[1:] = child[1:] != child[:-1]
        child, above = child[first], above[first]
        parent[child] = above
        layer = child[np.lexsort((child, kinds[child], place[above]))]
    return Tree(parent, steps, layers)


def _with_all_parts(graph: Network, roots: Ints) -> Ints:
    part = components(graph)
    parts = int(part.max(initial=-1)) + 1
    without = np.ones(parts, dtype=bool)
    without[part[roots]] = False
    order = np.lexsort((np.arange(graph.size), -graph.degrees(), part))
    best = order[np.searchsorted(part[order], np.arange(parts))]
    return np.unique(np.concatenate([roots, best[without]])).astype(np.int32)
