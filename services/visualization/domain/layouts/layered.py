"""Layers from top to bottom: in each those that are as many steps from the top, in an order by which few edges cross.

The orders are those of Sugiyama, Tagawa and Toda (1981): each node goes where the mean of its neighbours is, down the
layers and up again. Layers go by steps and not by directions, since relations lead both ways between the same things:
so no edge spans more than one layer, and a domain is above its names, these above their addresses.
"""

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.visualization.domain.layouts.packing import packed
from services.visualization.domain.layouts.trees import tree_of
from services.visualization.domain.network import Floats, Ints, Network, components

#: Between two layers, between two nodes of one, and how often layers are put in order.
BELOW: Final = 4.0
BESIDE: Final = 1.0
SWEEPS: Final = 12
#: A layer of more nodes goes on in rows below, and has not more than three times the room that it needs.
WIDEST: Final = 120
ROOMIEST: Final = 3.0

Check = Callable[[], None]


def layered(graph: Network, check: Check, roots: Ints, kinds: Ints) -> Floats:
    """Return where each node is; ``roots`` are at the top, in parts without one the node with most neighbours."""
    if not graph.size:
        return np.zeros((0, 2))
    tree = tree_of(graph, roots, kinds)
    part = components(graph)
    row = part.astype(np.int64) * (int(tree.steps.max(initial=0)) + 1) + tree.steps
    place = _ordered(graph, row, tree.layers, check)
    at = _placed(row, part, place)
    return packed(at, np.full(graph.size, BESIDE / 2), part, np.zeros(graph.size, dtype=bool), turn=False)


def _ordered(graph: Network, row: NDArray[np.int64], layers: list[Ints], check: Check) -> Floats:
    """The place of each node in its row, from 0 to 1."""
    first = np.empty(graph.size, dtype=np.int64)
    first[np.concatenate(layers)] = np.arange(graph.size)
    place = _shares(np.lexsort((first, row)), row)
    for sweep in range(SWEEPS):
        check()
        # Down the layers those above count, up the layers those below, and in the end both.
        both = sweep >= SWEEPS - 2
        falls = row[graph.source] < row[graph.target]
        rises = row[graph.source] > row[graph.target]
        if sweep % 2:
            falls, rises = rises, falls
        total, count = np.zeros(graph.size), np.zeros(graph.size)
        for one, other, use in (
            (graph.source, graph.target, falls | both),
            (graph.target, graph.source, rises | both),
        ):
            total += np.bincount(other[use], place[one[use]], minlength=graph.size)
            count += np.bincount(other[use], minlength=graph.size)
        mean = np.where(count > 0, total / np.maximum(count, 1), place)
        place = _shares(np.lexsort((first, mean, row)), row)
    return place


def _shares(order: NDArray[np.int64], row: NDArray[np.int64]) -> Floats:
    _, first, counts = np.unique(row[order], return_index=True, return_counts=True)
    place = np.empty(len(order))
    place[order] = (np.arange(len(order)) - np.repeat(first, counts) + 0.5) / np.repeat(counts, counts)
    return place


def _placed(row: NDArray[np.int64], part: Ints, place: Floats) -> Floats:
    order = np.lexsort((place, row))
    _, first, counts = np.unique(row[order], return_index=True, return_counts=True)
    lines = -(-counts // WIDEST)
    wide = -(-counts // lines)
    within = np.arange(len(order)) - np.repeat(first, counts)
    column, line = within // np.repeat(lines, counts), within % np.repeat(lines, counts)
    of_part = part[order[first]] if len(order) else part
    widest = np.ones(int(part.max(initial=-1)) + 1)
    np.maximum.at(widest, of_part, wide.astype(np.float64))
    step = BESIDE * np.minimum(ROOMIEST, widest[of_part] / wide)
    height = BELOW + (lines - 1) * BESIDE
    begins = np.ones(len(of_part), dtype=bool)
    begins[1:] = of_part[1:] != of_part[:-1]
    top = np.cumsum(height) - height
    top -= top[begins][np.cumsum(begins) - 1]
    at = np.empty((len(order), 2))
    at[order, 0] = (column - (np.repeat(wide, counts) - 1) / 2) * np.repeat(step, counts)
    at[order, 1] = np.repeat(top, counts) + line * BESIDE
    return at
