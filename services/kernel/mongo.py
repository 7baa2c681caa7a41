"""MongoDB's client: the one place that knows the driver, which is motor (to be replaced by pymongo's AsyncMongoClient).

The adapters of `documents` and `blobs` use only what two servers do alike: MongoDB (4.4 and newer), which Mirage runs
on, and FerretDB 1.24 on SQLite, which the tests run on. So there are no transactions, no update pipelines, no partial
indexes; what has to be atomic is one document, and where it must hold against others it is an insert under a new
``_id``, which both servers grant to one caller only. Where they differ, and what therefore is not tested here:

- FerretDB takes write and read concerns and does not need them: that a majority keeps what was acknowledged, and what
  an election does, is MongoDB's own promise.
- FerretDB does not check passwords of its own (it refuses SCRAM) and our build of it does not speak TLS.
- FerretDB reads before it updates or deletes with a condition: two such calls within a millisecond may both succeed.
- FerretDB keeps a connection to its file for each statement of an update of one document until the command ends, and
  locks itself out at a hundred: updates are written as updates of many.
- FerretDB finds by ``_id`` alone without reading the collection, and sorts in memory.
- Both order text by its bytes, tell true from 1 and keep integers of 64 bits; field names of documents of ours are
  ours, as FerretDB refuses dots and dollars in them.
"""

import asyncio
import contextlib
import os
import threading
from collections.abc import AsyncIterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from bson.errors import BSONError
from pymongo import UpdateMany, errors, monitoring
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from services.kernel.errors import (
    Conflict,
    Denied,
    Exhausted,
    Incompatible,
    Invalid,
    MirageError,
    Unavailable,
)
from services.kernel.server import Server

#: Calls at once, each of which holds a thread of motor's and a connection. A call costs 130 µs more than without.
CALLS: Final = 16
#: Adapters of a process, documents and blobs, that share motor's threads.
SHARING: Final = 2
DATABASE: Final = "mirage"
#: Seconds: how long a call looks for a server, and how soon one that is silent is given up, with all calls it has.
SELECTION: Final = 2.0
SILENCE: Final = 2.0
HEARTBEAT: Final = 1.5
#: Seconds that a server which answers its heartbeats may take for one call, and that closing waits for calls.
PATIENCE: Final = 60.0
CLOSING: Final = 10.0
#: What ends a cursor that was left alone for long.
CURSOR_LOST: Final = 43
DUPLICATE: Final = 11000
#: Bytes of documents that are sent at once.
SENT_BYTES: Final = 8 << 20
_DENIED: Final = {13, 18, 8000}
_FULL: Final = {14031, 12501}
_INVALID: Final = {2, 9, 73, 10334, 17280}
_BUSY: Final = ("locked", "busy")
_FORBIDDEN: Final = set('/\\. "$*<>:|?\0')

#: For what may be lost if all that is written after it is: the order of writes is kept.
QUICK: Final = WriteConcern(w=1)

Collection = Any
Database = Any


