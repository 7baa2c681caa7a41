"""The connections of one process to one PostgreSQL database: lent for a transaction each, watched, opened again.

A task that holds one and asks for another gets it beyond the limit: it would wait for itself. A part of the places is
kept from writers, who may wait for each other at the server.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from contextvars import ContextVar
from typing import Any, Final, TypeAlias, TypeVar

import asyncpg
from asyncpg.connect_utils import SessionAttribute

from services.kernel.errors import Unavailable
from services.kernel.pauses import pauses
from services.kernel.server import Server
from services.kernel.sql.postgres_errors import FAILURES, translate

T = TypeVar("T")
Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

#: Seconds for which a server that is away is tried again before the call that needs it is told.
PATIENCE: Final = 2.0
#: Seconds that a server may take to answer who connects.
CONNECTS: Final = 3.0
#: Seconds for which nobody tries again after a call was told.
RESTS: Final = 0.5
#: Seconds after which it is asked whether a server still lives that has not answered a statement.
SLOW: Final = 2.0
#: How many times the limit tasks may have in all beyond the first that each has.
BEYOND: Final = 4
#: Seconds to wait for one of the connections, all of which others hold.
TURN: Final = 30.0
#: Seconds for what is under way when everything is closed.
LAST: Final = 5.0

#: Seconds that a view may wait for its task, which may have a client that reads slowly; a migration waits for longer.
VIEW_WAITS: Final = 300

#: Of the session: times are for a client that vanished without a word, whose locks are to be free within a minute.
_SETTINGS: Final = {
    "idle_in_transaction_session_timeout": f"{VIEW_WAITS}s",
    "application_name": "mirage",
    "jit": "off",
    "tcp_keepalives_idle": "30",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
}


class Lent:
    """One connection in somebody's hands; ``holder`` is the one that the same task had before."""

    def __init__(
        self,
        connections: "Connections",
        places: tuple[asyncio.Semaphore, ...],
        *,
        holder: "Lent | None" = None,
        writes: bool = False,
    ) -> None:
        self._connections = connections
        self.writes = writes
        #: Tables of the session's own that this transaction has filled.
        self.filled: set[str] = set()
        self.places = places
        self.holder = holder
        self.connection: Connection | None = None
        self.since: float | None = None
        self.quiet = asyncio.Event()
        self.quiet.set()
        self.over = False

    async def run(self, call: Callable[[Connection], Awaitable[T]]) -> T:
        """Ask one thing of the server."""
        connection = self.connection
        if connection is None:
            raise Unavailable(f"{self._connections.server} is away: the connection is closed")
        self.since = asyncio.get_running_loop().time()
        self.quiet.clear()
        self._connections.watch()
        try:
            return await call(connection)
        except FAILURES as error:
            raise translate(error, str(self._connections.server), reads=not self.writes) from None
        finally:
            self.since = None
            self.quiet.set()

    def holds(self, connections: "Connections") -> bool:
        """Whether this, or one that its task held before, is a connection of the same database still."""
        each: Lent | None = self
        while each is not None:
            if not each.over and each._connections is connections:  # noqa: SLF001 - of its own class
                return True
            each = each.holder
        return False


#: What the current task holds, its parents included.
_held: ContextVar[Lent | None] = ContextVar("held", default=None)


