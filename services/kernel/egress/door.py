import asyncio
import errno
import socket
import ssl
from asyncio import BaseProtocol, StreamReader, StreamReaderProtocol, StreamWriter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, Literal, TypeVar

import structlog

from services.kernel.egress.dial import DialTable, Transport
from services.kernel.egress.errors import EgressError, Forbidden, Refused, TimedOut, TlsFailed, Unreachable
from services.kernel.egress.guard import Guard, parse
from services.kernel.egress.proxy import Direct, Proxy, tunnel
from services.kernel.errors import Unavailable

P = TypeVar("P", bound=BaseProtocol)

_log = structlog.get_logger(__name__)

NO_WAY: Final = {
    errno.EACCES,
    errno.EADDRNOTAVAIL,
    errno.EAFNOSUPPORT,
    errno.EHOSTDOWN,
    errno.EHOSTUNREACH,
    errno.EINVAL,
    errno.ENETDOWN,
    errno.ENETUNREACH,
    errno.EPERM,
}
NONE_LEFT: Final = {errno.EMFILE, errno.ENFILE}
STREAM_BUFFER: Final = 65_536


class Egress:
    """Dials logical addresses, never names: judged by the guard, then mapped by the dial table when there is one.

    ``allow`` is the guard of one scan and takes the place of the process's own. ``exempt`` marks an address that the
    operator configured (a resolver): no guard, but still the dial table, which may know it by either side.
    ``via_proxy`` goes through the proxy where one is set that takes ``host``, the name that the address was looked up
    for (empty for the address itself), and directly where none is.

    Every method raises `Forbidden`, `Unreachable` or `Refused`; those that wait also `TimedOut` and `TlsFailed`; and
    the bare `EgressError` when this machine is at fault (the proxy's credentials). That no descriptor is left says
    nothing of the address and passes by itself, so it is the kernel's `Unavailable`. Timeouts are in seconds and cover
    everything up to a usable connection.
    """

    def __init__(
        self, guard: Guard, dial: DialTable | None = None, proxy: Proxy | None = None, direct: Direct | None = None
    ) -> None:
        self._guard = guard
        self._dial = dial
        self._proxy = proxy
        self._direct = direct or Direct()

    def way(self, host: str, *, via_proxy: bool) -> Literal["direct", "proxy"]:
        """By which way a connection to ``host`` with this ``via_proxy`` leaves."""
        return "proxy" if via_proxy and self._proxy and not self._direct.has(host) else "direct"

    async def connect(
        self,
        protocol_factory: Callable[[], P],
        address: str,
        port: int,
        *,
        timeout: float,
        allow: Guard | None = None,
        exempt: bool = False,
        via_proxy: bool = False,
        host: str = "",
        tls: ssl.SSLContext | None = None,
        server_hostname: str | None = None,
    ) -> tuple[asyncio.Transport, P]:
        """Connect over TCP, and TLS when ``tls`` is given.

        ``server_hostname`` is the name sent (SNI) and verified; None stands for the address, "" for none at all.
        """
        real, real_port = self._destination(address, port, "tcp", allow, exempt=exempt)
        shown = address if server_hostname is None else server_hostname
        with translated(address, port):
            async with asyncio.timeout(timeout):
                if self._proxy is None or self.way(host or address, via_proxy=via_proxy) == "direct":
                    return await dial(real, real_port, protocol_factory, tls, shown)
                connection = await self._reach_proxy(self._proxy)
                try:
                    early = await tunnel(connection, self._proxy, real, real_port)
                    return await attach(connection, early, protocol_factory, tls, shown)
                except BaseException:
                    connection.close()
                    raise

    async def open(
        self,
        address: str,
        port: int,
        *,
        timeout: float,
        allow: Guard | None = None,
        exempt: bool = False,
        via_proxy: bool = False,
        host: str = "",
        tls: ssl.SSLContext | None = None,
        server_hostname: str | None = None,
    ) -> tuple[StreamReader, StreamWriter]:
        """As `connect`, with streams. Reading and writing them raises OSError and has no time limit of its own."""
        loop = asyncio.get_running_loop()
        reader = StreamReader(limit=STREAM_BUFFER, loop=loop)
        transport, protocol = await self.connect(
            lambda: StreamReaderProtocol(reader, loop=loop),
            address,
            port,
            timeout=timeout,
            allow=allow,
            exempt=exempt,
            via_proxy=via_proxy,
            host=host,
            tls=tls,
            server_hostname=server_hostname,
        )
        return reader, StreamWriter(transport, protocol, reader, loop)

    async def datagram(
        self,
        protocol_factory: Callable[[], P],
        address: str,
        port: int,
        *,
        allow: Guard | None = None,
        exempt: bool = False,
    ) -> tuple[asyncio.DatagramTransport, P]:
        """A UDP transport that sends to ``address`` and hears nobody else."""
        connected = self.datagram_socket(address, port, allow=allow, exempt=exempt)
        try:
            return await asyncio.get_running_loop().create_datagram_endpoint(protocol_factory, sock=connected)
        except BaseException:
            connected.close()
            raise

    def datagram_socket(
        self, address: str, port: int, *, allow: Guard | None = None, exempt: bool = False
    ) -> socket.socket:
        """As `datagram`, as a bare non-blocking socket."""
        real, real_port = self._destination(address, port, "udp", allow, exempt=exempt)
        with translated(address, port):
            family, sockaddr = numeric(real, real_port)
            connected = socket.socket(family, socket.SOCK_DGRAM)
            try:
                connected.setblocking(False)
                connected.connect(sockaddr)
            except BaseException:
                connected.close()
                raise
        return connected

    def _destination(
        self, address: str, port: int, transport: Transport, allow: Guard | None, *, exempt: bool
    ) -> tuple[str, int]:
        try:
            if exempt:
                configured(address)
            else:
                (allow or self._guard).check(address)
        except Forbidden as refusal:
            _log.info("refused to dial", address=refusal.address, port=port, reason=refusal.reason)
            raise
        if self._dial is None or (exempt and self._dial.leads_to(address, port, transport)):
            return address, port
        return self._dial.find(address, port, transport)

    async def _reach_proxy(self, proxy: Proxy) -> socket.socket:
        try:
            parse(proxy.host)
        except ValueError:
            if self._dial:
                raise Unreachable("beside a dial table the proxy is given by address") from None
            loop = asyncio.get_running_loop()
            found = await loop.getaddrinfo(proxy.host, proxy.port, type=socket.SOCK_STREAM)
            address, port = found[0][4][:2]
            return await reach(str(address), int(port))
        return await reach(*self._destination(proxy.host, proxy.port, "tcp", None, exempt=True))


