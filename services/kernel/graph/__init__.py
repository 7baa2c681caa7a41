"""The port `graph`: nodes and edges with properties, one graph per workspace, and questions about what hangs together.

A *node* has an id and a label; an *edge* has a type, leads from a source to a target, and has an id that tells it from
others of its type between the same two. Ids are 1 to 64 bytes. Properties are flat: text without NUL, integers of 64
bits, finite floats, booleans. When an edge holds (``valid_from`` and the like) is a property as any other.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Final, Literal, Self
from uuid import UUID

from msgspec import Struct

from services.kernel.graph.pattern import Condition, Hop, NodePattern, Pattern, Value

__all__ = [
    "MAX_HOPS", "MAX_LIMIT", "Condition", "Counts", "Edge", "Edges", "Graph", "Hop", "Match", "Matches", "Node",
    "NodePattern", "Path", "Pattern", "Properties", "Value",
]  # fmt: skip

#: The most that one page has, and the most that is asked for or restricted to in one call.
MAX_LIMIT: Final = 10_000
#: The most edges that a path may have.
MAX_HOPS: Final = 12

Properties = dict[str, Value | None]
Direction = Literal["out", "in", "both"]


class Node(Struct, frozen=True):
    """``label`` is empty as long as only edges have spoken of the node. None as a property takes it away."""

    id: bytes
    label: str = ""
    properties: Properties = {}


class Edge(Struct, frozen=True):
    """Its key is all but ``properties``, of which None takes one away."""

    type: str
    source: bytes
    target: bytes
    id: bytes
    properties: Properties = {}


class Edges(Struct, frozen=True):
    """One page of edges, and the cursor of the next one."""

    edges: list[Edge]
    cursor: str | None


class Path(Struct, frozen=True):
    """From source to target: one node more than there are edges, each of which leads either way."""

    nodes: tuple[bytes, ...]
    edges: tuple[Edge, ...]

    @classmethod
    def along(cls, source: bytes, edges: Sequence[Edge]) -> Self:
        """The path from ``source`` over ``edges``, whichever way each of them leads."""
        nodes = [source]
        for edge in edges:
            nodes.append(edge.target if edge.source == nodes[-1] else edge.source)
        return cls(tuple(nodes), tuple(edges))


class Match(Struct, frozen=True):
    """What the names of a pattern stand for: its nodes as ids, its named hops as edges."""

    nodes: dict[str, bytes]
    edges: dict[str, Edge]


class Matches(Struct, frozen=True):
    """One page of matches, and the cursor of the next one."""

    matches: list[Match]
    cursor: str | None


class Counts(Struct, frozen=True):
    """How many nodes by label ("" for those that only edges have spoken of), and edges by type."""

    nodes: dict[str, int]
    edges: dict[str, int]


class Graph(ABC):
    """Written by natural key, so that writing twice is writing once; what a call has written, the next one sees.

    A batch is kept whole or in part; writing it again completes it. Rows with the same key within a batch are merged
    one after the other. Every question is about one workspace. One that takes longer than its ``seconds``, or looks at
    more than the adapter has room for, raises `Exhausted`: asking it again brings nothing. One whose caller is
    cancelled stops.

    Pages follow each other without gap or repetition; what is written meanwhile may or may not be in them. A cursor
    belongs to the question that gave it.

    Raises:
        Invalid: a label, a type or a name that was not declared or cannot be one, a value that is none, a cursor that
            is none, a limit beyond 1 to `MAX_LIMIT`.
        Exhausted: a question costs too much.
        Unavailable: the graph is away, or closed.
    """

    @abstractmethod
    async def declare(self, labels: Mapping[str, Sequence[str]], types: Sequence[str]) -> None:
        """Make labels of nodes known, each with the properties that are looked up by value, and types of edges.

        What was declared before stays. Names are up to 40 lower-case letters, digits and single ``_`` between them. A
        text that is looked up by value has at most 1,000 characters.
        """

    @abstractmethod
    async def put_nodes(self, workspace: UUID, nodes: Sequence[Node]) -> None:
        """Make nodes exist with their label; properties that they do not name stay as they were.

        Raises:
            Conflict: a node has another label already.
        """

    @abstractmethod
    async def put_edges(self, workspace: UUID, edges: Sequence[Edge]) -> None:
        """Make edges exist, and their ends, those that are not there yet without a label.

        Properties that they do not name stay as they were.
        """

    @abstractmethod
    async def delete_nodes(self, workspace: UUID, ids: Sequence[bytes]) -> None:
        """Forget nodes, those that there are, and all their edges."""

    @abstractmethod
    async def delete_edges(self, workspace: UUID, edges: Sequence[Edge]) -> None:
        """Forget the edges with these keys, those that there are; their ends stay."""

    @abstractmethod
    async def drop(self, workspace: UUID) -> None:
        """Forget all of a workspace, piece by piece: one that was interrupted goes on when it is called again."""

    @abstractmethod
    async def nodes(self, workspace: UUID, ids: Sequence[bytes]) -> list[Node]:
        """Return those that there are, in the order of ``ids``, each once."""

    @abstractmethod
    async def neighbours(
        self,
        workspace: UUID,
        ids: Sequence[bytes],
        *,
        types: Sequence[str] = (),
        direction: Direction = "both",
        limit: int = 1_000,
        cursor: str | None = None,
        seconds: float = 10.0,
    ) -> Edges:
        """List the edges of nodes, each once: those that lead out of them, into them, or both.

        Without ``types`` edges of every type. At most `MAX_LIMIT` ids.
        """

    @abstractmethod
    async def paths(
        self,
        workspace: UUID,
        source: bytes,
        target: bytes,
        *,
        types: Sequence[str] = (),
        directed: bool = False,
        max_hops: int = 6,
        limit: int = 10,
        seconds: float = 5.0,
    ) -> list[Path]:
        """Find the shortest paths, all of one length; any ``limit`` of them when there are more, none beyond
        ``max_hops`` (1 to `MAX_HOPS`).

        ``directed``: every edge is walked from its source to its target. From a node to itself there is one path,
        without edges.
        """

    @abstractmethod
    async def match(
        self,
        workspace: UUID,
        pattern: Pattern,
        *,
        only: Mapping[str, Sequence[bytes]] | None = None,
        limit: int = 1_000,
        cursor: str | None = None,
        seconds: float = 10.0,
    ) -> Matches:
        """Find what fits ``pattern``; ``only`` names nodes of it and the ids that each may stand for (`MAX_LIMIT`)."""

    @abstractmethod
    async def counts(self, workspace: UUID, *, seconds: float = 60.0) -> Counts: ...

    @abstractmethod
    def measures(self) -> dict[str, float]:
        """Return gauges and counters of the adapter itself."""

    @abstractmethod
    async def ping(self) -> None:
        """Raise `Unavailable` unless the graph answers."""

    @abstractmethod
    async def close(self) -> None: ...
