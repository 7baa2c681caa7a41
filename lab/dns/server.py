"""A DNS server on loopback: datagrams by the hundred for each wake-up, TCP for what does not fit, and transfers."""

import asyncio
import contextlib
import socket
from collections.abc import Iterable

from lab.dns import wire
from lab.dns.catalog import Catalog
from lab.dns.view import AA, QR, RA, RD, TC, Answer, View, header, make_answer
from lab.faults import DNS, Fault, Faults
from lab.journal import Journal

BURST = 256
"""Datagrams taken before other work has a turn."""
BUFFER = 1 << 22
SOCKETS = 8
"""Sockets that share a port; what the system gives one of them holds a few hundred datagrams only."""
PLAIN_LIMIT = 512


class DnsServer:
    """One server: `name` is its key in the journal and in the faults, `zones` what it serves (None: it recurses)."""

    def __init__(
        self,
        name: str,
        catalog: Catalog,
        journal: Journal,
        faults: Faults,
        zones: Iterable[str] | None = None,
        transfers: Iterable[str] = (),
    ) -> None:
        self.name = name
        self.catalog = catalog
        self.view = View(catalog, zones)
        self.journal = journal
        self.faults = faults
        self.counts = journal.counts_of(name)
        self._transfers = frozenset(map(wire.encode_name, transfers))
        self._rebound: set[bytes] = set()
        self._sockets: list[socket.socket] = []
        self._tcp: asyncio.Server | None = None
        self._later: set[asyncio.TimerHandle] = set()

    async def start(self, address: str, port: int) -> int:
        """Listen on UDP and TCP of `address` (in 127.0.0.0/8); port 0 takes a free one. Returns the port."""
        if not address.startswith("127."):
            raise ValueError(f"{address} is not a loopback address")
        self._tcp = await asyncio.start_server(self._serve_stream, address, port, backlog=1024)
        port = self._tcp.sockets[0].getsockname()[1]
        loop = asyncio.get_running_loop()
        try:
            for _ in range(SOCKETS):
                datagrams = open_datagrams(address, port)
                self._sockets.append(datagrams)
                loop.add_reader(datagrams, self._take_datagrams, datagrams)
        except OSError:
            await self.stop()
            raise
        return port

    async def stop(self) -> None:
        for handle in self._later:
            handle.cancel()
        for datagrams in self._sockets:
            asyncio.get_running_loop().remove_reader(datagrams)
            datagrams.close()
        self._sockets.clear()
        if self._tcp is not None:
            self._tcp.close()
            await self._tcp.wait_closed()

    def _take_datagrams(self, datagrams: socket.socket) -> None:
        receive, send = datagrams.recvfrom, datagrams.sendto
        for _ in range(BURST):
            try:
                query, peer = receive(4096)
            except (BlockingIOError, InterruptedError):
                return
            if self.faults:
                self._answer_faultily(query, peer, datagrams)
                continue
            reply = self.reply(query, peer, "udp")
            if reply is not None:
                with contextlib.suppress(BlockingIOError, ConnectionRefusedError):
                    send(reply, peer)

    def reply(self, query: bytes, peer: tuple[str, int], transport: str) -> bytes | None:
        """The reply to a query, or None for what deserves none."""
        if len(query) < 17 or query[2] & 0x80:
            return None
        end = query.find(0, 12) + 5
        if end < 17 or end > len(query) or query[4:6] != b"\0\1":
            return query[:2] + header(QR | wire.FORMERR, 0, 0, 0, 0)
        if query[2] & 0x78:
            return query[:2] + header(QR | wire.NOTIMP, 0, 0, 0, 0)
        question = query[12:end]
        counts = self.counts
        counts[question] = counts.get(question, 0) + 1
        self.journal.asked(self.name, peer, question, transport)
        if query[11]:
            limit, secure = _extension(query, end)
            answer = self.view.answer(question, secure=secure)
            reply = query[:2] + answer.extended + question + answer.tail + wire.EDNS
        else:
            limit = PLAIN_LIMIT
            answer = self.view.answer(question)
            reply = query[:2] + answer.plain + question + answer.tail
        if transport == "udp" and len(reply) > limit:
            return _cut(query, answer, question)
        # The RD bit is copied from the query (RFC 1035, section 4.1.1).
        return reply if query[2] & 1 else reply[:2] + bytes((reply[2] & 0xFE,)) + reply[3:]

    async def _serve_stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = writer.get_extra_info("peername")[:2]
        try:
            while True:
                length = int.from_bytes(await reader.readexactly(2))
                query = await reader.readexactly(length)
                if (transfer := self._transfer(query, peer)) is not None:
                    for message in transfer:
                        writer.write(len(message).to_bytes(2) + message)
                        await writer.drain()
                    continue
                fault = self._fault(query) if self.faults else None
                if fault and fault.kind == "dns_silent":
                    return
                reply = self._spoil(query, fault, peer, "tcp") if fault else self.reply(query, peer, "tcp")
                if reply is None:
                    return
                writer.write(len(reply).to_bytes(2) + reply)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def _transfer(self, query: bytes, peer: tuple[str, int]) -> list[bytes] | None:
        """The messages of a zone transfer (RFC 5936), or None when `query` does not ask for one."""
        end = query.find(0, 12) + 5
        if len(query) < 17 or end > len(query) or int.from_bytes(query[end - 4 : end - 2]) != wire.AXFR:
            return None
        question = query[12:end]
        self.counts[question] = self.counts.get(question, 0) + 1
        self.journal.asked(self.name, peer, question, "tcp")
        apex = question[:-4].lower()
        if apex not in self._transfers:
            return [query[:2] + header(QR | wire.REFUSED, 1, 0, 0, 0) + question]
        records = self.catalog.zone_records(apex)
        return [
            query[:2]
            + header(QR | AA, 1, len(records[start : start + 200]), 0, 0)
            + question
            + b"".join(records[start : start + 200])
            for start in range(0, len(records), 200)
        ]

    def _fault(self, query: bytes) -> Fault | None:
        end = query.find(0, 12) + 1
        name = wire.decode_name(query[12:end].lower())
        return self.faults.find((self.name, name), DNS)

    def _answer_faultily(self, query: bytes, peer: tuple[str, int], datagrams: socket.socket) -> None:
        fault = self._fault(query)
        reply = self._spoil(query, fault, peer, "udp") if fault else self.reply(query, peer, "udp")
        if reply is None:
            return

        def send(reply: bytes = reply) -> None:
            with contextlib.suppress(OSError):
                datagrams.sendto(reply, peer)

        if fault and fault.kind == "dns_slow":
            self._later.add(asyncio.get_running_loop().call_later(fault.seconds, send))
        else:
            send()

    def _spoil(self, query: bytes, fault: Fault, peer: tuple[str, int], transport: str) -> bytes | None:
        """The reply to `query` as `fault` makes it."""
        reply = self.reply(query, peer, transport)
        if reply is None or fault.kind == "dns_silent":
            return None
        end = query.find(0, 12) + 5
        question = query[12:end]
        if fault.kind == "dns_servfail":
            return query[:2] + header(QR | RD | RA | wire.SERVFAIL, 1, 0, 0, 0) + question
        if fault.kind == "dns_refused":
            return query[:2] + header(QR | RD | wire.REFUSED, 1, 0, 0, 0) + question
        if fault.kind == "dns_truncated" and transport == "udp":
            return _cut(query, self.view.refusal, question, rcode=wire.NOERROR)
        if fault.kind == "dns_wrong_id":
            return bytes((reply[0] ^ 0x55, reply[1])) + reply[2:]
        if fault.kind == "rebinding" and int.from_bytes(question[-4:-2]) == wire.A:
            return self._rebind(question, fault, query, reply)
        return reply

    def _rebind(self, question: bytes, fault: Fault, query: bytes, reply: bytes) -> bytes:
        """The true address the first time a name is asked for, another from then on."""
        if question not in self._rebound:
            self._rebound.add(question)
            return reply
        value = wire.encode_value("A", fault.location or "10.13.37.1")
        answer = make_answer(wire.NOERROR, RA, (wire.record(wire.OWNER, wire.A, 0, value),))
        return query[:2] + answer.plain + question + answer.tail


def open_datagrams(address: str, port: int) -> socket.socket:
    """A UDP socket that shares its port with others of this process, with as much room as it can get."""
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    datagrams.setblocking(False)
    datagrams.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
        datagrams.setsockopt(socket.SOL_SOCKET, option, BUFFER)
    try:
        datagrams.bind((address, port))
    except OSError:
        datagrams.close()
        raise
    return datagrams


def _extension(query: bytes, end: int) -> tuple[int, bool]:
    """What an OPT record right after the question says: (largest datagram, DO bit)."""
    if query[end : end + 3] != b"\0\0\x29" or len(query) < end + 11:
        return PLAIN_LIMIT, False
    size = int.from_bytes(query[end + 3 : end + 5])
    return max(PLAIN_LIMIT, min(size, 1232)), bool(query[end + 7] & 0x80)


def _cut(query: bytes, answer: Answer, question: bytes, rcode: int | None = None) -> bytes:
    flags = int.from_bytes(answer.plain[:2]) & ~RD | (query[2] & 1) << 8
    if rcode is not None:
        flags = flags & 0xFFF0 | rcode
    return query[:2] + header(flags | TC, 1, 0, 0, 0) + question
