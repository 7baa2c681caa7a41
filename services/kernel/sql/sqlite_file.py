"""One SQLite file as every embedded adapter uses it: its threads, its connections, what its errors mean.

Writes of a file run on one thread in the order they were asked for, so no writer waits inside SQLite; reads run on a
few threads that all files share and see a snapshot (WAL). A call to a thread costs some 30 µs: callers put what
belongs together into one.
"""

import asyncio
import contextlib
import errno
import os
import sqlite3
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Final, TypeVar

from services.kernel.errors import Conflict, Corrupt, Exhausted, Invalid, MirageError, Unavailable

T = TypeVar("T")
Job = tuple[asyncio.AbstractEventLoop, "asyncio.Future[Any]", Callable[[], Any]]

BUSY_SECONDS: Final = 10.0
IDLE_READERS: Final = 2
OLDEST: Final = (3, 35, 0)  # RETURNING
#: Whether the disk is waited for: in WAL, when it is checkpointed; a commit that a power cut takes leaves no damage.
SYNCHRONOUS: Final = "NORMAL"

_MEANING: Final[dict[int, type[MirageError]]] = {
    sqlite3.SQLITE_FULL: Exhausted,
    sqlite3.SQLITE_CORRUPT: Corrupt,
    sqlite3.SQLITE_NOTADB: Corrupt,
    sqlite3.SQLITE_FORMAT: Corrupt,
    sqlite3.SQLITE_CONSTRAINT: Conflict,
    sqlite3.SQLITE_BUSY: Unavailable,
    sqlite3.SQLITE_LOCKED: Unavailable,
    sqlite3.SQLITE_IOERR: Unavailable,
    sqlite3.SQLITE_CANTOPEN: Unavailable,
    sqlite3.SQLITE_PROTOCOL: Unavailable,
    sqlite3.SQLITE_READONLY: Unavailable,
    sqlite3.SQLITE_PERM: Unavailable,
    sqlite3.SQLITE_AUTH: Unavailable,
    sqlite3.SQLITE_NOMEM: Unavailable,
    sqlite3.SQLITE_NOLFS: Unavailable,
    sqlite3.SQLITE_INTERRUPT: Unavailable,
}


# What the library raises: its own errors, integers past 64 bits, lone surrogates; and what the file system does.
FAILURES: Final = (sqlite3.Error, OverflowError, UnicodeEncodeError, OSError)


def open_read_only(path: Path) -> sqlite3.Connection:
    """A connection of one's own to a database, whoever else has it open; raises `sqlite3.Error`."""
    return sqlite3.connect(f"file:{path}?mode=ro", uri=True)


def translate(error: Exception, path: Path) -> MirageError:
    """Say one of Mirage's errors for one of `FAILURES`."""
    if isinstance(error, OSError):
        kind = Exhausted if error.errno in {errno.ENOSPC, errno.EDQUOT} else Unavailable
        return kind(f"{path.name}: {error.strerror}")
    code = getattr(error, "sqlite_errorcode", None)
    meaning = _MEANING.get(code & 0xFF, Invalid) if isinstance(code, int) else Invalid
    return meaning(f"{path.name}: {error}")


class Threads:
    """At most ``limit`` threads that run blocking calls for an event loop, first come first served."""

    def __init__(self, limit: int, name: str) -> None:
        self._limit = limit
        self._name = name
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._started = 0
        self._open = 0

    def run(self, call: Callable[[], T]) -> "asyncio.Future[T]":
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._open += 1
        if self._open > self._started and self._started < self._limit:
            self._started += 1
            threading.Thread(target=self._work, name=f"{self._name}-{self._started}", daemon=True).start()
        self._jobs.put((loop, future, call))
        return future

    def close(self) -> None:
        """Let the threads end after what was asked so far."""
        for _ in range(self._started):
            self._jobs.put(None)
        self._started = 0

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            loop, future, call = job
            try:
                result, error = call(), None
            except BaseException as raised:  # noqa: BLE001 - carried to whoever waits for it
                result, error = None, raised
            with contextlib.suppress(RuntimeError):  # the loop may have been closed meanwhile
                loop.call_soon_threadsafe(self._settle, future, result, error)
            del job, loop, future, call, result, error  # an idle thread keeps nothing alive

    def _settle(self, future: "asyncio.Future[Any]", result: Any, error: BaseException | None) -> None:
        self._open -= 1
        if future.done():
            return
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)
            future.exception()  # who waits is told; one that was cancelled meanwhile needs no word in the log


def make_private(folder: Path) -> None:
    """Make ``folder`` (0700) and its parents exist."""
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700, parents=True)


def create_private(path: Path) -> None:
    """Make ``path`` exist as a file (0600); SQLite gives the files beside it the same mode."""
    make_private(path.parent)
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


