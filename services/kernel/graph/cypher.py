"""What the Neo4j adapter says to its server.

Every node has the label ``Node`` beside its own, and as ``_key`` its workspace and its id, both in base64: one text as
a unique key takes a batch in faster than two properties or bytes do. Workspaces end where edges do: an edge is made
between two nodes of one workspace only. Labels, types and names of properties are checked, values are parameters.
"""

import base64
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple
from uuid import UUID

from services.kernel.graph.pattern import Condition, Hop, NodePattern, Pattern
from services.kernel.graph.vocabulary import Vocabulary

#: How many characters of a key are its workspace.
SPACE: Final = 22
CONSTRAINT: Final = "CREATE CONSTRAINT mirage_node IF NOT EXISTS FOR (n:Node) REQUIRE n._key IS UNIQUE"
LABEL: Final = "[l IN labels(n) WHERE l <> 'Node'][0]"
EDGE: Final = "type(r), startNode(r)._key, endNode(r)._key, r._id, properties(r)"

READ_NODES: Final = f"UNWIND $keys AS key MATCH (n:Node {{_key: key}}) RETURN key, {LABEL}, properties(n)"
DELETE_NODES: Final = "UNWIND $keys AS key MATCH (n:Node {_key: key}) DETACH DELETE n"
DROP: Final = "MATCH (n:Node) WHERE n._key STARTS WITH $space WITH n LIMIT $limit DETACH DELETE n RETURN count(*)"
COUNT_NODES: Final = f"MATCH (n:Node) WHERE n._key STARTS WITH $space RETURN {LABEL}, count(*)"
COUNT_EDGES: Final = "MATCH (n:Node)-[r]->() WHERE n._key STARTS WITH $space RETURN type(r), count(*)"


def text(id: bytes) -> str:
    return base64.urlsafe_b64encode(id).rstrip(b"=").decode()


def from_text(id: str) -> bytes:
    return base64.urlsafe_b64decode(id + "=" * (-len(id) % 4))


def space_of(workspace: UUID) -> str:
    return text(workspace.bytes)


def id_of(key: str) -> bytes:
    return from_text(key[SPACE:])


