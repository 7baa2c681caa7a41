"""Nodes with one neighbour: a disc of them around it, like the seeds of a sunflower (Vogel 1979)."""

from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from services.visualization.domain.layouts.spacing import golden
from services.visualization.domain.network import Floats, Ints, Network

#: With which two seeds beside one another are about 0.7 apart.
SEED: Final = 0.4
#: The radius of a node, and the first seed of a disc that is left free for the hub.
OWN, FREE = 0.5, 2


class Leaves(Struct, frozen=True):
    """Which nodes are leaves, of which hub (itself where it is none), and how large each node is with its leaves.

    ``seed``: how far apart the leaves of each hub are.
    """

    is_leaf: NDArray[np.bool_]
    hub: Ints
    radius: Floats
    seed: Floats


def leaves_of(graph: Network, own: Floats) -> Leaves:
    """Find the leaves; of two that have only each other the first is the hub. ``own``: the radius of each alone."""
    degrees = graph.degrees()
    hub = np.arange(graph.size, dtype=np.int32)
    second = (degrees[graph.target] == 1) & (degrees[graph.source] >= 1)
    first = (degrees[graph.source] == 1) & (degrees[graph.target] > 1)
    hub[graph.target[second]] = graph.source[second]
    hub[graph.source[first]] = graph.target[first]
    is_leaf = hub != np.arange(graph.size)
    largest = own.copy()
    np.maximum.at(largest, hub[is_leaf], own[is_leaf])
    count = np.bincount(hub[is_leaf], minlength=graph.size)
    seed = SEED * largest / OWN
    radius = np.where(count > 0, seed * np.sqrt(count + FREE) + largest * 0.6, own)
    return Leaves(is_leaf, hub, radius, seed)


def put_leaves(graph: Network, leaves: Leaves, number: Ints, at: Floats, before: Floats | None) -> Floats:
    """Return where all nodes are; ``at`` is where those with these numbers are, which are no leaves.

    A leaf that was there before stays where it was, seen from its hub; a new one takes the next seed.
    """
    every = np.zeros((graph.size, 2))
    every[number] = at
    leaf = np.flatnonzero(leaves.is_leaf)
    if not len(leaf):
        return every
    hub = leaves.hub[leaf]
    stays = np.zeros(len(leaf), dtype=bool)
    if before is not None:
        stays = ~np.isnan(before[leaf, 0]) & ~np.isnan(before[hub, 0])
        close = np.abs(np.where(stays[:, None], before[leaf] - before[hub], 0)).max(axis=1) <= 2 * leaves.radius[hub]
        stays &= close
        every[leaf[stays]] = every[hub[stays]] + before[leaf[stays]] - before[hub[stays]]
    order = np.lexsort((leaf, ~stays, hub))
    counts = np.bincount(hub, minlength=graph.size)
    counts = counts[counts > 0]
    seed = np.empty(len(leaf), dtype=np.int64)
    seed[order] = np.arange(len(leaf)) - np.repeat(np.cumsum(counts) - counts, counts) + FREE
    new = ~stays
    every[leaf[new]] = every[hub[new]] + golden(seed[new]) * leaves.seed[hub[new], None]
    return every
