"""`search` on Elasticsearch 8 or newer: one index for all workspaces, found by the trigrams of texts.

``elasticsearch://host:port/prefix``: indexes are named ``<prefix>-<index>-<format>`` and used by the alias without
the format; without a prefix it is ``mirage``. A user needs the privileges ``monitor`` of the cluster and ``all`` of
``<prefix>-*``. Every document carries its workspace, is routed by it and is found only by who asks for it.
"""

import asyncio
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from services.kernel.errors import Incompatible, Invalid, Unavailable
from services.kernel.pauses import pauses
from services.kernel.search import Found, Indexed, Search, elastic_index
from services.kernel.search.elastic_connection import OLDEST, Connection, refused
from services.kernel.search.elastic_index import FORMAT, Json, Place, Question
from services.kernel.search.words import terms
from services.kernel.server import Server

MAX_LIMIT: Final = 1_000
#: Seconds that a server may say that it has too much to do, before we believe that it stays so.
PATIENCE: Final = 20.0
#: How long the server itself waits, for a shard or for its master, before it refuses.
SERVER_WAITS: Final = "5s"
_NAME: Final = re.compile(r"[a-z_][a-z0-9_]{0,60}")
_PREFIX: Final = re.compile(r"[a-z0-9][a-z0-9_.-]{0,100}")


