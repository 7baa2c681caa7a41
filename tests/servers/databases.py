"""Databases on PostgreSQL for tests: each made within milliseconds, and dropped with whoever is still connected."""

import itertools
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import asyncpg
from msgspec.structs import replace

from services.kernel.server import Server
from services.kernel.sql import Migration
from services.kernel.sql.postgres import PostgresSql
from tests.servers import running

MakeDatabase = Callable[..., Awaitable[Server]]
_COUNT: Final = itertools.count(1)


class Databases:
    """Makes databases on one server, and drops them all."""

    def __init__(self, server: running.Server) -> None:
        self._server = Server.parse(server.url)
        self._made: list[str] = []

    @asynccontextmanager
    async def _admin(self) -> AsyncIterator[Any]:
        (host,) = self._server.hosts
        connection = await asyncpg.connect(
            host=host.name, port=host.port, user=self._server.user, database=self._server.path, ssl=False
        )
        try:
            yield connection
        finally:
            await connection.close()

    async def make(self, migrations: Sequence[Migration] = ()) -> Server:
        """A new database at these steps: a copy of one that this test run took them on before, which is fast."""
        template = await self._template(migrations) if migrations else "template0"
        name = f"test_{os.getpid()}_{next(_COUNT)}"
        async with self._admin() as admin:
            await admin.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        self._made.append(name)
        return replace(self._server, path=name)

    async def drop_all(self) -> None:
        async with self._admin() as admin:
            while self._made:
                await admin.execute(f"DROP DATABASE IF EXISTS {self._made.pop()} WITH (FORCE)")

    async def _template(self, migrations: Sequence[Migration]) -> str:
        name = f"template_{os.getpid()}_" + "_".join(step.digest for step in migrations)[:40]
        async with self._admin() as admin:
            if await admin.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", name):
                return name
            await admin.execute(f"CREATE DATABASE {name} TEMPLATE template0")
        sql = PostgresSql(replace(self._server, path=name))
        await sql.migrate(migrations)
        await sql.close()
        return name