class SqliteFile:
    """A file with one writing and several reading connections, opened when they are first needed.

    ``cache_kib`` is the page cache of the writer, half of it that of each reader. ``setup`` runs once per process on
    the writer before anything else.
    """

    readers: Final = Threads(4, "sqlite-read")

    def __init__(
        self,
        path: str | Path,
        *,
        cache_kib: int = 2048,
        setup: Callable[[sqlite3.Connection], None] | None = None,
        pragmas: tuple[str, ...] = (),
    ) -> None:
        if sqlite3.sqlite_version_info < OLDEST:
            raise Unavailable(f"SQLite {sqlite3.sqlite_version} is too old; 3.35 is needed")
        self.path = Path(path)
        self.threads = Threads(1, f"sqlite-{self.path.stem}")
        self.closed = False
        self._cache_kib = cache_kib
        self._setup = setup
        self._pragmas = pragmas
        self.patience = BUSY_SECONDS
        self._busy_seconds = BUSY_SECONDS
        self._opening = threading.RLock()
        self._writer: sqlite3.Connection | None = None
        self._idle: deque[sqlite3.Connection] = deque()

    async def write(self, call: Callable[[sqlite3.Connection], T]) -> T:
        """Run ``call`` in a transaction of its own, in one hop; a caller that is cancelled does not stop it."""
        self.check_open()
        return await asyncio.shield(self.threads.run(lambda: self.transact(call)))

    async def read(self, call: Callable[[sqlite3.Connection], T]) -> T:
        """Run ``call`` on a snapshot, in one hop."""
        self.check_open()
        return await asyncio.shield(self.readers.run(lambda: self._read(call)))

    async def run(self, call: Callable[[], T]) -> T:
        """Run ``call`` on the writing thread; it sees to its transactions itself."""
        self.check_open()
        return await asyncio.shield(self.threads.run(lambda: self._run(call)))

    async def copy(self, target: Path) -> None:
        """Write the file as last committed to ``target``, while others read and write."""
        self.check_open()
        await asyncio.shield(self.readers.run(lambda: self._run(lambda: self.write_copy(target))))

    def check_open(self) -> None:
        if self.closed:
            raise Unavailable(f"{self.path.name} is closed")

    async def close(self) -> None:
        if self.closed:
            return
        self.closed = True
        try:
            await asyncio.shield(self.threads.run(self._close))
        finally:
            self.threads.close()

    # What follows runs on a thread.

    def begin(self, *, patience: float = 0.0) -> sqlite3.Connection:
        """Begin to write; wait up to ``patience`` (the file's own by default) while another process does."""
        connection = self.writer()
        wanted = patience or self.patience
        if wanted != self._busy_seconds:
            connection.execute(f"PRAGMA busy_timeout = {wanted * 1000:.0f}")
            self._busy_seconds = wanted
        connection.execute("BEGIN IMMEDIATE")
        return connection

    def transact(self, call: Callable[[sqlite3.Connection], T], *, patience: float = 0.0) -> T:
        """Run ``call`` in a transaction."""
        try:
            connection = self.begin(patience=patience)
            result = call(connection)
            connection.execute("COMMIT")
            return result
        except FAILURES as error:
            self.rollback()
            raise translate(error, self.path) from error
        except BaseException:
            self.rollback()
            raise

    def writer(self) -> sqlite3.Connection:
        with self._opening:
            if self._writer is None:
                self.check_open()
                create_private(self.path)
                connection = self._connect(self._cache_kib)
                try:
                    for pragma in (*self._pragmas, "journal_mode = WAL", "foreign_keys = ON"):
                        connection.execute(f"PRAGMA {pragma}")
                    if self._setup is not None:
                        self._setup(connection)
                except BaseException:
                    connection.close()
                    raise
                self._writer = connection
            return self._writer

    def lend(self) -> sqlite3.Connection:
        """A connection for reading; `take_back` ends what it was doing."""
        try:
            return self._idle.pop()
        except IndexError:
            self.writer()  # the first connection makes the file and its WAL
            connection = self._connect(self._cache_kib // 2)
            connection.execute("PRAGMA query_only = ON")
            return connection

    def take_back(self, connection: sqlite3.Connection) -> None:
        try:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        except sqlite3.Error:
            connection.close()
            return
        if self.closed or len(self._idle) >= IDLE_READERS:
            connection.close()
        else:
            self._idle.append(connection)

    def write_copy(self, target: Path) -> None:
        """The copy is there whole or not at all."""
        part = target.with_name(f"{target.name}.part")
        part.unlink(missing_ok=True)
        create_private(part)
        source = self.lend()
        try:
            copy = sqlite3.connect(part, isolation_level=None)
            try:
                source.backup(copy)
                copy.execute("PRAGMA journal_mode = DELETE")  # one file, nothing beside it
            finally:
                copy.close()
        finally:
            self.take_back(source)
        with part.open("rb") as written:
            os.fsync(written.fileno())
        part.replace(target)

    def rollback(self) -> None:
        """End whatever the writer was doing; a connection that cannot even do that is given up."""
        connection = self._writer
        if connection is None:
            return
        try:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        except sqlite3.Error:
            connection.close()
            self._writer = None

    def _connect(self, cache_kib: int) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False, cached_statements=512
        )
        for pragma in (
            f"synchronous = {SYNCHRONOUS}",
            "secure_delete = FAST",
            f"cache_size = -{cache_kib}",
            "wal_autocheckpoint = 4000",  # a quarter more rows/s at a million rows than the default of 1,000
            "journal_size_limit = 33554432",
        ):
            connection.execute(f"PRAGMA {pragma}")
        return connection

    def _run(self, call: Callable[[], T]) -> T:
        try:
            return call()
        except FAILURES as error:
            raise translate(error, self.path) from error

    def _read(self, call: Callable[[sqlite3.Connection], T]) -> T:
        try:
            connection = self.lend()
            try:
                connection.execute("BEGIN")
                return call(connection)
            finally:
                self.take_back(connection)
        except FAILURES as error:
            raise translate(error, self.path) from error

    def _close(self) -> None:
        with self._opening:
            while self._idle:
                self._idle.pop().close()
            if self._writer is not None:
                self._writer.close()
                self._writer = None
