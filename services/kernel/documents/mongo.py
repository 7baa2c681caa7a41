"""`documents` in MongoDB: a collection for each, JSON as text, and beside it what may be asked for.

``{_id: <workspace, 32 hexadecimal digits><key>, content: <JSON>, fields: {<field>: <value>}}``

Text keeps what BSON would not: names with NUL and deeper nesting than a hundred; and 15 MB of JSON can be far more of
BSON. ``fields`` has every field at the top that can have an index, declared or not, so that one that is declared later
finds what was there before. Long text is there as its hash; lists and objects as ``{}``, which equals nothing that can
be asked for; null not at all. An index is on a field and ``_id``, so that what is found comes in order.
"""

import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from services.kernel.documents import Document, Documents
from services.kernel.documents.contents import (
    FIELD,
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
from services.kernel.mongo import CALLS, Mongo, Scan, insert_new, put_all
from services.kernel.server import Server

ASKED: Final = 1000
LONG_TEXT: Final = 200
_WORKSPACE: Final = 32


class MongoDocuments(Documents):
    """Collections are named ``documents.<collection>`` in the database that the server's URL names, or ``mirage``."""

    def __init__(self, server: Server, *, calls: int = CALLS) -> None:
        self._mongo = Mongo(server, calls=calls)
        self._indexes: dict[str, frozenset[str]] = {}

    async def declare(self, collection: str, indexes: Sequence[str]) -> None:
        check_names(collection, indexes)
        async with self._mongo.call() as database:
            for field in indexes:
                await database[_named(collection)].create_index([(f"fields.{field}", 1), ("_id", 1)])
        self._indexes[collection] = self._indexes.get(collection, frozenset()) | set(indexes)

    async def insert(self, workspace: UUID, collection: str, documents: Sequence[Document]) -> None:
        self._check(collection)
        firsts: dict[str, dict[str, Any]] = {}
        for document in documents:
            kept = _kept(workspace, document)
            firsts.setdefault(kept["_id"], kept)
        async with self._mongo.call() as database:
            await insert_new(database[_named(collection)], list(firsts.values()))

    async def replace(self, workspace: UUID, collection: str, documents: Sequence[Document]) -> None:
        self._check(collection)
        lasts = {kept["_id"]: kept for kept in (_kept(workspace, document) for document in documents)}
        async with self._mongo.call() as database:
            await put_all(database[_named(collection)], list(lasts.values()))

    async def get(self, workspace: UUID, collection: str, keys: Sequence[str]) -> list[Document]:
        self._check(collection)
        ids = [_id(workspace, key) for key in dict.fromkeys(keys)]
        found: dict[str, Document] = {}
        async with self._mongo.call() as database:
            for start in range(0, len(ids), ASKED):
                asked = {"_id": {"$in": ids[start : start + ASKED]}}
                async for kept in database[_named(collection)].find(asked, {"content": 1}):
                    found[kept["_id"]] = _document(kept)
        return [found[each] for each in ids if each in found]

    async def find(
        self, workspace: UUID, collection: str, *, where: Mapping[str, Any] | None = None, prefix: str = ""
    ) -> AsyncIterator[list[Document]]:
        self._check(collection)
        wanted = dict(where or {})
        check_where(collection, self._indexes[collection], wanted)
        low = _id(workspace, prefix)
        asked = {f"fields.{field}": _field(value) for field, value in wanted.items()}
        scan = Scan(self._mongo, _named(collection), low, first_after(low), where=asked, fields=["content"])
        try:
            while taken := await scan.take(LISTED, LISTED_BYTES):
                found = [document for kept in taken if holds(document := _document(kept), wanted)]
                if found:
                    yield found
        finally:
            await scan.close()

    async def delete(self, workspace: UUID, collection: str, keys: Sequence[str]) -> None:
        self._check(collection)
        ids = sorted({_id(workspace, key) for key in keys})
        async with self._mongo.call() as database:
            for start in range(0, len(ids), ASKED):
                await database[_named(collection)].delete_many({"_id": {"$in": ids[start : start + ASKED]}})

    async def ping(self) -> None:
        await self._mongo.ping()

    async def close(self) -> None:
        await self._mongo.close()

    def measures(self) -> dict[str, float]:
        return self._mongo.measures()

    def _check(self, collection: str) -> None:
        self._mongo.check_open()
        if collection not in self._indexes:
            raise Invalid(f"nobody declared the collection {collection}")


def _named(collection: str) -> str:
    return f"documents.{collection}"


def _id(workspace: UUID, key: str) -> str:
    try:
        key.encode()
    except UnicodeEncodeError as error:
        raise Invalid(f"a key cannot be kept as text: {error.reason}") from error
    return workspace.hex + key


def _kept(workspace: UUID, document: Document) -> dict[str, Any]:
    content = encode(document)
    fields = {
        field: _field(value)
        for field, value in document.content.items()
        if value is not None and FIELD.fullmatch(field)
    }
    return {"_id": _id(workspace, document.key), "content": content, "fields": fields}


def _field(value: Any) -> Any:
    """How a field is compared; `holds` looks again at what was found."""
    if isinstance(value, str) and len(value) > LONG_TEXT:
        return "sha256:" + hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()
    return value if isinstance(value, str | int | float | None) else {}


def _document(kept: Mapping[str, Any]) -> Document:
    return decode(kept["_id"][_WORKSPACE:], kept["content"])
