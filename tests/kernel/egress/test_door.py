import asyncio
import os
import resource
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_network

import msgspec
import pytest
import structlog

from services.kernel.egress import (
    DialTable,
    Direct,
    Egress,
    EgressError,
    Forbidden,
    Guard,
    Proxy,
    Refused,
    TimedOut,
    TlsFailed,
    TooMuch,
    Unreachable,
)
from services.kernel.errors import Unavailable

LOOPBACK = Guard([ip_network("127.0.0.0/8"), ip_network("::1/128")])


def table(*entries: tuple[str, str, int, str, int]) -> DialTable:
    fields = ("network", "transport", "port", "address", "to_port")
    rows = [dict(zip(fields, entry, strict=True)) for entry in entries]
    return DialTable.decode(msgspec.json.encode({"version": 1, "entries": rows}))


async def greet(reader, writer) -> None:
    writer.write(b"hello " + await reader.readline())
    await writer.drain()


async def never(reader, writer) -> None:
    await reader.read()


async def talk(egress: Egress, address: str, port: int, **how) -> bytes:
    reader, writer = await egress.open(address, port, timeout=5, **how)
    try:
        writer.write(b"there\n")
        return await reader.read()
    finally:
        writer.close()
        await writer.wait_closed()


@pytest.fixture
def closed_port() -> int:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return unused.getsockname()[1]


# The guard at the wire


async def test_what_the_guard_refuses_is_never_dialled_and_logged(serve) -> None:
    connected = []

    async def note(reader, writer) -> None:
        connected.append(1)

    port = await serve(note)
    egress = Egress(Guard())
    with structlog.testing.capture_logs() as logged:
        for address in ("127.0.0.1", "::ffff:127.0.0.1", "localhost", "::1"):
            with pytest.raises(Forbidden):
                await egress.open(address, port, timeout=1)
            with pytest.raises(Forbidden):
                await egress.datagram(asyncio.DatagramProtocol, address, port)
    assert not connected
    assert [line["event"] for line in logged] == ["refused to dial"] * 8


async def test_the_scan_s_guard_takes_the_place_of_the_process_s(serve) -> None:
    port = await serve(greet)
    assert await talk(Egress(Guard()), "127.0.0.1", port, allow=LOOPBACK) == b"hello there\n"
    with pytest.raises(Forbidden):
        await talk(Egress(LOOPBACK), "127.0.0.1", port, allow=Guard())


async def test_what_the_operator_configured_passes_the_guard_but_stays_an_address(serve) -> None:
    port = await serve(greet)
    assert await talk(Egress(Guard()), "127.0.0.1", port, exempt=True) == b"hello there\n"
    with pytest.raises(Forbidden):
        await talk(Egress(Guard()), "localhost", port, exempt=True)


async def test_ipv6_is_dialled_too(serve) -> None:
    port = await serve(greet, host="::1")
    assert await talk(Egress(LOOPBACK), "::1", port) == b"hello there\n"


# The dial table


async def test_a_logical_address_is_dialled_where_it_really_is(serve) -> None:
    port = await serve(greet, host="127.0.2.5")
    egress = Egress(Guard(), table(("192.0.2.0/24", "tcp", 80, "127.0.2.0", port)))
    assert await talk(egress, "192.0.2.5", 80) == b"hello there\n"


async def test_the_guard_judges_the_logical_address(serve) -> None:
    port = await serve(greet)
    egress = Egress(Guard(), table(("10.0.0.1", "tcp", 80, "127.0.0.1", port)))
    with pytest.raises(Forbidden):
        await talk(egress, "10.0.0.1", 80)


async def test_nothing_outside_the_table_is_dialled(serve) -> None:
    port = await serve(greet)
    egress = Egress(LOOPBACK, table(("192.0.2.1", "tcp", 80, "127.0.0.1", port)))
    for how in ({}, {"exempt": True}):
        with pytest.raises(Unreachable):
            await talk(egress, "203.0.113.1", 80, **how)
        with pytest.raises(Refused):
            await talk(egress, "192.0.2.1", 81, **how)
    with pytest.raises(Unreachable):
        await talk(egress, "127.0.0.1", port)


async def test_the_operator_s_address_may_be_the_real_side_of_the_table(serve) -> None:
    port = await serve(greet)
    egress = Egress(Guard(), table(("192.0.2.1", "tcp", 80, "127.0.0.1", port)))
    assert await talk(egress, "127.0.0.1", port, exempt=True) == b"hello there\n"
    assert await talk(egress, "192.0.2.1", 80, exempt=True) == b"hello there\n"
    with pytest.raises(Unreachable):
        await talk(egress, "127.0.0.2", port, exempt=True)


