"""The client of Consul: how it reaches the agent, and what its refusals mean."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from services.kernel.consul import Consul
from services.kernel.errors import Conflict, Denied, Incompatible, Invalid, MirageError, NotFound, Unavailable
from services.kernel.server import SYSTEM, Server, Trust
from tests.collector.fetch.authority import Signer
from tests.servers import running

TOKEN = "1b9a0e6e-8a6c-4b0e-9c55-52c0a7f1d0aa"

OpenClient = Callable[..., Consul]


@pytest.fixture
async def open_client() -> AsyncIterator[OpenClient]:
    opened: list[Consul] = []

    def open_one(url: str, trust: Trust = SYSTEM, **options) -> Consul:
        opened.append(Consul(Server.parse(url, trust=trust), **options))
        return opened[-1]

    yield open_one
    for client in opened:
        await client.close()


@asynccontextmanager
async def answering(raw: bytes) -> AsyncIterator[str]:
    """Something that gives everybody the same answer."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(raw)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"consul://:{TOKEN}@127.0.0.1:{server.sockets[0].getsockname()[1]}"


def says(status: str, body: bytes = b"", *headers: str) -> bytes:
    head = "\r\n".join((f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers))
    return head.encode() + b"\r\n\r\n" + body


@pytest.fixture
def guarded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Signer:
    """A kind of Consul that wants a token, and speaks TLS on its second port with those who have a certificate."""
    (tmp_path / "signed").mkdir()
    signer = Signer(tmp_path / "signed")
    signer.context("localhost")
    pair = str(tmp_path / "signed" / "1.pem")
    plain = running.KINDS["consul"].command

    def command(server: running.Server) -> list[str]:
        line = plain(server)
        file = server.folder / "agent.json"
        config = json.loads(file.read_text())
        config["ports"]["https"], config["ports"]["serf_wan"] = server.ports[3], -1
        config["tls"] = {
            "defaults": {"ca_file": str(signer.file), "cert_file": pair, "key_file": pair},
            "https": {"verify_incoming": True},
        }
        tokens = {"initial_management": TOKEN, "agent": TOKEN}
        config["acl"] = {"enabled": True, "default_policy": "deny", "tokens": tokens}
        file.write_text(json.dumps(config))
        return line

    monkeypatch.setitem(running.KINDS, "consul", msgspec.structs.replace(running.KINDS["consul"], command=command))
    return signer


@pytest.mark.server
async def test_a_token_and_certificates_open_what_is_closed_without_them(
    own_server: Callable[[str], running.Server], guarded: Signer, open_client: OpenClient
) -> None:
    consul = own_server("consul")
    tls = f"localhost:{consul.ports[3]}"
    pair = str(guarded.file.with_name("1.pem"))
    known = open_client(f"consul+tls://:{TOKEN}@{tls}", Trust(str(guarded.file), pair))
    await known.ping()
    assert await known.put("a", b"1")
    _, pairs = await known.read("")
    assert [each.key for each in pairs] == ["a"]
    assert await known.instances("nobody") != (0, [])

    for trust in (Trust(), Trust(ca=str(guarded.file))):
        with pytest.raises(Unavailable, match=f"consul at {tls} does not answer"):
            await open_client(f"consul+tls://:{TOKEN}@{tls}", trust).ping()
    for login in (":wrong-token-of-somebody@", ""):
        stranger = open_client(f"consul://{login}127.0.0.1:{consul.port}")
        with pytest.raises(Denied) as refused:
            await stranger.put("a", b"secret payload")
        assert "wrong-token" not in str(refused.value)
        assert "payload" not in str(refused.value)


@pytest.mark.server
async def test_the_environment_overrules_nothing(
    consul_url: str, open_client: OpenClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "CONSUL_HTTP_ADDR": "nonsense",
        "CONSUL_HTTP_TOKEN": "another",
        "CONSUL_HTTP_SSL": "true",
        "CONSUL_HTTP_SSL_VERIFY": "false",
        "http_proxy": "http://127.0.0.1:1",
    }.items():
        monkeypatch.setenv(name, value)
    await open_client(consul_url).ping()


@pytest.mark.server
async def test_calls_share_a_connection(consul_url: str, open_client: OpenClient) -> None:
    client = open_client(consul_url)
    made: list[object] = []
    await client.ping()
    connector = client.http._session.connector
    create = connector._create_connection

    async def counted(*args, **options):
        made.append(args)
        return await create(*args, **options)

    connector._create_connection = counted
    for _ in range(10):
        await client.ping()
        await client.read("")
    assert made == []


