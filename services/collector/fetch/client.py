"""An HTTP client that resolves by our resolver, dials by egress, and keeps connections for reuse."""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final

from msgspec import Struct

from services.collector.fetch.encoding import ACCEPTED, Undecodable, decode
from services.collector.fetch.tls import Shown, context, mismatch, shown
from services.kernel.egress import Egress, EgressError, Guard, Refused, TimedOut, TlsFailed, Unreachable
from services.kernel.egress.connection import Broken, Connection, Received
from services.kernel.egress.location import DEFAULT_PORTS, BadUrl, Location, is_address
from services.kernel.hostport import join_host_port

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
#: What this client speaks, by its name in TLS (RFC 7301).
HTTP: Final = "http/1.1"


class NoSuchName(Exception):
    """The host has no address."""


class Route(Struct, frozen=True, kw_only=True):
    """What a connection leads to, and how; what has the same can share it."""

    scheme: str
    host: str
    port: int
    verify: bool
    via_proxy: bool
    allow: Guard | None

    @property
    def turn(self) -> tuple[str, bool]:
        """What is asked by few at a time."""
        return self.host, self.verify


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

    @property
    def route(self) -> Route:
        location = self.location
        return Route(
            scheme=location.scheme,
            host=location.host,
            port=location.port,
            verify=self.verify,
            via_proxy=self.via_proxy,
            allow=self.allow,
        )


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
        self._waiting: dict[Route, list[tuple[float, Connection]]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __contains__(self, route: Route) -> bool:
        return route in self._waiting

    def take(self, route: Route) -> Connection | None:
        """A connection that is open still and was not left alone for long."""
        fresh = time.monotonic() - IDLE_SECONDS
        waiting = self._waiting.get(route)
        while waiting:
            since, connection = waiting.pop()
            self._count -= 1
            if not waiting:
                del self._waiting[route]
            if connection.open and since > fresh:
                return connection
            connection.close()
        return None

    def keep(self, route: Route, connection: Connection) -> None:
        self._waiting.setdefault(route, []).append((time.monotonic(), connection))
        self._count += 1
        while self._count > self._most:
            self._close(next(iter(self._waiting)))

    def close(self) -> None:
        for route in list(self._waiting):
            self._close(route)

    def _close(self, route: Route) -> None:
        for _, connection in self._waiting.pop(route):
            connection.close()
            self._count -= 1


class Client:
    """Keeps idle connections; one client serves all modules of a process."""

    def __init__(self, egress: Egress, resolve: Resolve, ca_file: str = "") -> None:
        self._egress = egress
        self._resolve = resolve
        self._ca_file = ca_file
        self._idle = {"https": Idle(IDLE_TLS), "http": Idle(IDLE_PLAIN)}
        self._broken: dict[Route, tuple[float, str]] = {}
        self._turns: dict[object, Turn] = {}

    async def send(self, request: Request) -> Response:
        """Ask, when the host has a connection to spare for us.

        Raises:
            EgressError: no connection. NoSuchName: no address. Broken, Undecodable: no sound HTTP.
        """
        route = request.route
        async with self._turn(route.turn, PER_SOURCE if request.verify else PER_TARGET):
            try:
                async with asyncio.timeout(request.timeout):
                    return await self._send(request, route)
            except TimeoutError:
                limit = f"{request.timeout:g} s"
                raise TimedOut(f"{request.location.authority} did not answer within {limit}") from None

    async def shake(self, address: str, port: int, host: str, *, timeout: float, allow: Guard | None) -> Shown:
        """Shake hands with a target for what it shows; ``host`` is the name that is asked for, or the address.

        A connection that came out as one for HTTP/1.1 is kept for whoever asks the host something next, if it is with
        the address that is dialled for the host: by which one it is asked is not to be left to chance.

        Raises:
            EgressError: no TLS to be had.
        """
        route = Route(scheme="https", host=host, port=port, verify=False, via_proxy=False, allow=allow)
        async with self._turn(route.turn, PER_TARGET):
            connection = await self._dial_target(route, address, timeout, "", "h2", HTTP)
            found, connection.session = shown(connection.session, connection.tls_error), None
            idle = self._idle["https"]
            spoken = found.alpn or (HTTP if port == DEFAULT_PORTS["https"] else "")
            if spoken == HTTP and route not in idle and address == await self._first_address(host):
                idle.keep(route, connection)
            else:
                connection.close()
        return found

    async def _first_address(self, host: str) -> str | None:
        if is_address(host):
            return host
        try:
            return next(iter(await self._resolve(host)), None)
        except EgressError:
            return None

    def way(self, request: Request) -> str:
        """By which way out a request goes."""
        return self._egress.way(request.location.host, via_proxy=request.via_proxy)

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

    async def _send(self, request: Request, route: Route) -> Response:
        wire = _serialise(request)
        idle = self._idle[route.scheme]
        connection = idle.take(route)
        if connection is not None:
            try:
                received = await self._converse(connection, wire, request)
            except Broken:
                if connection.heard:
                    raise
                connection = None  # it was closed while nobody used it
        if connection is None:
            connection = await self._connect(route, request.timeout)
            received = await self._converse(connection, wire, request)
        if received.reusable:
            idle.keep(route, connection)
        else:
            connection.close()
        return _response(received, connection, request)

    async def _converse(self, connection: Connection, wire: bytes, request: Request) -> Received:
        try:
            return await connection.ask(wire, request.limit)
        except BaseException:
            connection.close()
            raise

    async def _connect(self, route: Route, timeout: float) -> Connection:
        addresses = [route.host] if is_address(route.host) else await self._resolve(route.host)
        if not addresses:
            raise NoSuchName(f"{route.host} has no address")
        failure: EgressError | None = None
        for address in list(addresses)[:ADDRESSES_TRIED]:
            try:
                return await self._dial(route, address, timeout)
            except (Unreachable, Refused, TimedOut) as error:
                failure = error
        assert failure is not None
        raise failure

    async def _dial(self, route: Route, address: str, timeout: float) -> Connection:
        if route.scheme == "http":
            return await self._open(route, address, timeout, None)
        if route.verify:
            return await self._open(route, address, timeout, context(self._ca_file, "name", HTTP))
        until, reason = self._broken.get(route, (0.0, ""))
        connection = await self._dial_target(route, address, timeout, reason if until > time.monotonic() else "", HTTP)
        connection.session = None  # what was shown interests only who shakes hands for it
        return connection

    async def _dial_target(
        self, route: Route, address: str, timeout: float, broken: str, *protocols: str
    ) -> Connection:
        """A connection also where a client that verifies would have hung up; ``broken``: why, when that is known."""
        if not broken:
            try:
                connection = await self._open(route, address, timeout, context(self._ca_file, "chain", *protocols))
            except TlsFailed as error:
                broken = error.reason
                if len(self._broken) > 10_000:
                    self._broken.clear()
                self._broken[route] = time.monotonic() + TLS_ERRORS_KEPT, broken
            else:
                # The name is looked at afterwards: many hosts show that of another; a second handshake adds nothing.
                connection.tls_error, connection.certificate = mismatch(connection.certificate, route.host), {}
                return connection
        connection = await self._open(route, address, timeout, context(self._ca_file, "nothing", *protocols))
        connection.tls_error = broken
        return connection

    async def _open(self, route: Route, address: str, timeout: float, tls: ssl.SSLContext | None) -> Connection:
        _, connection = await self._egress.connect(
            lambda: Connection(address),
            address,
            route.port,
            timeout=timeout,
            allow=route.allow,
            via_proxy=route.via_proxy,
            host=route.host,
            tls=tls,
            server_hostname=("" if is_address(route.host) and not route.verify else route.host) if tls else None,
        )
        return connection

    async def close(self) -> None:
        for idle in self._idle.values():
            idle.close()


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
    return Response(
        status=received.status,
        head="\n".join(head),
        headers=received.headers,
        body=body,
        truncated=received.truncated or more,
        peer=join_host_port(connection.address, request.location.port),
        tls_error=connection.tls_error,
    )
