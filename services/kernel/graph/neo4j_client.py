"""A Neo4j server as the adapter sees it: statements that are run until they are answered, or until the server is away.

The driver's own retries (30 s) and waiting times (60 s) are not used. What is asked is answered for as long as the
server lives: whether it does is asked beside it, as soon as an answer takes long.
"""

import asyncio
import time
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from typing import Any, Final, TypeVar

from neo4j import AsyncDriver, AsyncGraphDatabase, NotificationMinimumSeverity, Query
from neo4j.exceptions import DriverError, Neo4jError

from services.kernel.errors import Conflict, Corrupt, Denied, Exhausted, Incompatible, Invalid, MirageError, Unavailable
from services.kernel.pauses import pauses
from services.kernel.server import Server

T = TypeVar("T")
Row = list[Any]

#: Seconds until a server that does not answer is asked whether it lives, and that it may take to say so.
PATIENCE: Final = 2.0
#: Seconds that closing waits for statements.
CLOSING: Final = 10.0
#: How often a transaction is begun again that met another one.
TRIES: Final = 40
#: The first version that has all that is used: subqueries with a list of variables.
OLDEST: Final = (5, 23)
#: Bolt's greeting, and four proposals of a version.
HANDSHAKE: Final = bytes.fromhex("6060b017" + "00080805" + "00000404" + "00000000" + "00000000")

_MEANING: Final[tuple[tuple[str, type[MirageError]], ...]] = (
    ("Neo.ClientError.Schema.", Conflict),
    ("Neo.ClientError.Security.", Denied),
    ("Neo.ClientError.Transaction.TransactionTimedOut", Exhausted),
    ("Neo.ClientError.Transaction.", Unavailable),
    ("Neo.ClientError.General.", Unavailable),
    ("Neo.ClientError.", Invalid),
    ("Neo.TransientError.General.MemoryPoolOutOfMemory", Exhausted),
    ("Neo.TransientError.General.OutOfMemory", Exhausted),
    ("Neo.TransientError.General.StackOverFlow", Exhausted),
    ("Neo.DatabaseError.General.StorageDamageDetected", Corrupt),
    ("Neo.DatabaseError.General.IndexCorruptionDetected", Corrupt),
)


