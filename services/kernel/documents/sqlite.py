"""`documents` in a SQLite file: a table for each collection, JSON as text, an expression index for each field."""

import sqlite3
from collections.abc import AsyncIterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

from services.kernel.documents import Document, Documents
from services.kernel.documents.contents import (
    LISTED,
    LISTED_BYTES,
    check_names,
    check_where,
    decode,
    encode,
    first_after,
    holds,
)
from services.kernel.errors import Invalid
from services.kernel.sql import statements
from services.kernel.sql.sqlite_file import SqliteFile


class SqliteDocuments(Documents):
    def __init__(self, path: str | Path) -> None:
        self._file = SqliteFile(path)
        self._indexes: dict[str, frozenset[str]] = {}

    async def declare(self, collection: str, indexes: Sequence[str]) -> None:
        check_names(collection, indexes)
        await self._file.write(lambda connection: _declare(connection, collection, indexes))
        self._indexes[collection] = self._indexes.get(collection, frozenset()) | set(indexes)

    async def insert(self, workspace: UUID, collection: str, documents: Sequence[Document]) -> None:
        await self._keep(workspace, collection, documents, "NOTHING")

    async def replace(self, workspace: UUID, collection: str, documents: Sequence[Document]) -> None:
        await self._keep(workspace, collection, documents, "UPDATE SET content = excluded.content")

    async def _keep(self, workspace: UUID, collection: str, documents: Sequence[Document], on_conflict: str) -> None:
        self._check(collection)
        if not documents:
            return

        def call(connection: sqlite3.Connection) -> None:
            connection.executemany(
                f"INSERT INTO c_{collection} VALUES (?, ?, ?) ON CONFLICT (workspace, key) DO {on_conflict}",  # noqa: S608 - a checked name
                [(workspace.bytes, document.key, encode(document)) for document in documents],
            )

        await self._file.write(call)

    async def get(self, workspace: UUID, collection: str, keys: Sequence[str]) -> list[Document]:
        self._check(collection)
        statement = f"SELECT key, content FROM c_{collection} WHERE workspace = :workspace AND key IN :keys"  # noqa: S608 - a checked name

        def call(connection: sqlite3.Connection) -> dict[str, str]:
            found: dict[str, str] = {}
            for piece in statements.pieces_of_keys(keys):
                expanded, names = statements.expand_keys(statement, len(piece))
                values = dict(zip(names, piece, strict=True)) | {"workspace": workspace.bytes}
                found.update(connection.execute(expanded, values).fetchall())
            return found

        found = await self._file.read(call)
        return [decode(key, found[key]) for key in dict.fromkeys(keys) if key in found]

    async def find(
        self, workspace: UUID, collection: str, *, where: Mapping[str, Any] | None = None, prefix: str = ""
    ) -> AsyncIterator[list[Document]]:
        wanted = dict(where or {})
        conditions, values = self._conditions(collection, wanted, prefix)
        values["workspace"], values["start"] = workspace.bytes, prefix
        more, bound = True, ">="
        while more:
            statement = (
                f"SELECT key, content FROM c_{collection} WHERE workspace = :workspace"  # noqa: S608 - checked names
                f" AND key {bound} :start{conditions} ORDER BY key"
            )
            rows, more = await self._file.read(partial(_page, statement, dict(values)))
            found = [document for key, raw in rows if holds(document := decode(key, raw), wanted)]
            if found:
                yield found
            if more:
                bound, values["start"] = ">", rows[-1][0]

    def _conditions(self, collection: str, where: Mapping[str, Any], prefix: str) -> tuple[str, dict[str, Any]]:
        self._check(collection)
        check_where(collection, self._indexes[collection], where)
        conditions = ""
        values: dict[str, Any] = {}
        for place, (field, value) in enumerate(where.items()):
            conditions += f" AND {extracted(field)} IS :field_{place}"
            values[f"field_{place}"] = value
        if after := first_after(prefix):
            conditions += " AND key < :after"
            values["after"] = after
        return conditions, values

    async def delete(self, workspace: UUID, collection: str, keys: Sequence[str]) -> None:
        self._check(collection)
        rows = [(workspace.bytes, key) for key in set(keys)]
        await self._file.write(
            lambda connection: connection.executemany(
                f"DELETE FROM c_{collection} WHERE workspace = ? AND key = ?",  # noqa: S608 - a checked name
                rows,
            )
        )

    async def ping(self) -> None:
        await self._file.read(lambda connection: connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone())

    async def close(self) -> None:
        await self._file.close()

    def _check(self, collection: str) -> None:
        self._file.check_open()
        if collection not in self._indexes:
            raise Invalid(f"nobody declared the collection {collection}")


def extracted(field: str) -> str:
    return f"json_extract(content, '$.{field}')"


def _declare(connection: sqlite3.Connection, collection: str, indexes: Sequence[str]) -> None:
    connection.execute(
        f"CREATE TABLE IF NOT EXISTS c_{collection} (workspace BLOB NOT NULL, key TEXT NOT NULL, content TEXT NOT NULL,"
        " PRIMARY KEY (workspace, key))"
    )
    for field in indexes:
        connection.execute(
            f"CREATE INDEX IF NOT EXISTS c_{collection}__{field} ON c_{collection} (workspace, {extracted(field)}, key)"
        )


def _page(statement: str, values: dict[str, Any], connection: sqlite3.Connection) -> tuple[list[tuple[str, str]], bool]:
    """Read the next documents, as many as are good for memory; say whether there may be more."""
    rows: list[tuple[str, str]] = []
    size = 0
    for row in connection.execute(statement, values):
        rows.append(row)
        size += len(row[1])
        if len(rows) == LISTED or size > LISTED_BYTES:
            return rows, True
    return rows, False