def declarations(labels: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """The indexes that labels need, by name."""
    made = {f"mirage_{label}": f"FOR (n:`{label}`) ON (n._key)" for label in labels}
    for label, properties in labels.items():
        made |= {f"mirage_{label}__{name}": f"FOR (n:`{label}`) ON (n._w, n.`{name}`)" for name in properties}
    return {name: f"CREATE INDEX {name} IF NOT EXISTS {rest}" for name, rest in made.items()}


def put_nodes(label: str) -> str:
    """Rows are a key and properties; those with another label are left alone and not counted."""
    return (
        "UNWIND $rows AS row MERGE (n:Node {_key: row[0]}) ON CREATE SET n._w = $space"
        f" WITH n, row WHERE n:`{label}` OR size(labels(n)) = 1 SET n:`{label}`, n += row[1] RETURN count(n)"
    )


def put_edges(type: str) -> str:
    """Rows are two keys, an id and properties."""
    return (
        "UNWIND $rows AS row"
        " MERGE (a:Node {_key: row[0]}) ON CREATE SET a._w = $space"
        " MERGE (b:Node {_key: row[1]}) ON CREATE SET b._w = $space"
        f" MERGE (a)-[r:`{type}` {{_id: row[2]}}]->(b) SET r += row[3]"
    )


def delete_edges(type: str) -> str:
    return (
        "UNWIND $rows AS row MATCH (a:Node {_key: row[0]}) MATCH (b:Node {_key: row[1]})"
        f" MATCH (a)-[r:`{type}` {{_id: row[2]}}]->(b) DELETE r"
    )


def neighbours(types: Sequence[str], direction: str) -> str:
    """The edges of ``$keys`` in their order; within a node by place: out or in, type, other end, id.

    Only what a page needs is read of the nodes that come later.
    """
    of = one_of(types)
    out = f"MATCH (n)-[r{of}]->(m) RETURN r, '0' AS way, m"
    into = f"MATCH (n)<-[r{of}]-(m) RETURN r, '1' AS way, m"
    # What leads into a node from one that is asked for too, is listed as leading out of that one.
    both = f"{out} UNION ALL MATCH (n)<-[r{of}]-(m) WHERE NOT m._key IN $asked RETURN r, '1' AS way, m"
    edges = {"out": out, "in": into, "both": both}[direction]
    return (
        "UNWIND $keys AS key MATCH (n:Node {_key: key})"
        f" CALL (n, key) {{ CALL (n) {{ {edges} }}"
        "  WITH key, r, way + type(r) + ' ' + m._key + ' ' + r._id AS place"
        "  WHERE key > $after_key OR place > $after_place"
        "  RETURN r, place ORDER BY place LIMIT $limit }"
        f" RETURN key, place, {EDGE} LIMIT $limit"
    )


def paths(types: Sequence[str], *, directed: bool, max_hops: int) -> str:
    return (
        "MATCH (a:Node {_key: $source}) MATCH (b:Node {_key: $target})"
        f" MATCH p = allShortestPaths((a)-[{one_of(types)}*..{max_hops}]-{'>' * directed}(b)) WITH p LIMIT $limit"
        f" RETURN [r IN relationships(p) | [{EDGE}]]"
    )


class Compiled(NamedTuple):
    """A row has a key for each bound node, then for each named hop its type, source, id and properties.

    ``places``: which columns are the place of a row in the order of all.
    """

    statement: str
    values: dict[str, Any]
    places: list[int]


class Compiler:
    """Writes a pattern as one statement; the server's planner decides where it begins."""

    def __init__(self, pattern: Pattern, vocabulary: Vocabulary, space: str) -> None:
        self._pattern = pattern
        self._vocabulary = vocabulary
        self._bound = [node.name for node in pattern.bound]
        self._clauses: list[str] = []
        self._conditions: list[str] = []
        self._values: dict[str, Any] = {"space": space}
        self._joined = False

    def compile(self, only: Mapping[str, Sequence[str]], after: Sequence[str] | None) -> Compiled:
        self._find_nodes(hinted=not only)
        self._conditions += self._differ(self._bound)
        for name, keys in only.items():
            self._conditions.append(f"`{name}`._key IN {self._value(list(keys))}")
        for place, hop in enumerate(self._pattern.hops):
            if hop.absent:
                self._leave_out(hop)
            else:
                self._join(hop, hop.name or f"_hop{place}")
                self._joined = True
        columns, places = self._columns()
        if after is not None:
            self._begin_after([columns[place] for place in places], after)
        distinct = "" if all(hop.name or hop.absent for hop in self._pattern.hops) else "DISTINCT "
        listed = ", ".join(f"{column} AS _{place}" for place, column in enumerate(columns))
        # A condition belongs to the clause before it: without hops, to that of the only node.
        where = f" {'WHERE' if self._joined else 'AND'} {' AND '.join(self._conditions)}" if self._conditions else ""
        statement = (
            f"{' '.join(self._clauses)}{where} RETURN {distinct}{listed}"
            f" ORDER BY {', '.join(f'_{place}' for place in places)} LIMIT $limit"
        )
        return Compiled(statement, self._values, places)

    def _find_nodes(self, *, hinted: bool) -> None:
        """The first node that an index can find is found so: the planner would rather walk through all keys."""
        for node in self._pattern.bound:
            conditions = [f"`{node.name}`._key STARTS WITH $space", *self._of_node(node)]
            hint = ""
            if name := self._looked_up(node):
                conditions.append(f"`{node.name}`._w = $space")
                if hinted:
                    hint = f" USING INDEX SEEK `{node.name}`:`{node.labels[0]}`(_w, `{name}`)"
                    hinted = False
            self._clauses.append(f"MATCH {self._node(node)}{hint} WHERE {' AND '.join(conditions)}")

    def _columns(self) -> tuple[list[str], list[int]]:
        columns = [f"`{name}`._key" for name in self._bound]
        places = list(range(len(columns)))
        for hop in self._pattern.named:
            places += range(len(columns), len(columns) + 3)
            edge = f"`{hop.name}`"
            columns += [f"type({edge})", f"startNode({edge})._key", f"{edge}._id", f"properties({edge})"]
        return columns, places

    def _begin_after(self, order: Sequence[str], after: Sequence[str]) -> None:
        given = [self._value(value) for value in after]
        later = f"{order[-1]} > {given[-1]}"
        for column, value in reversed(list(zip(order[:-1], given[:-1], strict=True))):
            later = f"({column} > {value} OR ({column} = {value} AND {later}))"
        self._conditions += [f"{order[0]} >= {given[0]}", later]

    def _node(self, node: NodePattern) -> str:
        return f"(`{node.name}`{one_of(node.labels) or ':Node'})"

    def _of_node(self, node: NodePattern) -> list[str]:
        return [self._holds(f"`{node.name}`", condition) for condition in node.where]

    def _looked_up(self, node: NodePattern) -> str:
        """The property that an index can find the node by, if there is one."""
        indexed = self._vocabulary.labels[node.labels[0]] if len(set(node.labels)) == 1 else frozenset()
        return next((each.property for each in node.where if each.property in indexed and is_sought(each)), "")

    def _differ(self, names: Sequence[str]) -> list[str]:
        return [f"`{one}` <> `{other}`" for place, one in enumerate(names) for other in names[:place]]

    def _join(self, hop: Hop, name: str) -> None:
        self._clauses.append(f"MATCH {self._hop(hop, name)}")
        self._conditions += self._of_edge(hop, name)

    def _hop(self, hop: Hop, name: str, far: NodePattern | None = None) -> str:
        ends = [self._node(far) if far and far.name == end else f"(`{end}`)" for end in (hop.source, hop.target)]
        reach = f"*1..{hop.most}" if hop.most > 1 else ""
        return f"{ends[0]}-[`{name}`{one_of(hop.types)}{reach}]-{'' if hop.either else '>'}{ends[1]}"

    def _of_edge(self, hop: Hop, name: str) -> list[str]:
        if hop.most == 1:
            return [self._holds(f"`{name}`", condition) for condition in hop.where]
        return [f"all(_r IN `{name}` WHERE {self._holds('_r', condition)})" for condition in hop.where]

    def _leave_out(self, hop: Hop) -> None:
        free = next((self._pattern.node(end) for end in (hop.source, hop.target) if end not in self._bound), None)
        conditions = self._of_edge(hop, "_none")
        if free is not None:
            conditions += self._of_node(free) + [f"`{free.name}` <> `{name}`" for name in self._bound]
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        self._conditions.append(f"NOT EXISTS {{ MATCH {self._hop(hop, '_none', free)}{where} }}")

    def _holds(self, of: str, condition: Condition) -> str:
        there = f"{of}.`{condition.property}`"
        if condition.operator in {"present", "absent"}:
            holds = f"{there} IS {'NOT ' * (condition.operator == 'present')}NULL"
        elif isinstance(condition.value, tuple):
            holds = f"{there} IN {self._value(list(condition.value))}"
        else:
            operator = "<>" if condition.operator == "!=" else condition.operator
            holds = f"{there} {operator} {self._value(condition.value)}"
        return f"({holds} OR {there} IS NULL)" if condition.or_absent else holds

    def _value(self, value: Any) -> str:
        name = f"value_{len(self._values)}"
        self._values[name] = value
        return f"${name}"


def is_sought(condition: Condition) -> bool:
    """An index can be asked for what fulfils it."""
    return condition.operator not in {"!=", "absent"} and not condition.or_absent


def one_of(names: Sequence[str]) -> str:
    """Labels or types, any of which will do; nothing for any at all."""
    return f":{'|'.join(f'`{name}`' for name in sorted(set(names)))}" if names else ""