class Watch(monitoring.ConnectionPoolListener, monitoring.ServerHeartbeatListener):
    """Counts what happens to connections; called on the driver's threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.open = 0
        self.in_use = 0
        self.opened = 0
        self.silent = 0
        self._answering: dict[tuple[str, int | None], bool] = {}

    def connection_created(self, event: monitoring.ConnectionCreatedEvent) -> None:
        with self._lock:
            self.opened += 1
            self.open += 1

    def connection_closed(self, event: monitoring.ConnectionClosedEvent) -> None:
        with self._lock:
            self.open -= 1

    def connection_checked_out(self, event: monitoring.ConnectionCheckedOutEvent) -> None:
        with self._lock:
            self.in_use += 1

    def connection_checked_in(self, event: monitoring.ConnectionCheckedInEvent) -> None:
        with self._lock:
            self.in_use -= 1

    def failed(self, event: monitoring.ServerHeartbeatFailedEvent) -> None:
        with self._lock:
            self.silent += 1
            self._answering[event.connection_id] = False

    def succeeded(self, event: monitoring.ServerHeartbeatSucceededEvent) -> None:
        with self._lock:
            self._answering[event.connection_id] = True

    @property
    def away(self) -> bool:
        """Whether servers were asked and none answered."""
        with self._lock:
            return bool(self._answering) and not any(self._answering.values())

    def pool_created(self, event: monitoring.PoolCreatedEvent) -> None: ...
    def pool_ready(self, event: monitoring.PoolReadyEvent) -> None: ...
    def pool_cleared(self, event: monitoring.PoolClearedEvent) -> None: ...
    def pool_closed(self, event: monitoring.PoolClosedEvent) -> None: ...
    def connection_ready(self, event: monitoring.ConnectionReadyEvent) -> None: ...
    def connection_check_out_started(self, event: monitoring.ConnectionCheckOutStartedEvent) -> None: ...
    def connection_check_out_failed(self, event: monitoring.ConnectionCheckOutFailedEvent) -> None: ...
    def started(self, event: monitoring.ServerHeartbeatStartedEvent) -> None: ...


class Mongo:
    """A database of a server: the path of its URL, or ``mirage``. What is written is kept by a majority, on disk."""

    def __init__(self, server: Server, *, calls: int = CALLS) -> None:
        name = server.path or DATABASE
        if _FORBIDDEN & set(name) or len(name.encode()) > 63:
            raise Invalid(f"{server}: {name!r} cannot be the name of a database")
        if server.trust.key and server.trust.key != server.trust.cert:
            raise Invalid(f"{server}: its client wants the certificate and its key in one file")
        self.server = server
        self._name = name
        self._limit = calls
        self._client: Any = None
        self._watch = Watch()
        self._calls = 0
        self._slots = asyncio.Semaphore(calls)
        self._closed = False
        self._idle = asyncio.Event()
        self._pinging = ThreadPoolExecutor(1, "ping of MongoDB")

    def check_open(self) -> None:
        if self._closed:
            raise Unavailable(f"the connection to {self.server} is closed")

    @contextlib.asynccontextmanager
    async def call(self) -> AsyncIterator[Database]:
        """Work on the database, as one of so many; closing waits until it is done.

        What the driver raises becomes ours. While no server answers, whoever waits for a turn is told so at once.
        """
        self.check_open()
        self._calls += 1
        try:
            async with self._slots:
                if self._watch.away:
                    raise Unavailable(f"{self.server} is away")
                yield self._connected().get_database(
                    self._name, read_concern=ReadConcern("majority"), write_concern=WriteConcern(w="majority", j=True)
                )
        except errors.PyMongoError as error:
            raise translated(self.server, error) from error
        except (BSONError, OverflowError) as error:
            raise Invalid(f"{self.server} cannot keep such a value") from error
        finally:
            self._calls -= 1
            self._idle.set()

    def _connected(self) -> Any:
        """The client, which begins to connect with its first call."""
        if self._client is None:
            self._client = self._connect()
        return self._client

    def _connect(self) -> Any:
        os.environ.setdefault("MOTOR_MAX_WORKERS", str(SHARING * self._limit))  # read when motor is imported first
        from motor.motor_asyncio import AsyncIOMotorClient

        server = self.server
        options: dict[str, Any] = {
            "appname": "mirage",
            "maxPoolSize": self._limit + 1,
            "serverSelectionTimeoutMS": SELECTION * 1000,
            "connectTimeoutMS": SILENCE * 1000,
            "heartbeatFrequencyMS": HEARTBEAT * 1000,
            "socketTimeoutMS": PATIENCE * 1000,
            "event_listeners": [self._watch],
        }
        if server.user:
            options |= {"username": server.user, "password": server.password, "authSource": "admin"}
        if server.context() is not None:
            files = {"tlsCAFile": server.trust.ca, "tlsCertificateKeyFile": server.trust.cert}
            options |= {"tls": True, **{name: path for name, path in files.items() if path}}
        return AsyncIOMotorClient([str(host) for host in server.hosts], **options)

    async def ping(self) -> None:
        """Ask for a sign of life on a thread and a connection of its own, whatever calls there are."""
        self.check_open()
        if self._watch.away:
            raise Unavailable(f"{self.server} is away")
        ask = self._connected().delegate.admin.command
        try:
            await asyncio.get_running_loop().run_in_executor(self._pinging, ask, "ping")
        except errors.PyMongoError as error:
            raise Unavailable(f"{self.server} does not answer") from error

    async def close(self) -> None:
        """Let what was begun end, then end the driver's threads and connections."""
        if self._closed:
            return
        self._closed = True
        try:
            async with asyncio.timeout(CLOSING):
                while self._calls:
                    self._idle.clear()
                    await self._idle.wait()
        except TimeoutError:
            pass
        finally:
            self._pinging.shutdown(wait=False, cancel_futures=True)
            if self._client is not None:
                await asyncio.to_thread(self._client.close)

    def measures(self) -> dict[str, float]:
        watch = self._watch
        return {
            "connections_open": watch.open,
            "connections_in_use": watch.in_use,
            "connections_opened_total": watch.opened,
            "heartbeats_failed_total": watch.silent,
            "calls_in_flight": self._calls,
        }