class ElasticsearchSearch(Search):
    """``shards`` are those of an index that it makes; a workspace is in one of them. Replicas come with a second node.

    A document is found in the order of how well it fits, then by length, then by id; without a text by id alone. An
    id has at most 256 bytes.
    """

    def __init__(self, server: Server, *, shards: int = 1, connections: int = 10) -> None:
        self._prefix = server.path or "mirage"
        if not _PREFIX.fullmatch(self._prefix):
            raise Invalid(f"names of indexes on {server} cannot begin with {self._prefix}")
        self._server = server
        self._shards = shards
        self._connection = Connection(server, connections)
        self._fields: dict[str, tuple[str, ...]] = {}
        self._refusals = 0

    async def declare(self, index: str, fields: Sequence[str]) -> str:
        if not all(_NAME.fullmatch(name) for name in (index, *fields)):
            raise Invalid(f"{index} ({', '.join(fields)}) cannot be the name of an index and of its fields")
        known = tuple(dict.fromkeys((*self._fields.get(index, ()), *fields)))
        await self._check_version()
        await self._make(self._alias(index), known)
        # Another call may have declared more meanwhile.
        self._fields[index] = tuple(dict.fromkeys((*self._fields.get(index, ()), *known)))
        return await self._identity(self._alias(index))

    async def put(self, workspace: UUID, index: str, documents: Sequence[Indexed]) -> None:
        self._check(index, *(name for document in documents for name in document.fields))
        latest = {document.id: document for document in documents}
        await self._bulk(index, elastic_index.put_pieces(workspace, latest.values()))

    async def delete(self, workspace: UUID, index: str, ids: Sequence[bytes]) -> None:
        self._check(index)
        await self._bulk(index, elastic_index.delete_pieces(workspace, dict.fromkeys(ids)))

    async def find(
        self,
        workspace: UUID,
        index: str,
        text: str,
        *,
        where: Mapping[str, str] | None = None,
        facets: Sequence[str] = (),
        limit: int = 50,
        cursor: str | None = None,
    ) -> Found:
        self._check(index, *(where or {}), *facets)
        if not 0 < limit <= MAX_LIMIT:
            raise Invalid(f"a page has 1 to {MAX_LIMIT} results")
        after = None if cursor is None else elastic_index.read_cursor(cursor)
        question = Question(workspace, terms(text), where or {}, tuple(dict.fromkeys(facets)), limit, after)
        if text.strip() and not question.terms:
            return Found([], 0, {name: {} for name in facets}, None)
        asked: Any = elastic_index.searches(self._alias(index), question)
        counted, page = await self._search(asked)
        return _found(question, counted, page)

    async def refresh(self, index: str) -> None:
        self._check(index)
        alias = self._alias(index)
        await self._check_health(alias)  # without its shards the server would wait for a minute, and then not say so
        shards = (await self._connection.call(lambda client: client.indices.refresh(index=alias)))["_shards"]
        if shards["failed"]:
            raise Unavailable(f"{self._server} could not refresh {shards['failed']} shards")

    async def ping(self) -> None:
        """Raise `Unavailable` when a part of what is indexed cannot be searched, or is not there any more, too."""
        await self._check_health(",".join(map(self._alias, self._fields)) or f"{self._prefix}-*")

    async def close(self) -> None:
        await self._connection.close()

    def measures(self) -> dict[str, float]:
        """Calls made, those that failed, those under way, and how often the server had too much to do."""
        return {
            "calls": self._connection.calls,
            "failures": self._connection.failures,
            "in_flight": self._connection.in_flight,
            "refusals": self._refusals,
        }

    def _alias(self, index: str) -> str:
        return f"{self._prefix}-{index}"

    def _check(self, index: str, *fields: str) -> None:
        self._connection.check_open()
        known = self._fields.get(index)
        if known is None or not set(known).issuperset(fields):
            raise Invalid(f"nobody declared the index {index} with {', '.join(sorted(set(fields))) or 'no field'}")

    async def _check_health(self, indexes: str) -> None:
        health = await self._connection.call(
            lambda client: client.options(ignore_status=408).cluster.health(
                index=indexes, timeout="0s", master_timeout=SERVER_WAITS
            )
        )
        if health["status"] == "red":
            raise Unavailable(f"{self._server} lacks a part of {indexes} (its health is red)")

    async def _check_version(self) -> None:
        number = str((await self._connection.call(lambda client: client.info()))["version"]["number"])
        if int(number.partition(".")[0]) < OLDEST:
            raise Incompatible(f"{self._server} has version {number}, and {OLDEST}.0 is needed")

    async def _make(self, alias: str, fields: Sequence[str]) -> None:
        mapping = await self._mapping(alias)
        if mapping is None:
            await self._create(alias, fields)
            mapping = await self._mapping(alias) or {}
        missing = elastic_index.fields_of(sorted(set(fields) - elastic_index.known_fields(mapping)))
        if missing:
            properties = {"fields": {"properties": missing}}
            await self._connection.call(
                lambda client: client.indices.put_mapping(
                    index=alias, properties=properties, master_timeout=SERVER_WAITS
                )
            )

    async def _identity(self, alias: str) -> str:
        """The UUID that the server has given to the index behind ``alias``."""
        found = await self._connection.call(
            lambda client: client.indices.get_settings(
                index=alias, name="index.uuid", flat_settings=True, master_timeout=SERVER_WAITS
            )
        )
        (index,) = found.values()
        return str(index["settings"]["index.uuid"])

    async def _mapping(self, alias: str) -> Json | None:
        """Return the mapping of the index behind ``alias``, or None where there is no such index."""
        found = await self._connection.call(
            lambda client: client.options(ignore_status=404).indices.get_mapping(
                index=alias, master_timeout=SERVER_WAITS
            )
        )
        if found.meta.status == 404:
            return None
        if len(found) != 1:
            raise Incompatible(f"{self._server} has {len(found)} indexes called {alias}")
        (index,) = found.values()
        return dict(index["mappings"])

    async def _create(self, alias: str, fields: Sequence[str]) -> None:
        wanted = elastic_index.layout(fields, self._shards)
        answer = await self._connection.call(
            lambda client: client.options(ignore_status=400).indices.create(
                index=f"{alias}-{FORMAT}", aliases={alias: {}}, master_timeout=SERVER_WAITS, **wanted
            )
        )
        error = answer.get("error")
        if error is not None and error["type"] != "resource_already_exists_exception":
            raise refused(400, error, self._server)

    async def _bulk(self, index: str, pieces: Iterator[list[bytes]]) -> None:
        """Send operations piece by piece, made on a thread: a text may be long."""
        while piece := await asyncio.to_thread(next, pieces, None):
            await self._send(self._alias(index), piece)

    async def _send(self, alias: str, piece: list[bytes]) -> None:
        end = time.monotonic() + PATIENCE
        for pause in pauses(0.1, 2.0):
            piece = await self._send_once(alias, piece)
            if not piece:
                return
            self._refusals += 1
            if time.monotonic() > end:
                raise Unavailable(f"{self._server} has had too much to do for {PATIENCE:.0f} s")
            await asyncio.sleep(pause)

    async def _send_once(self, alias: str, piece: list[bytes]) -> list[bytes]:
        """Send operations and return those for which the server had no room."""
        operations: Any = piece
        answer = await self._connection.call(
            lambda client: client.options(ignore_status=429).bulk(
                index=alias,
                operations=operations,
                require_alias=True,
                timeout=SERVER_WAITS,
                filter_path="error.type,error.reason,errors,items.*.status,items.*.error.type,items.*.error.reason",
            )
        )
        if answer.meta.status == 429:
            _check_busy(answer["error"], self._server)
            return piece
        if not answer["errors"]:
            return []
        again: list[bytes] = []
        for operation, item in zip(piece, answer["items"], strict=True):
            ((_, outcome),) = item.items()
            error = outcome.get("error")
            if error is None:
                continue
            if outcome["status"] != 429:
                raise refused(outcome["status"], error, self._server)
            _check_busy(error, self._server)
            again.append(operation)
        return again

    async def _search(self, searches: Any) -> list[Json]:
        answer = await self._connection.call(
            lambda client: client.msearch(
                searches=searches,
                filter_path=(
                    "responses.status,responses.error.type,responses.error.reason,responses.hits.total.value,"
                    "responses.hits.hits.sort,responses.aggregations.*.buckets"
                ),
            )
        )
        responses: list[Json] = answer["responses"]
        for response in responses:
            if "error" in response:
                raise refused(response["status"], response["error"], self._server)
        return responses


def _check_busy(error: Json, server: Server) -> None:
    """Raise unless an answer of 429 says that there is too much to do: a full disk says 429, too."""
    if error["type"] == "cluster_block_exception":
        raise refused(429, error, server)


def _found(question: Question, counted: Json, page: Json) -> Found:
    places: list[Place] = [elastic_index.place_of(hit["sort"]) for hit in page.get("hits", {}).get("hits", ())]
    more = len(places) > question.limit
    places = places[: question.limit]
    counts = counted.get("aggregations", {})
    facets = {
        name: {bucket["key"]: bucket["doc_count"] for bucket in counts.get(name, {}).get("buckets", ())}
        for name in question.facets
    }
    return Found(
        [bytes.fromhex(place.key) for place in places],
        counted["hits"]["total"]["value"],
        facets,
        elastic_index.write_cursor(places[-1]) if more else None,
    )
