"""`cache` of one process that remembers its counters and buckets in a file, so that a restart does not ask a source
faster than it allows.

Everything is answered from memory; what changed is written once a second. A death loses at most that second.
"""

import asyncio
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from services.kernel.cache import Bucket
from services.kernel.cache.memory import Counter, Level, MemoryCache
from services.kernel.errors import MirageError
from services.kernel.sql.sqlite_file import SqliteFile

WRITE_SECONDS: Final = 1.0

# Times are kept as seconds left at a time of day, so that a clock set back shortens no wait and lengthens none.
SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS counter (
    key TEXT PRIMARY KEY, at REAL NOT NULL, seconds REAL NOT NULL, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS level (
    key TEXT PRIMARY KEY, at REAL NOT NULL, full REAL NOT NULL, paused REAL NOT NULL) WITHOUT ROWID;
"""


class SqliteCache(MemoryCache):
    """``wall`` is the time of day in seconds: what is in the file must mean the same to the next process."""

    def __init__(
        self,
        path: str | Path,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(clock=clock)
        self._wall = wall
        self._file = SqliteFile(path, cache_kib=256, setup=_open)
        self._loading = asyncio.Lock()
        self._loaded = False
        self._changed: set[str] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._writing: asyncio.Task[None] | None = None

    async def delete(self, key: str) -> None:
        await self._load()
        await super().delete(key)
        self._note(key)

    async def add(self, key: str, amount: int, seconds: float) -> int:
        await self._load()
        value = await super().add(key, amount, seconds)
        self._note(key)
        return value

    async def take(self, key: str, bucket: Bucket, tokens: float = 1.0) -> float:
        await self._load()
        wait = await super().take(key, bucket, tokens)
        if not wait:
            self._note(key)
        return wait

    async def empty(self, key: str, bucket: Bucket, seconds: float) -> None:
        await self._load()
        await super().empty(key, bucket, seconds)
        self._note(key)

    async def ping(self) -> None:
        await super().ping()
        await self._file.read(lambda connection: connection.execute("SELECT 1 FROM level LIMIT 1").fetchone())

    async def close(self) -> None:
        if self._closed:
            return
        await super().close()
        if self._timer is not None:
            self._timer.cancel()
        if self._writing is not None:
            await self._writing
        await self._write()
        await self._file.close()

    async def _load(self) -> None:
        if self._loaded:
            return
        async with self._loading:
            if not self._loaded:
                self._counters, self._levels = await self._file.write(self._read)
                self._loaded = True

    def _read(self, connection: sqlite3.Connection) -> tuple[dict[str, Counter], dict[str, Level]]:
        connection.execute("DELETE FROM counter WHERE at + seconds <= ?", (self._wall(),))
        connection.execute("DELETE FROM level WHERE at + MAX(full, paused) <= ?", (self._wall(),))
        now = self._clock()

        def ends(at: float, seconds: float) -> float:
            return now + seconds - max(0.0, self._wall() - at)

        counters = connection.execute("SELECT key, at, seconds, value FROM counter")
        levels = connection.execute("SELECT key, at, full, paused FROM level")
        return (
            {key: Counter(value, ends(at, seconds)) for key, at, seconds, value in counters},
            {key: Level(ends(at, full), ends(at, paused)) for key, at, full, paused in levels},
        )

    def _note(self, key: str) -> None:
        self._changed.add(key)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(WRITE_SECONDS, self._start_writing)

    def _start_writing(self) -> None:
        self._timer = None
        self._writing = asyncio.create_task(self._write())

    async def _write(self) -> None:
        changed, self._changed = self._changed, set()
        if not changed:
            return
        now, at = self._clock(), self._wall()
        counters = [
            (key, at, counter.until - now, counter.value)
            for key in changed
            if (counter := self._counters.get(key)) is not None
        ]
        levels = [
            (key, at, level.full_at - now, level.paused_until - now)
            for key in changed
            if (level := self._levels.get(key)) is not None
        ]
        gone = [(key,) for key in changed if key not in self._counters]

        def call(connection: sqlite3.Connection) -> None:
            connection.executemany("DELETE FROM counter WHERE key = ?", gone)
            connection.executemany("INSERT OR REPLACE INTO counter VALUES (?, ?, ?, ?)", counters)
            connection.executemany("INSERT OR REPLACE INTO level VALUES (?, ?, ?, ?)", levels)

        try:
            await self._file.write(call)
        except MirageError:
            self._changed |= changed  # for the next time; a full disk must not stop who asks for a token


def _open(connection: sqlite3.Connection) -> None:
    connection.executescript(SCHEMA)