@pytest.mark.server
async def test_calls_work_on_after_the_agent_was_restarted(
    own_server: Callable[[str], running.Server], open_client: OpenClient
) -> None:
    consul = own_server("consul")
    client = open_client(consul.url)
    assert await client.put("a", b"1")
    consul.kill()
    with pytest.raises(Unavailable):
        await client.get("a")
    consul.start()
    _, pair = await client.get("a")
    assert pair is not None
    assert pair.value == b"1"


@pytest.mark.server
async def test_what_consul_refuses_is_said_as_what_it_is(consul_url: str, open_client: OpenClient) -> None:
    client = open_client(consul_url)
    with pytest.raises(Invalid, match="too large"):
        await client.put("big", bytes(600_000))
    with pytest.raises(NotFound):
        await client.renew_session("b4c0cbd0-0000-0000-0000-000000000000")
    with pytest.raises(Unavailable, match="invalid session"):
        await client.put("a", b"", acquire="b4c0cbd0-0000-0000-0000-000000000000")
    with pytest.raises(Invalid, match="Service Meta"):
        await client.register("t", "t-1", "", 0, {"a b": ""}, {"TTL": "10s"})
    with pytest.raises(Conflict):
        await client.change({f"{client.server.path}/not/there": None, f"{client.server.path}/": b"", "": b""})


@pytest.mark.parametrize(
    ("raw", "error"),
    [
        (says("200 OK", b"<html>"), Incompatible),
        (says("200 OK", b"[]"), Incompatible),
        (says("200 OK", b'[{"Key": 1}]', "X-Consul-Index: 1"), Incompatible),
        (says("200 OK", b"[7]", "X-Consul-Index: 1"), Incompatible),
        (says("200 OK", b"[]", "X-Consul-Index: x"), Incompatible),
        (says("404 Not Found", b"nobody"), Incompatible),
        (says("301 Moved Permanently", b"", "Location: /elsewhere"), Invalid),
        (says("400 Bad Request", b"Invalid thing"), Invalid),
        (says("403 Forbidden", b"Permission denied"), Denied),
        (says("429 Too Many Requests"), Unavailable),
        (says("500 Internal Server Error", b"No cluster leader"), Unavailable),
        (says("503 Service Unavailable"), Unavailable),
        (b"", Unavailable),
        (b"SSH-2.0-OpenSSH_9.2\r\n", Unavailable),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n[", Unavailable),
    ],
)
async def test_whatever_answers_is_one_of_our_errors(raw: bytes, error: type[MirageError], open_client) -> None:
    async with answering(raw) as url:
        client = open_client(url)
        with pytest.raises(error) as raised:
            await client.read("a")
        assert TOKEN not in str(raised.value)
        with pytest.raises(MirageError):
            await client.instances("a")
        await client.close()


async def test_who_waits_for_news_or_may_ask_once_only_is_told_that_the_connection_was_lost(
    open_client: OpenClient,
) -> None:
    came: list[bytes] = []

    async def drop(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.append(await reader.readuntil(b"\r\n\r\n"))
        writer.close()

    server = await asyncio.start_server(drop, "127.0.0.1", 0)
    async with server:
        client = open_client(f"consul://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        for call in (
            client.read("a", 5),
            client.instances("a", 5),
            client.put("a", b"", cas=5),
            client.open_session("a", 1),
        ):
            with pytest.raises(Unavailable):
                await call
        assert len(came) == 4
        await client.close()


async def test_whoever_hangs_is_left_and_calls_after_closing_are_refused(open_client: OpenClient) -> None:
    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(hang, "127.0.0.1", 0)
    async with server:
        client = open_client(f"consul://127.0.0.1:{server.sockets[0].getsockname()[1]}", seconds=0.1)
        with pytest.raises(Unavailable, match="did not answer within"):
            await client.ping()
        await client.close()
        await client.close()
        with pytest.raises(Unavailable, match="closed"):
            await client.ping()


@pytest.mark.parametrize("url", ["consul://a,b", "consul://token@a", "consul://:a%0Ab@a", "consul://:%C3%A9@a"])
def test_a_url_that_cannot_be_meant_is_refused(url: str) -> None:
    with pytest.raises(Invalid) as refused:
        Consul(Server.parse(url))
    assert "token@" not in str(refused.value)
