"""Which adapter a port has is said by its setting, and by nothing else."""

import stat
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from services.kernel.adapters import IN_PROCESS, KINDS, Adapters
from services.kernel.errors import Corrupt, Invalid
from services.kernel.folder import MASTER_KEY, Folder
from services.kernel.seal import make_key
from services.kernel.service import Service
from services.kernel.settings import Settings

Open = Callable[..., Any]
SERVERS = {
    "sql": "PostgresSql",
    "bus": "JetStreamBus",
    "documents": "MongoDocuments",
    "blobs": "MongoBlobs",
    "search": "ElasticsearchSearch",
    "graph": "Neo4jGraph",
    "cache": "RedisCache",
    "directory": "ConsulDirectory",
    "values": "ConsulValues",
    "locks": "ConsulLocks",
    "scheduler": "Nomad",
}
EMBEDDED = {
    "sql": "SqliteSql",
    "bus": "SqliteBus",
    "documents": "SqliteDocuments",
    "blobs": "SegmentBlobs",
    "search": "FtsSearch",
    "graph": "SqliteGraph",
    "cache": "SqliteCache",
    "directory": "LocalDirectory",
    "values": "LocalValues",
    "locks": "LocalLocks",
}


def service(*needs: str) -> Service:
    return Service(name="tester", summary="Tests.", needs=needs)


def url(port: str, kind: str = "") -> str:
    return f"{kind or KINDS[port]}://user:word@127.0.0.1:1/place".replace("user:", ":" if kind == "consul" else "user:")


@pytest.fixture
async def open_port(tmp_path: Path) -> AsyncIterator[Open]:
    opened: list[Any] = []

    def open_one(port: str, **settings: Any) -> Any:
        made = Adapters(Settings(data=str(tmp_path), **settings), Folder(tmp_path)).open(port, service(port))
        opened.append(made)
        return made

    yield open_one
    for each in opened:
        await each.close()


def test_every_port_that_has_servers_is_tested() -> None:
    assert SERVERS.keys() == KINDS.keys()


@pytest.mark.parametrize(("port", "name"), SERVERS.items())
async def test_the_server_that_a_setting_names_is_the_ports(open_port: Open, port: str, name: str) -> None:
    assert type(open_port(port, **{port: url(port)})).__name__ == name


@pytest.mark.parametrize(
    ("port", "held"),
    [
        ("sql", lambda sql: sql._connections._limit),
        ("documents", lambda documents: documents._mongo._limit),
        ("blobs", lambda blobs: blobs._mongo._limit),
        ("search", lambda search: search._connection._client.transport.node_pool.all()[0].config.connections_per_node),
        ("graph", lambda graph: graph.measures()["pool_size"]),
        ("cache", lambda cache: cache._pool.max_connections),
    ],
)
async def test_one_number_says_how_many_connections_a_port_has(
    open_port: Open, port: str, held: Callable[[Any], int]
) -> None:
    assert held(open_port(port, connections=3, **{port: url(port)})) == 3


@pytest.mark.parametrize(("port", "name"), EMBEDDED.items())
async def test_without_a_server_it_is_a_file_of_the_data_folder_or_this_process(
    open_port: Open, port: str, name: str
) -> None:
    assert type(open_port(port)).__name__ == name


async def test_without_a_scheduler_there_is_none(open_port: Open) -> None:
    with pytest.raises(Invalid, match="the service tester needs a scheduler \\(MIRAGE_SCHEDULER\\)"):
        open_port("scheduler")


@pytest.mark.parametrize("port", KINDS)
async def test_a_server_of_another_kind_is_refused_and_its_password_not_said(open_port: Open, port: str) -> None:
    other = next(kind for kind in KINDS.values() if kind != KINDS[port])
    with pytest.raises(Invalid, match=f"does not say which server is meant \\({KINDS[port]}://") as refused:
        open_port(port, **{port: f"{other}://user:hunter2@127.0.0.1:1/place"})
    assert "hunter2" not in str(refused.value)


async def test_a_port_that_there_is_not_is_refused(open_port: Open) -> None:
    with pytest.raises(Invalid, match="tester needs crystal_ball, and there is no such port"):
        open_port("crystal_ball")


async def test_certificates_that_cannot_be_read_are_named(open_port: Open, tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="TLS cannot be set up"):
        await open_port("bus", bus="nats+tls://127.0.0.1:1", tls_ca=str(tmp_path / "missing")).ping()


@pytest.mark.parametrize("port", sorted(KINDS.keys() - IN_PROCESS))
def test_who_keeps_something_here_needs_the_data_folder_and_nobody_else(tmp_path: Path, port: str) -> None:
    def needs(*ports: str, **settings: str) -> bool:
        return Adapters(Settings(data=str(tmp_path), **settings), Folder(tmp_path)).need_folder((service(*ports),))

    assert needs(port)
    assert not needs(port, **{port: url(port)})
    assert not needs(*IN_PROCESS, "egress")
    assert needs("seal")
    assert not needs("seal", master_key=make_key())


async def test_what_is_sealed_under_the_key_of_the_settings_is_not_sealed_under_that_of_the_folder(
    tmp_path: Path,
) -> None:
    kept = Settings(data=str(tmp_path))
    given = structs.replace(kept, master_key=make_key())
    folder, server = (Adapters(each, Folder(tmp_path)).open("seal", service("seal")) for each in (kept, given))
    sealed = server.seal("key", "word")
    assert server.open("key", sealed) == "word"
    with pytest.raises(Corrupt):
        folder.open("key", sealed)
    assert stat.S_IMODE((tmp_path / MASTER_KEY).stat().st_mode) == 0o600
