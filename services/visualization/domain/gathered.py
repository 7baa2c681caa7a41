"""A graph as it comes, in pieces, kept in few bytes a node: a million relations are 60 MB and not 600.

Names and ids stand one after the other in long runs of bytes; types and roles are numbers of short lists.
"""

from array import array
from collections.abc import Callable, Iterable
from hashlib import blake2b
from typing import Any, Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from services.contracts.resources.correlation import GraphEdge, GraphNode
from services.kernel.errors import Corrupt, Invalid
from services.visualization.domain.network import Ints, Network, network

MOST_NODES: Final = 1_000_000
MOST_EDGES: Final = 2_000_000
ID_BYTES: Final = 16


class Graph(Struct, frozen=True):
    """A graph with what its nodes are: ids in order, types and roles by numbers, and what all of it comes to.

    ``kinds`` of edges are by the pairs of ``network``: a number of ``relations``, or -1 where they are of several.
    """

    network: Network
    ids: NDArray[Any]
    kinds: Ints
    roles: Ints
    seen: NDArray[np.int64]
    types: list[str]
    role_names: list[str]
    relations: list[str]
    relation_of: Ints
    relation_count: int
    digest: bytes
    value: Callable[[int], str]


class Gathering:
    """Takes in pieces of a graph; ``types``: of which entities, or of all where there are none."""

    def __init__(self, types: Iterable[str] = ()) -> None:
        self._only = frozenset(types)
        self._ids, self._values, self._ends = bytearray(), bytearray(), array("q", [0])
        self._seen, self._kinds, self._roles = array("q"), array("i"), array("i")
        self._edges, self._relations = bytearray(), array("i")
        self._numbers: dict[str, dict[str, int]] = {"type": {}, "role": {}, "relation": {}}

    def add(self, nodes: Iterable[GraphNode], edges: Iterable[GraphEdge]) -> None:
        """Take in a piece.

        Raises:
            Invalid: there is more than can be laid out.
        """
        for node in nodes:
            if self._only and node.type not in self._only:
                continue
            self._ids += _sixteen(node.id)
            self._values += node.value.encode("utf-8", "replace")
            self._ends.append(len(self._values))
            self._seen.append(node.first_seen)
            self._kinds.append(self._number("type", node.type))
            self._roles.append(self._number("role", node.role))
        for edge in edges:
            self._edges += _sixteen(edge.source) + _sixteen(edge.target)
            self._relations.append(self._number("relation", edge.type))
        if len(self._seen) > MOST_NODES or len(self._relations) > MOST_EDGES:
            raise Invalid(
                f"a graph of more than {MOST_NODES:,} entities or {MOST_EDGES:,} relations is not laid out:"
                " ask for what is around an entity"
            )

    def gathered(self) -> Graph:
        """Return the graph: each entity once, and the relations between two that there are.

        It is the same in whatever order the pieces came.
        """
        given = np.frombuffer(bytes(self._ids), dtype=f"S{ID_BYTES}")
        ids, first = np.unique(given, return_index=True)
        ends = np.array(self._ends, dtype=np.int64)
        begin, end, values = ends[first], ends[first + 1], bytes(self._values)
        types, kinds = self._names("type", self._kinds, first)
        roles, role = self._names("role", self._roles, first)
        relations, relation = self._names("relation", self._relations, None)
        pairs = np.frombuffer(bytes(self._edges), dtype=f"S{ID_BYTES}").reshape(-1, 2)
        source, target, there = _numbered(ids, pairs)
        source, target, relation = source[there], target[there], relation[there]
        order = np.lexsort((relation, target, source))
        source, target, relation = source[order], target[order], relation[order]
        graph = network(len(ids), source, target)
        seen = np.array(self._seen, dtype=np.int64)[first]
        digest = blake2b(digest_size=16)
        for part in (ids, seen, source, target, relation):
            digest.update(np.ascontiguousarray(part).tobytes())
        digest.update("\0".join([*types, "", *roles, "", *relations]).encode())
        digest.update(kinds.tobytes() + role.tobytes())
        return Graph(
            network=graph,
            ids=ids,
            kinds=kinds,
            roles=role,
            seen=seen,
            types=types,
            role_names=roles,
            relations=relations,
            relation_of=_of_pairs(graph, source, target, relation),
            relation_count=len(source),
            digest=digest.digest(),
            value=lambda node: values[begin[node] : end[node]].decode("utf-8", "replace"),
        )

    def _number(self, of: str, name: str) -> int:
        numbers = self._numbers[of]
        return numbers.setdefault(name, len(numbers))

    def _names(self, of: str, numbers: "array[int]", kept: Any) -> tuple[list[str], Ints]:
        """The names in order, and the number of each that is kept by these."""
        given = list(self._numbers[of])
        names = sorted(given)
        to = np.array([names.index(name) for name in given] or [0], dtype=np.int32)
        numbered = to[np.array(numbers, dtype=np.int64)] if len(numbers) else np.zeros(0, dtype=np.int32)
        return names, numbered if kept is None else numbered[kept]


def _sixteen(id: bytes) -> bytes:
    if len(id) != ID_BYTES:
        raise Corrupt("an id in a graph has 16 bytes")
    return id


def _numbered(ids: NDArray[Any], pairs: NDArray[Any]) -> tuple[Ints, Ints, NDArray[np.bool_]]:
    """The numbers of both ends of each edge, and whether both are there."""
    if not len(ids) or not len(pairs):
        return np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(0, np.bool_)
    places = np.minimum(np.searchsorted(ids, pairs), len(ids) - 1).astype(np.int32)
    return places[:, 0], places[:, 1], np.asarray((ids[places] == pairs).all(axis=1))


def _of_pairs(graph: Network, source: Ints, target: Ints, relation: Ints) -> Ints:
    """The type of relations between each two nodes: -1 where there are several."""
    size = max(graph.size, 1)
    real = source != target
    key = np.minimum(source, target).astype(np.int64)[real] * size + np.maximum(source, target)[real]
    place = np.searchsorted(graph.source.astype(np.int64) * size + graph.target, key)
    low = np.full(len(graph.source), np.iinfo(np.int32).max, dtype=np.int32)
    high = np.full(len(graph.source), -1, dtype=np.int32)
    np.minimum.at(low, place, relation[real])
    np.maximum.at(high, place, relation[real])
    return np.where(low == high, low, -1).astype(np.int32)
