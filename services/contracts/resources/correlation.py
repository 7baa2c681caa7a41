"""Findings and why they are, rules, and the graph of a scan."""

from typing import Annotated, Literal
from uuid import UUID

from msgspec import Meta, Struct

from services.contracts.findings import FindingStatus, Severity

Limit = Annotated[int, Meta(ge=1, le=1_000)]


class Named(Struct, frozen=True):
    """An entity by its id (hex), type and readable value."""

    id: str
    type: str
    value: str


class Ground(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that a finding rests on: an entity, what was said of it, or how it relates to another.

    ``role`` is the name that the rule has for the entity. ``predicate`` is an attribute, a type of relation, or
    ``exists``; ``absent`` when it is that there is none. ``modules`` (``module@version``) have said so, ``evidence``
    (record ids, hex) proves it, ``at`` is when it was last said.
    """

    role: str
    entity: Named
    predicate: str = "exists"
    value: str | int | float | bool | None = None
    target: Named | None = None
    absent: bool = False
    modules: tuple[str, ...] = ()
    evidence: tuple[str, ...] = ()
    at: int = 0


class FindingRow(Struct, frozen=True, kw_only=True):
    """A judgement on entities. ``id`` is the same for the same rule and things in every scan of a workspace.

    ``entities``: the first is the one that it is about. ``confidence`` is 0 to 100. ``suppressed`` says why it is not
    shown unless asked for. Times are UTC microseconds.
    """

    id: UUID
    scan: UUID
    rule: str
    rule_version: int
    category: str
    severity: Severity
    confidence: int
    title: str
    status: FindingStatus
    entities: tuple[Named, ...]
    first_found: int
    last_found: int
    reason: str = ""
    suppressed: str = ""


class StatusChange(Struct, frozen=True, kw_only=True):
    """``who`` is empty where it came by itself."""

    status: FindingStatus
    at: int
    who: str = ""
    reason: str = ""


class FindingView(Struct, frozen=True, kw_only=True):
    """A finding with what it rests on, what it means, and what became of it so far.

    ``grounds`` are those of up to 20 of the ``matches`` that the rule found.
    """

    finding: FindingRow
    description: str
    advice: str
    references: tuple[str, ...]
    matches: int
    grounds: tuple[Ground, ...]
    history: tuple[StatusChange, ...]


class FindingsQuery(Struct, frozen=True, kw_only=True):
    """Findings of a scan, the worst first. ``severity`` is the least; ``entity`` a value.

    Without ``all`` those are left out that are suppressed, false positives or fixed.
    """

    scan: UUID
    severity: Severity = "info"
    status: FindingStatus | None = None
    rule: str = ""
    entity: str = ""
    all: bool = False
    limit: Limit = 100
    cursor: str | None = None


class FindingPage(Struct, frozen=True, kw_only=True):
    """``counts``: how many there are in all, by severity. ``judged``: whether all that is stored was judged."""

    findings: tuple[FindingRow, ...]
    counts: dict[Severity, int]
    judged: bool
    cursor: str | None


class FindingRef(Struct, frozen=True, kw_only=True):
    """A finding by the beginning of its id, as it is in one scan, or in the last one that had it."""

    finding: str
    scan: UUID | None = None


class SetFinding(Struct, frozen=True, kw_only=True):
    """What a person says of a finding: ``new`` takes back what was said."""

    finding: str
    status: Literal["new", "confirmed", "false_positive", "accepted"]
    reason: str = ""


class JudgedOf(Struct, frozen=True, kw_only=True):
    """How far a scan was judged: messages of storage that were taken in, and things of them that wait."""

    scan: UUID
    changes: int
    waiting: int
    findings: int


class PathsQuery(Struct, frozen=True, kw_only=True):
    """How two entities are connected in a scan: the shortest paths, by their values; ``types`` restricts relations."""

    scan: UUID
    source: str
    target: str
    source_type: str | None = None
    target_type: str | None = None
    types: tuple[str, ...] = ()
    max_hops: Annotated[int, Meta(ge=1, le=12)] = 6
    limit: Annotated[int, Meta(ge=1, le=100)] = 5


class PathStep(Struct, frozen=True, kw_only=True):
    """One relation along a path; ``forward``: it leads the way that the path goes."""

    relation: str
    type: str
    forward: bool
    to: Named
    qualifiers: dict[str, str] = {}
    modules: tuple[str, ...] = ()
    evidence: tuple[str, ...] = ()
    at: int = 0


class PathView(Struct, frozen=True, kw_only=True):
    start: Named
    steps: tuple[PathStep, ...]


class GraphNode(Struct, frozen=True, array_like=True):
    """An entity in a graph: id (16 bytes), type, readable value, role, when it was first seen, confidence."""

    id: bytes
    type: str
    value: str
    role: str
    first_seen: int
    confidence: int


class GraphEdge(Struct, frozen=True, array_like=True):
    """A relation in a graph: id, type, source, target, when it was first said, confidence."""

    id: bytes
    type: str
    source: bytes
    target: bytes
    first_seen: int
    confidence: int


class GraphPiece(Struct, frozen=True, kw_only=True):
    """Some of a graph; nodes of edges may come in a later piece."""

    nodes: tuple[GraphNode, ...] = ()
    edges: tuple[GraphEdge, ...] = ()


class GraphQuery(Struct, frozen=True, kw_only=True):
    """The graph of a scan, or what is within ``hops`` of the entity ``around`` (an id, hex).

    ``types`` restricts entities. A hub of which more than ``fan`` relations of one type lead is not walked beyond them.
    """

    scan: UUID
    around: str = ""
    hops: Annotated[int, Meta(ge=1, le=5)] = 1
    types: tuple[str, ...] = ()
    fan: Annotated[int, Meta(ge=1, le=10_000)] = 200
