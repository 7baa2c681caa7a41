"""A role and a database for each service on one PostgreSQL: made by who may, and nobody else's business.

The role owns its database and nothing else; others cannot even connect to it.
"""

import asyncio
import re
from time import monotonic
from typing import Final

import asyncpg

from services.kernel.errors import Invalid, Unavailable
from services.kernel.pauses import pauses
from services.kernel.server import Server
from services.kernel.sql.postgres_errors import FAILURES, translate

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,62}")
#: What a password may consist of here, so that it needs no escape in any statement.
_PASSWORD: Final = re.compile(r"[A-Za-z0-9_-]{16,128}")
#: Seconds that a server may take to start, with what it recovers when it was killed.
STARTING: Final = 60.0


async def provide_database(server: Server, name: str, password: str, *, patience: float = STARTING) -> None:
    """Make a role and a database of ``name``, or give the role this password; ``server`` names who may do so.

    A server that only starts is waited for, ``patience`` seconds.

    Raises:
        Invalid: ``name`` or ``password`` has signs that it may not have.
        Unavailable: the server is away.
        Denied: the role that ``server`` names may not.
    """
    if not _NAME.fullmatch(name) or not _PASSWORD.fullmatch(password):
        raise Invalid("a role is named by small letters, digits and _, and its password has 16 letters or more")
    connection = await _connect(server, patience)
    try:
        try:
            await _provide(connection, name, password)
        finally:
            await connection.close()
    except FAILURES as error:
        raise translate(error, str(server)) from None


async def _connect(server: Server, patience: float) -> "asyncpg.Connection[asyncpg.Record]":
    end = monotonic() + patience
    for pause in pauses(longest=1.0):
        try:
            return await asyncpg.connect(
                host=[host.name for host in server.hosts],
                port=[host.port for host in server.hosts],
                user=server.user,
                password=server.password or None,
                database=server.path or "postgres",
                ssl=server.context(),
                timeout=10,
            )
        except FAILURES as error:
            said = translate(error, str(server))
            if not isinstance(said, Unavailable) or monotonic() + pause > end:
                raise said from None
        await asyncio.sleep(pause)
    raise AssertionError  # pauses have no end


async def _provide(connection: "asyncpg.Connection[asyncpg.Record]", name: str, password: str) -> None:
    there = await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", name)
    verb = "ALTER" if there else "CREATE"
    # Neither takes parameters; both are checked above.
    await connection.execute(f"{verb} ROLE {name} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD '{password}'")
    if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", name):
        await connection.execute(f"CREATE DATABASE {name} OWNER {name} TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C'")
    for database in (name, "postgres", "template1"):
        await connection.execute(f"REVOKE ALL ON DATABASE {database} FROM PUBLIC")
