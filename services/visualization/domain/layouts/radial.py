"""Rings around one node: on each those that are as many steps away, every branch in a sector of its own."""

from collections.abc import Callable
from typing import Final

import numpy as np

from services.visualization.domain.layouts.packing import packed
from services.visualization.domain.layouts.trees import Tree, tree_of
from services.visualization.domain.network import Floats, Ints, Network, components

#: Between two rings, and between two nodes on one.
RINGS: Final = 2.0
BESIDE: Final = 1.0

Check = Callable[[], None]


def radial(graph: Network, check: Check, roots: Ints, kinds: Ints) -> Floats:
    """Return where each node is; ``roots`` are in the middle of their parts, in others the node with most neighbours.

    Several roots of one part are on its innermost ring. Those of one kind come one after the other.
    """
    if not graph.size:
        return np.zeros((0, 2))
    part = components(graph)
    tree = tree_of(graph, roots, kinds)
    at = np.zeros((graph.size, 2))
    check()
    width = _widths(tree)
    angle, span = np.zeros(graph.size), np.zeros(graph.size)
    first = tree.layers[0]
    total = np.bincount(part[first], width[first])
    span[first] = 2 * np.pi * width[first] / total[part[first]]
    angle[first] = _begins(part[first], span[first])
    several = np.bincount(part[first]) > 1
    radius = np.zeros(int(part.max(initial=-1)) + 1)
    radius[several] = np.maximum(BESIDE / 2, (np.bincount(part[first]) * BESIDE / (2 * np.pi)))[several]
    for depth, layer in enumerate(tree.layers):
        check()
        if depth:
            above = tree.parent[layer]
            share = width[layer] / np.bincount(above, width[layer], minlength=graph.size)[above]
            span[layer] = span[above] * share
            angle[layer] = angle[above] + _begins(above, span[layer])
            needed = np.zeros_like(radius)
            np.maximum.at(needed, part[layer], BESIDE / np.maximum(span[layer], 1e-9))
            radius = np.where(needed > 0, np.maximum(radius + RINGS, needed), radius)
        middle = angle[layer] + span[layer] / 2
        at[layer] = np.stack([np.cos(middle), np.sin(middle)], axis=1) * radius[part[layer], None]
    return packed(at, np.full(graph.size, BESIDE / 2), part, np.zeros(graph.size, dtype=bool), turn=False)


def _widths(tree: Tree) -> Floats:
    """How much room each branch needs: as much as its ends, and the further out the less each."""
    width = np.zeros(len(tree.parent))
    for depth in range(len(tree.layers) - 1, -1, -1):
        layer = tree.layers[depth]
        width[layer] = np.maximum(width[layer], 1.0 / (depth + 1))
        if depth:
            np.add.at(width, tree.parent[layer], width[layer])
    return width


def _begins(group: Ints, span: Floats) -> Floats:
    """Where each sector begins within its group; those of a group lie one after the other."""
    ends = np.cumsum(span)
    new = np.ones(len(group), dtype=bool)
    new[1:] = group[1:] != group[:-1]
    start = (ends - span)[new]
    return np.asarray(ends - span - start[np.cumsum(new) - 1])
