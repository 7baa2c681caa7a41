"""A few listeners for every address of the lab: one for each logical port, on all of loopback."""

import asyncio
import contextlib
import socket
from functools import partial

from lab.faults import Faults
from lab.journal import Journal
from lab.web.certificates import Authority
from lab.web.connection import Application, Connection, TlsConnection, TlsFront
from lab.web.http import HttpServer
from lab.web.routing import Routing
from lab.web.speech import Greeter, WhoisApplication
from lab.world import World

TLS_PORTS = frozenset((443, 465, 993, 8443))
HTTP_PORTS = frozenset((80, 443, 8080, 8443))
WHOIS_PORT = 43
BACKLOG = 2048


class WebServer:
    """Listens for all TCP ports that any address of the lab has, apart from DNS."""

    def __init__(self, world: World, routing: Routing, authority: Authority, journal: Journal, faults: Faults) -> None:
        self.world = world
        self.routing = routing
        self.journal = journal
        self.faults = faults
        self.http = HttpServer(world, routing, journal, faults)
        self._front = TlsFront(authority, routing, faults)
        self._servers: list[asyncio.Server] = []
        self._open: set[Connection] = set()

    async def start(self) -> dict[int, int]:
        """Listen; returns the local port behind every logical one."""
        logical = {port.number for address in self.world.addresses for port in address.ports} - {53}
        logical |= {port for host in self.routing.provider_addresses for port in self.routing.ports(host)}
        ports = {}
        for port in sorted(logical):
            listener = open_listener()
            ports[port] = listener.getsockname()[1]
            server = await asyncio.get_running_loop().create_server(
                partial(self._connection, port), sock=listener, backlog=BACKLOG
            )
            self._servers.append(server)
        return ports

    def _connection(self, port: int) -> Connection:
        if port in TLS_PORTS:
            return TlsConnection(port, self.journal, self.faults, self._open, self._application, self._front)
        return Connection(port, self.journal, self.faults, self._open, self._application)

    def _application(self, connection: Connection) -> Application:
        if connection.port in HTTP_PORTS:
            return self.http.application(connection)
        if connection.port == WHOIS_PORT:
            return WhoisApplication(self.world, self.routing, self.journal, self.faults, connection)
        return Greeter(self.world, connection)

    async def stop(self) -> None:
        await self.http.stop()
        for server in self._servers:
            server.close()
        for connection in tuple(self._open):
            connection.transport.abort()
        for server in self._servers:
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(server.wait_closed(), 1)


def open_listener() -> socket.socket:
    """A TCP socket on a free port that the outside cannot reach: bound to the loopback interface.

    Packets that the machine sends to its own other addresses come over that interface as well, so that connections are
    checked again when they arrive.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    with contextlib.suppress(PermissionError):
        # Without privileges since Linux 5.7.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo\0")
    listener.bind(("0.0.0.0", 0))  # noqa: S104 - see above
    listener.setblocking(False)
    return listener
