"""Takes the steps of a schema on PostgreSQL, all or none, and notes each with its digest."""

import asyncio
import re
from collections.abc import Sequence
from typing import Final

from services.kernel.errors import Invalid
from services.kernel.messages import now
from services.kernel.pauses import pauses
from services.kernel.sql import Migration
from services.kernel.sql.migrations import steps_ahead
from services.kernel.sql.postgres_connections import Connections, Lent
from services.kernel.sql.postgres_errors import Locked

#: The advisory lock of those who migrate one database; a number of our own.
_MIGRATING: Final = 0x6D69726167650001
#: Seconds to wait for tables that others read before they are let through, and in all.
_LOCK_SECONDS: Final = 2
PATIENCE: Final = 600.0
_FOR_POSTGRES: Final = re.compile(r"^([ \t]*)--postgres:", re.MULTILINE)
_VERSIONS: Final = (
    "CREATE TABLE IF NOT EXISTS schema_version"
    " (version BIGINT NOT NULL PRIMARY KEY, name TEXT NOT NULL, digest TEXT NOT NULL, at BIGINT NOT NULL)"
)


async def migrate(connections: Connections, migrations: Sequence[Migration], *, shared: bool) -> None:
    """Take the steps that the database is still to take; whoever reads for long is let through, and we try again."""
    loop = asyncio.get_running_loop()
    end = loop.time() + PATIENCE
    for pause in pauses(0.2, 5.0):
        try:
            await _migrate_once(connections, migrations, shared=shared)
        except Locked:
            if loop.time() + pause >= end:
                raise
            await asyncio.sleep(pause)
        else:
            return


async def _migrate_once(connections: Connections, migrations: Sequence[Migration], *, shared: bool) -> None:
    lent = await connections.begin("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE", writes=True)
    try:
        await _step_forward(lent, connections, migrations, shared=shared)
        await lent.run(lambda connection: connection.execute("COMMIT"))
    except BaseException:
        connections.discard(lent)
        raise
    connections.give_back(lent)


async def _step_forward(lent: Lent, connections: Connections, migrations: Sequence[Migration], *, shared: bool) -> None:
    await lent.run(lambda connection: connection.fetch("SELECT pg_advisory_xact_lock($1)", _MIGRATING))
    await _check_order(lent, connections)
    await lent.run(lambda connection: connection.execute(_VERSIONS))
    rows = await lent.run(lambda connection: connection.fetch("SELECT version, digest FROM schema_version"))
    server = connections.server
    made = {row[0]: row[1] for row in rows}
    ahead = steps_ahead(f"{server}/{server.path}", made, migrations, shared=shared)
    if ahead:
        await lent.run(lambda connection: connection.execute(f"SET LOCAL lock_timeout = '{_LOCK_SECONDS}s'"))
    for step in ahead:
        await _apply(lent, step)


async def _check_order(lent: Lent, connections: Connections) -> None:
    asked = "SELECT 'Z' < '_' AND '_' < 'a' AND 'z' < 'é' AND current_setting('server_encoding') = 'UTF8'"
    in_order = await lent.run(lambda connection: connection.fetchval(asked))
    if not in_order:
        raise Invalid(
            f"{connections.server}/{connections.server.path} does not sort by bytes: make it with"
            " CREATE DATABASE … TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C'"
        )


async def _apply(lent: Lent, step: Migration) -> None:
    script = _FOR_POSTGRES.sub(r"\1", step.script)
    if script.strip():
        await lent.run(lambda connection: connection.execute(script))
    row = (step.version, step.name, step.digest, now())
    await lent.run(
        lambda connection: connection.execute(
            "INSERT INTO schema_version (version, name, digest, at) VALUES ($1, $2, $3, $4)", *row
        )
    )
