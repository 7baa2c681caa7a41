"""What the `graph` port takes in and answers, in SQLite and on Neo4j, with 100,000 nodes and 300,000 edges there.

Rows are written in batches of 1,000. The bare limit of Neo4j is the driver's own `UNWIND … MERGE` of the same rows, by
turns, under one unique key and without labels, workspaces or checks; that of SQLite writes the same rows in one thread
with numbers that are known. One node in a hundred is a hub that a quarter of all edges lead to.
"""

import asyncio
import random
import sqlite3
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import neo4j
import uvloop

from services.kernel.graph import Condition, Edge, Graph, Hop, Node, NodePattern, Pattern
from services.kernel.graph.neo4j import Neo4jGraph
from services.kernel.graph.sqlite import SqliteGraph
from services.kernel.server import Server
from tests.bench.declaration import Bench, Figure, Options, middle, span
from tests.bench.serving import serving

NODES, EDGES, BATCH, ASKED, TURN = 100_000, 300_000, 1_000, 300, 20_000
LABELS, TYPES = ("host", "address", "network", "owner"), ("leads", "holds", "owns")
BAR = 5_000
T = TypeVar("T")
TABLES = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
CREATE TABLE node (n INTEGER PRIMARY KEY, id BLOB UNIQUE, label INTEGER, properties TEXT);
CREATE TABLE edge (source INTEGER, type INTEGER, target INTEGER, id BLOB, properties TEXT,
    PRIMARY KEY (source, type, target, id)) WITHOUT ROWID;
