"""Takes the steps of a schema on a SQLite file, all or none, and notes each with its digest."""

import re
import sqlite3
from collections.abc import Sequence
from functools import partial
from typing import Final

from services.kernel.messages import now
from services.kernel.sql import Migration
from services.kernel.sql.migrations import steps_ahead
from services.kernel.sql.sqlite_file import SqliteFile

#: Seconds to wait for another process that migrates.
PATIENCE: Final = 600
_ENDS: Final = re.compile(r";[ \t]*(?:--[^\n]*)?$", re.MULTILINE)
_FOR_SQLITE: Final = re.compile(r"^([ \t]*)--sqlite:", re.MULTILINE)


def migrate(file: SqliteFile, migrations: Sequence[Migration], *, shared: bool) -> None:
    """Take the steps that the file is still to take, after a copy of what was there; runs on its writing thread."""
    file.transact(partial(_step_forward, file, migrations, shared), patience=PATIENCE)


def _step_forward(
    file: SqliteFile, migrations: Sequence[Migration], shared: bool, connection: sqlite3.Connection
) -> None:
    made = _steps_made(connection)
    ahead = steps_ahead(str(file.path), made, migrations, shared=shared)
    if ahead and made:
        file.write_copy(file.path.with_name(f"{file.path.name}.v{max(made)}"))
    for step in ahead:
        _apply(connection, step)


def _steps_made(connection: sqlite3.Connection) -> dict[int, str]:
    """The digests of the steps that were taken; those of builds that recorded none are empty, and so nobody's."""
    connection.execute(
        "CREATE TABLE IF NOT EXISTS schema_version"
        " (version BIGINT NOT NULL PRIMARY KEY, name TEXT NOT NULL, digest TEXT NOT NULL, at BIGINT NOT NULL)"
    )
    columns = {column[1] for column in connection.execute("PRAGMA table_info(schema_version)")}
    digest = "digest" if "digest" in columns else "''"
    return dict(connection.execute(f"SELECT version, {digest} FROM schema_version"))  # noqa: S608 - of the two above


def _apply(connection: sqlite3.Connection, step: Migration) -> None:
    for statement in _ENDS.split(_FOR_SQLITE.sub(r"\1", step.script)):
        if statement.strip():
            connection.execute(statement)
    connection.execute(
        "INSERT INTO schema_version (version, name, digest, at) VALUES (?, ?, ?, ?)",
        (step.version, step.name, step.digest, now()),
    )
