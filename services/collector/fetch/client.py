"""An HTTP client that resolves by our resolver, dials by egress, and keeps connections for reuse."""

import asyncio
import ipaddress
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final
from urllib.parse import quote, urlsplit

from msgspec import Struct

from services.collector.fetch.connection import Broken, Connection, Received
from services.collector.fetch.encoding import ACCEPTED, Undecodable, decode
from services.kernel.egress import Egress, EgressError, Guard, Refused, TimedOut, TlsFailed, Unreachable

IDLE_SECONDS: Final = 10.0
#: Idle connections that are kept, with TLS and without. Modules that ask the same hosts come to each within seconds of
#: one another; a handshake costs more than its buffers do, a connection without one is hardly worth its place.
IDLE_TLS: Final = 160
IDLE_PLAIN: Final = 32
#: Requests to one host at a time.
PER_SOURCE: Final = 4
PER_TARGET: Final = 1
ADDRESSES_TRIED: Final = 3
#: For so many seconds a host whose TLS is broken is not asked for better.
TLS_ERRORS_KEPT: Final = 600.0

Resolve = Callable[[str], Awaitable[Sequence[str]]]
DEFAULT_PORTS: Final = {"http": 80, "https": 443}


class BadUrl(Exception):
    """Not an http or https URL that could be asked for."""


class NoSuchName(Exception):
    """The host has no address."""


class Location(Struct, frozen=True):
    """A URL taken apart: what to connect to and what to ask for. ``host`` is an A-label name or an address."""

    scheme: str
    host: str
    port: int
    target: str

    @property
    def literal(self) -> bool:
        """Whether the host is an address."""
        return ":" in self.host or self.host.replace(".", "").isdigit()

    @property
    def authority(self) -> str:
        """The value of the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"


class Request(Struct, frozen=True, kw_only=True):
    """One request. ``limit``: bytes of body before and after decoding; ``timeout``: seconds for all of it."""

    method: str
    location: Location
    headers: tuple[tuple[str, str], ...]
    body: bytes = b""
    limit: int = 10_000_000
    timeout: float = 30.0
    verify: bool = True
    via_proxy: bool = False
    allow: Guard | None = None


class Response(Struct, frozen=True, kw_only=True):
    """One response with its decoded body. ``tls_error``: why a client that verifies would have hung up."""

    status: int
    head: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    truncated: bool
    peer: str
    tls_error: str


class Turn:
    """Who is asking one host now, and who waits to."""

    def __init__(self, most: int) -> None:
        self.slots = asyncio.Semaphore(most)
        self.users = 0


class Idle:
    """Connections that nobody uses for the moment, by what they lead to; at most ``most``, the oldest go first."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._waiting: dict[object, list[tuple[float, Connection]]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def take(self, key: object) -> Connection | None:
        """A connection that is open still and was not left alone for long."""
        fresh = time.monotonic() - IDLE_SECONDS
        waiting = self._waiting.get(key)
        while waiting:
            since, connection = waiting.pop()
            self._count -= 1
            if not waiting:
                del self._waiting[key]
            if connection.open and since > fresh:
                return connection
            connection.close()
        return None

    def keep(self, key: object, connection: Connection) -> None:
        self._waiting.setdefault(key, []).append((time.monotonic(), connection))
        self._count += 1
        while self._count > self._most:
            self._close(next(iter(self._waiting)))

    def close(self) -> None:
        for key in list(self._waiting):
            self._close(key)

    def _close(self, key: object) -> None:
        for _, connection in self._waiting.pop(key):
            connection.close()
            self._count -= 1