CREATE INDEX edge_in ON edge (target, type, source, id);
"""


def node_id(number: int) -> bytes:
    return uuid.uuid5(uuid.NAMESPACE_OID, str(number)).bytes


IDS = [node_id(number) for number in range(NODES)]


def nodes(count: int) -> list[Node]:
    return [
        Node(IDS[n], LABELS[n % 4], {"name": f"host{n}.example.org", "first": 1_700_000_000_000_000 + n, "live": True})
        for n in range(count)
    ]


def edges(count: int, among: int) -> list[Edge]:
    source = random.Random(1)
    return [
        Edge(
            TYPES[n % 3],
            IDS[source.randrange(among)],
            IDS[source.randrange(among if n % 4 else among // 100)],
            n.to_bytes(16, "big"),
            {"valid_from": 1_700_000_000_000_000 + n},
        )
        for n in range(count)
    ]


def batches(rows: Sequence[T]) -> Iterator[Sequence[T]]:
    return (rows[start : start + BATCH] for start in range(0, len(rows), BATCH))


async def rate(rows: Sequence[T], write: Callable[[Sequence[T]], Awaitable[None]]) -> float:
    """Rows a second."""
    started = time.perf_counter()
    for batch in batches(rows):
        await write(batch)
    return len(rows) / (time.perf_counter() - started)


class BareNeo4j:
    """The driver alone."""

    def __init__(self, url: str) -> None:
        self.driver = neo4j.AsyncGraphDatabase.driver(url.replace("neo4j:", "bolt:"), telemetry_disabled=True)

    async def run(self, statement: str, **values: object) -> None:
        async with self.driver.session(database="neo4j") as session:
            await (await session.run(statement, values)).consume()

    async def prepare(self, turn: int) -> None:
        self.label = f"Bare{turn}"
        await self.run(f"CREATE CONSTRAINT FOR (n:{self.label}) REQUIRE n.id IS UNIQUE")
        await self.run("CALL db.awaitIndexes(60)")

    async def put_nodes(self, batch: Sequence[Node]) -> None:
        rows = [[node.id.hex(), node.properties] for node in batch]
        await self.run(f"UNWIND $rows AS row MERGE (n:{self.label} {{id: row[0]}}) SET n += row[1]", rows=rows)

    async def put_edges(self, batch: Sequence[Edge]) -> None:
        rows = [[edge.source.hex(), edge.target.hex(), edge.id.hex(), edge.properties] for edge in batch]
        ends = f"MATCH (a:{self.label} {{id: row[0]}}) MATCH (b:{self.label} {{id: row[1]}})"
        await self.run(f"UNWIND $rows AS row {ends} MERGE (a)-[r:leads {{id: row[2]}}]->(b) SET r += row[3]", rows=rows)


class BareSqlite:
    """The library alone: the tables of the adapter, numbers known."""

    def __init__(self, path: Path) -> None:
        self.connection = sqlite3.connect(path, isolation_level=None)
        self.connection.executescript(TABLES)
        self.numbers = {each: number for number, each in enumerate(IDS)}

    async def put_nodes(self, batch: Sequence[Node]) -> None:
        rows = [(self.numbers[node.id], node.id, 1, str(node.properties)) for node in batch]
        self.write("INSERT INTO node VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING", rows)

    async def put_edges(self, batch: Sequence[Edge]) -> None:
        numbers = self.numbers
        rows = [(numbers[edge.source], 1, numbers[edge.target], edge.id, str(edge.properties)) for edge in batch]
        self.write("INSERT INTO edge VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING", sorted(rows))

    def write(self, statement: str, rows: list[tuple[object, ...]]) -> None:
        self.connection.execute("BEGIN IMMEDIATE")
        self.connection.executemany(statement, rows)
        self.connection.execute("COMMIT")


async def written(name: str, graph: Graph, bare: BareNeo4j | BareSqlite, runs: int) -> list[Figure]:
    """By turns: the port's, the bare one's; each turn in a workspace of its own."""
    of_nodes, of_edges = nodes(TURN), edges(TURN, TURN)
    rates: dict[str, list[float]] = {"nodes": [], "edges": [], "bare nodes": [], "bare edges": []}
    for turn in range(runs):
        workspace = uuid.uuid4()
        if isinstance(bare, BareNeo4j):
            await bare.prepare(turn)
        elif turn:
            bare.connection.executescript("DELETE FROM edge; DELETE FROM node")
        rates["nodes"].append(await rate(of_nodes, lambda some, to=workspace: graph.put_nodes(to, some)))
        rates["bare nodes"].append(await rate(of_nodes, bare.put_nodes))
        rates["edges"].append(await rate(of_edges, lambda some, to=workspace: graph.put_edges(to, some)))
        rates["bare edges"].append(await rate(of_edges, bare.put_edges))
    return [
        Figure(
            what=f"{name}: {what} written",
            value=middle(rates[what]),
            unit=f"{what}/s",
            bar=BAR,
            bare=middle(rates[f"bare {what}"]),
            spread=span(rates[what]),
        )
        for what in ("nodes", "edges")
    ]


async def asked(name: str, graph: Graph) -> list[Figure]:
    workspace, source = uuid.uuid4(), random.Random(2)
    made = edges(EDGES, NODES)
    for some in batches(nodes(NODES)):
        await graph.put_nodes(workspace, some)
    rate_there = await rate(made, lambda some: graph.put_edges(workspace, some))
    out: dict[bytes, list[bytes]] = {}
    for edge in made:
        out.setdefault(edge.source, []).append(edge.target)

    def three_hops() -> tuple[bytes, bytes]:
        while True:
            start = end = source.choice(IDS)
            for _ in range(3):
                end = source.choice(out.get(end, [start]))
            if end != start:
                return start, end

    named = Pattern(
        (NodePattern("a", ("host",), (Condition("name", "=", "host4.example.org"),)), NodePattern("b")),
        (Hop("a", "b", ("leads", "holds"), name="e"), Hop("b", "a", ("owns",), absent=True)),
    )
    questions: list[tuple[str, Callable[[], Awaitable[object]]]] = [
        ("neighbours of a node", lambda: graph.neighbours(workspace, [source.choice(IDS)], limit=100)),
        ("neighbours of 100 nodes", lambda: graph.neighbours(workspace, source.sample(IDS, 100), limit=1_000)),
        ("a page of 1,000 of a hub", lambda: graph.neighbours(workspace, [IDS[source.randrange(1_000)]])),
        ("shortest paths, three hops apart or less", lambda: graph.paths(workspace, *three_hops())),
        ("directed shortest paths", lambda: graph.paths(workspace, *three_hops(), directed=True)),
        ("a pattern from an indexed property", lambda: graph.match(workspace, named)),
        (
            "a pattern from 100 new nodes",
            lambda: graph.match(
                workspace,
                Pattern((NodePattern("a"), NodePattern("b", ("owner",))), (Hop("a", "b", ("leads",), name="e"),)),
                only={"a": source.sample(IDS, 100)},
            ),
        ),
    ]
    figures = [Figure(what=f"{name}: edges written, {NODES:,} nodes there", value=rate_there, unit="edges/s", bar=BAR)]
    return figures + [await answered(f"{name}: {what}", ask) for what, ask in questions]


async def answered(what: str, ask: Callable[[], Awaitable[object]]) -> Figure:
    for _ in range(20):  # plans are made, pages are read
        await ask()
    taken = []
    for _ in range(ASKED):
        started = time.perf_counter()
        await ask()
        taken.append((time.perf_counter() - started) * 1_000)
    taken.sort()
    return Figure(what=what, value=middle(taken), unit="ms", beside=f"p95 {taken[int(ASKED * 0.95)]:.1f} ms")


async def measure(options: Options) -> list[Figure]:
    declared = {label: ["name"] for label in LABELS}
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory() as folder:
        embedded = SqliteGraph(Path(folder) / "graph.db")
        await embedded.declare(declared, TYPES)
        bare = BareSqlite(Path(folder) / "bare.db")
        figures += await written("SQLite", embedded, bare, options.runs)
        figures += await asked("SQLite", embedded)
        bare.connection.close()
        await embedded.close()
    with serving("neo4j") as running:
        graph, driver = Neo4jGraph(Server.parse(running.url)), BareNeo4j(running.url)
        await graph.declare(declared, TYPES)
        await warm(graph, driver)
        figures += await written("Neo4j", graph, driver, options.runs)
        figures += await asked("Neo4j", graph)
        await driver.driver.close()
        await graph.close()
    return figures


async def warm(graph: Graph, driver: BareNeo4j) -> None:
    """A Java machine is fast once it has run."""
    await driver.prepare(99)
    workspace = uuid.uuid4()
    for put, bare_put, rows in (
        (graph.put_nodes, driver.put_nodes, nodes(10_000)),
        (graph.put_edges, driver.put_edges, edges(10_000, 10_000)),
    ):
        for batch in batches(rows):
            await asyncio.gather(put(workspace, batch), bare_put(batch))  # type: ignore[operator]


BENCH = Bench("graph", "≥ 5,000 nodes and edges a second into Neo4j.", lambda options: uvloop.run(measure(options)))
