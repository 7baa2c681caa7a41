"""What the contract tests of the ports share: every adapter of a port, opened as often as a test likes, and a death.

A port's fixture ``open_<port>`` returns a function that opens one more adapter on the same data; ``<port>`` is the
first of them. Both run once for each adapter there is.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from uuid import uuid4

import pytest
from msgspec import json as codec
from msgspec import structs
from pymongo import MongoClient

from services.kernel.blobs import Blobs
from services.kernel.blobs.mongo import MongoBlobs
from services.kernel.blobs.segments import SegmentBlobs
from services.kernel.bus import Bus, Consumer, Delivery, Stream, sqlite_queue
from services.kernel.bus.jetstream import JetStreamBus
from services.kernel.bus.sqlite import SqliteBus
from services.kernel.cache import Cache
from services.kernel.cache.memory import MemoryCache
from services.kernel.cache.sqlite import SqliteCache
from services.kernel.directory import Directory
from services.kernel.directory.consul import ConsulDirectory
from services.kernel.directory.local import LocalDirectory
from services.kernel.directory.registration import Check
from services.kernel.documents import Documents
from services.kernel.documents.mongo import MongoDocuments
from services.kernel.documents.sqlite import SqliteDocuments
from services.kernel.graph import Graph
from services.kernel.graph.neo4j import Neo4jGraph
from services.kernel.graph.sqlite import SqliteGraph
from services.kernel.locks import Locks
from services.kernel.locks.consul import ConsulLocks
from services.kernel.locks.local import LocalLocks
from services.kernel.search import Search
from services.kernel.search.fts import FtsSearch
from services.kernel.server import Server
from services.kernel.sql import Sql
from services.kernel.sql.postgres import PostgresSql
from services.kernel.sql.sqlite import SqliteSql
from services.kernel.values import Values
from services.kernel.values.consul import ConsulValues
from services.kernel.values.local import LocalValues
from tests.conftest import Forward
from tests.servers.databases import MakeDatabase
from tests.servers.plugin import require
from tests.servers.running import KINDS, Kind, Stable
from tests.servers.running import Server as Running

ROOT = Path(__file__).parents[2]

OpenBus = Callable[[], Bus]
PassTime = Callable[[float], Awaitable[None]]
OpenBlobs = Callable[[], Blobs]
OpenDocuments = Callable[[], Documents]
OpenSearch = Callable[[], Search]
OpenValues = Callable[[], Values]
OpenGraph = Callable[[], Graph]
OpenLocks = Callable[[], Locks]


class OpenSql:
    """Opens one more adapter on the same database: the server's, or a file's."""

    def __init__(self, path: Path, server: Server | None) -> None:
        self.server = server
        self._path = path
        self._opened: list[Sql] = []

    def __call__(self) -> Sql:
        sql = SqliteSql(self._path, strict=True) if self.server is None else PostgresSql(self.server)
        self._opened.append(sql)
        return sql

    @property
    def code(self) -> str:
        """What a script says to open it as ``sql``."""
        if self.server is None:
            return f"from services.kernel.sql.sqlite import SqliteSql\nsql = SqliteSql({str(self._path)!r})\n"
        url = f"postgresql://{self.server.user}@{self.server.address}/{self.server.path}"
        return (
            "from services.kernel.server import Server\nfrom services.kernel.sql.postgres import PostgresSql\n"
            f"sql = PostgresSql(Server.parse({url!r}))\n"
        )

    async def close(self) -> None:
        for sql in self._opened:
            await sql.close()


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self, now: float = 1_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.server)])
async def open_sql(
    request: pytest.FixtureRequest, tmp_path: Path, make_database: MakeDatabase
) -> AsyncIterator[OpenSql]:
    server = await make_database() if request.param == "postgres" else None
    opener = OpenSql(tmp_path / "data" / "test.db", server)
    yield opener
    await opener.close()


@pytest.fixture
def sql(open_sql: OpenSql) -> Sql:
    return open_sql()


#: How much faster time passes on a bus whose clock is the server's: what a test waits for is as much shorter.
FASTER = 50.0


class HastyBus(JetStreamBus):
    """JetStream on which a second is `FASTER` times shorter, since nobody can put the server's clock forward.

    An ``ack_wait`` that no test waits for is as long as ever: a busy machine must not make it pass.
    """

    async def declare(self, streams: Sequence[Stream], consumers: Sequence[Consumer]) -> None:
        hasty = [structs.replace(each, ack_wait=each.ack_wait / FASTER) for each in consumers if each.ack_wait < 30]
        others = [each for each in consumers if each.ack_wait >= 30]
        await super().declare(streams, [*hasty, *others])

    async def nak(self, deliveries: Sequence[Delivery], delay: float) -> None:
        await super().nak(deliveries, delay / FASTER)


@pytest.fixture(params=["sqlite", pytest.param("jetstream", marks=pytest.mark.server)])
def bus_kind(request: pytest.FixtureRequest) -> str:
    kind: str = request.param
    return kind


@pytest.fixture(scope="session")
def nats_accounts(stable: Stable) -> Iterator[Iterator[str]]:
    """Accounts of a server for one worker, by their URLs: none sees the streams of another.

    An account is used once: a stream that is made anew as soon as it was deleted may have its old messages again.
    """
    require("nats")
    users = [f"account{number}" for number in range(500)]
    accounts = {user: {"jetstream": "enabled", "users": [{"user": user, "password": "secret"}]} for user in users}
    server = stable.own(configured({"accounts": accounts}))
    yield iter([server.url.replace("//", f"//{user}:secret@") for user in users])
    stable.give_back(server)


def configured(settings: Mapping[str, object]) -> Kind:
    """A NATS server with settings beside those that a test needs; its configuration may be JSON."""
    nats = KINDS["nats"]

    def command(server: Running) -> list[str]:
        file = server.folder / "nats.conf"
        file.write_text(json.dumps(settings))
        return [*nats.command(server), "-c", str(file)]

    return structs.replace(nats, command=command)


@pytest.fixture
def nats_url(request: pytest.FixtureRequest, bus_kind: str) -> str:
    return next(request.getfixturevalue("nats_accounts")) if bus_kind == "jetstream" else ""


@pytest.fixture
async def open_bus(nats_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[OpenBus]:
    """At most one bus is open at a time: one process owns a data folder."""
    monkeypatch.setattr(sqlite_queue, "SWEEP_SECONDS", 0)
    opened: list[Bus] = []

    def open_one() -> Bus:
        opened.append(HastyBus(Server.parse(nats_url)) if nats_url else SqliteBus(tmp_path / "data" / "bus.db"))
        return opened[-1]

    yield open_one
    for bus in opened:
        await bus.close()


@pytest.fixture
def opens_bus(nats_url: str) -> str:
    """As `open_bus`, for a script in ``tmp_path``."""
    return f"JetStreamBus(Server.parse({nats_url!r}))" if nats_url else "SqliteBus('data/bus.db')"


@pytest.fixture
def pass_time(bus_kind: str, forward: Forward) -> PassTime:
    """Let so many seconds pass on the bus; what waits for them goes on."""

    async def pass_seconds(seconds: float) -> None:
        if bus_kind == "jetstream":
            await asyncio.sleep(seconds / FASTER)
        else:
            forward(seconds)

    return pass_seconds


@pytest.fixture
def bus(open_bus: OpenBus) -> Bus:
    return open_bus()


@pytest.fixture(params=["segments", pytest.param("mongo", marks=pytest.mark.server)])
async def open_blobs(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[OpenBlobs]:
    """At most one is open at a time: one process owns a data folder."""
    opened: list[Blobs] = []
    server = request.getfixturevalue("mongo_database") if request.param == "mongo" else None

    def open_one() -> Blobs:
        opened.append(MongoBlobs(server) if server else SegmentBlobs(tmp_path / "data" / "evidence"))
        return opened[-1]

    yield open_one
    for blobs in opened:
        await blobs.close()


@pytest.fixture
def blobs_source(request: pytest.FixtureRequest, open_blobs: OpenBlobs) -> str:
    """An expression that opens one more in another process."""
    if request.node.callspec.params["open_blobs"] == "mongo":
        return f"MongoBlobs(Server.parse({url_of(request.getfixturevalue('mongo_database'))!r}))"
    return "SegmentBlobs('data/evidence')"


@pytest.fixture
def blobs(open_blobs: OpenBlobs) -> Blobs:
    return open_blobs()


@pytest.fixture(params=["memory", "sqlite", pytest.param("redis", marks=pytest.mark.server)])
async def cache(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Cache]:
    opened: Cache
    if request.param == "redis":
        from services.kernel.cache.redis import RedisCache

        url = request.getfixturevalue("shared_server")("redis").url
        opened = RedisCache(Server.parse(f"{url}/test-{uuid4().hex}"))
    else:
        opened = MemoryCache() if request.param == "memory" else SqliteCache(tmp_path / "data" / "cache.db")
    yield opened
    await opened.close()


@pytest.fixture(params=["local", pytest.param("consul", marks=pytest.mark.server)])
async def directory(request: pytest.FixtureRequest) -> AsyncIterator[Directory]:
    if request.param == "local":
        opened: Directory = LocalDirectory()
        yield opened
        await opened.close()
        return
    url = request.getfixturevalue("consul_url")
    # Nobody listens where the tests say that their instances do: no check may come round while they run.
    opened = ConsulDirectory(Server.parse(url), check=Check(interval=1e6))
    yield opened
    await opened.close()


@pytest.fixture(params=["local", pytest.param("consul", marks=pytest.mark.server)])
async def open_values(request: pytest.FixtureRequest) -> AsyncIterator[OpenValues]:
    """In one process there is one for all."""
    url = request.getfixturevalue("consul_url") if request.param == "consul" else ""
    opened: list[Values] = []

    def open_one() -> Values:
        if url:
            opened.append(ConsulValues(Server.parse(url)))
        elif not opened:
            opened.append(LocalValues())
        return opened[-1]

    yield open_one
    for values in opened:
        await values.close()


@pytest.fixture
def values(open_values: OpenValues) -> Values:
    return open_values()


@pytest.fixture(params=["local", pytest.param("consul", marks=pytest.mark.server)])
async def open_locks(request: pytest.FixtureRequest) -> AsyncIterator[OpenLocks]:
    """In one process there is one for all."""
    url = request.getfixturevalue("consul_url") if request.param == "consul" else ""
    opened: list[Locks] = []

    def open_one() -> Locks:
        if url:
            opened.append(ConsulLocks(Server.parse(url)))
        elif not opened:
            opened.append(LocalLocks())
        return opened[-1]

    yield open_one
    for locks in opened:
        await locks.close()


@pytest.fixture
def locks(open_locks: OpenLocks) -> Locks:
    return open_locks()


@pytest.fixture
def consul_url(shared_server: Callable[[str], Running]) -> Iterator[str]:
    """The shared Consul, below a name of this test's own; what the test leaves there is removed."""
    running, own = shared_server("consul"), f"t{uuid4().hex[:12]}"
    yield f"{running.url}/{own}"
    with urllib.request.urlopen(asked(running, "/v1/agent/services")) as answer:
        left = [each for each in codec.decode(answer.read(), type=dict[str, object]) if each.startswith(own)]
    for path in (*(f"/v1/agent/service/deregister/{each}" for each in left), f"/v1/kv/{own}/?recurse"):
        urllib.request.urlopen(asked(running, path, "DELETE" if "/kv/" in path else "PUT")).close()


