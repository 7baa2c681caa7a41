"""A database that fails at a statement of one's choice."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from services.kernel.errors import Unavailable
from services.kernel.sql import Migration, Reader, Sql, Tx

STATEMENTS = frozenset(
    {
        *("fetch", "fetch_one", "fetch_in", "execute", "execute_many", "execute_in"),
        *("insert_new", "insert_numbered", "bulk_upsert", "claim_rows", "take_rows", "lock"),
    }
)


class FailingSql(Sql):
    """Passes everything on to ``sql``; the statement numbered ``fails_at`` of a transaction raises instead."""

    def __init__(self, sql: Sql) -> None:
        self._sql = sql
        self.fails_at: int | None = None
        self.statements = 0

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Tx]:
        self.statements = 0
        async with self._sql.begin() as tx:
            yield FailingTx(self, tx)  # type: ignore[misc]
            self.count()  # the commit

    def count(self) -> None:
        self.statements += 1
        if self.statements == self.fails_at:
            raise Unavailable(f"statement {self.statements}")

    def read(self) -> Any:
        return self._sql.read()

    async def migrate(self, migrations: list[Migration]) -> None:
        await self._sql.migrate(migrations)

    async def backup(self, path: str) -> None:
        await self._sql.backup(path)

    async def ping(self) -> None:
        await self._sql.ping()

    async def close(self) -> None:
        await self._sql.close()


class FailingTx:
    def __init__(self, owner: FailingSql, tx: Reader) -> None:
        self._owner = owner
        self._tx = tx

    def __getattr__(self, name: str) -> Any:
        if name in STATEMENTS:
            self._owner.count()
        return getattr(self._tx, name)
