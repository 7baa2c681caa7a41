"""`sql` on a SQLite file: one writer at a time, snapshots for readers, nothing on the event loop that may block."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, TypeVar

from services.kernel.errors import Conflict, Invalid
from services.kernel.sql import Merge, Migration, Reader, Row, Sql, Tx, statements
from services.kernel.sql.sqlite_file import FAILURES, SqliteFile, Threads, translate
from services.kernel.sql.sqlite_rows import SIZES, absent_keys, insert_rows, numbers_of
from services.kernel.sql.sqlite_schema import migrate

T = TypeVar("T")


class SqliteSql(Sql):
    """A database in one file, made when it is first used.

    ``cache_kib`` is the page cache of the writer (readers: half). ``strict`` refuses what only PostgreSQL would: NUL in
    text.
    """

    sole_writer = True

    def __init__(self, path: str | Path, *, cache_kib: int = 2048, strict: bool = False) -> None:
        self._file = SqliteFile(path, cache_kib=cache_kib)
        self._turn = _Turn()
        self._strict = strict

    def begin(self) -> AbstractAsyncContextManager[Tx]:
        return _Begin(self._file, self._turn, strict=self._strict)

    def read(self) -> AbstractAsyncContextManager[Reader]:
        return _Read(self._file, strict=self._strict)

    async def migrate(self, migrations: Sequence[Migration], *, shared: bool = False) -> None:
        self._file.check_open()
        async with self._turn:
            await asyncio.shield(self._file.threads.run(partial(migrate, self._file, migrations, shared=shared)))

    async def backup(self, path: str) -> None:
        await self._file.copy(Path(path))

    async def ping(self) -> None:
        await self._file.read(lambda connection: connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone())

    async def close(self) -> None:
        await self._file.close()


class _View(Reader):
    """Statements on one connection; the first one opens the transaction in the same hop."""

    def __init__(self, file: SqliteFile, threads: Threads, *, strict: bool) -> None:
        self._file = file
        self._threads = threads
        self._strict = strict
        self._connection: sqlite3.Connection | None = None
        self._job: asyncio.Future[Any] | None = None
        self._cursors: list[sqlite3.Cursor] = []
        self._failure: BaseException | None = None
        self._over = False

    async def fetch(self, statement: str, /, **values: Any) -> list[Row]:
        self._check(values.values())
        return await self._run(lambda connection: connection.execute(statement, values).fetchall())

    async def fetch_in(self, statement: str, keys: Sequence[Any], /, **values: Any) -> list[Row]:
        self._check(values.values())
        self._check(keys)

        def call(connection: sqlite3.Connection) -> list[Row]:
            rows: list[Row] = []
            for piece in statements.pieces_of_keys(keys):
                expanded, names = statements.expand_keys(statement, len(piece))
                rows += connection.execute(expanded, values | dict(zip(names, piece, strict=True)))
            return rows

        return await self._run(call)

    async def stream(self, statement: str, /, *, size: int = 1000, **values: Any) -> AsyncIterator[list[Row]]:
        self._check(values.values())

        def start(connection: sqlite3.Connection) -> tuple[sqlite3.Cursor, list[Row]]:
            cursor = connection.cursor()
            self._cursors.append(cursor)
            cursor.execute(statement, values)
            return cursor, cursor.fetchmany(size)

        cursor, rows = await self._run(start)
        try:
            while rows:
                yield rows
                rows = await self._run(lambda _: cursor.fetchmany(size)) if len(rows) == size else []
        finally:
            # A fetch still under way keeps the cursor until the view ends.
            if not self._working() and cursor in self._cursors:
                self._cursors.remove(cursor)
                cursor.close()

    def _check_usable(self) -> None:
        self._file.check_open()
        if self._over:
            raise Invalid("the transaction is over")
        if self._failure is not None:
            raise self._ended(self._failure)

    async def _run(self, call: Callable[[sqlite3.Connection], T]) -> T:
        self._check_usable()
        self._job = job = self._threads.run(partial(self._call, call))
        try:
            return await asyncio.shield(job)
        except asyncio.CancelledError as error:
            self._failure = error  # an interrupted statement may have taken the transaction with it
            if self._connection is not None and not job.done():
                self._connection.interrupt()
            raise
        except Exception as error:
            self._failure = error
            raise

    def _call(self, call: Callable[[sqlite3.Connection], T]) -> T:
        """On a thread: open what is not open yet, then ``call``."""
        try:
            if self._connection is None:
                self._connection = self._start()
            return call(self._connection)
        except FAILURES as error:
            raise self._translate(error) from error

    def _start(self) -> sqlite3.Connection:
        raise NotImplementedError

    def _translate(self, error: Exception) -> Exception:
        return translate(error, self._file.path)

    def _ended(self, failure: BaseException) -> Conflict:
        return Conflict(f"a statement before it ended the transaction: {str(failure) or 'it was cancelled'}")

    def _working(self) -> bool:
        return self._job is not None and not self._job.done()

    def _close_cursors(self) -> None:
        while self._cursors:
            self._cursors.pop().close()

    def _check(self, values: Any) -> None:
        if self._strict:
            for value in values:
                if isinstance(value, str) and "\0" in value:
                    raise Invalid("text may not contain NUL")


class _Read(_View):
    def __init__(self, file: SqliteFile, *, strict: bool) -> None:
        super().__init__(file, file.readers, strict=strict)

    async def __aenter__(self) -> Reader:
        self._file.check_open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over = True
        if self._job is not None and not self._job.done():
            self._job.add_done_callback(lambda _: self._end())
        else:
            self._end()

    def _start(self) -> sqlite3.Connection:
        connection = self._file.lend()
        connection.execute("BEGIN")
        return connection

    def _end(self) -> None:
        """Ending a snapshot touches no disk, so it needs no hop."""
        self._close_cursors()
        if self._connection is not None:
            self._file.take_back(self._connection)
            self._connection = None

    def _translate(self, error: Exception) -> Exception:
        if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_READONLY:
            return Invalid("a view that only reads cannot write")
        return super()._translate(error)


class _Write(_View, Tx):
    """Writes that give nothing back are made with the next statement, or with the commit, in one hop."""

    def __init__(self, file: SqliteFile, *, strict: bool) -> None:
        super().__init__(file, file.threads, strict=strict)
        self._later: list[Callable[[sqlite3.Connection], None]] = []

    async def execute(self, statement: str, /, **values: Any) -> int:
        self._check(values.values())
        return await self._run(lambda connection: _execute(connection, statement, values))

    async def execute_many(self, statement: str, rows: Sequence[Mapping[str, Any]], /) -> None:
        for row in rows if self._strict else ():
            self._check(row.values())
        if rows:
            self._write_later(lambda connection: connection.executemany(statement, rows).close())

    async def execute_in(self, statement: str, keys: Sequence[Any], /, **values: Any) -> int:
        self._check(values.values())
        self._check(keys)

        def call(connection: sqlite3.Connection) -> int:
            changed = 0
            for piece in statements.pieces_of_keys(keys):
                expanded, names = statements.expand_keys(statement, len(piece))
                changed += _execute(connection, expanded, values | dict(zip(names, piece, strict=True)))
            return changed

        return await self._run(call)

    async def insert_new(
        self, table: str, columns: Sequence[str], key: Sequence[str], rows: Sequence[Row]
    ) -> list[Row]:
        if not rows:
            return []
        columns, key = tuple(columns), tuple(key)
        by_key = self._by_key(columns, key, rows)

        def call(connection: sqlite3.Connection) -> list[Row]:
            new = absent_keys(connection, table, key, list(by_key))
            insert_rows(connection, table, columns, [by_key[each] for each in new])
            return new

        return await self._run(call)

    async def insert_numbered(
        self, table: str, columns: Sequence[str], key: Sequence[str], number: str, rows: Sequence[Row]
    ) -> dict[Row, int]:
        if not rows:
            return {}
        columns, key = tuple(columns), tuple(key)
        by_key = self._by_key(columns, key, rows)
        (place,) = statements.places_of(columns, (number,))

        def call(connection: sqlite3.Connection) -> dict[Row, int]:
            present = numbers_of(connection, table, key, number, list(by_key))
            insert_rows(connection, table, columns, [row for each, row in by_key.items() if each not in present])
            return {each: row[place] for each, row in by_key.items()} | present

        return await self._run(call)

    async def bulk_upsert(
        self,
        table: str,
        columns: Sequence[str],
        key: Sequence[str],
        rows: Sequence[Row],
        merge: Mapping[str, Merge],
    ) -> None:
        if not rows:
            return
        columns, key = tuple(columns), tuple(key)
        merges = statements.check_merge(columns, key, merge)
        ordered = self._in_order(columns, key, rows)

        def call(connection: sqlite3.Connection) -> None:
            for piece in statements.pieces_of_rows(ordered, SIZES):
                statement = statements.upsert(table, columns, key, merges, len(piece))
                connection.execute(statement, [value for row in piece for value in row])

        self._write_later(call)

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
        keys = ", ".join(key)
        return await self.fetch(
            f"UPDATE {table} SET {assign} WHERE ({keys}) IN"  # noqa: S608 - names and clauses come from code
            f" (SELECT {keys} FROM {table} WHERE {where} ORDER BY {order} LIMIT :taken_limit) RETURNING {keys}",
            taken_limit=limit,
            **values,
        )

    async def take_rows(self, table: str, key: Sequence[str], columns: Sequence[str], limit: int) -> list[Row]:
        keys = ", ".join(key)
        return await self.fetch(
            f"DELETE FROM {table} WHERE ({keys}) IN"  # noqa: S608 - names come from code
            f" (SELECT {keys} FROM {table} ORDER BY {keys} LIMIT :taken_limit) RETURNING {', '.join(columns)}",
            taken_limit=limit,
        )

    async def lock(self, key: str, *, shared: bool = False) -> None:
        """Whoever writes is alone already."""
        await self._run(lambda _: None)

    def _by_key(self, columns: tuple[str, ...], key: tuple[str, ...], rows: Sequence[Row]) -> dict[Row, Row]:
        """The first row of each key, in the order of the keys."""
        places = statements.places_of(columns, key)
        by_key: dict[Row, Row] = {}
        for row in self._in_order(columns, key, rows):
            by_key.setdefault(tuple(row[place] for place in places), row)
        return by_key

    def _in_order(self, columns: tuple[str, ...], key: tuple[str, ...], rows: Sequence[Row]) -> list[Row]:
        for row in rows if self._strict else ():
            self._check(row)
        if any(len(row) != len(columns) for row in rows):
            raise Invalid(f"a row for {len(columns)} columns has another number of values")
        return statements.in_key_order(columns, key, rows)

    def _start(self) -> sqlite3.Connection:
        return self._file.begin()

    def _write_later(self, call: Callable[[sqlite3.Connection], None]) -> None:
        self._check_usable()
        self._later.append(call)

    def _call(self, call: Callable[[sqlite3.Connection], T]) -> T:
        later, self._later = self._later, []

        def in_order(connection: sqlite3.Connection) -> T:
            for write in later:
                write(connection)
            return call(connection)

        return super()._call(in_order if later else call)

    async def end(self, *, commit: bool) -> None:
        """Commit or roll back in one hop, or in none when nothing was asked.

        The thread takes jobs in order, so the next transaction starts after this has ended even when the task that
        waits here is cancelled.
        """
        self._over = True
        if self._job is None and not (commit and self._later):
            return
        if self._file.closed and not commit:
            return
        self._file.check_open()
        finish = self._commit if commit and self._failure is None else self._rollback
        await asyncio.shield(self._threads.run(finish))
        if commit and self._failure is not None:
            raise self._ended(self._failure)

    def _commit(self) -> None:
        self._close_cursors()
        try:
            if self._later:
                self._call(lambda _: None)
            connection, self._connection = self._connection, None
            if connection is not None:
                connection.execute("COMMIT")
        except BaseException as error:
            self._rollback()
            if isinstance(error, FAILURES):
                raise self._translate(error) from error
            raise

    def _rollback(self) -> None:
        self._close_cursors()
        self._later.clear()
        self._connection = None
        self._file.rollback()


class _Turn(asyncio.Lock):
    """Writers take turns in the order they came; a task that would wait for itself is told."""

    holder: asyncio.Task[Any] | None = None

    async def acquire(self) -> Literal[True]:
        task = asyncio.current_task()
        if self.locked() and task is self.holder:
            raise Invalid("this task has a transaction open already")
        await super().acquire()
        self.holder = task
        return True

    def release(self) -> None:
        self.holder = None
        super().release()


class _Begin(AbstractAsyncContextManager[Tx]):
    """The block of a transaction: waits for its turn, costs no hop."""

    def __init__(self, file: SqliteFile, turn: _Turn, *, strict: bool) -> None:
        self._turn = turn
        self._tx = _Write(file, strict=strict)

    async def __aenter__(self) -> Tx:
        await self._turn.acquire()
        return self._tx

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self._tx.end(commit=kind is None)
        finally:
            self._turn.release()


def _execute(connection: sqlite3.Connection, statement: str, values: Mapping[str, Any]) -> int:
    before = connection.total_changes
    cursor = connection.execute(statement, values)
    if cursor.description is not None:
        cursor.fetchall()
    # The library counts only what begins with INSERT, UPDATE or DELETE; a WITH before them hides the number.
    changed = cursor.rowcount if cursor.rowcount >= 0 else connection.total_changes - before
    cursor.close()
    return changed
