"""HTTP/1.1 for web hosts and providers, on httptools; usual answers are kept as bytes."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol
from urllib.parse import parse_qs, unquote

import httptools

from lab.faults import HTTP, Faults
from lab.journal import HttpRequest, Journal
from lab.providers import Provider, Request, Response, json
from lab.web.connection import Application, Connection
from lab.web.messages import encode
from lab.web.misbehaviour import misbehave
from lab.web.pages import not_found, respond, stranger_page, wildcard_page
from lab.web.routing import Routing, Target
from lab.world import World

BODY_LIMIT = 1 << 20
KEPT_LIMIT = 1 << 15
BAD_REQUEST = Response(status=400, headers=(("Content-Type", "text/plain"),), body=b"bad request\n")
UNAUTHORISED = json({"error": "missing or invalid API key"}, status=401)


class Answerer(Protocol):
    """Who answers the requests of an application."""

    def answer(self, connection: Connection, request: Request, done: Callable[[], None]) -> None:
        """Answer on `connection`, at once or later; `done` is called when the next request may be answered."""


class HttpServer:
    """Answers requests to web hosts and providers."""

    def __init__(self, world: World, routing: Routing, journal: Journal, faults: Faults) -> None:
        self.world = world
        self.routing = routing
        self.journal = journal
        self.faults = faults
        self._kept: dict[tuple[str, str, bool, str], bytes] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def application(self, connection: Connection) -> "HttpApplication":
        return HttpApplication(self, connection)

    def answer(self, connection: Connection, request: Request, done: Callable[[], None]) -> None:
        """Answer from what is kept, from the world, or as a fault makes it."""
        plain = request.method == "GET" and not self.faults
        if plain:
            key = (connection.ip, request.host, connection.secure, request.target)
            if (kept := self._kept.get(key)) is not None:
                self._note(connection, request, "", int(kept[9:12]))
                connection.write(kept)
                done()
                return
        target = self.routing.find(connection.ip, request.host)
        provider, response = self.respond(target, request)
        self._note(connection, request, provider, response.status)
        fault = self.faults.find((*target.keys, connection.ip), HTTP, request.target) if self.faults else None
        if fault is not None:
            task = asyncio.get_running_loop().create_task(misbehave(connection, request, response, fault, done))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            return
        wire = encode(response)
        if plain and not target.providers and len(self._kept) < KEPT_LIMIT:
            self._kept[key] = wire
        connection.write(wire if request.method != "HEAD" else wire[: wire.index(b"\r\n\r\n") + 4])
        done()

    def respond(self, target: Target, request: Request) -> tuple[str, Response]:
        """Who answers (a provider's id, or nothing for a web host), and what."""
        if target.providers:
            return _ask_providers(self.world, target.providers, request)
        if request.method not in ("GET", "HEAD"):
            return "", Response(status=405, headers=(("Allow", "GET, HEAD"),))
        if target.site is not None:
            return "", respond(self.world, target.site, request.scheme, request.path)
        if target.wildcard is not None:
            return "", wildcard_page(target.wildcard)
        if target.stranger is not None:
            return "", stranger_page(target.stranger)
        return "", not_found()

    def _note(self, connection: Connection, request: Request, provider: str, status: int) -> None:
        self.journal.requests.append(
            HttpRequest(
                time.time(),
                connection.peer,
                connection.ip,
                connection.port,
                request.host,
                request.method,
                request.target,
                provider,
                status,
            )
        )

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def _ask_providers(world: World, providers: tuple[Provider, ...], request: Request) -> tuple[str, Response]:
    for provider in providers:
        if provider.answer is None:
            continue
        if provider.key is not None:
            given = request.headers if provider.key.where == "header" else request.query
            value = given.get(provider.key.name.lower() if given is request.headers else provider.key.name, "")
            if provider.key.value not in (value, value[0] if value else ""):
                return provider.id, UNAUTHORISED
        response = provider.answer(world, request)
        if response is not None:
            return provider.id, response
    return providers[0].id, json({"error": "not found"}, status=404)


class HttpApplication(Application):
    """One client's requests, answered in order."""

    def __init__(self, server: Answerer, connection: Connection) -> None:
        self.server = server
        self.connection = connection
        self._parser = httptools.HttpRequestParser(self)
        self._url = b""
        self._headers: dict[str, str] = {}
        self._body = b""
        self._waiting: deque[tuple[Request, bool]] = deque()
        self._busy = False
        self._scheme = "https" if connection.secure else "http"

    def received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self.connection.write(encode(BAD_REQUEST))
            self.connection.close()

    def on_message_begin(self) -> None:
        self._url, self._headers, self._body = b"", {}, b""

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        if len(self._body) + len(body) <= BODY_LIMIT:
            self._body += body

    def on_message_complete(self) -> None:
        target = self._url.decode("latin-1")
        path, _, query = target.partition("?")
        request = Request(
            method=self._parser.get_method().decode(),
            host=self._headers.get("host", "").rsplit(":", 1)[0].lower().rstrip("."),
            path=unquote(path) if "%" in path else path,
            query=parse_qs(query, keep_blank_values=True) if query else {},
            headers=self._headers,
            body=self._body,
            scheme=self._scheme,
            target=target,
        )
        self._waiting.append((request, self._parser.should_keep_alive()))
        if not self._busy:
            self._next()

    def _next(self) -> None:
        if not self._waiting or self.connection.closed:
            self._busy = False
            return
        self._busy = True
        request, keep = self._waiting.popleft()
        self.server.answer(self.connection, request, self._next if keep else self.connection.close)
