"""Shortest paths in a SQLite file: searched from both ends, a level at a time, the smaller one first."""

# ruff: noqa: S608 - types are numbers of ours, values are parameters
import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from services.kernel.errors import Exhausted

#: How many edges one question may look at; a level is read in pieces of so many nodes.
LOOKED_AT: Final = 2_000_000
PIECE: Final = 5_000

Step = tuple[int, int, int, bytes, str]  # source, type, target, id, properties


class Ways(NamedTuple):
    """How edges may be walked: the types (all when there are none), and whether from source to target only."""

    types: tuple[int, ...]
    directed: bool


class Side:
    """What can be reached from one end: the level of every node, and the outermost level."""

    def __init__(self, start: int, directions: tuple[tuple[str, str], ...]) -> None:
        self.levels = {start: 0}
        self.edge = {start}
        self.depth = 0
        self.directions = directions


class Search:
    def __init__(self, connection: sqlite3.Connection, ways: Ways) -> None:
        self._connection = connection
        self._types = f" AND edge.type IN ({', '.join(map(str, ways.types))})" if ways.types else ""
        self._left = LOOKED_AT
        forth, back = ("source", "target"), ("target", "source")
        self._forward = (forth,) if ways.directed else (forth, back)
        self._backward = (back,) if ways.directed else (back, forth)

    def find(self, source: int, target: int, max_hops: int, limit: int) -> list[list[Step]]:
        """Up to ``limit`` of the shortest paths, as edges in the order in which they are walked."""
        ahead, behind = Side(source, self._forward), Side(target, self._backward)
        met: set[int] = {source} & {target}
        while not met and ahead.depth + behind.depth < max_hops:
            side, other = (ahead, behind) if len(ahead.edge) <= len(behind.edge) else (behind, ahead)
            if not side.edge:
                return []
            self._expand(side)
            met = {node for node in side.edge if node in other.levels}
        if not met:
            return []
        levels = [*reversed(self._back(ahead, met)), *self._back(behind, met)[1:]]
        found: list[list[Step]] = []
        for path in self._walk(source, levels, 1, {}):
            found.append(path)
            if len(found) == limit:
                break
        return found

    def _expand(self, side: Side) -> None:
        side.depth += 1
        reached: set[int] = set()
        for node in self._beside(side.edge, side.directions):
            if node not in side.levels:
                side.levels[node] = side.depth
                reached.add(node)
        side.edge = reached

    def _back(self, side: Side, met: set[int]) -> list[set[int]]:
        """The nodes on shortest paths by level: from those where both sides met to where this one began."""
        levels = [met]
        back = tuple((there, here) for here, there in side.directions)
        for level in range(side.depth - 1, -1, -1):
            levels.append({node for node in self._beside(levels[-1], back) if side.levels.get(node) == level})
        return levels

    def _beside(self, nodes: Iterable[int], directions: Sequence[tuple[str, str]]) -> Iterator[int]:
        ordered = sorted(nodes)
        for start in range(0, len(ordered), PIECE):
            piece = json.dumps(ordered[start : start + PIECE])
            for here, there in directions:
                rows = self._connection.execute(
                    f"SELECT edge.{there} FROM json_each(?) AS given"
                    f" CROSS JOIN edge ON edge.{here} = given.value{self._types}",
                    (piece,),
                )
                for (node,) in rows:
                    self._look()
                    yield node

    def _walk(
        self, node: int, levels: list[set[int]], level: int, known: dict[tuple[int, int], list[tuple[int, Step]]]
    ) -> Iterator[list[Step]]:
        if level == len(levels):
            yield []
            return
        if (node, level) not in known:
            known[node, level] = list(self._steps(node, levels[level]))
        for following, step in known[node, level]:
            for rest in self._walk(following, levels, level + 1, known):
                yield [step, *rest]

    def _steps(self, node: int, wanted: set[int]) -> Iterator[tuple[int, Step]]:
        for here, there in self._forward:
            rows = self._connection.execute(
                f"SELECT {there}, source, type, target, id, properties FROM edge WHERE {here} = ?{self._types}", (node,)
            )
            for following, *step in rows:
                self._look()
                if following in wanted:
                    yield following, tuple(step)

    def _look(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise Exhausted(f"a path was looked for at {LOOKED_AT:,} edges")