class Neo4jClient:
    """One database of a server, at most ``pool`` statements at a time; it connects when it is first asked."""

    def __init__(self, server: Server, pool: int) -> None:
        if len(server.hosts) != 1:
            raise Invalid(f"{server}: the graph is kept by one server, not by a cluster")
        self.server = server
        self._pool = pool
        self._room = asyncio.Semaphore(pool)
        self._driver: AsyncDriver | None = None
        self._running: set[asyncio.Task[Any]] = set()
        self._closed = False
        self._checked = False
        self._statements = 0
        self._retries = 0
        self._failures = 0

    async def run(self, statement: str, values: Mapping[str, Any], seconds: float = 0.0) -> list[Row]:
        """Run a statement in a transaction of its own, which the server ends after ``seconds`` (0: never).

        It may be run more than once: what it does must not depend on that.
        """
        waits, tries, until = pauses(0.02, 1.0), 0, time.monotonic() + PATIENCE
        while True:
            self.check_open()
            try:
                return await self._watched(self._run(statement, values, seconds))
            except (Neo4jError, DriverError, OSError) as error:
                tries += 1
                met = isinstance(error, Neo4jError) and is_deadlock(error)
                away = is_away(error)
                if not (met and tries < TRIES) and not (away and time.monotonic() < until):
                    self._failures += 1
                    raise self._translate(error) from error
                self._retries += 1
                await asyncio.sleep(next(waits))

    async def close(self) -> None:
        """What runs comes to its end, unless that takes longer than `CLOSING` seconds."""
        if self._closed:
            return
        self._closed = True
        if self._running:
            _, late = await asyncio.wait(self._running, timeout=CLOSING)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late, timeout=PATIENCE)
        if self._driver is not None:
            with suppress(TimeoutError, DriverError, Neo4jError, OSError):
                await asyncio.wait_for(self._driver.close(), PATIENCE)

    def check_open(self) -> None:
        if self._closed:
            raise Unavailable(f"the connection to {self.server} is closed")

    def measures(self) -> dict[str, float]:
        return {
            "pool_size": self._pool,
            "pool_in_use": len(self._running),
            "statements_total": self._statements,
            "retries_total": self._retries,
            "failures_total": self._failures,
        }

    async def _watched(self, work: Coroutine[Any, Any, T]) -> T:
        """Wait for ``work`` for as long as the server lives; it is cancelled with whoever waits for it."""
        async with self._room:
            task = asyncio.create_task(work)
            self._running.add(task)
            task.add_done_callback(self._over)
            try:
                while not (await asyncio.wait({task}, timeout=PATIENCE))[0]:
                    await self._greet()
                if task.cancelled():
                    raise Unavailable(f"the connection to {self.server} was closed")
                return task.result()
            finally:
                task.cancel()
                await asyncio.wait({task})  # where whoever waits is cancelled, too, that comes out of it

    def _over(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # whoever waits for it has it

    async def _greet(self) -> None:
        """Raise `Unavailable` unless the server greets back: one that is busy does, one that is held does not."""
        try:
            async with asyncio.timeout(PATIENCE):
                host = self.server.hosts[0]
                reader, writer = await asyncio.open_connection(host.name, host.port, ssl=self.server.context())
                try:
                    writer.write(HANDSHAKE)
                    await reader.readexactly(4)
                finally:
                    writer.transport.abort()
        except (OSError, TimeoutError, EOFError) as error:
            self._failures += 1
            raise Unavailable(f"{self.server} does not answer") from error

    async def _run(self, statement: str, values: Mapping[str, Any], seconds: float) -> list[Row]:
        driver = self._connect()
        if not self._checked:
            await self._check_version(driver)
        self._statements += 1
        async with driver.session(database=self.server.path or "neo4j") as session:
            result = await session.run(Query(statement, timeout=seconds), dict(values))
            return [list(record.values()) async for record in result]

    def _connect(self) -> AsyncDriver:
        if self._driver is None:
            login = (self.server.user, self.server.password) if self.server.user else None
            self._driver = AsyncGraphDatabase.driver(
                f"bolt://{self.server.hosts[0]}",
                auth=login,
                max_connection_pool_size=self._pool,
                connection_timeout=PATIENCE,
                connection_acquisition_timeout=2 * PATIENCE,
                notifications_min_severity=NotificationMinimumSeverity.OFF,
                telemetry_disabled=True,
                user_agent="mirage",
                ssl_context=self.server.context(),
            )
        return self._driver

    async def _check_version(self, driver: AsyncDriver) -> None:
        agent = (await driver.get_server_info()).agent
        version = agent.rpartition("/")[2].split(".")
        if not all(part.isdigit() for part in version[:2]) or tuple(map(int, version[:2])) < OLDEST:
            raise Incompatible(f"{self.server} is {agent}; the graph needs {'.'.join(map(str, OLDEST))}")
        self._checked = True

    def _translate(self, error: Exception) -> MirageError:
        """Say one of Mirage's errors; the server's own text may quote what was sent, so its code stands for it."""
        if not isinstance(error, Neo4jError):
            kind = Unavailable if is_away(error) else Invalid
            return kind(f"{self.server}: {type(error).__name__}")
        code = error.code or "Neo.DatabaseError.General.UnknownError"
        if code.startswith("Neo.ClientError.Database."):
            return Unavailable(f"{self.server} has no database {self.server.path or 'neo4j'} that is open")
        meaning = next((kind for prefix, kind in _MEANING if code.startswith(prefix)), Unavailable)
        return meaning(f"{self.server}: {code}")


def is_deadlock(error: Neo4jError) -> bool:
    """Another transaction was in the way."""
    code = error.code or ""
    return code.startswith(("Neo.TransientError.Transaction.", "Neo.ClientError.Transaction.LockClientStopped"))


def is_away(error: Exception) -> bool:
    """The server, or the connection that was used, is gone."""
    if isinstance(error, Neo4jError):
        code = error.code or ""
        return code.startswith(("Neo.TransientError.General.DatabaseUnavailable", "Neo.TransientError.Database"))
    return isinstance(error, OSError) or (isinstance(error, DriverError) and error.is_retryable())
