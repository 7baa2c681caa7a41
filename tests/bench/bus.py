"""How many messages the `bus` port carries beside bare SQLite: ``python -m tests.bench.bus [messages]``.

A message is published, pulled and accepted in batches of 250 by one process. The bare limit does the same inserts,
selects and deletes in one thread, without an event loop, without headers, memory of ids or fan-out.
"""

import asyncio
import os
import sqlite3
import statistics
import sys
import tempfile
import time
import uuid
from pathlib import Path

import uvloop

from services.kernel.bus import Consumer, Stream
from services.kernel.bus.sqlite import SqliteBus
from services.kernel.messages import Envelope

BATCH = 250
TYPE = "mirage.evt.bench.measured.v1"
WORKSPACE = uuid.uuid4()


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


async def main() -> None:
    million = int(sys.argv[1]) if len(sys.argv) > 1 else 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for label, count, size, consumers, together in (
            ("200 B, one consumer", 20_000, 200, 1, True),
            ("1 KiB, one consumer", 20_000, 1024, 1, True),
            ("1 KiB, three consumers", 10_000, 1024, 3, True),
            ("1 KiB, backlog, then read", 20_000, 1024, 1, False),
            ("16 KiB, one consumer", 5_000, 16_384, 1, True),
            ("256 KiB, one consumer", 500, 262_144, 1, True),
        ):
            figure = statistics.median(
                [(await carried(folder, count, size, consumers, together=together))[0] for _ in range(3)]
            )
            limit = statistics.median([bare(folder, count, size) for _ in range(3)])
            print(f"{label:<28} {figure:>10,.0f} messages/s   bare {limit:>10,.0f}   ratio {figure / limit:.2f}")
        if million:
            figure, left = await carried(folder, million, 200)
            print(f"{million:,} passed through: {figure:,.0f} messages/s, {left / 1e6:.1f} MB left")


if __name__ == "__main__":
    uvloop.run(main())
