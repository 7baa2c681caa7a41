"""`sql` on PostgreSQL: a transaction has a connection of its own, and several write at once."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from hashlib import blake2b
from types import TracebackType
from typing import Any, Final, TypeVar

from services.kernel.errors import Conflict, Invalid, MirageError, Unavailable
from services.kernel.server import Server
from services.kernel.sql import Merge, Migration, Reader, Row, Sql, Tx, statements
from services.kernel.sql import postgres_statements as written
from services.kernel.sql.postgres_connections import Connection, Connections, Lent
from services.kernel.sql.postgres_errors import Outdated
from services.kernel.sql.postgres_rows import Columns, fetch, insert_rows, numbers_of
from services.kernel.sql.postgres_schema import migrate

T = TypeVar("T")

_READS: Final = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
#: Seconds that a transaction which writes may wait for its task: that of a process that was stopped would hold its rows
#: and locks for ever, for its host still answers.
WRITER_WAITS: Final = 60
_WRITES: Final = (
    "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;"
    f" SET LOCAL idle_in_transaction_session_timeout = '{WRITER_WAITS}s'"
)


class PostgresSql(Sql):
    """A database on a server, ``connections`` at most at a time (a task that holds one may have another).

    Nothing is connected before it is needed. A statement that the server has not answered for a few seconds goes on as
    long as the server answers others; else it is `Unavailable`, as all is while the server is away.
    """

    def __init__(self, server: Server, *, connections: int = 8) -> None:
        self._connections = Connections(server, connections)
        self._columns = Columns()
        self._writing: set[asyncio.Task[Any]] = set()

    def begin(self) -> AbstractAsyncContextManager[Tx]:
        return _Begin(self._connections, self._columns, self._writing)

    def read(self) -> AbstractAsyncContextManager[Reader]:
        return _Read(self._connections)

    async def migrate(self, migrations: Sequence[Migration], *, shared: bool = False) -> None:
        self._connections.check_open()
        await migrate(self._connections, migrations, shared=shared)

    async def backup(self, path: str) -> None:
        """A server is copied by its own tools, which know of its disks and its log; raises `Invalid`."""
        raise Invalid(f"{self._connections.server} is copied by its own tools, not by Mirage: use pg_dump")

    async def ping(self) -> None:
        await self._connections.ping()

    async def close(self) -> None:
        await self._connections.close()

    def measures(self) -> dict[str, float]:
        """Connections: open, in use; opened and lost since the beginning."""
        return self._connections.measures()


class _View(Reader):
    """Statements of one transaction, which the first of them begins."""

    begins = _READS
    writes = False

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._lent: Lent | None = None
        self._failure: BaseException | None = None
        self._over = False

    async def fetch(self, statement: str, /, **values: Any) -> list[Row]:
        return await self._run(lambda lent: _fetch(lent, statement, values))

    async def fetch_in(self, statement: str, keys: Sequence[Any], /, **values: Any) -> list[Row]:
        async def call(lent: Lent) -> list[Row]:
            rows: list[Row] = []
            for piece in written.pieces(list(dict.fromkeys(keys))):
                rows += await _fetch(lent, written.any_of_keys(statement), {**values, "keys": piece})
            return rows

        return await self._run(call) if keys else []

    async def stream(self, statement: str, /, *, size: int = 1000, **values: Any) -> AsyncIterator[list[Row]]:
        async def start(lent: Lent) -> Any:
            text, names = written.numbered(statement)
            given = written.arguments(names, values)
            return await lent.run(lambda connection: _opened(connection, text, given))

        cursor = await self._run(start)
        rows: list[Row] = []
        while True:
            rows = await self._run(lambda lent: lent.run(lambda _: cursor.fetch(size)))
            if rows:
                yield [tuple(row) for row in rows]
            if len(rows) < size:
                return

    def _check_usable(self) -> None:
        self._connections.check_open()
        if self._over:
            raise Invalid("the transaction is over")
        if self._failure is not None:
            raise self._ended(self._failure)

    async def _run(self, call: Callable[[Lent], Awaitable[T]]) -> T:
        self._check_usable()
        try:
            if self._lent is not None:
                return await call(self._lent)
            self._lent = await self._connections.begin(self.begins, writes=self.writes)
            try:
                return await call(self._lent)
            except Outdated:
                # Nothing came before it, so nothing is lost by beginning again.
                await self._finish(self._lent, commit=False)
                self._lent = await self._connections.begin(self.begins, writes=self.writes)
                return await call(self._lent)
        except BaseException as error:
            self._failure = error
            raise

    def _ended(self, failure: BaseException) -> Conflict:
        return Conflict(f"a statement before it ended the transaction: {str(failure) or 'it was cancelled'}")

    async def end(self, *, commit: bool) -> None:
        """Commit or roll back, to the end even when the task that waits here is cancelled."""
        self._over = True
        lent, self._lent = self._lent, None
        if lent is not None:
            ending = self._finish(lent, commit=commit and self._failure is None)
            await asyncio.shield(self._connections.end_with(ending))
        if commit and self._failure is not None:
            raise self._ended(self._failure)

    async def _finish(self, lent: Lent, *, commit: bool) -> None:
        try:
            done = await lent.run(lambda connection: connection.execute("COMMIT" if commit else "ROLLBACK"))
        except MirageError:
            self._connections.discard(lent)
            if commit:
                raise
            return
        except BaseException:
            self._connections.discard(lent)
            raise
        self._connections.give_back(lent)
        if commit and done != "COMMIT":
            raise Unavailable(f"{self._connections.server} rolled the transaction back")


class _Read(_View):
    async def __aenter__(self) -> Reader:
        self._connections.check_open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.end(commit=False)


class _Write(_View, Tx):
    begins = _WRITES
    writes = True

    def __init__(self, connections: Connections, columns: Columns) -> None:
        super().__init__(connections)
        self._columns = columns

    async def execute(self, statement: str, /, **values: Any) -> int:
        return await self._run(lambda lent: _execute(lent, statement, values))

    async def execute_many(self, statement: str, rows: Sequence[Mapping[str, Any]], /) -> None:
        async def call(lent: Lent) -> None:
            text, names = written.numbered(statement)
            given = [written.arguments(names, row) for row in rows]
            await lent.run(lambda connection: connection.executemany(text, given))

        if rows:
            await self._run(call)

    async def execute_in(self, statement: str, keys: Sequence[Any], /, **values: Any) -> int:
        async def call(lent: Lent) -> int:
            changed = 0
            for piece in written.pieces(list(dict.fromkeys(keys))):
                changed += await _execute(lent, written.any_of_keys(statement), {**values, "keys": piece})
            return changed

        return await self._run(call) if keys else 0

    async def insert_new(
        self, table: str, columns: Sequence[str], key: Sequence[str], rows: Sequence[Row]
    ) -> list[Row]:
        columns, key = tuple(columns), tuple(key)
        by_key = written.first_by_key(columns, key, rows)
        return await self._insert(table, columns, key, list(by_key.values()), returned=key)

    async def insert_numbered(
        self, table: str, columns: Sequence[str], key: Sequence[str], number: str, rows: Sequence[Row]
    ) -> dict[Row, int]:
        columns, key = tuple(columns), tuple(key)
        by_key = written.first_by_key(columns, key, rows)
        fresh = await self._insert(table, columns, key, list(by_key.values()), returned=(*key, number))
        numbers = {row[:-1]: row[-1] for row in fresh}
        there = [each for each in by_key if each not in numbers]

        async def call(lent: Lent) -> dict[Row, int]:
            types = await self._columns.types_of(lent, table, key)
            return await numbers_of(lent, table, key, types, number, there)

        return numbers | await self._run(call) if there else numbers

    async def bulk_upsert(
        self,
        table: str,
        columns: Sequence[str],
        key: Sequence[str],
        rows: Sequence[Row],
        merge: Mapping[str, Merge],
    ) -> None:
        columns, key = tuple(columns), tuple(key)
        merges = statements.check_merge(columns, key, merge)
        await self._insert(table, columns, key, written.merged_by_key(columns, key, rows, merges), merges)

    async def _insert(
        self,
        table: str,
        columns: tuple[str, ...],
        key: tuple[str, ...],
        rows: Sequence[Row],
        merges: tuple[tuple[str, Merge], ...] = (),
        returned: tuple[str, ...] = (),
    ) -> list[Row]:
        """Insert rows, or merge them into those that have their keys; return what is asked for of those written."""
        if not rows:
            return []
        ending = written.on_conflict(table, key, merges) + (f" RETURNING {', '.join(returned)}" if returned else "")

        async def call(lent: Lent) -> list[Row]:
            types = await self._columns.types_of(lent, table, columns)
            return await insert_rows(lent, table, columns, types, rows, ending)

        return await self._run(call)

    async def claim_rows(
        self,
        table: str,
        key: Sequence[str],
        where: str,
        order: str,
        limit: int,
        assign: str,
        /,
        **values: Any,
    ) -> list[Row]:
        return await self.fetch(written.claim(table, tuple(key), where, order, assign), taken_limit=limit, **values)

    async def take_rows(self, table: str, key: Sequence[str], columns: Sequence[str], limit: int) -> list[Row]:
        return await self.fetch(written.take(table, tuple(key), tuple(columns)), taken_limit=limit)

    async def lock(self, key: str, *, shared: bool = False) -> None:
        digest = int.from_bytes(blake2b(key.encode(), digest_size=8).digest(), "big", signed=True)
        how = "_shared" if shared else ""
        await self.fetch(f"SELECT pg_advisory_xact_lock{how}(:digest)", digest=digest)


class _Begin(AbstractAsyncContextManager[Tx]):
    """The block of a transaction; nothing is asked of the server before its first statement."""

    def __init__(self, connections: Connections, columns: Columns, writing: set[asyncio.Task[Any]]) -> None:
        self._connections = connections
        self._writing = writing
        self._task: asyncio.Task[Any] | None = None
        self._tx = _Write(connections, columns)

    async def __aenter__(self) -> Tx:
        self._connections.check_open()
        task = asyncio.current_task()
        assert task is not None
        if task in self._writing:
            raise Invalid("this task has a transaction open already")
        self._writing.add(task)
        self._task = task
        return self._tx

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self._tx.end(commit=kind is None)
        finally:
            if self._task is not None:
                self._writing.discard(self._task)


async def _fetch(lent: Lent, statement: str, values: Mapping[str, Any]) -> list[Row]:
    text, names = written.numbered(statement)
    return await fetch(lent, text, written.arguments(names, values))


async def _execute(lent: Lent, statement: str, values: Mapping[str, Any]) -> int:
    text, names = written.numbered(statement)
    given = written.arguments(names, values)
    said = await lent.run(lambda connection: connection.execute(text, *given))
    count = said.rpartition(" ")[2]
    return int(count) if count.isdigit() else 0


async def _opened(connection: Connection, text: str, given: Sequence[Any]) -> Any:
    return await connection.cursor(text, *given)
