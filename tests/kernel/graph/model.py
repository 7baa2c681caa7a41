"""A graph as plain dictionaries and its questions as their definitions: what adapters are compared with."""

from collections.abc import Iterator, Sequence
from itertools import permutations, product
from typing import Any

from hypothesis import strategies as st

from services.kernel.graph import Condition, Edge, Hop, Match, Node, NodePattern, Path, Pattern

LABELS = ("crew", "ship")
TYPES = ("knows", "sails")
IDS = [bytes([number]) * 16 for number in range(1, 7)]
VALUES = (0, 1, -3, 2.5, 1.0, True, False, "", "1", "true", "a", "b")


class Model:
    def __init__(self, nodes: Sequence[Node], edges: Sequence[Edge]) -> None:
        self.nodes = {node.id: node for node in nodes}
        self.edges = list({edge_key(edge): edge for edge in edges}.values())
        for edge in self.edges:
            for end in (edge.source, edge.target):
                self.nodes.setdefault(end, Node(end))

    def neighbours(self, ids: Sequence[bytes], types: Sequence[str], direction: str) -> list[Edge]:
        return [
            edge
            for edge in self.edges
            if (not types or edge.type in types)
            and ((direction != "in" and edge.source in ids) or (direction != "out" and edge.target in ids))
        ]

    def steps(self, node: bytes, types: Sequence[str], *, directed: bool) -> Iterator[tuple[bytes, Edge]]:
        for edge in self.edges:
            if not types or edge.type in types:
                if edge.source == node:
                    yield edge.target, edge
                elif edge.target == node and not directed:
                    yield edge.source, edge

    def paths(self, source: bytes, target: bytes, types: Sequence[str], *, directed: bool, hops: int) -> list[Path]:
        if not {source, target} <= self.nodes.keys():
            return []
        level: list[list[tuple[bytes, Edge | None]]] = [[(source, None)]]
        for _ in range(hops + 1):
            found = [path for path in level if path[-1][0] == target]
            if found:
                return [
                    Path(tuple(node for node, _ in path), tuple(edge for _, edge in path if edge is not None))
                    for path in found
                ]
            level = [
                [*path, (following, edge)]
                for path in level
                for following, edge in self.steps(path[-1][0], types, directed=directed)
                if following not in {node for node, _ in path}
            ]
        return []

    def match(self, pattern: Pattern) -> list[Match]:
        bound = [node.name for node in pattern.bound]
        matches = []
        for ids in permutations(self.nodes, len(bound)):
            nodes = dict(zip(bound, ids, strict=True))
            if all(self.is_like(nodes[node.name], node) for node in pattern.bound) and all(
                self.holds(hop, nodes, pattern) for hop in pattern.hops
            ):
                choices = [self.between(hop, nodes[hop.source], nodes[hop.target]) for hop in pattern.named]
                names = [hop.name for hop in pattern.named]
                matches += [Match(nodes, dict(zip(names, edges, strict=True))) for edges in product(*choices)]
        return matches

    def is_like(self, id: bytes, node: NodePattern) -> bool:
        there = self.nodes[id]
        return (not node.labels or there.label in node.labels) and fulfils(there.properties, node.where)

    def between(self, hop: Hop, source: bytes, target: bytes) -> list[Edge]:
        return [
            edge
            for edge in self.edges
            if (not hop.types or edge.type in hop.types)
            and fulfils(edge.properties, hop.where)
            and ((edge.source, edge.target) == (source, target) or
                 (hop.either and (edge.target, edge.source) == (source, target)))
        ]  # fmt: skip

    def reaches(self, hop: Hop, source: bytes, target: bytes) -> bool:
        reached = {source}
        for _ in range(hop.most):
            reached |= {there for there in self.nodes for here in reached if self.between(hop, here, there)}
        return target in reached

    def holds(self, hop: Hop, nodes: dict[str, bytes], pattern: Pattern) -> bool:
        if hop.source in nodes and hop.target in nodes:
            return self.reaches(hop, nodes[hop.source], nodes[hop.target]) is not hop.absent
        (free,) = {hop.source, hop.target} - nodes.keys()
        others = [each for each in self.nodes if each not in nodes.values() and self.is_like(each, pattern.node(free))]
        return not any(
            self.reaches(hop, there[hop.source], there[hop.target])
            for there in ({**nodes, free: other} for other in others)
        )