class Connections:
    """At most ``limit`` connections, each opened when it is first needed and kept."""

    def __init__(self, server: Server, limit: int) -> None:
        self.server = server
        self.closed = False
        self._limit = limit
        self._places = asyncio.Semaphore(limit)
        self._writers = asyncio.Semaphore(max(1, limit - max(1, limit // 4)))
        self._beyond = asyncio.Semaphore(limit * BEYOND)
        self._idle: deque[Connection] = deque()
        self._lent: set[Lent] = set()
        self._ends: set[asyncio.Task[Any]] = set()
        self._away: tuple[float, Unavailable] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._probe: asyncio.Task[None] | None = None
        self._opened = 0
        self._lost = 0

    def measures(self) -> dict[str, float]:
        return {
            "connections": len(self._idle) + len(self._lent),
            "connections_in_use": len(self._lent),
            "connections_opened_total": self._opened,
            "connections_lost_total": self._lost,
        }

    def check_open(self) -> None:
        if self.closed:
            raise Unavailable(f"{self.server} is closed")

    async def begin(self, statement: str, *, writes: bool) -> Lent:
        """Lend a connection on which ``statement`` has begun a transaction."""
        while True:
            lent = await self._lend(writes=writes)
            kept = False
            try:
                kept = await self._connect(lent)
                await lent.run(lambda connection: connection.execute(statement))
            except Unavailable:
                self.discard(lent)
                # One that was kept may have died unseen; a new one says how things are.
                if not kept or self.closed:
                    raise
            except BaseException:
                self.discard(lent)
                raise
            else:
                _held.set(lent)
                return lent

    async def ping(self) -> None:
        """Ask the server for a sign of life, whoever holds the connections; raises `Unavailable`."""
        self.check_open()
        lent = Lent(self, ())
        self._lent.add(lent)
        try:
            async with asyncio.timeout(PATIENCE + CONNECTS):
                await self._connect(lent)
                await lent.run(lambda connection: connection.execute("SELECT 1"))
        except TimeoutError:
            self.discard(lent)
            raise Unavailable(f"{self.server} is away: it does not answer") from None
        except BaseException:
            self.discard(lent)
            raise
        self.give_back(lent)

    def give_back(self, lent: Lent) -> None:
        """Take back a connection on which nothing is under way."""
        connection = lent.connection
        self._return(lent)
        if connection is None or connection.is_closed():
            return
        if self.closed or len(self._idle) + len(self._lent) >= self._limit:
            self.end_with(_close(connection))
        else:
            self._idle.append(connection)

    def discard(self, lent: Lent) -> None:
        """Let go of a connection that nobody may use again."""
        if lent.connection is not None:
            self._lost += 1
            lent.connection.terminate()
        self._return(lent)

    def end_with(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run what has to end even if who began it is cancelled; `close` waits for it."""
        task = asyncio.get_running_loop().create_task(work)
        self._ends.add(task)
        task.add_done_callback(self._ends.discard)
        return task

    def watch(self) -> None:
        """See to it that a statement does not wait for a server that is gone without a word."""
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(SLOW, self._look)

    async def close(self) -> None:
        """Wait for the statements under way, not for the transactions that they are part of."""
        if self.closed:
            return
        self.closed = True
        for work in (self._timer, self._probe):
            if work is not None:
                work.cancel()
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST):
                while self._ends:
                    await asyncio.wait(self._ends)
                for lent in list(self._lent):
                    await lent.quiet.wait()
        open_ones = [*self._idle, *(lent.connection for lent in self._lent if lent.connection is not None)]
        self._idle.clear()
        for lent in self._lent:
            lent.connection = None
        await asyncio.gather(*map(_close, open_ones))

    # How a connection is found

    async def _lend(self, *, writes: bool) -> Lent:
        self.check_open()
        holder = _held.get()
        while holder is not None and holder.over:
            holder = holder.holder
        if holder is not None and holder.holds(self):
            places: tuple[asyncio.Semaphore, ...] = (self._beyond,)
        else:
            places = (self._writers, self._places) if writes else (self._places,)
        lent = Lent(self, await self._wait_for(places), holder=holder, writes=writes)
        self._lent.add(lent)
        return lent

    async def _wait_for(self, places: tuple[asyncio.Semaphore, ...]) -> tuple[asyncio.Semaphore, ...]:
        taken: list[asyncio.Semaphore] = []
        try:
            async with asyncio.timeout(TURN):
                for place in places:
                    await place.acquire()
                    taken.append(place)
        except BaseException as error:
            for place in taken:
                place.release()
            if isinstance(error, TimeoutError):
                raise Unavailable(
                    f"{self.server}: all {self._limit} connections were in use for {TURN:.0f} seconds"
                ) from None
            raise
        return places

    def _return(self, lent: Lent) -> None:
        lent.connection = None
        lent.over = True
        if lent in self._lent:
            self._lent.remove(lent)
            for place in lent.places:
                place.release()
        if _held.get() is lent:
            _held.set(lent.holder)

    async def _connect(self, lent: Lent) -> bool:
        """Give ``lent`` a connection; say whether it is one that was kept."""
        self.check_open()
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_closed():
                lent.connection = connection
                return True
            self._lost += 1
        lent.connection = await self._open()
        self.check_open()
        return False

    async def _open(self) -> Connection:
        """Connect, and try for a while if the server is away."""
        loop = asyncio.get_running_loop()
        if self._away is not None and loop.time() < self._away[0]:
            raise Unavailable(*self._away[1].args)
        end = loop.time() + PATIENCE
        for pause in pauses(0.05, 0.5):
            try:
                connection = await self._dial()
            except Unavailable as error:
                if loop.time() + pause >= end:
                    self._away = (loop.time() + RESTS, error)
                    raise
                await asyncio.sleep(pause)
            else:
                self._away = None
                self._opened += 1
                return connection
        raise AssertionError  # pauses have no end

    async def _dial(self) -> Connection:
        try:
            connection = await self._reach()
        except FAILURES as error:
            raise translate(error, str(self.server)) from None
        await connection.set_type_codec(
            "numeric", schema="pg_catalog", encoder=str, decoder=_plain_number, format="text"
        )
        return connection

    async def _reach(self) -> Connection:
        server = self.server
        async with asyncio.timeout(CONNECTS):
            connection: Connection = await asyncpg.connect(
                host=[host.name for host in server.hosts],
                port=[host.port for host in server.hosts],
                user=server.user or None,
                password=server.password or None,
                database=server.path or None,
                ssl=server.context() or False,
                timeout=CONNECTS,
                statement_cache_size=512,
                max_cached_statement_lifetime=0,
                server_settings=_SETTINGS,
                target_session_attrs=SessionAttribute.read_write if len(server.hosts) > 1 else SessionAttribute.any,
            )
        return connection

    # Whether the server lives

    def _look(self) -> None:
        self._timer = None
        loop = asyncio.get_running_loop()
        asked = [lent.since for lent in self._lent if lent.since is not None]
        if not asked:
            return
        if self._probe is None and loop.time() - min(asked) >= SLOW:
            self._probe = loop.create_task(self._look_for_life())
        self._timer = loop.call_later(SLOW / 2, self._look)

    async def _look_for_life(self) -> None:
        """Statements that wait for a server which does not answer anybody are given up."""
        began = asyncio.get_running_loop().time()
        try:
            await _close(await self._reach())
        except asyncpg.PostgresError:
            pass  # it answers, if only to refuse
        except FAILURES:
            for lent in self._lent:
                if lent.since is not None and lent.since <= began - SLOW / 2 and lent.connection is not None:
                    lent.connection.terminate()
        finally:
            self._probe = None


async def _close(connection: Connection) -> None:
    try:
        await connection.close(timeout=LAST)
    except (*FAILURES, asyncio.CancelledError):
        connection.terminate()


def _plain_number(text: str) -> int | float:
    """A NUMERIC as SQLite would have given it."""
    try:
        return int(text)
    except ValueError:
        return float(text)
