"""Databases on PostgreSQL for tests, on the server that the run shares.

One that a test changed the schema of is dropped; one whose rows alone were changed is emptied, and the next test that
wants its schema has it: that takes milliseconds.
"""

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
#: Empties all tables, after whoever is still connected is gone, those too that triggers keep append-only.
_EMPTY: Final = """
SET session_replication_role = replica;
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid();
DO $$ DECLARE name TEXT; BEGIN
FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'schema_version' LOOP
    EXECUTE 'DELETE FROM ' || name;
END LOOP; END $$
"""


class Databases:
    """Makes databases on one server, and keeps those that are at the steps that somebody asked for."""

    def __init__(self, server: running.Server) -> None:
        self._server = Server.parse(server.url)
        self._free: dict[tuple[str, ...], list[Server]] = {}

    async def make(self, migrations: Sequence[Migration] = ()) -> Server:
        """A database at these steps that nobody else has, with empty tables."""
        if free := self._free.get(_steps(migrations)):
            return free.pop()
        made = replace(self._server, path=f"test_{os.getpid()}_{next(_COUNT)}")
        async with self._connected(self._server) as admin:
            await admin.execute(f"CREATE DATABASE {made.path} TEMPLATE template0")
        if migrations:
            sql = PostgresSql(made)
            await sql.migrate(migrations)
            await sql.close()
        return made

    async def give_back(self, made: Server, migrations: Sequence[Migration] = ()) -> None:
        """Empty it for the next one who wants these steps, or drop it when it is not at them any more."""
        if migrations:
            async with self._connected(made) as connection:
                taken = await connection.fetch("SELECT digest FROM schema_version")
                if sorted(row[0] for row in taken) == sorted(_steps(migrations)):
                    await connection.execute(_EMPTY)
                    self._free.setdefault(_steps(migrations), []).append(made)
                    return
        async with self._connected(self._server) as admin:
            await admin.execute(f"DROP DATABASE IF EXISTS {made.path} WITH (FORCE)")

    @asynccontextmanager
    async def _connected(self, server: Server) -> AsyncIterator[Any]:
        (host,) = server.hosts
        connection = await asyncpg.connect(
            host=host.name, port=host.port, user=server.user, database=server.path, ssl=False
        )
        try:
            yield connection
        finally:
            await connection.close()


def _steps(migrations: Sequence[Migration]) -> tuple[str, ...]:
    return tuple(step.digest for step in migrations)
