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
    """How two entities are connected in a scan: the shortest paths, by their values.

    ``types`` restricts relations: words, comma between them.
    """

    scan: UUID
    source: str
    target: str
    source_type: str | None = None
    target_type: str | None = None
    types: str = ""
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

    ``types`` restricts entities: words, comma between them. A hub of which more than ``fan`` relations of one type lead
    is not walked beyond them.
    """

    scan: UUID
    around: str = ""
    hops: Annotated[int, Meta(ge=1, le=5)] = 1
    types: str = ""
    fan: Annotated[int, Meta(ge=1, le=10_000)] = 200


RuleText = Annotated[str, Meta(min_length=1, max_length=65_536)]


class RuleRow(Struct, frozen=True, kw_only=True):
    """A rule in a list. ``form``: Mirage's own, or that of SpiderFoot 4. ``own``: the workspace has written it."""

    id: str
    version: int
    title: str
    category: str
    severity: Severity
    form: Literal["mirage", "spiderfoot"]
    own: bool
    enabled: bool


class RuleView(Struct, frozen=True, kw_only=True):
    """A rule with its text; ``fault`` says why one that was kept cannot be read any more, and is left out."""

    rule: RuleRow
    text: str
    fault: str = ""


class RuleRef(Struct, frozen=True):
    rule: str


class WrittenRule(Struct, frozen=True):
    """The text of a rule, in either form."""

    text: RuleText


class TestedRule(Struct, frozen=True, kw_only=True):
    """How a test of a rule ended: what it should find, and what it found."""

    says: str
    passed: bool
    finds: tuple[str, ...]
    found: tuple[str, ...]


class CheckedRule(Struct, frozen=True, kw_only=True):
    """Whether a text is a rule: what is wrong with it, or how its tests ended."""

    rule: RuleRow | None
    fault: str = ""
    tests: tuple[TestedRule, ...] = ()


class SetRule(Struct, frozen=True, kw_only=True):
    rule: str
    enabled: bool


class Backtest(Struct, frozen=True, kw_only=True):
    """A rule to try on scans that there are; nothing is kept of it."""

    text: RuleText
    scans: Annotated[tuple[UUID, ...], Meta(min_length=1, max_length=100)]


class Backtested(Struct, frozen=True, kw_only=True):
    """What a rule would have said of a scan: the first hundred of ``found``.

    ``confirmed`` and ``false_positives`` count those of which a person has said so, where the rule was in force.
    """

    scan: UUID
    found: int
    confirmed: int
    false_positives: int
    findings: tuple["BacktestedFinding", ...]


class BacktestedFinding(Struct, frozen=True, kw_only=True):
    title: str
    entities: tuple[Named, ...]
    status: FindingStatus | None = None


class WhyNotQuery(Struct, frozen=True, kw_only=True):
    """Why a rule did not fire on an entity (by value) of a scan."""

    rule: str
    scan: UUID
    entity: str


class WhyNot(Struct, frozen=True, kw_only=True):
    """``fires``: it did. ``steps`` held, one after the other; ``stopped`` is the first that did not."""

    rule: str
    entity: Named | None
    fires: bool
    steps: tuple[str, ...]
    stopped: str = ""


class Suppress(Struct, frozen=True, kw_only=True):
    """What is not to be shown: findings of a rule, on an entity (by value and type), or both; until ``ends``."""

    rule: str = ""
    entity: str = ""
    type: str | None = None
    reason: str
    ends: int | None = None


class Suppression(Struct, frozen=True, kw_only=True):
    id: UUID
    rule: str
    entity: str
    reason: str
    who: str
    at: int
    ends: int | None


class SuppressionRef(Struct, frozen=True):
    suppression: UUID


class RiskQuery(Struct, frozen=True, kw_only=True):
    """The entities of a scan that are worst off."""

    scan: UUID
    limit: Limit = 50


class Risk(Struct, frozen=True, kw_only=True):
    """How exposed an entity is, 0 to 100, by the findings that it is the subject of; an organisation by all."""

    entity: Named | None
    score: int
    counts: dict[Severity, int]


class Risks(Struct, frozen=True, kw_only=True):
    """``whole`` is that of all that a scan was about."""

    whole: Risk
    entities: tuple[Risk, ...]
