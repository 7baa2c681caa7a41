"""`graph` on a Neo4j server (Community is enough), by the driver's Bolt; the statements are in `cypher`."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import groupby
from typing import Any, Final
from uuid import UUID

from services.kernel.errors import Conflict, Invalid
from services.kernel.graph import Counts, Direction, Edge, Edges, Graph, Match, Matches, Node, Path, Pattern, cypher
from services.kernel.graph.neo4j_client import Neo4jClient, Row
from services.kernel.graph.vocabulary import (
    Vocabulary,
    check_bounds,
    check_declaration,
    check_direction,
    check_hops,
    check_id,
    check_ids,
    read_cursor,
    write_cursor,
)
from services.kernel.server import Server

#: Rows of one transaction.
BATCH: Final = 1_000
#: Nodes that are dropped with their edges in one transaction.
DROPPED: Final = 2_000
#: Seconds that a new index may take to be filled.
FILLED: Final = 600


class Neo4jGraph(Graph):
    """``pool`` is the most connections; what is written goes over one of them, so that batches do not meet."""

    def __init__(self, server: Server, *, pool: int = 8) -> None:
        self._client = Neo4jClient(server, pool)
        self._vocabulary = Vocabulary()
        self._writing = asyncio.Lock()

    async def declare(self, labels: Mapping[str, Sequence[str]], types: Sequence[str]) -> None:
        check_declaration(labels, types)
        there = {row[0] for row in await self._client.run("SHOW INDEXES YIELD name", {})}
        wanted = {"mirage_node": cypher.CONSTRAINT, **cypher.declarations(labels)}
        for name, statement in wanted.items():
            if name not in there:
                with suppress(Conflict):  # another has made it meanwhile
                    await self._client.run(statement, {})
        await self._client.run("CALL db.awaitIndexes($seconds)", {"seconds": FILLED})
        self._vocabulary.add(labels, types)

    async def put_nodes(self, workspace: UUID, nodes: Sequence[Node]) -> None:
        self._client.check_open()
        space = cypher.space_of(workspace)
        merged = sorted(self._vocabulary.merge_nodes(nodes).values(), key=lambda node: (node.label, node.id))
        for label, some in groupby(merged, key=lambda node: node.label):
            rows = [[space + cypher.text(node.id), node.properties] for node in some]
            counted = await self._write(cypher.put_nodes(label), rows, space)
            if (written := sum(count for (count,) in counted)) < len(rows):
                raise Conflict(f"{len(rows) - written} of {len(rows)} nodes have another label than {label} already")

    async def put_edges(self, workspace: UUID, edges: Sequence[Edge]) -> None:
        self._client.check_open()
        space = cypher.space_of(workspace)
        merged = sorted(self._vocabulary.merge_edges(edges).items(), key=lambda item: item[0])
        for word, some in groupby(merged, key=lambda item: item[0][0]):
            rows = [[*_ends(space, key), properties] for key, properties in some]
            await self._write(cypher.put_edges(word), rows, space)

    async def delete_nodes(self, workspace: UUID, ids: Sequence[bytes]) -> None:
        self._client.check_open()
        for each in ids:
            check_id(each)
        keys = _keys(workspace, ids)
        async with self._writing:
            for start in range(0, len(keys), BATCH):
                await self._client.run(cypher.DELETE_NODES, {"keys": keys[start : start + BATCH]})

    async def delete_edges(self, workspace: UUID, edges: Sequence[Edge]) -> None:
        self._client.check_open()
        space = cypher.space_of(workspace)
        for word, some in groupby(sorted({self._vocabulary.key(edge) for edge in edges}), key=lambda key: key[0]):
            await self._write(cypher.delete_edges(word), [_ends(space, key) for key in some], space)

    async def drop(self, workspace: UUID) -> None:
        values = {"space": cypher.space_of(workspace), "limit": DROPPED}
        async with self._writing:
            while (await self._client.run(cypher.DROP, values))[0][0]:
                pass

    async def nodes(self, workspace: UUID, ids: Sequence[bytes]) -> list[Node]:
        check_ids(ids)
        rows = await self._client.run(cypher.READ_NODES, {"keys": _keys(workspace, ids)})
        found = {cypher.id_of(key): Node(cypher.id_of(key), label or "", own(kept)) for key, label, kept in rows}
        return [found[each] for each in dict.fromkeys(ids) if each in found]

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
        self._vocabulary.check_types(types)
        keys = _keys(workspace, ids)
        after_key, after_place = ("", "") if cursor is None else _read_cursor(workspace, cursor, 1, 1)
        values = {
            "keys": [key for key in keys if key >= after_key],
            "asked": keys,
            "after_key": after_key,
            "after_place": after_place,
            "limit": limit + 1,
        }
        rows = await self._client.run(cypher.neighbours(types, direction), values, seconds)
        more = write_cursor(rows[limit - 1][:2]) if len(rows) > limit else None
        return Edges([_edge(row[2:]) for row in rows[:limit]], more)

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
        self._vocabulary.check_types(types)
        if source == target:
            return [Path((source,), ()) for _ in await self.nodes(workspace, [source])]
        space = cypher.space_of(workspace)
        values = {"source": space + cypher.text(source), "target": space + cypher.text(target), "limit": limit}
        rows = await self._client.run(cypher.paths(types, directed=directed, max_hops=max_hops), values, seconds)
        return [Path.along(source, [_edge(each) for each in edges]) for (edges,) in rows]

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
        self._client.check_open()
        check_bounds(limit, seconds)
        among = dict(only or {})
        self._vocabulary.check_pattern(pattern, among)
        columns = len(pattern.bound), 3 * len(pattern.named)
        after = None if cursor is None else _read_cursor(workspace, cursor, *columns)
        compiler = cypher.Compiler(pattern, self._vocabulary, cypher.space_of(workspace))
        compiled = compiler.compile({name: _keys(workspace, ids) for name, ids in among.items()}, after)
        rows = await self._client.run(compiled.statement, compiled.values | {"limit": limit + 1}, seconds)
        more = write_cursor([rows[limit - 1][place] for place in compiled.places]) if len(rows) > limit else None
        return Matches([_match(pattern, row) for row in rows[:limit]], more)

    async def counts(self, workspace: UUID, *, seconds: float = 60.0) -> Counts:
        check_bounds(1, seconds)
        values = {"space": cypher.space_of(workspace)}
        nodes = await self._client.run(cypher.COUNT_NODES, values, seconds)
        edges = await self._client.run(cypher.COUNT_EDGES, values, seconds)
        return Counts({label or "": count for label, count in nodes}, dict(map(tuple, edges)))

    def measures(self) -> dict[str, float]:
        return self._client.measures()

    async def ping(self) -> None:
        await self._client.run("RETURN 1", {})

    async def close(self) -> None:
        await self._client.close()

    async def _write(self, statement: str, rows: Sequence[Row], space: str) -> list[Row]:
        found: list[Row] = []
        async with self._writing:
            for start in range(0, len(rows), BATCH):
                found += await self._client.run(statement, {"rows": rows[start : start + BATCH], "space": space})
        return found


def _read_cursor(workspace: UUID, cursor: str, keys: int, others: int) -> list[str]:
    """The place that a cursor stands for: so many keys of the workspace, and so many other texts."""
    place: list[str] = read_cursor(cursor, [str] * (keys + others))
    if not all(key.startswith(cypher.space_of(workspace)) for key in place[:keys]):
        raise Invalid("this is no cursor of this question")
    return place


def own(properties: Mapping[str, Any]) -> dict[str, Any]:
    """Properties without those of the adapter."""
    return {name: value for name, value in properties.items() if not name.startswith("_")}


def _keys(workspace: UUID, ids: Iterable[bytes]) -> list[str]:
    space = cypher.space_of(workspace)
    return sorted({space + cypher.text(each) for each in ids})


def _ends(space: str, key: tuple[str, bytes, bytes, bytes]) -> Row:
    _, source, target, own_id = key
    return [space + cypher.text(source), space + cypher.text(target), cypher.text(own_id)]


def _edge(row: Sequence[Any]) -> Edge:
    word, source, target, key, properties = row
    return Edge(word, cypher.id_of(source), cypher.id_of(target), cypher.from_text(key), own(properties))


def _match(pattern: Pattern, row: Row) -> Match:
    keys = {node.name: row[place] for place, node in enumerate(pattern.bound)}
    edges: dict[str, Edge] = {}
    for place, hop in enumerate(pattern.named):
        word, source, key, properties = row[len(keys) + 4 * place :][:4]
        target = keys[hop.target] if source == keys[hop.source] else keys[hop.source]
        edges[hop.name] = _edge((word, source, target, key, properties))
    return Match({name: cypher.id_of(key) for name, key in keys.items()}, edges)
