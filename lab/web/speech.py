"""What is not HTTP: services that say who they are, and WHOIS."""

import time

from lab.faults import HTTP, Faults
from lab.journal import HttpRequest, Journal
from lab.web.connection import Application, Connection
from lab.web.routing import Routing
from lab.world import World

LINE_LIMIT = 1024
GREETINGS = {"imaps": "* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] Dovecot ready.\r\n"}


class Greeter(Application):
    """Says what the port of the address says first, and then listens without a word."""

    def __init__(self, world: World, connection: Connection) -> None:
        address = world.address(connection.ip)
        port = next((port for port in address.ports if port.number == connection.port), None) if address else None
        if port is None:
            connection.close()
            return
        greeting = port.banner or GREETINGS.get(port.protocol, "")
        if greeting:
            connection.write(greeting.encode("latin-1"))

    def received(self, data: bytes) -> None:
        """Take it and say nothing."""


class WhoisApplication(Application):
    """One query a connection (RFC 3912)."""

    def __init__(
        self, world: World, routing: Routing, journal: Journal, faults: Faults, connection: Connection
    ) -> None:
        self._world = world
        self._routing = routing
        self._journal = journal
        self._faults = faults
        self._connection = connection
        self._line = b""

    def received(self, data: bytes) -> None:
        self._line += data
        if b"\n" in self._line or len(self._line) > LINE_LIMIT:
            self._answer(self._line.partition(b"\n")[0].decode("utf-8", "replace").strip())

    def _answer(self, query: str) -> None:
        host = self._routing.provider_host(self._connection.ip)
        target = self._routing.find(self._connection.ip, host)
        text, provider = "", ""
        for asked in target.providers:
            answer = asked.whois(self._world, host, query) if asked.whois else None
            if answer is not None:
                text, provider = answer, asked.id
                break
        self._journal.requests.append(
            HttpRequest(
                time.time(), self._connection.peer, self._connection.ip, 43, host, "WHOIS", query, provider, 200
            )
        )
        fault = self._faults.find((*target.keys, host), HTTP) if self._faults else None
        if fault and fault.kind == "hang":
            return
        if fault and fault.kind == "reset":
            self._connection.reset()
            return
        if fault and fault.kind == "rate_limited":
            text = "%ERROR:201: access denied: query limit exceeded, try again later\r\n"
        if fault and fault.kind == "empty_body":
            text = ""
        self._connection.write(text.replace("\r\n", "\n").replace("\n", "\r\n").encode())
        self._connection.close()