def configured(address: str) -> None:
    """Raise `Forbidden` unless ``address`` is an address at all; the operator may name one with a zone."""
    try:
        parse(address)
    except ValueError:
        raise Forbidden(address, "not an address") from None


def numeric(address: str, port: int) -> tuple[socket.AddressFamily, tuple[str, int]]:
    """Family and socket address; nothing is ever looked up."""
    flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
    family, _, _, _, sockaddr = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM, flags=flags)[0]
    return family, sockaddr  # type: ignore[return-value]


async def reach(address: str, port: int) -> socket.socket:
    """A connected, non-blocking TCP socket."""
    family, sockaddr = numeric(address, port)
    connection = socket.socket(family, socket.SOCK_STREAM)
    try:
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.get_running_loop().sock_connect(connection, sockaddr)
    except BaseException:
        connection.close()
        raise
    return connection


async def dial(
    address: str, port: int, protocol_factory: Callable[[], P], tls: ssl.SSLContext | None, server_hostname: str
) -> tuple[asyncio.Transport, P]:
    """Connect a protocol to an address, which the loop does not look up."""
    loop = asyncio.get_running_loop()
    if tls is None:
        return await loop.create_connection(protocol_factory, address, port)
    with shaking_hands():
        return await loop.create_connection(protocol_factory, address, port, ssl=tls, server_hostname=server_hostname)


async def attach(
    connection: socket.socket,
    early: bytes,
    protocol_factory: Callable[[], P],
    tls: ssl.SSLContext | None,
    server_hostname: str,
) -> tuple[asyncio.Transport, P]:
    """Put a protocol on ``connection``, shaking hands first with ``tls``; ``early`` was read from it already."""
    loop = asyncio.get_running_loop()
    if tls is None:
        transport, protocol = await loop.create_connection(protocol_factory, sock=connection)
        if early and isinstance(protocol, asyncio.Protocol):
            protocol.data_received(early)
        return transport, protocol
    if early:
        raise TlsFailed("the other side spoke first")
    with shaking_hands():
        return await loop.create_connection(protocol_factory, sock=connection, ssl=tls, server_hostname=server_hostname)


@contextmanager
def shaking_hands() -> Iterator[None]:
    """Turn what goes wrong with TLS into `TlsFailed`."""
    try:
        yield
    except ssl.SSLCertVerificationError as error:
        raise TlsFailed(error.verify_message.rstrip(".").lower()) from error
    except ssl.SSLError as error:
        raise TlsFailed((error.reason or "protocol error").lower().replace("_", " ")) from error
    except ConnectionRefusedError:
        raise  # there was no connection yet
    except ConnectionError as error:
        raise TlsFailed("hung up during the handshake") from error


@contextmanager
def translated(address: str, port: int) -> Iterator[None]:
    """Turn what the operating system says into this package's errors."""
    where = f"{address} port {port}"
    try:
        yield
    except TimeoutError as error:
        raise TimedOut(f"{where} took too long") from error
    except (ConnectionRefusedError, ConnectionResetError) as error:
        raise Refused(f"{where} refused") from error
    except OSError as error:
        if error.errno in NO_WAY:
            raise Unreachable(f"no way to {where}: {error.strerror}") from error
        if error.errno in NONE_LEFT:
            raise Unavailable("this process has as many files and connections open as it may") from error
        raise EgressError(f"{where}: {error.strerror or error}") from error