class Client:
    """Keeps idle connections; one client serves all modules of a process."""

    def __init__(self, egress: Egress, resolve: Resolve, ca_file: str = "") -> None:
        self._egress = egress
        self._resolve = resolve
        self._ca_file = ca_file
        self._contexts: dict[bool, ssl.SSLContext] = {}
        self._idle = {"https": Idle(IDLE_TLS), "http": Idle(IDLE_PLAIN)}
        self._tls_errors: dict[object, tuple[float, str]] = {}
        self._turns: dict[object, Turn] = {}

    async def send(self, request: Request) -> Response:
        """Ask, when the host has a connection to spare for us.

        Raises:
            EgressError: no connection. NoSuchName: no address. Broken, Undecodable: no sound HTTP.
        """
        key = _pool_key(request)
        host = (request.location.host, request.verify)
        async with self._turn(host, PER_SOURCE if request.verify else PER_TARGET):
            try:
                async with asyncio.timeout(request.timeout):
                    return await self._send(request, key)
            except TimeoutError:
                limit = f"{request.timeout:g} s"
                raise TimedOut(f"{request.location.authority} did not answer within {limit}") from None

    def way(self, request: Request) -> str:
        """By which way out a request goes."""
        return self._egress.way(via_proxy=request.via_proxy)

    @asynccontextmanager
    async def _turn(self, key: object, most: int) -> AsyncIterator[None]:
        """Wait until fewer than ``most`` requests to a host are under way: gentle, and its connection gets reused."""
        turn = self._turns.get(key)
        if turn is None:
            turn = self._turns[key] = Turn(most)
        turn.users += 1
        try:
            async with turn.slots:
                yield
        finally:
            turn.users -= 1
            if not turn.users:
                self._turns.pop(key, None)

    async def _send(self, request: Request, key: object) -> Response:
        wire = _serialise(request)
        idle = self._idle[request.location.scheme]
        connection = idle.take(key)
        if connection is not None:
            try:
                received = await self._converse(connection, wire, request)
            except Broken:
                if connection.heard:
                    raise
                connection = None  # it was closed while nobody used it
        if connection is None:
            connection = await self._connect(request, key)
            received = await self._converse(connection, wire, request)
        if received.reusable:
            idle.keep(key, connection)
        else:
            connection.close()
        return _response(received, connection, request)

    async def _converse(self, connection: Connection, wire: bytes, request: Request) -> Received:
        try:
            return await connection.ask(wire, request.limit)
        except BaseException:
            connection.close()
            raise

    async def _connect(self, request: Request, key: object) -> Connection:
        location = request.location
        addresses = [location.host] if location.literal else await self._resolve(location.host)
        if not addresses:
            raise NoSuchName(f"{location.host} has no address")
        failure: EgressError | None = None
        for address in list(addresses)[:ADDRESSES_TRIED]:
            try:
                return await self._dial(request, address, key)
            except (Unreachable, Refused, TimedOut) as error:
                failure = error
        assert failure is not None
        raise failure

    async def _dial(self, request: Request, address: str, key: object) -> Connection:
        if request.location.scheme == "http":
            return await self._open(request, address, None)
        if request.verify:
            return await self._open(request, address, self._context(verify=True))
        until, reason = self._tls_errors.get(key, (0.0, ""))
        if until <= time.monotonic():
            try:
                return await self._open(request, address, self._context(verify=True))
            except TlsFailed as error:
                reason = str(error)
                if len(self._tls_errors) > 10_000:
                    self._tls_errors.clear()
                self._tls_errors[key] = time.monotonic() + TLS_ERRORS_KEPT, reason
        connection = await self._open(request, address, self._context(verify=False))
        connection.tls_error = reason
        return connection

    async def _open(self, request: Request, address: str, tls: ssl.SSLContext | None) -> Connection:
        _, connection = await self._egress.connect(
            lambda: Connection(address),
            address,
            request.location.port,
            timeout=request.timeout,
            allow=request.allow,
            via_proxy=request.via_proxy,
            tls=tls,
            server_hostname=("" if request.location.literal and not request.verify else request.location.host)
            if tls
            else None,
        )
        return connection

    def _context(self, *, verify: bool) -> ssl.SSLContext:
        context = self._contexts.get(verify)
        if context is None:
            context = ssl.create_default_context(cafile=self._ca_file or None)
            context.set_alpn_protocols(["http/1.1"])
            if not verify:
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
                context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
                context.set_ciphers("DEFAULT:@SECLEVEL=0")
            self._contexts[verify] = context
        return context

    async def close(self) -> None:
        for idle in self._idle.values():
            idle.close()


def locate(url: str) -> Location:
    """Take a URL apart; `BadUrl` unless it is http or https with a host and nothing odd in it."""
    if any(ord(character) <= 0x20 or ord(character) == 0x7F for character in url):
        raise BadUrl(f"{url[:200]!r} has blanks or control characters")
    try:
        parts = urlsplit(url)
        if parts.scheme not in DEFAULT_PORTS:
            raise BadUrl(f"{url[:200]!r} is not an http or https URL")
        port = DEFAULT_PORTS[parts.scheme] if parts.port is None else parts.port
        host = _host((parts.hostname or "").rstrip("."))
        target = quote(parts.path or "/", safe="/%:@!$&'()*+,;=-._~")
        if parts.query:
            target += "?" + quote(parts.query, safe="/?%:@!$&'()*+,;=-._~[]")
    except ValueError as error:
        raise BadUrl(f"{url[:200]!r}: {error}") from error
    if not host or not port:
        raise BadUrl(f"{url[:200]!r} has no host or no port")
    return Location(parts.scheme, host, port, target)


def _host(host: str) -> str:
    """A host as an A-label name or a plain address; raises ValueError."""
    if ":" in host:
        address = ipaddress.IPv6Address(host)
        if address.scope_id is not None:
            raise ValueError("an address with a zone")
        return str(address)
    if host.replace(".", "").isdecimal():
        return str(ipaddress.IPv4Address(host))
    if not host.isascii():
        import idna

        host = idna.encode(host, uts46=True).decode("ascii")
    return host


def _pool_key(request: Request) -> object:
    location = request.location
    return (location.scheme, location.host, location.port, request.verify, request.via_proxy, request.allow)


def _serialise(request: Request) -> bytes:
    lines = [
        f"{request.method} {request.location.target} HTTP/1.1",
        f"Host: {request.location.authority}",
        f"Accept-Encoding: {ACCEPTED}",
    ]
    lines += [f"{name}: {value}" for name, value in request.headers]
    if request.body or request.method == "POST":
        lines.append(f"Content-Length: {len(request.body)}")
    for line in lines:
        if "\r" in line or "\n" in line or "\0" in line:
            raise BadUrl("a header has a line break in it")
    return "\r\n".join(lines).encode("latin-1", "replace") + b"\r\n\r\n" + request.body


def _response(received: Received, connection: Connection, request: Request) -> Response:
    coding = ",".join(value for name, value in received.headers if name.lower() == "content-encoding")
    try:
        body, more = decode(received.body, coding, request.limit) if coding else (received.body, False)
    except Undecodable:
        if not received.truncated:
            raise
        body, more = b"", True
    head = [f"HTTP/{received.version} {received.status} {received.reason}".rstrip()]
    head += [f"{name}: {value}" for name, value in received.headers]
    address = f"[{connection.address}]" if ":" in connection.address else connection.address
    return Response(
        status=received.status,
        head="\n".join(head),
        headers=received.headers,
        body=body,
        truncated=received.truncated or more,
        peer=f"{address}:{request.location.port}",
        tls_error=connection.tls_error,
    )
