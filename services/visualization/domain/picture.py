"""From a graph to what is shown of it: reduced, laid out, in pieces of which the first has what matters most."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from services.contracts.resources.visualization import (
    LayoutHead,
    LayoutName,
    LayoutPiece,
    PlacedEdge,
    PlacedNode,
)
from services.kernel.errors import Invalid
from services.visualization.domain.gathered import Graph
from services.visualization.domain.layouts.force import force
from services.visualization.domain.layouts.layered import layered
from services.visualization.domain.layouts.leaves import OWN
from services.visualization.domain.layouts.radial import radial
from services.visualization.domain.network import Floats, Ints, Network
from services.visualization.domain.reduction import Reduced, between, reduced

#: Part of what a picture is kept under: another number where the same graph is laid out in another way.
VERSION: Final = 1
#: Nodes in a piece, and edges shown for each node that may be.
PIECE: Final = 500
EDGES_A_NODE: Final = 5
#: With what is opened, so many times the nodes that were asked for are shown at most.
MOST_TIMES: Final = 5
#: A node that stands for many is at most this much larger.
LARGEST: Final = 4.0
#: A name in a picture has so many characters at most: an entity's own page has all of it.
LONGEST_NAME: Final = 200

Check = Callable[[], None]
Places = Mapping[str, tuple[float, float]]


class Wanted(Struct, frozen=True, kw_only=True):
    """How a graph is to be laid out; ``middle`` is the id (hex) of the node that it is about, or empty."""

    layout: LayoutName
    limit: int
    opened: frozenset[str] = frozenset()
    middle: str = ""


def pictured(graph: Graph, wanted: Wanted, key: str, check: Check, before: Places | None = None) -> list[LayoutPiece]:
    """Return the pieces of a picture; ``before``: where nodes were in an earlier one, by their ids."""
    found = reduced(graph.network, graph.ids, graph.kinds, wanted.limit, wanted.opened, check)
    small = between(graph.network, found)
    heads = np.array([group.head for group in found.groups], dtype=np.int64)
    if len(found.groups) > MOST_TIMES * wanted.limit:
        raise Invalid(f"{len(found.groups):,} nodes are more than one picture shows; open fewer of them at once")
    counts = np.array([group.count for group in found.groups], dtype=np.int64)
    size = OWN * np.minimum(LARGEST, 1 + 0.5 * np.log2(np.maximum(counts, 1)))
    kinds = graph.kinds[heads] if len(heads) else graph.kinds
    match wanted.layout:
        case "force":
            at = force(small, check, _before(found, before), size)
        case "radial":
            at = radial(small, check, _roots(graph, found, wanted.middle), kinds)
        case "layered":
            at = layered(small, check, _roots(graph, found, wanted.middle), kinds)
    at = np.round(at, 3)
    importance = _importance(graph, found, small)
    shown = _strongest(small, importance, wanted.limit * EDGES_A_NODE)
    nodes = [
        PlacedNode(
            id=group.id,
            x=float(x),
            y=float(y),
            size=round(float(radius), 2),
            stands=group.stands,
            type=graph.types[graph.kinds[group.head]],
            value=shortened(graph.value(group.head)),
            role=graph.role_names[graph.roles[group.head]],
            count=group.count,
            first_seen=int(graph.seen[group.head]),
        )
        for group, (x, y), radius in zip(found.groups, at, size, strict=True)
    ]
    head = LayoutHead(
        key=key,
        layout=wanted.layout,
        nodes=graph.network.size,
        edges=graph.relation_count,
        nodes_shown=len(nodes),
        edges_shown=int(shown.sum()),
        low=_corner(at.min(axis=0)) if len(at) else (0.0, 0.0),
        high=_corner(at.max(axis=0)) if len(at) else (0.0, 0.0),
        types={
            name: int(count)
            for name, count in zip(graph.types, np.bincount(graph.kinds, minlength=len(graph.types)), strict=True)
            if count
        },
        continued=before is not None,
    )
    return _in_pieces(head, nodes, _edges(graph, found, small, shown, nodes), importance)


def places_of(pieces: Iterable[LayoutPiece]) -> Places:
    """Where each node of a picture is."""
    return {node.id: (node.x, node.y) for piece in pieces for node in piece.nodes}


def shortened(value: str) -> str:
    return value if len(value) <= LONGEST_NAME else value[: LONGEST_NAME - 1] + "…"


def _before(found: Reduced, before: Places | None) -> Floats | None:
    if before is None:
        return None
    nowhere = (float("nan"), float("nan"))
    return np.array([before.get(group.id, nowhere) for group in found.groups], dtype=np.float64).reshape(-1, 2)


def _roots(graph: Graph, found: Reduced, middle: str) -> Ints:
    """The groups of what a graph is about: of the node that was asked for, else of the targets."""
    if middle:
        about = np.flatnonzero(graph.ids == bytes.fromhex(middle).rstrip(b"\0"))
    elif "target" in graph.role_names:
        about = np.flatnonzero(graph.roles == graph.role_names.index("target"))
    else:
        about = np.zeros(0, dtype=np.int64)
    return np.unique(found.inside[about]).astype(np.int32)


def _importance(graph: Graph, found: Reduced, small: Network) -> Floats:
    """How early a node is to be shown: targets first, then what is joined to most."""
    joined = np.zeros(small.size)
    joined += np.bincount(small.source, small.weight, minlength=small.size)
    joined += np.bincount(small.target, small.weight, minlength=small.size)
    if "target" in graph.role_names and small.size:
        targets = found.inside[graph.roles == graph.role_names.index("target")]
        joined[targets] += float(joined.max()) + 1
    return joined


def _strongest(small: Network, importance: Floats, most: int) -> NDArray[np.bool_]:
    """Which edges are shown: those that are most relations, then those between what matters most."""
    shown = np.ones(len(small.source), dtype=bool)
    if len(shown) > most:
        order = np.lexsort((-np.minimum(importance[small.source], importance[small.target]), -small.weight))
        shown[order[most:]] = False
    return shown


def _edges(
    graph: Graph, found: Reduced, small: Network, shown: NDArray[np.bool_], nodes: Sequence[PlacedNode]
) -> list[tuple[int, int, PlacedEdge]]:
    one, other = found.inside[graph.network.source], found.inside[graph.network.target]
    size = max(small.size, 1)
    key = np.minimum(one, other).astype(np.int64) * size + np.maximum(one, other)
    place = np.searchsorted(small.source.astype(np.int64) * size + small.target, key)
    apart = one != other
    low = np.full(len(small.source), np.iinfo(np.int32).max, dtype=np.int32)
    high = np.full(len(small.source), -2, dtype=np.int32)
    np.minimum.at(low, place[apart], graph.relation_of[apart])
    np.maximum.at(high, place[apart], graph.relation_of[apart])
    return [
        (
            source,
            target,
            PlacedEdge(
                nodes[source].id,
                nodes[target].id,
                graph.relations[first] if first == last >= 0 else "",
                int(weight),
            ),
        )
        for source, target, weight, first, last in zip(
            small.source[shown].tolist(),
            small.target[shown].tolist(),
            small.weight[shown].tolist(),
            low[shown].tolist(),
            high[shown].tolist(),
            strict=True,
        )
    ]


def _in_pieces(
    head: LayoutHead, nodes: Sequence[PlacedNode], edges: Iterable[tuple[int, int, PlacedEdge]], importance: Floats
) -> list[LayoutPiece]:
    order = np.lexsort((np.arange(len(nodes)), -importance)) if len(nodes) else np.zeros(0, dtype=np.int64)
    rank = np.empty(len(nodes), dtype=np.int64)
    rank[order] = np.arange(len(nodes))
    later: dict[int, list[PlacedEdge]] = {}
    for source, target, edge in edges:
        later.setdefault(int(max(rank[source], rank[target])) // PIECE, []).append(edge)
    pieces = [
        LayoutPiece(
            nodes=tuple(nodes[each] for each in order[start : start + PIECE]), edges=tuple(later.get(number, ()))
        )
        for number, start in enumerate(range(0, len(nodes), PIECE))
    ] or [LayoutPiece()]
    return [msgspec.structs.replace(pieces[0], head=head), *pieces[1:]]


def _corner(at: Floats) -> tuple[float, float]:
    return float(at[0]), float(at[1])
