"""One HTTP/1.1 connection: a request at a time, parsed by llhttp, bounded in every direction."""

import asyncio
import ssl
from collections.abc import Mapping
from typing import Any, Final, cast

import httptools
from msgspec import Struct

MAX_HEAD: Final = 65_536
MAX_HEADERS: Final = 256
#: What comes around a body, beside as much as there is of it: enough for chunks of a few bytes each.
MAX_AROUND: Final = 1_000_000


class Broken(Exception):
    """The other side does not speak HTTP, or hung up in the middle of it."""


class Received(Struct, frozen=True, kw_only=True):
    """A response as it came: the body before any decoding. ``truncated``: it was cut at the limit."""

    status: int
    reason: str
    version: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    truncated: bool
    reusable: bool


class Connection(asyncio.Protocol):
    """The protocol of one connection; ``address`` is the logical address it goes to.

    ``heard``: whether anything was said to the last request. ``session`` and ``certificate``: what `ssl` has of the
    handshake, until somebody looked at it. ``tls_error``: why the connection should not have been made.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self.session: ssl.SSLObject | None = None
        self.certificate: Mapping[str, Any] = {}
        self.tls_error = ""
        self.heard = False
        self._transport: asyncio.Transport | None = None
        self._answered: asyncio.Future[Received] | None = None
        self._limit = 0
        self._reset()

    def _reset(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._reason = b""
        self._headers: list[tuple[str, str]] = []
        self._fields = 0
        self._head = 0
        self._beside = 0
        self._body = bytearray()
        self._received = 0
        self._complete = False
        self._in_body = False

    @property
    def open(self) -> bool:
        """Whether another request could be sent."""
        return self._transport is not None and not self._transport.is_closing()

    async def ask(self, request: bytes, limit: int) -> Received:
        """Send a request and return its response, with at most ``limit`` bytes of body.

        Raises:
            Broken: what came is no HTTP, or ended too soon.
        """
        if self._transport is None or self._transport.is_closing():
            raise Broken("the connection was closed before anything was asked")
        self._reset()
        self._limit = limit
        self.heard = False
        self._answered = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        try:
            return await self._answered
        finally:
            self._answered = None

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    # --- asyncio.Protocol ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's transports are no subclass
        self.session = transport.get_extra_info("ssl_object")
        self.certificate = transport.get_extra_info("peercert") or {}

    def data_received(self, data: bytes) -> None:
        if self._answered is None:
            self.close()
            return
        self.heard = True
        self._beside += len(data)
        self._received += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._fail("it wants to speak another protocol")
        except httptools.HttpParserError as error:
            if not self._complete:
                self._fail(f"not HTTP: {error}")
            else:
                self.close()
        if not self._complete and self._beside > MAX_HEAD:
            self._fail("its head is too large")
        elif self._received > MAX_AROUND + 2 * len(self._body) and not self._complete:
            self._fail("it has more around its body than in it")

    def eof_received(self) -> None:
        return None

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        if self._answered is None or self._answered.done():
            return
        if self._in_body and error is None and not self._announces_length():
            self._succeed(truncated=False)
        else:
            self._fail("it hung up " + ("in the middle of an answer" if self._in_body else "without an answer"))

    def _announces_length(self) -> bool:
        return any(name in {"content-length", "transfer-encoding"} for name, _ in self._lower_headers())

    def _lower_headers(self) -> list[tuple[str, str]]:
        return [(name.lower(), value) for name, value in self._headers]

    # --- httptools ---

    def on_message_begin(self) -> None:
        if self._complete:
            self.close()  # it answers what nobody asked

    def on_status(self, reason: bytes) -> None:
        self._reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields += 1
        self._head += len(name) + len(value)
        if self._fields > MAX_HEADERS or self._head > MAX_HEAD:
            self._fail("it has too many headers")
        elif not self._in_body:  # what comes after the body counts, and is not kept
            self._headers.append((name.decode("latin-1"), value.decode("latin-1").strip(" \t")))

    def on_headers_complete(self) -> None:
        self._in_body = self._parser.get_status_code() >= 200

    def on_body(self, chunk: bytes) -> None:
        self._beside = 0
        room = self._limit - len(self._body)
        self._body += chunk[:room]
        if len(chunk) > room:
            self._succeed(truncated=True)
            self.close()

    def on_message_complete(self) -> None:
        if self._parser.get_status_code() < 200:
            self._headers.clear()
            self._reason = b""
            self._in_body = False
            return
        self._complete = True
        self._succeed(truncated=False)

    def _succeed(self, *, truncated: bool) -> None:
        if self._answered is None or self._answered.done():
            return
        body, self._body = bytes(self._body), bytearray()
        self._answered.set_result(
            Received(
                status=self._parser.get_status_code(),
                reason=self._reason.decode("latin-1"),
                version=self._parser.get_http_version(),
                headers=tuple(self._headers),
                body=body,
                truncated=truncated,
                reusable=self._complete and not truncated and self._parser.should_keep_alive(),
            )
        )

    def _fail(self, reason: str) -> None:
        if self._answered is not None and not self._answered.done():
            self._answered.set_exception(Broken(reason))
        self.close()
