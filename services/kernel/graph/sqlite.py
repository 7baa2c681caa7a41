"""`graph` in a SQLite file: nodes by number, edges in the order of their source and, by an index, of their target.

Ids are looked up once and stand for numbers from there on: at a million nodes that stores nearly twice as many edges a
second as ids in the edges themselves.
"""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path as FilePath
from typing import Any, TypeVar
from uuid import UUID

from services.kernel.errors import Exhausted
from services.kernel.graph import Counts, Direction, Edge, Edges, Graph, Match, Matches, Node, Path, Pattern
from services.kernel.graph import sqlite_rows as rows
from services.kernel.graph.sqlite_match import Compiled, Compiler
from services.kernel.graph.sqlite_neighbours import Adjacency, Place
from services.kernel.graph.sqlite_paths import Search, Ways
from services.kernel.graph.sqlite_rows import Connection, Question, Words
from services.kernel.graph.vocabulary import (
    Vocabulary,
    check_bounds,
    check_declaration,
    check_direction,
    check_hops,
    check_id,
    check_ids,
    from_hex,
    read_cursor,
    write_cursor,
)
from services.kernel.sql.sqlite_file import SqliteFile

T = TypeVar("T")


class SqliteGraph(Graph):
    def __init__(self, path: str | FilePath) -> None:
        self._file = SqliteFile(path, setup=rows.set_up, cache_kib=8192)
        self._vocabulary = Vocabulary()
        self._words = Words()
        self._questions = 0
        self._given_up = 0

    async def declare(self, labels: Mapping[str, Sequence[str]], types: Sequence[str]) -> None:
        check_declaration(labels, types)
        await self._file.write(lambda connection: rows.declare(connection, labels, types))
        await self._file.read(self._words.learn)
        self._vocabulary.add(labels, types)

    async def put_nodes(self, workspace: UUID, nodes: Sequence[Node]) -> None:
        merged = self._vocabulary.merge_nodes(nodes)
        await self._file.write(lambda connection: rows.put_nodes(connection, workspace.bytes, merged, self._words))

    async def put_edges(self, workspace: UUID, edges: Sequence[Edge]) -> None:
        merged = self._vocabulary.merge_edges(edges)
        await self._file.write(lambda connection: rows.put_edges(connection, workspace.bytes, merged, self._words))

    async def delete_nodes(self, workspace: UUID, ids: Sequence[bytes]) -> None:
        for each in ids:
            check_id(each)

        def call(connection: Connection) -> None:
            numbers = rows.find_numbers(connection, rows.find_space(connection, workspace.bytes), ids)
            rows.delete_nodes(connection, numbers.values())

        await self._file.write(call)

    async def delete_edges(self, workspace: UUID, edges: Sequence[Edge]) -> None:
        keys = [self._vocabulary.key(edge) for edge in edges]
        await self._file.write(lambda connection: rows.delete_edges(connection, workspace.bytes, keys, self._words))

    async def drop(self, workspace: UUID) -> None:
        while await self._file.write(lambda connection: rows.drop_some(connection, workspace.bytes)):
            pass

    async def nodes(self, workspace: UUID, ids: Sequence[bytes]) -> list[Node]:
        check_ids(ids)
        return await self._file.read(lambda connection: rows.read_nodes(connection, workspace.bytes, ids, self._words))

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
        check_bounds(limit, seconds)
        check_ids(ids)
        check_direction(direction)
        numbers = self._types(types)
        ways = {"out": (0,), "in": (1,), "both": (0, 1)}[direction]
        after = None if cursor is None else _place(read_cursor(cursor, (int, int, int, int, str)))

        def call(connection: Connection) -> Edges:
            asked = rows.find_numbers(connection, rows.find_space(connection, workspace.bytes), ids)
            page = Adjacency(connection, list(asked.values()), numbers, ways).read(after, limit + 1)
            edges = rows.read_edges(connection, [step for _, step in page[:limit]], self._words)
            return Edges(edges, _cursor(page[limit - 1][0]) if len(page) > limit else None)

        return await self._ask(call, seconds)

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
        check_bounds(limit, seconds)
        check_ids((source, target))
        check_hops(max_hops)
        ways = Ways(self._types(types), directed)

        def call(connection: Connection) -> list[Path]:
            space = rows.find_space(connection, workspace.bytes)
            numbers = rows.find_numbers(connection, space, {source, target})
            if not numbers.keys() >= {source, target}:
                return []
            found = Search(connection, ways).find(numbers[source], numbers[target], max_hops, limit)
            edges = iter(rows.read_edges(connection, [step for path in found for step in path], self._words))
            return [Path.along(source, [next(edges) for _ in path]) for path in found]

        return await self._ask(call, seconds)

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
        check_bounds(limit, seconds)
        among = dict(only or {})
        self._vocabulary.check_pattern(pattern, among)
        start = min(among, key=lambda name: len(among[name])) if among else pattern.bound[0].name
        after = None if cursor is None else _after(pattern, cursor)

        def call(connection: Connection) -> Matches:
            space = rows.find_space(connection, workspace.bytes)
            numbers = {
                name: json.dumps(sorted(rows.find_numbers(connection, space, ids).values()))
                for name, ids in among.items()
            }
            compiled = Compiler(pattern, self._words.number, numbers).compile(start, after)
            values = compiled.values | {"space": space, "limit": limit + 1}
            found = connection.execute(compiled.statement, values).fetchall()
            more = _cursor([found[limit - 1][column] for column in compiled.places]) if len(found) > limit else None
            matches = [_match(connection, compiled, pattern, row, self._words) for row in found[:limit]]
            return Matches(matches, more)

        return await self._ask(call, seconds)

    async def counts(self, workspace: UUID, *, seconds: float = 60.0) -> Counts:
        check_bounds(1, seconds)
        return await self._ask(lambda connection: rows.count(connection, workspace.bytes, self._words), seconds)

    def measures(self) -> dict[str, float]:
        return {"questions_total": self._questions, "given_up_total": self._given_up}

    async def ping(self) -> None:
        await self._file.read(lambda connection: connection.execute("SELECT 1 FROM space LIMIT 1").fetchone())

    async def close(self) -> None:
        await self._file.close()

    def _types(self, types: Sequence[str]) -> tuple[int, ...]:
        self._vocabulary.check_types(types)
        return tuple(sorted({self._words.number("type", each) for each in types}))

    async def _ask(self, call: Callable[[Connection], T], seconds: float) -> T:
        question = Question(seconds)
        self._questions += 1
        try:
            return await self._file.read(lambda connection: question.ask(connection, call))
        except asyncio.CancelledError:
            question.cancelled = True
            raise
        except Exhausted:
            self._given_up += 1
            raise


def _place(values: Sequence[Any]) -> Place:
    node, way, number, far, key = values
    return Place(node, way, number, far, from_hex(key))


def _after(pattern: Pattern, cursor: str) -> list[Any]:
    kinds = [int] * len(pattern.bound) + [int, int, str] * len(pattern.named)
    return [from_hex(each) if isinstance(each, str) else each for each in read_cursor(cursor, kinds)]


def _cursor(place: Sequence[Any]) -> str:
    return write_cursor([each.hex() if isinstance(each, bytes) else each for each in place])


def _match(connection: Connection, compiled: Compiled, pattern: Pattern, row: Sequence[Any], words: Words) -> Match:
    nodes = {node.name: row[compiled.nodes[node.name] + 1] for node in pattern.bound}
    edges: dict[str, Edge] = {}
    for hop in pattern.named:
        first = compiled.hops[hop.name]
        number, source, key, properties = row[first : first + 4]
        ends = nodes[hop.source], nodes[hop.target]
        if source != row[compiled.nodes[hop.source]]:
            ends = ends[1], ends[0]
        edges[hop.name] = Edge(words.word(connection, number), *ends, key, rows.decode(properties))
    return Match(nodes, edges)
