"""Levels of detail: a large graph as one of few nodes, each of which stands for one or many.

Leaves of one type around one hub become one node with their number. Where that is not enough, communities do, the
smallest of which are shown one by one as far as there is room, or are put together where there is none. Whatever a
graph is like, each of its nodes is in exactly one node of the smaller one.
"""

from collections.abc import Callable
from hashlib import blake2b
from typing import Any, Final, Literal

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from services.visualization.domain.communities import communities
from services.visualization.domain.network import Ints, Network, network, subnetwork

#: Fewer leaves than this stay themselves.
BUNDLE: Final = 4

Standing = Literal["node", "leaves", "cluster", "rest"]
Check = Callable[[], None]


class Group(Struct, frozen=True):
    """A node of the smaller graph: what it stands for, how many, and the node that it is named after.

    ``id`` is that of the one node (hex), or one by which it can be opened.
    """

    id: str
    stands: Standing
    head: int
    count: int


class Reduced(Struct, frozen=True):
    """The groups, and in which one each node is."""

    groups: list[Group]
    inside: Ints


def reduced(
    graph: Network, ids: NDArray[Any], kinds: Ints, limit: int, opened: frozenset[str], check: Check, *, above: str = ""
) -> Reduced:
    """Make a graph of at most ``limit`` nodes, and as many more for each of its groups that is ``opened``."""
    degrees = graph.degrees()
    inside, stands = np.arange(graph.size, dtype=np.int32), np.zeros(graph.size, dtype=np.int8)
    if graph.size > limit:
        inside = _without_leaves(graph, degrees, kinds)
        count = np.bincount(inside, minlength=graph.size)
        stands = np.where(count > 1, 1, 0).astype(np.int8)
    if len(np.unique(inside)) > limit:
        inside, stands = _clustered(graph, inside, limit, check)
    numbers, place = np.unique(inside, return_inverse=True)
    inside = place.astype(np.int32)
    order = np.lexsort((ids, -degrees, inside))
    first = np.searchsorted(inside[order], np.arange(len(numbers)))
    counts = np.bincount(inside, minlength=len(numbers))
    groups = [
        _group(ids, int(head), int(count), int(kind), above)
        for head, count, kind in zip(order[first], counts, stands[numbers], strict=True)
    ]
    return _opened(Reduced(groups, inside), graph, ids, kinds, limit, opened, check)


def between(graph: Network, found: Reduced) -> Network:
    """The edges between groups; ``weight``: how many there are of each."""
    return network(len(found.groups), found.inside[graph.source], found.inside[graph.target], graph.weight)


_STANDING: Final[tuple[Standing, ...]] = ("node", "leaves", "cluster", "rest")


def _group(ids: NDArray[Any], head: int, count: int, kind: int, above: str) -> Group:
    own = bytes(ids[head]).ljust(16, b"\0")
    if count == 1:
        return Group(own.hex(), "node", head, 1)
    stands = _STANDING[kind]
    return Group(blake2b(f"{above}/{stands}/".encode() + own, digest_size=16).hexdigest(), stands, head, count)


def _without_leaves(graph: Network, degrees: Ints, kinds: Ints) -> Ints:
    """Put leaves of one kind around one hub together, under the number of the first of them."""
    hub = np.full(graph.size, -1, dtype=np.int64)
    second = (degrees[graph.target] == 1) & (degrees[graph.source] > 1)
    first = (degrees[graph.source] == 1) & (degrees[graph.target] > 1)
    hub[graph.target[second]] = graph.source[second]
    hub[graph.source[first]] = graph.target[first]
    # What nothing is joined to is a leaf of nothing.
    hub[degrees == 0] = graph.size
    leaf = np.flatnonzero(hub >= 0)
    inside = np.arange(graph.size, dtype=np.int32)
    if not len(leaf):
        return inside
    key = hub[leaf] * (int(kinds.max()) + 1) + kinds[leaf]
    _, place, counts = np.unique(key, return_inverse=True, return_counts=True)
    lowest = np.full(len(counts), graph.size, dtype=np.int32)
    np.minimum.at(lowest, place, leaf.astype(np.int32))
    bundled = counts[place] >= BUNDLE
    inside[leaf[bundled]] = lowest[place][bundled]
    return inside


