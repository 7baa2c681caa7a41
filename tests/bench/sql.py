"""How fast the `sql` port is beside bare calls of the library: the same work in one thread, without an event loop."""

import os
import sqlite3
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import uvloop

from services.kernel.sql import Migration, Row
from services.kernel.sql.sqlite import SqliteSql
from tests.bench.declaration import Bench, Figure, Options, middle, span

W = os.urandom(16)
TABLE = """CREATE TABLE entity (workspace BYTEA NOT NULL, id BYTEA NOT NULL, type TEXT NOT NULL, key TEXT NOT NULL,
    first_seen BIGINT, last_seen BIGINT, seen BIGINT, PRIMARY KEY (workspace, id));
"""
COLUMNS = ("workspace", "id", "type", "key", "first_seen", "last_seen", "seen")
BARE_UPSERT = (
    f"INSERT INTO entity ({', '.join(COLUMNS)}) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (workspace, id) DO UPDATE SET"
    " first_seen = min(first_seen, excluded.first_seen), last_seen = max(last_seen, excluded.last_seen),"
    " seen = seen + excluded.seen"
)
BATCH, BATCHES = 500, 60


Work = Callable[[], Awaitable[float]]


def batch(number: int) -> list[Row]:
    return [(W, os.urandom(16), "hostname", f'["h{number}-{n}.example.org"]', n, n, 1) for n in range(BATCH)]


class Rounds:
    """Measures a thing and its bare limit in turn."""

    def __init__(self, runs: int) -> None:
        self.runs = runs
        self.figures: list[Figure] = []

    async def measure(self, what: str, unit: str, work: Work, bare: Work) -> None:
        figures, limits = [], []
        for _ in range(self.runs):
            figures.append(await work())
            limits.append(await bare())
        self.figures.append(
            Figure(what=what, value=middle(figures), unit=unit, bare=middle(limits), spread=span(figures))
        )


def bare_connection(folder: Path) -> sqlite3.Connection:
    path = folder / f"bare{time.monotonic_ns()}.db"
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute(TABLE)
    return connection


async def measure(options: Options) -> list[Figure]:
    rounds = Rounds(options.runs)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        batches = [batch(number) for number in range(BATCHES)]
        rows = BATCH * BATCHES

        async def upsert() -> float:
            sql = SqliteSql(folder / f"port{time.monotonic_ns()}.db")
            await sql.migrate([Migration(1, "entity", TABLE)])
            started = time.perf_counter()
            for each in batches:
                async with sql.begin() as tx:
                    await tx.bulk_upsert(
                        "entity", COLUMNS, ("workspace", "id"), each,
                        {"first_seen": "min", "last_seen": "max", "seen": "sum"},
                    )  # fmt: skip
            taken = time.perf_counter() - started
            await sql.close()
            return rows / taken

        async def bare_upsert() -> float:
            connection = bare_connection(folder)
            started = time.perf_counter()
            for each in batches:
                connection.execute("BEGIN IMMEDIATE")
                connection.executemany(BARE_UPSERT, sorted(each))
                connection.execute("COMMIT")
            taken = time.perf_counter() - started
            connection.close()
            return rows / taken

        await rounds.measure("bulk_upsert, 500 rows a batch", "rows/s", upsert, bare_upsert)

        sql = SqliteSql(folder / "read.db")
        await sql.migrate([Migration(1, "entity", TABLE)])
        connection = bare_connection(folder)
        for each in batches:
            async with sql.begin() as tx:
                await tx.insert_new("entity", COLUMNS, ("workspace", "id"), each)
            connection.execute("BEGIN")
            connection.executemany(BARE_UPSERT, each)
            connection.execute("COMMIT")
        keys = [row[1] for each in batches for row in each]
        one = "SELECT type, key FROM entity WHERE workspace = :w AND id = :id"

        async def look_up() -> float:
            started = time.perf_counter()
            for key in keys[:3000]:
                async with sql.read() as view:
                    await view.fetch(one, w=W, id=key)
            return 3000 / (time.perf_counter() - started)

        async def bare_look_up() -> float:
            started = time.perf_counter()
            for key in keys[:3000]:
                connection.execute("BEGIN")
                connection.execute(one, {"w": W, "id": key}).fetchall()
                connection.execute("ROLLBACK")
            return 3000 / (time.perf_counter() - started)

        await rounds.measure("look-up of one key in its own view", "calls/s", look_up, bare_look_up)

        async def look_up_many() -> float:
            started = time.perf_counter()
            async with sql.read() as view:
                for start in range(0, len(keys), BATCH):
                    await view.fetch_in(
                        "SELECT id, key FROM entity WHERE workspace = :w AND id IN :keys",
                        keys[start : start + BATCH],
                        w=W,
                    )
            return len(keys) / (time.perf_counter() - started)

        async def bare_look_up_many() -> float:
            started = time.perf_counter()
            statement = f"SELECT id, key FROM entity WHERE workspace = ? AND id IN ({', '.join('?' * BATCH)})"
            for start in range(0, len(keys), BATCH):
                connection.execute(statement, [W, *keys[start : start + BATCH]]).fetchall()
            return len(keys) / (time.perf_counter() - started)

        await rounds.measure("fetch_in, 500 keys a call", "keys/s", look_up_many, bare_look_up_many)

        async def stream() -> float:
            started = time.perf_counter()
            seen = 0
            async with sql.read() as view:
                async for part in view.stream("SELECT id, type, key FROM entity ORDER BY workspace, id"):
                    seen += len(part)
            return seen / (time.perf_counter() - started)

        async def bare_stream() -> float:
            started = time.perf_counter()
            cursor = connection.execute("SELECT id, type, key FROM entity ORDER BY workspace, id")
            seen = 0
            while part := cursor.fetchmany(1000):
                seen += len(part)
            return seen / (time.perf_counter() - started)

        await rounds.measure("stream, 1,000 rows a list", "rows/s", stream, bare_stream)

        async def small() -> float:
            started = time.perf_counter()
            for turn in range(500):
                async with sql.begin() as tx:
                    await tx.execute(
                        "UPDATE entity SET seen = :n WHERE workspace = :w AND id = :id", n=turn, w=W, id=keys[turn]
                    )
            return 500 / (time.perf_counter() - started)

        async def bare_small() -> float:
            started = time.perf_counter()
            for turn in range(500):
                connection.execute("BEGIN IMMEDIATE")
                connection.execute("UPDATE entity SET seen = ? WHERE workspace = ? AND id = ?", (turn, W, keys[turn]))
                connection.execute("COMMIT")
            return 500 / (time.perf_counter() - started)

        await rounds.measure("transaction of one statement", "tx/s", small, bare_small)
        connection.close()
        await sql.close()
        return rounds.figures


BENCH = Bench("sql", "The `sql` port beside bare SQLite.", lambda options: uvloop.run(measure(options)))