def asked(running: Running, path: str, method: str = "GET") -> urllib.request.Request:
    return urllib.request.Request(f"http://127.0.0.1:{running.port}{path}", method=method)


@pytest.fixture
def mongo_database(shared_server: Callable[[str], Running]) -> Iterator[Server]:
    """A database for one test on the server that all share."""
    server = Server.parse(f"{shared_server('mongodb').url}/test_{uuid4().hex}")
    yield server
    with MongoClient(server.address) as client:
        client.drop_database(server.path)


@pytest.fixture(params=["sqlite", pytest.param("mongo", marks=pytest.mark.server)])
async def open_documents(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[OpenDocuments]:
    opened: list[Documents] = []
    server = request.getfixturevalue("mongo_database") if request.param == "mongo" else None

    def open_one() -> Documents:
        opened.append(MongoDocuments(server) if server else SqliteDocuments(tmp_path / "data" / "documents.db"))
        return opened[-1]

    yield open_one
    for documents in opened:
        await documents.close()


@pytest.fixture
def documents_source(request: pytest.FixtureRequest, open_documents: OpenDocuments) -> str:
    """An expression that opens one more in another process."""
    if request.node.callspec.params["open_documents"] == "mongo":
        return f"MongoDocuments(Server.parse({url_of(request.getfixturevalue('mongo_database'))!r}))"
    return "SqliteDocuments('data/documents.db')"


def url_of(server: Server) -> str:
    return f"{server.kind}://{server.address}/{server.path}"


@pytest.fixture
def documents(open_documents: OpenDocuments) -> Documents:
    return open_documents()


@pytest.fixture(params=["fts", pytest.param("elasticsearch", marks=pytest.mark.server)])
def search_place(request: pytest.FixtureRequest) -> str:
    """The URL of the server, or nothing for the adapter in the data folder."""
    if request.param == "fts":
        return ""
    return f"{request.getfixturevalue('shared_server')('elasticsearch').url}/test-{uuid4().hex}"


@pytest.fixture
async def open_search(search_place: str, tmp_path: Path) -> AsyncIterator[OpenSearch]:
    from services.kernel.search.elastic import ElasticsearchSearch

    opened: list[Search] = []

    def open_one() -> Search:
        server = Server.parse(search_place) if search_place else None
        opened.append(ElasticsearchSearch(server) if server else FtsSearch(tmp_path / "data" / "search.db"))
        return opened[-1]

    yield open_one
    for search in opened:
        await search.close()
    if search_place:
        await drop_indexes(Server.parse(search_place))


async def drop_indexes(server: Server) -> None:
    """Leave no index of a test behind: a server has a limited number of them."""
    from elasticsearch import AsyncElasticsearch

    async with AsyncElasticsearch(f"http://{server.address}") as client:
        for name in await client.indices.get(index=f"{server.path}-*"):
            await client.indices.delete(index=name)


@pytest.fixture
def search(open_search: OpenSearch) -> Search:
    return open_search()


@pytest.fixture(params=["sqlite", pytest.param("neo4j", marks=pytest.mark.server)])
async def open_graph(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[OpenGraph]:
    """Every test has workspaces of its own: a server has one database."""
    opened: list[Graph] = []
    url = request.getfixturevalue("shared_server")("neo4j").url if request.param == "neo4j" else ""

    def open_one() -> Graph:
        path = tmp_path / "data" / "graph.db"
        opened.append(Neo4jGraph(Server.parse(url), pool=4) if url else SqliteGraph(path))
        return opened[-1]

    yield open_one
    for graph in opened:
        await graph.close()


@pytest.fixture
def kill_when_ready(tmp_path: Path) -> Iterator[Callable[[str], None]]:
    """Run a script in a process of its own in ``tmp_path`` and kill it (-9) as soon as it prints ``ready``."""
    children: list[subprocess.Popen[str]] = []

    def run(script: str) -> None:
        child = subprocess.Popen(
            [sys.executable, "-c", script],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            text=True,
        )
        children.append(child)
        assert child.stdout is not None
        with child.stdout as lines:
            assert lines.readline() == "ready\n"
            child.send_signal(signal.SIGKILL)
            child.wait()

    yield run
    for child in children:
        if child.poll() is None:
            child.kill()
            child.wait()