def _clustered(graph: Network, inside: Ints, limit: int, check: Check) -> tuple[Ints, NDArray[np.int8]]:
    """Put what hangs together into one, until there are few enough."""
    numbers, bundle = np.unique(inside, return_inverse=True)
    small = network(len(numbers), bundle[graph.source], bundle[graph.target], graph.weight)
    label = np.arange(small.size, dtype=np.int32)
    for label in communities(small, check):
        if int(label.max()) + 1 <= limit:
            break
    sizes = np.bincount(label)
    kept = len(sizes)
    if len(sizes) > limit:
        # Nothing joins them, or only a hub does that has its own: the largest stay, the others are put together evenly.
        order = np.lexsort((np.arange(len(sizes)), -sizes))
        kept = limit // 2
        number = np.empty(len(sizes), dtype=np.int64)
        number[order[:kept]] = np.arange(kept)
        number[order[kept:]] = kept + np.arange(len(order) - kept) * (limit - kept) // (len(order) - kept)
        label = number[label].astype(np.int32)
        sizes = np.bincount(label)
    # The smallest are shown one by one as far as there is room.
    order = np.lexsort((np.arange(len(sizes)), sizes))
    room = len(sizes) + np.cumsum(sizes[order] - 1)
    split = np.zeros(len(sizes), dtype=bool)
    split[order[room <= limit]] = True
    lowest = np.full(len(sizes), small.size, dtype=np.int64)
    np.minimum.at(lowest, label, np.arange(small.size))
    of_bundle = np.where(split[label], np.arange(small.size), lowest[label])
    new = numbers[of_bundle[bundle]].astype(np.int32)
    stands = np.zeros(graph.size, dtype=np.int8)
    leaves = np.bincount(inside, minlength=graph.size) > 1
    stands[leaves] = 1
    stands[numbers[lowest[~split & (sizes > 1)]]] = 2
    rest = np.arange(len(sizes)) >= kept
    stands[numbers[lowest[rest & ~split & (sizes > 1)]]] = 3
    return new, stands


def _opened(
    found: Reduced, graph: Network, ids: NDArray[Any], kinds: Ints, limit: int, opened: frozenset[str], check: Check
) -> Reduced:
    """Put in the place of groups that are opened what is in them."""
    for number, group in enumerate(found.groups):
        if group.count == 1 or group.id not in opened:
            continue
        check()
        members = found.inside == number
        part, which = subnetwork(graph, members)
        if group.stands == "leaves":
            # Leaves are joined to nothing here; those that are too many stay together.
            shown = which[:limit]
            inner = [Group(bytes(ids[each]).ljust(16, b"\0").hex(), "node", int(each), 1) for each in shown]
            within = np.minimum(np.arange(len(which)), len(shown)).astype(np.int32)
            if len(which) > len(shown):
                left = len(which) - len(shown)
                inner.append(_group(ids, int(which[limit]), left, 1, group.id))
        else:
            small = reduced(part, ids[which], kinds[which], limit, opened, check, above=group.id)
            inner = [Group(each.id, each.stands, int(which[each.head]), each.count) for each in small.groups]
            within = small.inside
        found = _in_place(found, number, which, inner, within)
    return found


def _in_place(found: Reduced, number: int, which: Ints, inner: list[Group], within: Ints) -> Reduced:
    """Put groups in the place of one: the first there, the others at the end, so that no other number changes."""
    places = np.concatenate([[number], len(found.groups) + np.arange(len(inner) - 1)]).astype(np.int32)
    inside = found.inside.copy()
    inside[which] = places[within]
    groups = found.groups.copy()
    groups[number] = inner[0]
    return Reduced([*groups, *inner[1:]], inside)
