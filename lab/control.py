"""The lab's own door on 127.0.0.1, for those in another process: counts, faults, forgetting.

GET    /counts                what was asked so far: providers, hosts, addresses, servers, touched
GET    /names?server=NAME     DNS questions: [[name, type, count], …]
GET    /faults                the faults in force, by key
PUT    /faults/KEY            a fault, or a list of them: {"kind": "slow", "seconds": 3}
DELETE /faults, /faults/KEY   all is well again
POST   /reset                 forget all counts
"""

import asyncio
from collections.abc import Callable

import msgspec

from lab.faults import Fault, Faults
from lab.journal import Journal
from lab.providers import Request, Response, json
from lab.web.connection import Connection
from lab.web.http import HttpApplication
from lab.web.messages import encode


class Control:
    """Answers on one port of 127.0.0.1; `touched` tells how often the target itself was met."""

    def __init__(self, journal: Journal, faults: Faults, touched: Callable[[], int]) -> None:
        self.journal = journal
        self.faults = faults
        self.touched = touched
        self.url = ""
        self._arrivals = Journal()
        self._open: set[Connection] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._connection, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for connection in tuple(self._open):
            connection.transport.abort()

    def _connection(self) -> Connection:
        return Connection(0, self._arrivals, Faults(), self._open, lambda connection: HttpApplication(self, connection))

    def answer(self, connection: Connection, request: Request, done: Callable[[], None]) -> None:
        """Answer a request of the control door."""
        self._arrivals.connections.clear()
        connection.write(encode(self._respond(request)))
        done()

    def _respond(self, request: Request) -> Response:
        if request.host not in ("127.0.0.1", "localhost"):
            return json({"error": "not for you"}, status=403)
        verb, _, key = request.path.strip("/").partition("/")
        match request.method, verb:
            case "GET", "counts":
                return json(self.counts())
            case "GET", "names":
                names = self.journal.names(request.parameter("server"))
                return json([[name, kind, count] for (name, kind), count in names.items()])
            case "GET", "requests":
                return json([[*asked, count] for asked, count in self.journal.asked_for().items()])
            case "GET", "faults":
                return json(self.faults.all())
            case "PUT", "faults" if key:
                return self._put(key, request.body)
            case "DELETE", "faults":
                self.faults.set(key) if key else self.faults.clear()
                return json({})
            case "POST", "reset":
                self.journal.reset()
                return json({})
        return json({"error": "unknown"}, status=404)

    def counts(self) -> dict[str, object]:
        return {
            "providers": self.journal.providers(),
            "hosts": self.journal.hosts(),
            "addresses": self.journal.addresses(),
            "servers": self.journal.servers(),
            "touched": self.touched(),
        }

    def _put(self, key: str, body: bytes) -> Response:
        try:
            faults = msgspec.json.decode(body, type=list[Fault] | Fault)
        except msgspec.MsgspecError as error:
            return json({"error": str(error)}, status=400)
        self.faults.set(key, *(faults if isinstance(faults, list) else (faults,)))
        return json({})
