"""How many messages the `bus` port carries beside bare SQLite.

A message is published, pulled and accepted in batches of 250 by one process. The bare limit does the same inserts,
selects and deletes in one thread, without an event loop, without headers, memory of ids or fan-out.
"""

import asyncio
import os
import sqlite3
import tempfile
import time
import uuid
from pathlib import Path

import uvloop

from services.kernel.bus import Consumer, Stream
from services.kernel.bus.sqlite import SqliteBus
from services.kernel.messages import Envelope
from tests.bench.declaration import Bench, Figure, Options, middle, span

BATCH = 250
TYPE = "mirage.evt.bench.measured.v1"
WORKSPACE = uuid.uuid4()
MANY = 100_000
CASES = (
    ("200 B, one consumer", 20_000, 200, 1, True),
    ("1 KiB, one consumer", 20_000, 1024, 1, True),
    ("1 KiB, three consumers", 10_000, 1024, 3, True),
    ("1 KiB, backlog, then read", 20_000, 1024, 1, False),
    ("16 KiB, one consumer", 5_000, 16_384, 1, True),
    ("256 KiB, one consumer", 500, 262_144, 1, True),
)


def messages(count: int, size: int) -> list[Envelope]:
    data = os.urandom(size // 2).hex().encode()
    return [
        Envelope(id=uuid.uuid4(), type=TYPE, source="bench", workspace=WORKSPACE, time=n, data=data)
        for n in range(count)
    ]


async def carried(
    folder: Path, count: int, size: int, consumers: int = 1, *, together: bool = True
) -> tuple[float, int]:
    """Messages a second from publish to ack, and the size of the file in the end."""
    path = folder / f"bus{time.monotonic_ns()}.db"
    bus = SqliteBus(path)
    names = [f"reader{n}" for n in range(consumers)]
    await bus.declare([Stream("S", (f"{TYPE}.>",), "facts")], [Consumer(name, "S", (f"{TYPE}.>",)) for name in names])

    room = asyncio.Semaphore(20 if together else count)  # batches on their way

    async def publish() -> None:
        for first in range(0, count, BATCH):
            await room.acquire()
            await bus.publish(messages(min(BATCH, count - first), size))

    async def consume(name: str) -> None:
        seen = 0
        while seen < count:
            taken = await bus.pull(name, BATCH, 5)
            await bus.ack(taken)
            if name == names[-1]:
                for _ in range((seen + len(taken)) // BATCH - seen // BATCH):
                    room.release()
            seen += len(taken)

    started = time.perf_counter()
    if together:
        await asyncio.gather(publish(), *(consume(name) for name in names))
    else:
        await publish()
        await asyncio.gather(*(consume(name) for name in names))
    taken = time.perf_counter() - started
    await bus.close()
    return count / taken, path.stat().st_size


def bare(folder: Path, count: int, size: int) -> float:
    connection = sqlite3.connect(folder / f"bare{time.monotonic_ns()}.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("CREATE TABLE message (sequence INTEGER PRIMARY KEY, envelope BLOB)")
    data = os.urandom(size)
    started = time.perf_counter()
    for first in range(0, count, BATCH):
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany("INSERT INTO message VALUES (?, ?)", [(n, data) for n in range(first, first + BATCH)])
        connection.execute("COMMIT")
        rows = connection.execute("SELECT * FROM message ORDER BY sequence LIMIT ?", (BATCH,)).fetchall()
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany("DELETE FROM message WHERE sequence = ?", [row[:1] for row in rows])
        connection.execute("COMMIT")
    taken = time.perf_counter() - started
    connection.close()
    return count / taken


async def measure(options: Options) -> list[Figure]:
    figures = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for what, count, size, consumers, together in CASES:
            runs, limits = [], []
            for _ in range(options.runs):
                runs.append((await carried(folder, count, size, consumers, together=together))[0])
                limits.append(bare(folder, count, size))
            figures.append(
                Figure(what=what, value=middle(runs), unit="messages/s", bare=middle(limits), spread=span(runs))
            )
        rate, left = await carried(folder, MANY, 200)
        figures.append(Figure(what=f"{MANY:,} passed through", value=rate, unit="messages/s", beside=size_left(left)))
    return figures


def size_left(left: int) -> str:
    return f"the file has {left / 1e6:.1f} MB afterwards"


BENCH = Bench("bus", "The embedded pipeline's bus beside bare SQLite.", lambda options: uvloop.run(measure(options)))