# What can go wrong


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
async def test_a_closed_port_refuses(closed_port: int, client_tls, *, secure: bool) -> None:
    with pytest.raises(Refused):
        await talk(Egress(LOOPBACK), "127.0.0.1", closed_port, tls=client_tls if secure else None)


async def test_no_route_is_unreachable() -> None:
    with pytest.raises(Unreachable):
        await talk(Egress(Guard([ip_network("255.255.255.255/32")])), "255.255.255.255", 80)


@contextmanager
def no_descriptor_left() -> Iterator[None]:
    """The lowest free descriptor is one too many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.dup(0)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_having_no_descriptor_left_says_nothing_of_the_address(serve) -> None:
    port = await serve(greet)
    egress = Egress(LOOPBACK)
    with no_descriptor_left():
        with pytest.raises(Unavailable):
            await egress.open("127.0.0.1", port, timeout=5)
        with pytest.raises(Unavailable):
            egress.datagram_socket("127.0.0.1", port)
    assert await talk(egress, "127.0.0.1", port) == b"hello there\n"


async def test_a_silent_handshake_takes_no_longer_than_allowed(serve, client_tls) -> None:
    port = await serve(never)
    begun = asyncio.get_running_loop().time()
    with pytest.raises(TimedOut):
        await Egress(LOOPBACK).open("127.0.0.1", port, timeout=0.1, tls=client_tls)
    assert asyncio.get_running_loop().time() - begun < 2


async def test_a_full_backlog_times_out() -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        port = listening.getsockname()[1]
        waiting: list[asyncio.StreamWriter] = []
        with pytest.raises(TimedOut):
            for _ in range(4):
                _, writer = await Egress(LOOPBACK).open("127.0.0.1", port, timeout=0.1)
                waiting.append(writer)
        for writer in waiting:
            writer.close()


# TLS


async def test_tls_verifies_the_name_that_was_asked_for(serve, server_tls, client_tls) -> None:
    port = await serve(greet, tls=server_tls)
    egress = Egress(Guard(), table(("192.0.2.0/30", "tcp", 443, "127.0.0.0", port)))
    how = {"tls": client_tls, "server_hostname": "host.example"}
    assert await talk(egress, "192.0.2.1", 443, **how) == b"hello there\n"
    with pytest.raises(TlsFailed, match="mismatch"):
        await talk(egress, "192.0.2.1", 443, tls=client_tls, server_hostname="other.example")


async def test_without_a_name_the_address_is_verified(serve, server_tls, client_tls) -> None:
    port = await serve(greet, tls=server_tls)
    egress = Egress(Guard(), table(("192.0.2.1", "tcp", 443, "127.0.0.1", port)))
    assert await talk(egress, "192.0.2.1", 443, tls=client_tls) == b"hello there\n"
    with pytest.raises(TlsFailed):
        await talk(Egress(LOOPBACK), "127.0.0.1", port, tls=client_tls)


async def test_an_untrusted_certificate_is_named_as_the_reason(serve, server_tls) -> None:
    port = await serve(greet, tls=server_tls)
    with pytest.raises(TlsFailed) as failure:
        await talk(Egress(LOOPBACK), "127.0.0.1", port, tls=ssl.create_default_context())
    assert "self" in failure.value.reason


async def test_no_server_name_is_sent_when_none_is_wanted(serve, server_tls) -> None:
    names = []
    server_tls.sni_callback = lambda _, name, __: names.append(name)
    port = await serve(greet, tls=server_tls)
    lax = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    lax.check_hostname = False
    lax.verify_mode = ssl.CERT_NONE
    assert await talk(Egress(LOOPBACK), "127.0.0.1", port, tls=lax, server_hostname="") == b"hello there\n"
    assert await talk(Egress(LOOPBACK), "127.0.0.1", port, tls=lax, server_hostname="a.example") == b"hello there\n"
    assert names == [None, "a.example"]


@pytest.mark.parametrize("reply", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"", b"\x15\x03\x01\x00\x02\x02\x28"])
async def test_what_is_not_tls_fails_as_tls(serve, client_tls, reply: bytes) -> None:
    async def answer(reader, writer) -> None:
        await reader.read(1)
        writer.write(reply)

    port = await serve(answer)
    with pytest.raises(TlsFailed):
        await Egress(LOOPBACK).open("127.0.0.1", port, timeout=5, tls=client_tls)


# Datagrams


class Queue(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.heard: asyncio.Queue[tuple[bytes, tuple[str, int]]] = asyncio.Queue()

    def datagram_received(self, data, addr) -> None:
        self.heard.put_nowait((data, addr))


async def test_a_datagram_socket_hears_only_whom_it_dialled() -> None:
    loop = asyncio.get_running_loop()
    server, asked = await loop.create_datagram_endpoint(Queue, ("127.0.0.1", 0))
    forger, _ = await loop.create_datagram_endpoint(Queue, ("127.0.0.1", 0))
    port = server.get_extra_info("sockname")[1]
    egress = Egress(Guard(), table(("192.0.2.53", "udp", 53, "127.0.0.1", port)))
    client, answered = await egress.datagram(Queue, "192.0.2.53", 53)
    try:
        client.sendto(b"question")
        data, where = await asyncio.wait_for(asked.heard.get(), 5)
        assert data == b"question"
        forger.sendto(b"forged", where)
        server.sendto(b"answer", where)
        data, _ = await asyncio.wait_for(answered.heard.get(), 5)
        assert data == b"answer"
        assert answered.heard.empty()
    finally:
        for transport in (server, forger, client):
            transport.close()
        await asyncio.sleep(0)


# The proxy


def proxying(seen: list[bytes], status: bytes = b"200 OK", early: bytes = b"") -> object:
    async def handle(reader, writer) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        seen.append(head)
        writer.write(b"HTTP/1.1 " + status + b"\r\nVia: proxy\r\n\r\n" + early)
        if not status.startswith(b"200"):
            return
        host, _, port = head.split()[1].decode().rpartition(":")
        there, back = await asyncio.open_connection(host.strip("[]"), int(port))

        async def pump() -> None:
            while data := await reader.read(1000):
                back.write(data)

        pumping = asyncio.create_task(pump())
        try:
            while data := await there.read(1000):
                writer.write(data)
        finally:
            pumping.cancel()
            back.close()

    return handle


async def test_the_proxy_is_asked_for_the_checked_address(serve) -> None:
    seen: list[bytes] = []
    behind = await serve(greet)
    front = await serve(proxying(seen))
    egress = Egress(LOOPBACK, proxy=Proxy.parse(f"http://me:s%40cret@127.0.0.1:{front}"))
    assert await talk(egress, "127.0.0.1", behind, via_proxy=True) == b"hello there\n"
    assert seen[0].startswith(f"CONNECT 127.0.0.1:{behind} HTTP/1.1\r\nHost: 127.0.0.1:{behind}\r\n".encode())
    assert b"Proxy-Authorization: Basic bWU6c0BjcmV0\r\n" in seen[0]
    assert await talk(egress, "127.0.0.1", behind) == b"hello there\n"
    assert len(seen) == 1
    with pytest.raises(Forbidden):
        await talk(egress, "10.0.0.1", 80, via_proxy=True)
    assert len(seen) == 1


async def test_tls_goes_through_the_proxy_end_to_end(serve, server_tls, client_tls) -> None:
    behind = await serve(greet, tls=server_tls)
    front = await serve(proxying([]))
    egress = Egress(LOOPBACK, proxy=Proxy("127.0.0.1", front))
    how = {"tls": client_tls, "server_hostname": "host.example", "via_proxy": True}
    assert await talk(egress, "127.0.0.1", behind, **how) == b"hello there\n"


async def test_a_dial_table_holds_for_the_proxy_and_behind_it(serve) -> None:
    seen: list[bytes] = []
    behind = await serve(greet)
    front = await serve(proxying(seen))
    known = table(("192.0.2.1", "tcp", 80, "127.0.0.1", behind), ("192.0.2.9", "tcp", 3128, "127.0.0.1", front))
    for proxy in (Proxy("192.0.2.9", 3128), Proxy("127.0.0.1", front)):
        egress = Egress(Guard(), known, proxy)
        assert await talk(egress, "192.0.2.1", 80, via_proxy=True) == b"hello there\n"
        assert seen[-1].startswith(f"CONNECT 127.0.0.1:{behind} ".encode())
        with pytest.raises(Unreachable):
            await talk(egress, "203.0.113.1", 80, via_proxy=True)
    for proxy in (Proxy("203.0.113.1", 3128), Proxy("localhost", front)):
        with pytest.raises(Unreachable):
            await talk(Egress(Guard(), known, proxy), "192.0.2.1", 80, via_proxy=True)


async def test_what_no_proxy_names_is_reached_directly(serve) -> None:
    seen: list[bytes] = []
    behind = await serve(greet)
    egress = Egress(LOOPBACK, None, Proxy("127.0.0.1", await serve(proxying(seen))), Direct.parse(["example.org"]))
    for host, way, asked in (("api.example.org", "direct", 0), ("api.example.net", "proxy", 1), ("", "proxy", 2)):
        assert await talk(egress, "127.0.0.1", behind, via_proxy=True, host=host) == b"hello there\n"
        assert (egress.way(host, via_proxy=True), len(seen)) == (way, asked)
    assert egress.way("api.example.net", via_proxy=False) == "direct"


@pytest.mark.parametrize(
    ("entries", "direct", "proxied"),
    [
        (("example.org",), ("example.org", "a.b.Example.ORG."), ("badexample.org", "org", "192.0.2.1")),
        ((".example.org",), ("example.org", "www.example.org"), ("example.net",)),
        (("*.example.org",), ("www.example.org",), ("example.net",)),
        (("localhost", "example.net"), ("localhost", "example.net"), ("example.org",)),
        (("*",), ("example.org", "192.0.2.1", "2001:db8::1"), ()),
        (("192.0.2.1", "2001:db8::1"), ("192.0.2.1", "[2001:db8::1]", "2001:db8:0::1"), ("192.0.2.2", "example.org")),
        (("192.0.2.0/24", "2001:db8::/32"), ("192.0.2.200", "2001:db8:9::1"), ("198.51.100.1", "2001:db9::1")),
        ((), (), ("example.org", "192.0.2.1")),
    ],
)
def test_no_proxy_names_hosts_by_name_suffix_address_and_network(
    entries: tuple[str, ...], direct: tuple[str, ...], proxied: tuple[str, ...]
) -> None:
    named = Direct.parse(entries)
    assert [host for host in direct if not named.has(host)] == []
    assert [host for host in proxied if named.has(host)] == []


async def test_a_proxy_given_by_name_is_found(serve) -> None:
    behind = await serve(greet)
    front = await serve(proxying([]))
    egress = Egress(LOOPBACK, proxy=Proxy("localhost", front))
    assert await talk(egress, "127.0.0.1", behind, via_proxy=True) == b"hello there\n"


@pytest.mark.parametrize(
    ("status", "error"),
    [(b"403 No", Unreachable), (b"502 Bad", Unreachable), (b"407 Who", EgressError), (b"", Unreachable)],
)
async def test_a_proxy_that_will_not_is_told_apart(serve, status: bytes, error) -> None:
    front = await serve(proxying([], status))
    egress = Egress(LOOPBACK, proxy=Proxy("127.0.0.1", front))
    with pytest.raises(EgressError) as failure:
        await talk(egress, "127.0.0.1", 1, via_proxy=True)
    assert type(failure.value) is error


async def test_a_proxy_may_not_speak_without_end(serve) -> None:
    async def chatter(reader, writer) -> None:
        while True:
            writer.write(b"X-Header: value\r\n" * 100)
            await writer.drain()

    front = await serve(chatter)
    with pytest.raises(TooMuch):
        await talk(Egress(LOOPBACK, proxy=Proxy("127.0.0.1", front)), "127.0.0.1", 1, via_proxy=True)


async def test_what_a_server_says_first_comes_through_the_proxy(serve, client_tls) -> None:
    behind = await serve(greet)
    front = await serve(proxying([], early=b"220 early "))
    egress = Egress(LOOPBACK, proxy=Proxy("127.0.0.1", front))
    assert await talk(egress, "127.0.0.1", behind, via_proxy=True) == b"220 early hello there\n"
    with pytest.raises(TlsFailed):
        await talk(egress, "127.0.0.1", behind, via_proxy=True, tls=client_tls)


def test_the_proxy_keeps_its_secret() -> None:
    proxy = Proxy.parse("http://me:secret@proxy.example:3128")
    assert "secret" not in repr(proxy)
    assert proxy.authorization not in repr(proxy)
    for url in ("https://proxy.example", "socks5://proxy.example:1080", "http://"):
        with pytest.raises(ValueError, match="http://host:port"):
            Proxy.parse(url)


@pytest.mark.parametrize("url", ["http://me:se/cret@proxy.example:1", "http://me:se℀cret@proxy.example", "http://[se]"])
def test_what_cannot_be_read_as_a_proxy_is_not_shown(url: str) -> None:
    with pytest.raises(ValueError, match=r"^a proxy is written http://host:port$"):
        Proxy.parse(url)
