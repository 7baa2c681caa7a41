"""Connections as they arrive: only to 127.0.0.0/8, plain or under TLS, then handed to an application."""

import asyncio
import contextlib
import socket
import ssl
import struct
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import cast

from lab.dial import logical
from lab.faults import TCP, TLS, Faults
from lab.journal import Connection as Arrival
from lab.journal import Journal
from lab.web.certificates import Authority, Flaw
from lab.web.routing import Routing

RESET = struct.pack("ii", 1, 0)
"""SO_LINGER with no time: closing sends RST."""
FLAWS: dict[str, Flaw] = {
    "tls_expired": "expired",
    "tls_wrong_name": "wrong_name",
    "tls_self_signed": "self_signed",
}
CHUNK = 1 << 16


class Application(ABC):
    """What speaks over a connection from the moment it is made."""

    @abstractmethod
    def received(self, data: bytes) -> None:
        """Take what the client sent."""


class Connection(asyncio.Protocol):
    """A plain connection: `ip` and `port` are the logical ones it was made to."""

    secure = False

    def __init__(
        self,
        port: int,
        journal: Journal,
        faults: Faults,
        everyone: set["Connection"],
        application: Callable[["Connection"], Application],
    ) -> None:
        """`everyone` holds the connections that are open."""
        self.port = port
        self.ip = ""
        self.peer = ""
        self.transport: asyncio.Transport
        self._journal = journal
        self._faults = faults
        self._everyone = everyone
        self._make = application
        self._application: Application | None = None
        self._writable = asyncio.Event()
        self._writable.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are none by inheritance.
        self.transport = cast(asyncio.Transport, transport)
        local = transport.get_extra_info("sockname")[0]
        if not local.startswith("127."):
            self.transport.abort()
            return
        self._everyone.add(self)
        peer = transport.get_extra_info("peername")
        self.ip, self.peer = logical(local), f"{peer[0]}:{peer[1]}"
        self._journal.connections.append(Arrival(time.time(), self.peer, self.ip, self.port))
        fault = self._faults.find((self.ip, f"{self.ip}:{self.port}"), TCP) if self._faults else None
        if fault and fault.kind == "reset":
            self.reset()
        elif fault and fault.kind == "garbage":
            self.write(b"\x00\xffnot a protocol\r\n" * 8)
            self.transport.close()
        elif fault is None:
            self.begin()

    def begin(self) -> None:
        """Start the conversation."""
        self._application = self._make(self)

    def data_received(self, data: bytes) -> None:
        if self._application is not None:
            self._application.received(data)

    def connection_lost(self, _error: Exception | None) -> None:
        self._everyone.discard(self)
        self._writable.set()
        self._application = None

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    async def drain(self) -> None:
        """Wait until the client has taken enough of what was written."""
        await self._writable.wait()

    @property
    def closed(self) -> bool:
        return self.transport.is_closing()

    def write(self, data: bytes) -> None:
        self.transport.write(data)

    def close(self) -> None:
        self.transport.close()

    def reset(self) -> None:
        """Close with RST."""
        raw = self.transport.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.transport.abort()


class _ServerSide(ssl.SSLObject):
    """The TLS state of one connection; knows which connection it is for the SNI callback."""

    connection: "TlsConnection"


class TlsFront:
    """What every TLS connection begins with; the certificate follows from the address and the name asked for."""

    def __init__(self, authority: Authority, routing: Routing, faults: Faults) -> None:
        self.authority = authority
        self.routing = routing
        self.faults = faults
        self.context = authority.bare_context()
        self.context.sslobject_class = _ServerSide
        self.context.sni_callback = self._choose  # type: ignore[assignment]

    def _choose(self, state: _ServerSide, name: str | None, _context: ssl.SSLContext) -> int | None:
        """Put the right certificate in place; a number is the alert that refuses the handshake."""
        connection = state.connection
        host = connection.asked = (name or "").lower().rstrip(".")
        flaw: Flaw | None = None
        if self.faults:
            target = self.routing.find(connection.ip, host)
            fault = self.faults.find((*target.keys, connection.ip), TLS)
            if fault and fault.kind == "tls_handshake_failure":
                return ssl.ALERT_DESCRIPTION_HANDSHAKE_FAILURE
            flaw = FLAWS[fault.kind] if fault else None
        state.context = self.authority.context(self.routing.certificate(connection.ip, host), flaw)
        return None


class TlsConnection(Connection):
    """A connection under TLS; `asked` is the name in SNI."""

    secure = True

    def __init__(
        self,
        port: int,
        journal: Journal,
        faults: Faults,
        everyone: set[Connection],
        application: Callable[[Connection], Application],
        front: TlsFront,
    ) -> None:
        super().__init__(port, journal, faults, everyone, application)
        self.asked = ""
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._front = front
        self._state: ssl.SSLObject | None = None
        self._shaken = False

    def begin(self) -> None:
        self._state = self._front.context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._state.connection = self  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        state = self._state
        if state is None:
            return
        self._incoming.write(data)
        try:
            if not self._shaken:
                state.do_handshake()
                self._shaken = True
                self._flush()
                super().begin()
            while self._application is not None and (plain := state.read(CHUNK)):
                self._application.received(plain)
        except ssl.SSLWantReadError:
            self._flush()
            return
        except (ssl.SSLError, ValueError):
            self._flush()
            self.transport.close()
            return
        self.close()

    def connection_lost(self, error: Exception | None) -> None:
        super().connection_lost(error)
        self._state = None

    def _flush(self) -> None:
        if self._outgoing.pending:
            self.transport.write(self._outgoing.read())

    def write(self, data: bytes) -> None:
        if self._state is None or self.closed:
            return
        with contextlib.suppress(ssl.SSLError):
            self._state.write(data)
        self._flush()

    def close(self) -> None:
        if self._state is not None and not self.closed:
            with contextlib.suppress(ssl.SSLError):
                self._state.unwrap()
            self._flush()
        self.transport.close()
