"""WHOIS, TLS and TCP as a module sees them, against servers that keep no rule."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from services.collector.context import Nameless, Refused, Skipped, Unreachable
from services.collector.fetch import Client
from services.collector.item.exchange import Exchanges
from services.collector.item.permit import Permit
from services.collector.item.sockets import PROBES_AT_ONCE, ItemTcp, ItemTls, ItemWhois
from services.collector.manifest import Manifest
from services.collector.resolve.answer import Addresses, Answer
from services.contracts.plan import Plan
from services.kernel.egress import DialTable, Direct, Egress, EgressError, Guard, Proxy, TimedOut
from services.kernel.egress.dial import Entry
from services.kernel.errors import Unavailable
from tests.collector.fetch.authority import Signer
from tests.collector.workshop import Workshop, manifest, plan, workshop

HERE, WHOIS = "198.51.100.7", "whois.example.org"
IN_SCOPE = plan(includes=["198.51.100.0/24"], excludes=["198.51.100.66"])
Handle = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Resolved:
    """Names and where they lead, in place of a resolver."""

    def __init__(self) -> None:
        self.names: dict[str, list[str]] = {WHOIS: [HERE]}
        self.down = False

    async def addresses(self, name: str) -> list[str]:
        return self.names.get(name, [])

    async def look_up(self, name: str) -> Addresses:
        answer = Answer(name, "A", "timeout", None) if self.down else Answer(name, "A", "nodata", 0)
        return Addresses(name, () if self.down else tuple(await self.addresses(name)), (), (answer,))


class Shore:
    """Listeners on loopback behind logical addresses and ports."""

    def __init__(self, shop: Workshop, ca_file: str) -> None:
        self.shop = shop
        self.resolver: Any = Resolved()
        self._ca_file = ca_file
        self._entries: list[Entry] = []
        self._servers: list[asyncio.Server] = []
        self._tasks: set[asyncio.Task[Any]] = set()
        self.proxy: Proxy | None = None
        self.direct: tuple[str, ...] = ()
        self.probes = asyncio.Semaphore(PROBES_AT_ONCE)

    async def listen(self, port: int, handle: Handle, tls: ssl.SSLContext | None = None, address: str = HERE) -> None:
        async def run(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self._tasks.add(asyncio.current_task())
            try:
                await handle(reader, writer)
            except (OSError, EOFError, asyncio.CancelledError):
                pass
            finally:
                writer.close()

        server = await asyncio.start_server(run, "127.0.0.1", 0, ssl=tls)
        self._servers.append(server)
        self._entries.append(Entry(address, "tcp", port, "127.0.0.1", server.sockets[0].getsockname()[1]))

    def lead_to(self, port: int, real: int) -> None:
        self._entries.append(Entry(HERE, "tcp", port, "127.0.0.1", real))

    async def close(self) -> None:
        for server in self._servers:
            server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for server in self._servers:
            await server.wait_closed()

    def egress(self) -> Egress:
        return Egress(Guard(), DialTable(self._entries), self.proxy, Direct.parse(self.direct))

    async def _item(self, of: Manifest, item: int, planned: Plan, *, offline: bool) -> tuple[Egress, Exchanges, Permit]:
        return self.egress(), await self.shop.exchanges(of, item, offline=offline), Permit(of, planned, 1)

    async def whois(
        self, item: int = 1, planned: Plan | None = None, *, offline: bool = False, **fields: Any
    ) -> ItemWhois:
        source = manifest(hosts=(WHOIS, "*.example.org"), **fields)
        egress, exchanges, permit = await self._item(source, item, planned or plan(), offline=offline)
        return ItemWhois(egress, self.resolver, exchanges, permit)

    async def tls(self, item: int = 1, planned: Plan = IN_SCOPE, *, offline: bool = False) -> ItemTls:
        egress, exchanges, permit = await self._item(manifest("look", "active"), item, planned, offline=offline)
        return ItemTls(Client(egress, self.resolver.addresses, self._ca_file), exchanges, permit)

    async def tcp(self, item: int = 1, planned: Plan = IN_SCOPE, *, offline: bool = False) -> ItemTcp:
        egress, exchanges, permit = await self._item(manifest("look", "active"), item, planned, offline=offline)
        return ItemTcp(egress, exchanges, permit, self.probes)


@pytest.fixture(scope="session")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Signer:
    return Signer(tmp_path_factory.mktemp("signed"))


@pytest.fixture
async def shore(tmp_path: Path, signed: Signer) -> AsyncIterator[Shore]:
    async with workshop(tmp_path) as shop:
        made = Shore(shop, str(signed.file))
        yield made
        await made.close()


def saying(*pieces: bytes, after: float = 0.0, stays: bool = False) -> Handle:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(after)
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        while stays:
            await asyncio.sleep(1)

    return handle


# WHOIS


async def test_a_query_is_one_line_and_the_answer_all_that_comes(shore: Shore) -> None:
    heard: list[bytes] = []

    async def handle(reader, writer) -> None:
        heard.append(await reader.readline())
        writer.write("domain: b\xfccher.example".encode("latin-1"))

    await shore.listen(43, handle)
    live = await (await shore.whois()).ask(WHOIS, "example.org")
    assert heard == [b"example.org\r\n"]
    assert live.text() == "domain: bücher.example"
    offline = await (await shore.whois(offline=True)).ask(WHOIS, "example.org")
    assert offline == live
    (record,) = await shore.shop.records()
    assert (record.request, record.peer, record.egress) == (f"example.org @{WHOIS}", f"{HERE}:43", "direct")


@pytest.mark.parametrize("query", ["a\r\nb", "a\nb", "a\x00b", "a" * 501])
async def test_a_query_that_is_no_short_line_is_not_sent(shore: Shore, query: str) -> None:
    await shore.listen(43, saying(b"x"))
    with pytest.raises(Skipped):
        await (await shore.whois()).ask(WHOIS, query)
    assert not await shore.shop.records()


async def test_an_answer_without_end_is_left_at_the_limit(shore: Shore) -> None:
    async def endless(reader, writer) -> None:
        while True:
            writer.write(b"x" * 65_536)
            await writer.drain()

    await shore.listen(43, endless)
    with pytest.raises(Unreachable, match="more than 100000 bytes"):
        await (await shore.whois()).ask(WHOIS, "example.org", max_bytes=100_000)


async def test_a_server_that_drips_is_left_when_the_time_is_over(shore: Shore) -> None:
    await shore.listen(43, saying(b"x", stays=True))
    with pytest.raises(Unreachable):
        await (await shore.whois()).ask(WHOIS, "example.org", timeout=0.2)
    (record,) = await shore.shop.records()
    assert record.error


@pytest.mark.parametrize(
    ("addresses", "failure"),
    [([], Unreachable), (["203.0.113.1"], Unreachable), ([HERE], Refused), (["10.0.0.1"], Skipped)],
)
async def test_a_server_that_cannot_be_reached_says_why(shore: Shore, addresses: list[str], failure: type) -> None:
    await shore.listen(80, saying(b"x"))
    shore.resolver.names[WHOIS] = addresses
    for offline in (False, True):
        with pytest.raises(failure) as raised:
            await (await shore.whois(offline=offline)).ask(WHOIS, "example.org")
        assert type(raised.value) in {failure, Nameless}


async def test_a_server_has_no_address_only_where_the_resolvers_say_so(shore: Shore) -> None:
    shore.resolver.names.clear()
    with pytest.raises(Unreachable, match=f"{WHOIS} has no address"):
        await (await shore.whois()).ask(WHOIS, "example.org")
    shore.resolver.down = True
    with pytest.raises(Unreachable, match=f"the resolvers cannot say where {WHOIS} is"):
        await (await shore.whois(2)).ask(WHOIS, "example.org")


@pytest.mark.parametrize("server", ["whois.example.net", "whois.example.com", "127.0.0.1"])
async def test_only_servers_that_the_manifest_names_are_asked(shore: Shore, server: str) -> None:
    shore.resolver.names[server] = [HERE]
    await shore.listen(43, saying(b"x"))
    with pytest.raises(Skipped):
        await (await shore.whois()).ask(server, "example.org")


async def test_no_name_of_a_server_leads_to_the_target(shore: Shore) -> None:
    heard: list[bytes] = []

    async def handle(reader, writer) -> None:
        heard.append(await reader.readline())

    await shore.listen(43, handle)
    for offline in (False, True):
        with pytest.raises(Skipped, match=f"{HERE} may not be dialled: it is in the scope"):
            await (await shore.whois(planned=IN_SCOPE, offline=offline)).ask(WHOIS, "example.org")
    assert not heard


async def test_a_proxy_is_asked_for_the_way_and_the_record_says_so(shore: Shore) -> None:
    async def relay(reader, writer) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        await reader.readline()
        writer.write(b"by proxy")

    async def server(reader, writer) -> None:
        await reader.readline()
        writer.write(b"directly")

    await shore.listen(3128, relay, address="198.51.100.99")
    await shore.listen(43, server)
    shore.proxy = Proxy.parse("http://198.51.100.99:3128")
    assert (await (await shore.whois()).ask(WHOIS, "example.org")).body == b"by proxy"
    assert (await shore.shop.records())[0].egress == "proxy"
    shore.direct = (WHOIS,)
    assert (await (await shore.whois(2)).ask(WHOIS, "example.org")).body == b"directly"
    assert (await shore.shop.records(2))[0].egress == "direct"


# TLS


@pytest.mark.parametrize(
    ("flaw", "verified"),
    [
        ({}, ""),
        ({"days": (-9, -2)}, "expired"),
        ({"trusted": False}, "self-signed"),
        ({"name": "www.example.net"}, "not valid for 'www.example.com'"),
    ],
    ids=["sound", "expired", "self-signed", "wrong-name"],
)
async def test_the_chain_is_kept_and_what_a_client_would_refuse_is_said(
    shore: Shore, signed: Signer, flaw: dict[str, Any], verified: str
) -> None:
    from cryptography import x509

    await shore.listen(443, saying(stays=True), signed.context(**{"name": "www.example.com", **flaw}))
    live = await (await shore.tls()).handshake(HERE, 443, "www.example.com")
    assert bool(live.verified) == bool(verified)
    assert verified in live.verified
    assert live.version.startswith("TLSv1.")
    assert live.cipher
    names = x509.load_der_x509_certificate(live.chain[0]).extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    assert names.value.get_values_for_type(x509.DNSName) == [flaw.get("name", "www.example.com")]
    assert await (await shore.tls(offline=True)).handshake(HERE, 443, "www.example.com") == live
    (record,) = await shore.shop.records()
    assert record.request == f"{HERE}:443 as www.example.com"


async def test_no_name_need_be_said_to_shake_hands(shore: Shore, signed: Signer) -> None:
    await shore.listen(443, saying(stays=True), signed.context("www.example.com"))
    shown = await (await shore.tls()).handshake(HERE, 443)
    assert shown.chain
    assert "not valid for" in shown.verified


@pytest.mark.parametrize(
    "handle", [saying(b"220 mail ESMTP\r\n"), saying(), saying(stays=True)], ids=["other", "hangs-up", "silent"]
)
async def test_where_there_is_no_tls_there_is_none(shore: Shore, handle: Handle) -> None:
    await shore.listen(443, handle)
    for offline in (False, True):
        with pytest.raises(Unreachable):
            await (await shore.tls(offline=offline)).handshake(HERE, 443, "www.example.com", timeout=0.3)


async def test_a_closed_port_is_told_from_one_that_is_not_there(shore: Shore) -> None:
    await shore.listen(80, saying())
    with pytest.raises(Refused):
        await (await shore.tls()).handshake(HERE, 443)
    with pytest.raises(Unreachable) as raised:
        await (await shore.tls(2, plan(includes=["203.0.113.0/24"]))).handshake("203.0.113.1", 443)
    assert type(raised.value) is Unreachable


@pytest.mark.parametrize(
    ("address", "name"),
    [("203.0.113.1", ""), ("203.0.113.1", "www.example.net"), ("198.51.100.66", "www.example.com"), ("10.0.0.1", "")],
)
async def test_no_hands_are_shaken_outside_the_scope(shore: Shore, address: str, name: str) -> None:
    with pytest.raises(Skipped):
        await (await shore.tls()).handshake(address, 443, name)


# TCP


async def test_open_refused_and_silent_ports_are_told_apart(shore: Shore) -> None:
    import socket

    deaf = socket.socket()  # its queue is full: who connects waits
    deaf.bind(("127.0.0.1", 0))
    deaf.listen(0)
    fillers = []
    for _ in range(4):
        filler = socket.socket()
        filler.setblocking(False)
        filler.connect_ex(deaf.getsockname())
        fillers.append(filler)
    shore.lead_to(9, deaf.getsockname()[1])
    await shore.listen(22, saying(b"SSH-2.0-x\r\n", stays=True))
    await shore.listen(80, saying())
    live = await (await shore.tcp()).probe(HERE, (9, 22, 23, 80), timeout=0.4)
    for each in (deaf, *fillers):
        each.close()
    assert (live.open, live.refused, live.silent) == ((22, 80), (23,), (9,))
    assert live.banners == {22: b"SSH-2.0-x\r\n"}
    assert await (await shore.tcp(offline=True)).probe(HERE, (9, 22, 23, 80), timeout=0.4) == live
    assert (await shore.shop.records())[0].status == "2 open, 1 refused, 1 silent"


async def test_a_banner_is_short_and_not_waited_for_long(shore: Shore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.collector.item.sockets.BANNER_SECONDS", 0.1)
    await shore.listen(1, saying(b"x" * 100_000))
    await shore.listen(2, saying(stays=True))
    await shore.listen(3, saying(bytes(range(256)), stays=True))
    answer = await (await shore.tcp()).probe(HERE, (1, 2, 3))
    assert answer.open == (1, 2, 3)
    assert len(answer.banners[1]) <= 512
    assert answer.banners[3] == bytes(range(256))
    assert 2 not in answer.banners
    assert not (await (await shore.tcp(2)).probe(HERE, (1, 2, 3), banner=False)).banners


async def test_a_port_that_resets_is_open(shore: Shore) -> None:
    async def reset(reader, writer) -> None:
        writer.transport.abort()

    await shore.listen(1, reset)
    assert (await (await shore.tcp()).probe(HERE, (1,))).open == (1,)


async def test_an_address_that_is_not_there_is_silent_on_every_port(shore: Shore) -> None:
    answer = await (await shore.tcp(planned=plan(includes=["203.0.113.0/24"]))).probe("203.0.113.1", (1, 2, 3))
    assert answer.silent == (1, 2, 3)


async def test_a_fault_of_this_machine_is_no_silent_port(shore: Shore, monkeypatch: pytest.MonkeyPatch) -> None:
    async def none_left(*given: object, **fields: object) -> None:
        raise EgressError("too many open files")

    monkeypatch.setattr(Egress, "open", none_left)
    with pytest.raises(Unreachable, match="too many open files"):
        await (await shore.tcp()).probe(HERE, (1, 2, 3))


async def test_a_process_without_descriptors_learns_nothing_of_the_target(
    shore: Shore, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def none_left(*given: object, **fields: object) -> None:
        raise Unavailable("as many open as may be")

    monkeypatch.setattr(Egress, "open", none_left)
    with pytest.raises(Unavailable):
        await (await shore.tcp()).probe(HERE, (1, 2, 3))
    assert await shore.shop.records() == []  # so the item is asked again, and is not told as unreachable


async def test_after_a_failure_no_other_port_is_tried(shore: Shore, monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []

    async def fails(egress: Egress, address: str, port: int, **fields: object) -> None:
        tried.append(port)
        await asyncio.sleep(0 if port == 1 else 0.01)
        raise EgressError("a fault of this machine")

    monkeypatch.setattr("services.collector.item.sockets.PORTS_AT_ONCE", 4)
    monkeypatch.setattr(Egress, "open", fails)
    with pytest.raises(Unreachable):
        await (await shore.tcp()).probe(HERE, tuple(range(1, 100)))
    begun = list(tried)
    await asyncio.sleep(0.1)
    assert (len(begun) <= 5, tried) == (True, begun)


async def test_all_items_together_try_so_many_ports_at_once(shore: Shore, monkeypatch: pytest.MonkeyPatch) -> None:
    under_way = most = 0

    async def counted(*given: object, **fields: object) -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0)
        under_way -= 1
        raise TimedOut("silent")

    monkeypatch.setattr(Egress, "open", counted)
    shore.probes = asyncio.Semaphore(10)
    items = [await shore.tcp(number) for number in range(4)]
    answers = await asyncio.gather(*(item.probe(HERE, tuple(range(1, 50))) for item in items))
    assert (most, {len(answer.silent) for answer in answers}) == (10, {49})


@pytest.mark.parametrize("address", ["203.0.113.1", "198.51.100.66", "10.0.0.1", "127.0.0.1"])
async def test_no_port_is_tried_outside_the_scope(shore: Shore, address: str) -> None:
    with pytest.raises(Skipped):
        await (await shore.tcp()).probe(address, (80,))


async def test_not_too_many_ports_are_tried_at_once(shore: Shore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.collector.item.sockets.PORTS_AT_ONCE", 4)
    under_way = most = 0
    real = Egress.open

    async def counted(*given: Any, **fields: Any) -> Any:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        try:
            return await real(*given, **fields)
        finally:
            under_way -= 1

    monkeypatch.setattr(Egress, "open", counted)
    await shore.listen(80, saying())
    answer = await (await shore.tcp()).probe(HERE, tuple(range(1, 100)))
    assert (answer.open, len(answer.refused)) == ((80,), 98)
    assert most <= 4