class Scan:
    """Documents whose ``_id`` is text between two others, in order, read by a cursor as they are asked for.

    A cursor that the server forgot, as it does with one that waits for long, is opened again where it was.
    """

    def __init__(
        self,
        mongo: Mongo,
        collection: str,
        low: str,
        high: str,
        *,
        fields: Sequence[str],
        where: Mapping[str, Any] | None = None,
        batch: int = 100,
    ) -> None:
        self._mongo = mongo
        self._collection = collection
        self._range = {"$gte": low, "$lt": high}
        self._where = where or {}
        self._batch = batch
        self._fields = dict.fromkeys(fields, 1)
        self._cursor: Any = None

    async def take(self, limit: int, size: int = 1 << 62) -> list[dict[str, Any]]:
        """The next documents, at most ``limit`` and little more than ``size`` characters of text; none at the end."""
        async with self._mongo.call() as database:
            try:
                return await self._take(database, limit, size)
            except errors.PyMongoError as error:
                if self._cursor is None or not is_lost_cursor(error):
                    raise
                await self._leave()
                return await self._take(database, limit, size)

    async def _take(self, database: Database, limit: int, size: int) -> list[dict[str, Any]]:
        if self._cursor is None:
            query = {"_id": dict(self._range), **self._where}
            self._cursor = database[self._collection].find(query, self._fields, batch_size=self._batch).sort("_id", 1)
        taken: list[dict[str, Any]] = []
        read = 0
        while len(taken) < limit and read < size:
            try:
                found = await anext(self._cursor)
            except StopAsyncIteration:
                break
            taken.append(found)
            read += sum(len(value) for value in found.values() if isinstance(value, str))
        if taken:
            self._range = {"$gt": taken[-1]["_id"], "$lt": self._range["$lt"]}
        return taken

    async def _leave(self) -> None:
        cursor, self._cursor = self._cursor, None
        with contextlib.suppress(errors.PyMongoError):
            await cursor.close()

    async def close(self) -> None:
        """Let the server forget the cursor."""
        if self._cursor is not None:
            with contextlib.suppress(Unavailable):
                async with self._mongo.call():
                    await self._leave()


async def insert_new(collection: Collection, documents: Sequence[Mapping[str, Any]]) -> set[Any]:
    """Insert those of ``documents`` whose ``_id`` is not there yet; return the ``_id`` of the others."""
    there: set[Any] = set()
    for piece in pieces(documents):
        try:
            await collection.insert_many(piece, ordered=False)
        except errors.BulkWriteError as error:
            told = error.details["writeErrors"]
            if error.details["writeConcernErrors"] or any(each["code"] != DUPLICATE for each in told):
                raise
            there.update(piece[each["index"]]["_id"] for each in told)
    return there


async def insert_one(collection: Collection, document: Mapping[str, Any]) -> bool:
    """Insert ``document`` unless its ``_id`` is there; say whether it was not."""
    try:
        await collection.insert_one(document)
    except errors.DuplicateKeyError:
        return False
    return True


