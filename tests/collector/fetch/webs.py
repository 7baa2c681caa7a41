"""Web servers of a few lines that a test can teach bad manners, reached by logical addresses through a dial table."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from services.collector.fetch import Client
from services.collector.fetch.client import Request
from services.kernel.egress import DialTable, Direct, Egress, Guard, Proxy
from services.kernel.egress.dial import Entry
from services.kernel.egress.location import locate

ADDRESS = "198.51.100.7"


class Asked(NamedTuple):
    """One request as the server read it; ``connection`` and ``number`` (of it on that connection) count from 0.

    ``gone`` says whether the client has hung up.
    """

    connection: int
    number: int
    head: str
    body: bytes
    gone: Callable[[], bool]

    @property
    def line(self) -> str:
        return self.head.split("\r\n", 1)[0]

    @property
    def target(self) -> str:
        return self.line.split(" ")[1]

    def header(self, name: str) -> str | None:
        lines = (line.partition(":") for line in self.head.split("\r\n")[1:])
        return next((value.strip() for key, _, value in lines if key.lower() == name.lower()), None)


Behave = Callable[[Asked, asyncio.StreamWriter], Awaitable[None]]


def says(answer: bytes, *, hang_up: bool = True) -> Behave:
    """The same bytes to every request."""

    async def behave(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        if hang_up:
            writer.close()

    return behave


def page(body: bytes = b"hello", status: str = "200 OK", *headers: str) -> bytes:
    """A sound response."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


def serves(body: bytes = b"hello", status: str = "200 OK", *headers: str) -> Behave:
    """The same sound response to every request, and the connection stays open."""
    return says(page(body, status, *headers), hang_up=False)


class Web:
    """One server on loopback."""

    def __init__(self, behave: Behave) -> None:
        self.behave = behave
        self.asked: list[Asked] = []
        self.connections = 0
        self.under_way = 0
        self.most_under_way = 0
        self.port = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, tls: ssl.SSLContext | None = None) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=tls, limit=1 << 20)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._tasks.add(asyncio.current_task())
        connection, self.connections = self.connections, self.connections + 1
        number = 0
        try:
            while not writer.is_closing():
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").removesuffix("\r\n\r\n")
                asked = Asked(connection, number, head, b"", reader.at_eof)
                body = await reader.readexactly(int(asked.header("content-length") or 0))
                self.asked.append(asked._replace(body=body))
                number += 1
                self.under_way += 1
                self.most_under_way = max(self.most_under_way, self.under_way)
                try:
                    await self.behave(self.asked[-1], writer)
                finally:
                    self.under_way -= 1
        except (EOFError, OSError, asyncio.CancelledError):
            pass
        finally:
            writer.close()


class Net:
    """Servers by logical address and port, names that lead to them, and a client that knows no other way."""

    def __init__(self, ca_file: str = "") -> None:
        self.names: dict[str, list[str]] = {"www.example.org": [ADDRESS]}
        self.looked_up: list[str] = []
        self._ca_file = ca_file
        self._entries: list[Entry] = []
        self._webs: list[Web] = []
        self._clients: list[Client] = []

    async def serve(
        self, behave: Behave, port: int = 80, address: str = ADDRESS, tls: ssl.SSLContext | None = None
    ) -> Web:
        web = Web(behave)
        await web.start(tls)
        self._webs.append(web)
        self._entries.append(Entry(address, "tcp", port, "127.0.0.1", web.port))
        return web

    def egress(self, proxy: Proxy | None = None, *direct: str) -> Egress:
        return Egress(Guard(), DialTable(self._entries), proxy, Direct.parse(direct))

    def client(self, proxy: Proxy | None = None, *direct: str) -> Client:
        self._clients.append(Client(self.egress(proxy, *direct), self._resolve, self._ca_file))
        return self._clients[-1]

    async def close(self) -> None:
        for client in self._clients:
            await client.close()
        for web in self._webs:
            await web.stop()
        for _ in range(3):  # transports close in callbacks of their own
            await asyncio.sleep(0)

    async def _resolve(self, name: str) -> list[str]:
        self.looked_up.append(name)
        return self.names.get(name, [])


def request(url: str = "http://www.example.org/", **fields: object) -> Request:
    return Request(**{"method": "GET", "location": locate(url), "headers": (), "timeout": 5.0, **fields})  # type: ignore[arg-type]
