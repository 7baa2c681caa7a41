"""A pattern as one statement of SQLite: a walk from a first node, in the order in which it is joined.

`CROSS JOIN` keeps that order: no statistics are needed to foresee what a statement costs. Labels and types are
numbers of ours, names are checked, values are parameters.
"""

# ruff: noqa: S608 - see above
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from services.kernel.graph.pattern import Condition, Hop, NodePattern, Pattern, Value

Number = Callable[[str, str], int]


class Compiled(NamedTuple):
    """``nodes``: for each name, where its number and id are in a row; ``hops`` as well, with what an edge has.

    ``places``: which columns are the place of a row in the order of all.
    """

    statement: str
    values: dict[str, Any]
    nodes: dict[str, int]
    hops: dict[str, int]
    places: list[int]


class Compiler:
    """Writes one statement. ``only`` has the numbers that nodes may stand for, as JSON."""

    def __init__(self, pattern: Pattern, number: Number, only: Mapping[str, str]) -> None:
        self._pattern = pattern
        self._number = number
        self._only = only
        self._met: list[str] = []
        self._tables: list[str] = []
        self._conditions: list[str] = []
        self._columns: list[str] = []
        self._values: dict[str, Any] = {}

    def compile(self, start: str, after: Sequence[Any] | None) -> Compiled:
        self._begin(start)
        for place, hop in enumerate(self._pattern.walk(start)):
            self._join(hop, hop.name or f"hop {place}")
        for hop in self._pattern.hops:
            if hop.absent:
                self._leave_out(hop)
        nodes, hops, places = self._columns_of_match()
        order = [self._columns[place] for place in places]
        if after is not None:
            self._conditions.append(f"{order[0]} >= :after_0")
            self._conditions.append(f"({', '.join(order)}) > ({', '.join(f':after_{n}' for n in range(len(order)))})")
            self._values |= {f"after_{place}": value for place, value in enumerate(after)}
        distinct = "" if all(hop.name or hop.absent for hop in self._pattern.hops) else "DISTINCT "
        statement = (
            f"SELECT {distinct}{', '.join(self._columns)} FROM {' CROSS JOIN '.join(self._tables)}"
            f" WHERE {' AND '.join(self._conditions)} ORDER BY {', '.join(order)} LIMIT :limit"
        )
        return Compiled(statement, self._values, nodes, hops, places)

    def _begin(self, start: str) -> None:
        if start in self._only:
            self._tables.append("json_each(:start) AS start")
            self._values["start"] = self._only[start]
            self._conditions.append(f"{alias(start)}.n = start.value")
        self._meet(start, check_only=False)

    def _meet(self, name: str, *, check_only: bool = True) -> None:
        """Join a node that was not met before; it is none of those that were."""
        node = alias(name)
        self._tables.append(f"node AS {node}")
        self._conditions.append(f"{node}.space = :space")
        self._conditions += self._of_node(self._pattern.node(name))
        self._conditions += [f"{node}.n <> {alias(other)}.n" for other in self._met]
        if check_only and name in self._only:
            self._conditions.append(f"{node}.n IN (SELECT value FROM json_each({self._value(self._only[name])}))")
        self._met.append(name)

    def _join(self, hop: Hop, name: str) -> None:
        near, far = (hop.source, hop.target) if hop.source in self._met else (hop.target, hop.source)
        if hop.most > 1:
            reached = self._reach(hop, near)
            if far not in self._met:
                self._meet(far)
            self._conditions.append(f"{alias(far)}.n IN ({reached})")
            return
        edge = alias(name)
        self._tables.append(f"edge AS {edge}")
        known = far in self._met
        self._conditions += self._between(hop, edge, near, far if known else None)
        if not known:
            self._meet(far)
            self._conditions.append(f"{alias(far)}.n = {other_end(edge, hop, near)}")

    def _between(self, hop: Hop, edge: str, near: str, far: str | None) -> list[str]:
        """An edge that fits ``hop``, begins or ends at ``near`` and, where that is known, at ``far``."""
        source, target = (near, far) if near == hop.source else (far, near)
        there = [f"{edge}.{end} = {alias(name)}.n" for end, name in (("source", source), ("target", target)) if name]
        if hop.either:
            if far is None:
                there = [f"({edge}.source = {alias(near)}.n OR {edge}.target = {alias(near)}.n)"]
            else:
                back = f"{edge}.source = {alias(far)}.n AND {edge}.target = {alias(near)}.n"
                forth = f"{edge}.source = {alias(near)}.n AND {edge}.target = {alias(far)}.n"
                there = [f"(({forth}) OR ({back}))"]
        return there + self._of_edge(hop, edge)

    def _leave_out(self, hop: Hop) -> None:
        near, far = (hop.source, hop.target) if hop.source in self._met else (hop.target, hop.source)
        if far in self._met:
            if hop.most > 1:
                self._conditions.append(f"{alias(far)}.n NOT IN ({self._reach(hop, near)})")
            else:
                there = " AND ".join(self._between(hop, "e", near, far))
                self._conditions.append(f"NOT EXISTS (SELECT 1 FROM edge AS e WHERE {there})")
            return
        node = alias(far)
        conditions = self._of_node(self._pattern.node(far))
        conditions += [f"{node}.n <> {alias(other)}.n" for other in self._met]
        if hop.most > 1:
            tables = f"node AS {node}"
            conditions.insert(0, f"{node}.n IN ({self._reach(hop, near)})")
        else:
            tables = f"edge AS e CROSS JOIN node AS {node}"
            conditions = [*self._between(hop, "e", near, None), f"{node}.n = {other_end('e', hop, near)}", *conditions]
        self._conditions.append(f"NOT EXISTS (SELECT 1 FROM {tables} WHERE {' AND '.join(conditions)})")

    def _reach(self, hop: Hop, near: str) -> str:
        """The numbers of nodes that can be reached from ``near`` over edges of ``hop``."""
        of_edge = self._of_edge(hop, "e")
        forth, back = (("source", "target"), ("target", "source"))
        ways = (forth, back) if hop.either else (forth if near == hop.source else back,)
        steps = " UNION ".join(
            f"SELECT e.{there}, reach.hops + 1 FROM reach CROSS JOIN edge AS e WHERE e.{here} = reach.n"
            f" AND {' AND '.join([f'reach.hops < {hop.most}', *of_edge])}"
            for here, there in ways
        )
        return (
            f"WITH RECURSIVE reach (n, hops) AS (SELECT {alias(near)}.n, 0 UNION {steps})"
            " SELECT n FROM reach WHERE hops > 0"
        )

    def _columns_of_match(self) -> tuple[dict[str, int], dict[str, int], list[int]]:
        nodes: dict[str, int] = {}
        hops: dict[str, int] = {}
        places: list[int] = []
        for name in self._met:
            nodes[name] = len(self._columns)
            places.append(nodes[name])
            self._columns += [f"{alias(name)}.n", f"{alias(name)}.id"]
        for hop in self._pattern.named:
            first = hops[hop.name] = len(self._columns)
            places += [first, first + 1, first + 2]
            self._columns += [f"{alias(hop.name)}.{column}" for column in ("type", "source", "id", "properties")]
        return nodes, hops, places

    def _of_node(self, node: NodePattern) -> list[str]:
        table = alias(node.name)
        return [
            *self._is_one_of(f"{table}.label", "label", node.labels),
            *(self._holds(table, condition) for condition in node.where),
        ]

    def _of_edge(self, hop: Hop, table: str) -> list[str]:
        return [
            *self._is_one_of(f"{table}.type", "type", hop.types),
            *(self._holds(table, condition) for condition in hop.where),
        ]

    def _is_one_of(self, column: str, kind: str, names: Sequence[str]) -> list[str]:
        numbers = sorted({self._number(kind, name) for name in names})
        if len(numbers) == 1:
            return [f"{column} = {numbers[0]}"]  # spoken out, so that a partial index is known to fit
        return [f"{column} IN ({', '.join(map(str, numbers))})"] if numbers else []

    def _holds(self, table: str, condition: Condition) -> str:
        holds = self._compared(table, condition)
        return f"({holds} OR {extracted(table, condition.property)} IS NULL)" if condition.or_absent else holds

    def _compared(self, table: str, condition: Condition) -> str:
        there = extracted(table, condition.property)
        value = condition.value
        if condition.operator in {"present", "absent"}:
            return f"{there} IS {'NOT ' * (condition.operator == 'present')}NULL"
        if isinstance(value, tuple):
            return self._one_of(table, condition.property, value)
        assert value is not None
        if condition.operator == "!=":
            return f"({there} IS NOT NULL AND NOT ({self._one_of(table, condition.property, (value,))}))"
        if condition.operator == "=":
            return self._one_of(table, condition.property, (value,))
        return f"({there} {condition.operator} {self._value(value)} AND {is_like(table, condition.property, value)})"

    def _one_of(self, table: str, name: str, values: Sequence[Value]) -> str:
        """SQLite takes true for 1: each kind of value is compared with its own."""
        alternatives = []
        for kind in (str, bool, (int, float)):
            same = [value for value in values if isinstance(value, kind) and (kind is bool or value is not True)]
            same = [value for value in same if kind is bool or not isinstance(value, bool)]
            if same:
                given = ", ".join(self._value(value) for value in dict.fromkeys(same))
                alternatives.append(f"({extracted(table, name)} IN ({given}) AND {is_like(table, name, same[0])})")
        return f"({' OR '.join(alternatives)})" if alternatives else "0"

    def _value(self, value: Value) -> str:
        name = f"value_{len(self._values)}"
        self._values[name] = value
        return f":{name}"


def alias(name: str) -> str:
    """Quoted, so that no word of SQL and no name of a table is meant."""
    return f'"{name}"' if name != "e" else '"e "'


def other_end(edge: str, hop: Hop, near: str) -> str:
    if hop.either:
        return f"{edge}.source + {edge}.target - {alias(near)}.n"
    return f"{edge}.target" if near == hop.source else f"{edge}.source"


def extracted(table: str, name: str) -> str:
    return f"json_extract({table}.properties, '$.{name}')"


def is_like(table: str, name: str, value: Value) -> str:
    """The property is of the kind of ``value``."""
    if isinstance(value, str):
        return f"typeof({extracted(table, name)}) = 'text'"
    kinds = ("true", "false") if isinstance(value, bool) else ("integer", "real")
    return f"json_type({table}.properties, '$.{name}') IN ({', '.join(map(repr, kinds))})"