def fulfils(properties: dict[str, Any], where: Sequence[Condition]) -> bool:
    return all(holds(properties.get(each.property), each) for each in where)


def holds(value: Any, condition: Condition) -> bool:
    if value is None:
        return condition.operator == "absent" or condition.or_absent
    wanted: Any = condition.value
    match condition.operator:
        case "present":
            return True
        case "absent":
            return False
        case "in":
            return any(same(value, each) for each in wanted)
        case "=":
            return same(value, wanted)
        case "!=":
            return not same(value, wanted)
    if kind(value) != kind(wanted) or kind(value) == "boolean":
        return False
    return bool(
        {"<": value < wanted, "<=": value <= wanted, ">": value > wanted, ">=": value >= wanted}[condition.operator]
    )


def kind(value: Any) -> str:
    return "text" if isinstance(value, str) else "boolean" if isinstance(value, bool) else "number"


def same(one: Any, other: Any) -> bool:
    return kind(one) == kind(other) and bool(one == other)


def edge_key(edge: Edge) -> tuple[str, bytes, bytes, bytes]:
    return edge.type, edge.source, edge.target, edge.id


PROPERTIES = st.dictionaries(st.sampled_from(["level", "name"]), st.sampled_from(VALUES), max_size=2)
NODES = st.lists(
    st.builds(Node, st.sampled_from(IDS), st.sampled_from(LABELS), PROPERTIES), unique_by=lambda node: node.id
)
EDGES = st.lists(
    st.builds(
        Edge, st.sampled_from(TYPES), st.sampled_from(IDS), st.sampled_from(IDS), st.sampled_from([b"1", b"2"]),
        PROPERTIES,
    ),
    max_size=14,
    unique_by=edge_key,
)  # fmt: skip
GRAPHS = st.tuples(NODES, EDGES)
SOME_TYPES = st.sampled_from([(), ("knows",), ("knows", "sails")])


@st.composite
def conditions(draw: st.DrawFn) -> Condition:
    name = draw(st.sampled_from(["level", "name"]))
    operator = draw(st.sampled_from(["=", "!=", "<", "<=", ">", ">=", "in", "present", "absent"]))
    or_absent = draw(st.booleans())
    if operator in {"present", "absent"}:
        return Condition(name, operator, None, or_absent)
    if operator == "in":
        return Condition(name, operator, tuple(draw(st.lists(st.sampled_from(VALUES), max_size=4))), or_absent)
    values = VALUES if operator in {"=", "!="} else [each for each in VALUES if not isinstance(each, bool)]
    return Condition(name, operator, draw(st.sampled_from(values)), or_absent)


WHERE = st.lists(conditions(), max_size=1).map(tuple)


@st.composite
def patterns(draw: st.DrawFn) -> Pattern:
    """Two or three nodes; the first two hang together, the third hangs on one of them or must not."""
    labels = st.sampled_from([(), ("crew",), ("ship",), ("crew", "ship")])
    nodes = tuple(NodePattern(name, draw(labels), draw(WHERE)) for name in draw(st.sampled_from(["ab", "abc"])))
    pairs = [("a", "b")]
    if len(nodes) == 3:
        pairs.append(draw(st.sampled_from([("a", "c"), ("c", "b"), ("b", "c")])))
    hops = [draw(hop(*pair, "" if place else "present")) for place, pair in enumerate(pairs)]
    if draw(st.booleans()):
        hops.append(draw(hop("b", "a", "")))
    named = iter("efg")
    return Pattern(
        nodes,
        tuple(
            Hop(each.source, each.target, each.types, each.where, next(named), each.either)
            if each.most == 1 and not each.absent and draw(st.booleans())
            else each
            for each in hops
        ),
    )


@st.composite
def hop(draw: st.DrawFn, source: str, target: str, how: str) -> Hop:
    most = draw(st.sampled_from([1, 1, 2, 3]))
    absent = not how and draw(st.booleans())
    return Hop(source, target, draw(SOME_TYPES), draw(WHERE), "", draw(st.booleans()), most, absent)
