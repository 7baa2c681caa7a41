"""Force-directed: edges pull, nodes push, and what belongs together comes to lie together.

Leaves are not simulated: they are most nodes of most graphs of this kind, and a disc of them around their hub is what
a simulation would end in, so that a hub is simulated as a disc of the size of its leaves. What is left is laid out from
its coarsest picture up (`services.visualization.domain.layouts.coarsening`).
"""

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.visualization.domain.layouts.coarsening import coarsened
from services.visualization.domain.layouts.leaves import OWN, leaves_of, put_leaves
from services.visualization.domain.layouts.packing import packed
from services.visualization.domain.layouts.repulsion import FEW, Mesh, Pairs, squared, summed
from services.visualization.domain.layouts.spacing import golden, spread
from services.visualization.domain.network import Floats, Ints, Network, adjacency, components, subnetwork

#: Steps on the coarsest graph, on those between and on the graph itself, and of one that has grown.
FIRST, BETWEEN, LAST, GROWN = 200, 60, 80, 60
#: How much less what was there before moves than what is new.
HELD: Final = 0.05

#: From so many neighbours on a node is a hub.
HUB: Final = 8

Check = Callable[[], None]


def force(graph: Network, check: Check, before: Floats | None = None, own: Floats | None = None) -> Floats:
    """Return where each node is; two that are neighbours are about 1 apart where there is room.

    ``before``: where nodes were, NaN for one that is new: what was there stays about where it is. ``own``: the radius
    of each node. ``check`` is called between the steps, and raises to end it.
    """
    leaves = leaves_of(graph, np.full(graph.size, OWN) if own is None else own)
    core, number = subnetwork(graph, ~leaves.is_leaf)
    radius = leaves.radius[number]
    part = components(core)
    known = np.zeros(core.size, dtype=bool) if before is None else ~np.isnan(before[number, 0])
    old = np.isin(part, np.unique(part[known]))
    at = np.zeros((core.size, 2))
    if before is not None and old.any():
        at[old] = grown(*subnetwork(core, old), radius, before[number], check)
    if not old.all():
        fresh, which = subnetwork(core, ~old)
        at[which] = laid_out(fresh, radius[which], check)
    at = packed(at, radius, part, old)
    return put_leaves(graph, leaves, number, at, before)


def laid_out(graph: Network, radius: Floats, check: Check) -> Floats:
    """Lay out a graph of many parts, each around the origin: small ones all at once, large ones one by one."""
    at = np.zeros((graph.size, 2))
    part = components(graph)
    sizes = np.bincount(part)
    few = sizes[part] <= FEW
    order = np.flatnonzero(few)[np.argsort(part[few], kind="stable")]
    if len(order):
        small, _ = subnetwork(graph, few)
        turned = np.empty(len(order), dtype=np.int32)
        turned[np.searchsorted(np.flatnonzero(few), order)] = np.arange(len(order), dtype=np.int32)
        small = Network(small.size, turned[small.source], turned[small.target], small.weight)
        counts = sizes[np.unique(part[few])]
        first = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
        start = golden(first) * np.repeat(_room(radius[order], counts), counts)[:, None]
        at[order] = _settled(small, start, radius[order], FIRST, Pairs(counts), check)
    for number in np.flatnonzero(sizes > FEW):
        one, which = subnetwork(graph, part == number)
        at[which] = unfolded(one, radius[which], check)
    return at


def unfolded(graph: Network, radius: Floats, check: Check) -> Floats:
    """Lay out a connected graph from its coarsest picture up."""
    levels = coarsened(graph, radius)
    last = levels[-1]
    start = golden(np.arange(last.graph.size)) * last.radius.mean()
    at = _settled(last.graph, start, last.radius, FIRST, _pushing(last.graph.size), check)
    for level in reversed(levels[:-1]):
        inside = level.inside
        order = np.argsort(inside, kind="stable")
        counts = np.bincount(inside)
        within = np.empty(level.graph.size, dtype=np.int64)
        within[order] = np.arange(level.graph.size) - np.repeat(np.cumsum(counts) - counts, counts)
        at = at[inside] * 1.1 + golden(within) * (level.radius * (within > 0))[:, None]
        steps = LAST if level is levels[0] else BETWEEN
        at = _settled(level.graph, at, level.radius, steps, _pushing(level.graph.size), check, heat=0.7)
    return spread(at, radius, check)


def grown(graph: Network, which: Ints, radius: Floats, before: Floats, check: Check) -> Floats:
    """Lay out a graph of which a part was laid out before."""
    radius, at = radius[which], before[which].copy()
    known = ~np.isnan(at[:, 0])
    around = adjacency(graph)
    while not (placed := ~np.isnan(at[:, 0])).all():
        place = np.where(placed[:, None], at, 0.0)
        count = np.bincount(graph.source, placed[graph.target], minlength=graph.size)
        count += np.bincount(graph.target, placed[graph.source], minlength=graph.size)
        total = summed(graph.source, place[graph.target], graph.size) + summed(
            graph.target, place[graph.source], graph.size
        )
        next_to = ~placed & (count > 0)
        turn = np.arange(graph.size) - around.start[0]
        at[next_to] = (total[next_to] / count[next_to, None]) + golden(turn[next_to] % 64 + 1) * radius[next_to, None]
    move = np.where(known, HELD, 1.0)
    at = _settled(graph, at, radius, GROWN, _pushing(graph.size), check, heat=0.4, move=move)
    return spread(at, radius, check, move=move)


def _pushing(size: int) -> Pairs | Mesh:
    return Pairs(np.array([size])) if size <= FEW else Mesh(size)


def _room(radius: Floats, counts: NDArray[np.int64]) -> Floats:
    begins = np.cumsum(counts) - counts
    return np.asarray(np.add.reduceat(radius, begins) / counts * 1.5)


def _settled(
    graph: Network,
    at: Floats,
    radius: Floats,
    steps: int,
    pushing: Pairs | Mesh,
    check: Check,
    *,
    heat: float = 2.0,
    move: Floats | None = None,
) -> Floats:
    """Let the forces act for some steps, each smaller than the one before.

    Two neighbours alone would come to rest with their discs side by side: their push is m·m'/d, their pull grows with
    the square of the distance, as Fruchterman and Reingold have it.
    """
    if graph.size < 2 or not len(graph.source):
        return at
    mass = radius * 2.0
    rest = radius[graph.source] + radius[graph.target] + 0.2
    strength = mass[graph.source] * mass[graph.target] / rest**3
    # A hub pulls each of its neighbours less, or all that it joins would lie in one ball round it.
    degrees = graph.degrees()
    strength *= np.minimum(1.0, np.sqrt(HUB / np.maximum(degrees[graph.source], degrees[graph.target])))
    furthest = heat * float(np.median(rest)) * np.geomspace(1.0, 0.04, steps)
    limit = np.ones(graph.size) if move is None else move
    for most in furthest:
        check()
        apart = at[graph.target] - at[graph.source]
        length = np.sqrt(squared(apart))
        pull = apart * (strength * length)[:, None]
        force = pushing.pushed(at, mass)
        force += summed(graph.source, pull, graph.size) - summed(graph.target, pull, graph.size)
        force /= mass[:, None]
        size = np.sqrt(squared(force)) + 1e-12
        at = at + force * (np.minimum(size, most) / size * limit)[:, None]
    return at