async def put_all(collection: Collection, documents: Sequence[Mapping[str, Any]]) -> None:
    """Insert ``documents`` or set the same fields in those that are there; each ``_id`` once.

    Not by upserts: of two at once one may fail, on FerretDB in a way that the driver cannot read.
    """
    for piece in pieces(documents):
        left: Sequence[Mapping[str, Any]] = piece
        while left:
            there = await insert_new(collection, left)
            sets = [
                UpdateMany({"_id": document["_id"]}, {"$set": {k: v for k, v in document.items() if k != "_id"}})
                for document in left
                if document["_id"] in there
            ]
            matched = (await collection.bulk_write(sets, ordered=False)).matched_count if sets else 0
            # Were some deleted meanwhile, nobody says which.
            left = [document for document in left if document["_id"] in there] if matched < len(sets) else ()


def is_lost_cursor(error: errors.PyMongoError) -> bool:
    return isinstance(error, errors.CursorNotFound) or getattr(error, "code", None) == CURSOR_LOST


def pieces(documents: Sequence[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    """Cut ``documents`` so that what is sent at once stays within memory."""
    cut: list[list[Mapping[str, Any]]] = []
    room = 0
    for document in documents:
        size = sum(len(value) for value in document.values() if isinstance(value, str | bytes))
        size += sum(len(value) for value in document.get("blobs", {}).values())
        if not cut or size > room or len(cut[-1]) == 1000:
            cut.append([])
            room = SENT_BYTES
        cut[-1].append(document)
        room -= size
    return cut


def translated(server: Server, error: errors.PyMongoError) -> MirageError:
    """What an error of the driver means to us; its text may quote documents, so that of it only the code is told."""
    codes = codes_of(error)
    told = f" ({', '.join(map(str, sorted(codes)))})" if codes else ""
    if isinstance(error, errors.BulkWriteError | errors.OperationFailure):
        return _refused(server, error, codes, told)
    if isinstance(error, errors.DocumentTooLarge):
        return Invalid(f"{server} cannot keep such a document")
    if isinstance(error, errors.ConnectionFailure | errors.InvalidOperation | errors.WaitQueueTimeoutError):
        return _away(server, error)
    if isinstance(error, errors.ConfigurationError):
        if "wire version" in str(error):
            return Incompatible(f"{server} is too old or too new for its client")
        return Invalid(f"{server} cannot be reached with what the settings say: {type(error).__name__}")
    return Unavailable(f"{server} failed: {type(error).__name__}{told}")


def _refused(server: Server, error: errors.OperationFailure, codes: set[int], told: str) -> MirageError:
    text = str(error)
    if codes & _DENIED:
        return Denied(f"{server} does not let us in, or not do this{told}")
    if codes & _FULL or "disk is full" in text:
        return Exhausted(f"{server} has no room left{told}")
    if isinstance(error, errors.WTimeoutError | errors.ExecutionTimeout) or any(word in text for word in _BUSY):
        return Unavailable(f"{server} was too busy{told}")
    if error.has_error_label("RetryableWriteError") or (error.details or {}).get("writeConcernErrors"):
        return Unavailable(f"{server} could not make sure that a majority has it{told}")
    if codes & _INVALID:
        return Invalid(f"{server} cannot do this{told}")
    if DUPLICATE in codes:
        return Conflict(f"{server} has such a document already")
    return MirageError(f"{server} failed{told}")


def _away(server: Server, error: errors.PyMongoError) -> MirageError:
    """A login that is refused while connecting comes as a server that is away."""
    if isinstance(error, errors.ServerSelectionTimeoutError) and "uthentication failed" in str(error):
        return Denied(f"{server} does not let us in")
    return Unavailable(f"{server} is away")


def codes_of(error: errors.PyMongoError) -> set[int]:
    code = getattr(error, "code", None)
    details = getattr(error, "details", None) or {}
    told = details.get("writeErrors", []) if isinstance(details, dict) else []
    codes = {each["code"] for each in told} | ({code} if code is not None else set())
    return codes - {65} if told else codes  # 65 says only that there are several
