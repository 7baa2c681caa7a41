"""The edges of nodes in a SQLite file, a page at a time: every page begins where an index finds it."""

# ruff: noqa: S608 - names are ours, values are parameters
import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from services.kernel.graph.sqlite_paths import Step


class Place(NamedTuple):
    """Where an edge stands among the edges of nodes: the node, out of it (0) or into it (1), and the rest."""

    node: int
    way: int
    type: int
    far: int
    id: bytes


class Adjacency:
    """The edges of nodes, each once, in the order of their places."""

    def __init__(
        self, connection: sqlite3.Connection, nodes: Sequence[int], types: tuple[int, ...], ways: tuple[int, ...]
    ) -> None:
        self._connection = connection
        self._nodes = sorted(nodes)
        self._asked = frozenset(nodes)
        self._types = types
        self._ways = ways

    def read(self, after: Place | None, limit: int) -> list[tuple[Place, Step]]:
        found: list[tuple[Place, Step]] = []
        for part in self._parts(after):
            for each in self._read(*part, after):
                found.append(each)
                if len(found) == limit:
                    return found
        return found

    def _parts(self, after: Place | None) -> Iterator[tuple[int, int, int | None]]:
        """The parts of an index that are left to read, in order."""
        for node in self._nodes:
            for way in self._ways:
                for number in self._types or (None,):
                    if after is not None and (node, way) < after[:2]:
                        continue
                    if after is None or number is None or (node, way, number) >= after[:3]:
                        yield node, way, number

    def _read(self, node: int, way: int, number: int | None, after: Place | None) -> Iterator[tuple[Place, Step]]:
        near, far = ("source", "target") if way == 0 else ("target", "source")
        statement = f"SELECT source, type, target, id, properties FROM edge WHERE {near} = :node"
        values: dict[str, Any] = {"node": node}
        if number is not None:
            statement += " AND type = :type"
            values["type"] = number
        if after is not None and (node, way) == after[:2]:
            statement += f" AND (type, {far}, id) > (:after_type, :after_far, :after_id)"
            values |= {"after_type": after.type, "after_far": after.far, "after_id": after.id}
        for step in self._connection.execute(f"{statement} ORDER BY type, {far}, id", values):
            beyond = step[2] if way == 0 else step[0]
            if way == 1 and len(self._ways) == 2 and beyond in self._asked:
                continue  # it was listed as one that leads out of that node
            yield Place(node, way, step[1], beyond, step[3]), step
