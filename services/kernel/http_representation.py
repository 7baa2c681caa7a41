"""Answers as people and their scripts get them: with a tag by which to ask whether they have changed (RFC 9110,
section 13), with what caches may do (RFC 9111), and compressed where that is taken.

Answers that may hold what lets somebody in are kept by nobody, and never compressed: their length would tell of them
(BREACH). Only what is asked with GET, and with HEAD, is looked at: nothing else is worth it.
"""

import hashlib
import re
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final

import structlog
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Receive, Send

from services.kernel.calls import Endpoint
from services.kernel.errors import Unavailable
from services.kernel.http_coding import SMALLEST, Gzip, aside, is_text, takes_gzip
from services.kernel.problems import problem_of, send_problem

#: Bytes of an answer that is held until it is whole, for its tag.
LARGEST: Final = 1_000_000
#: Bytes of what was held that are sent at a time: the next ones wait until who asks has taken most of these.
PIECE: Final = 65_536
#: Of an Accept-Encoding, what is looked at.
LONGEST: Final = 1000
BROKEN_OFF: Final = "the answer broke off: ask again"
NO_STORE: Final = b"no-store"
#: Kept by who asked alone, who asks each time whether it has changed.
PRIVATE: Final = b"no-cache, private"
PUBLIC: Final = b"no-cache"
_KEEPING: Final = "keeping"
_TAGGED: Final = re.compile(r"(?:text/(?:html|javascript)|application/(?:.*\+)?json)")
_TAG: Final = re.compile(rb'"([\x21\x23-\x7e]*?)(?:-gzip)?"')
#: What is said of a body, and not where there is none.
_OF_A_BODY: Final = (b"content-type", b"content-length", b"content-disposition", b"last-modified")
#: HEAD is answered here wherever GET is, of which nobody else knows.
_ALLOWS_GET: Final = re.compile(rb"\bGET\b(?!.*\bHEAD\b)")
_VARY: Final = (b"vary", b"Accept-Encoding")

_log = structlog.get_logger(__name__)

Headers = list[tuple[bytes, bytes]]


def note_keeping(scope: Any, endpoint: Endpoint[Any, Any]) -> None:
    """Say how what an endpoint answers may be kept by who gets it."""
    scope["state"][_KEEPING] = NO_STORE if endpoint.is_secret else PRIVATE


class Represented:
    """Middleware."""

    def __init__(self, app: ASGIApp) -> None:
        self._app: Any = app

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        scope.setdefault("state", {})
        answer = Answer(scope, send)
        if scope["method"] not in {"GET", "HEAD"}:
            await self._app(scope, receive, answer.send_kept)
            return
        try:
            await self._app({**scope, "method": "GET"}, receive, answer.send)
        except Exception as error:
            if not answer.is_held:
                raise
            _log.warning("an answer broke off", reason=str(error))
            await send_problem(send, problem_of(Unavailable(BROKEN_OFF)))


class Answer:
    """One answer: held, while it is not known whether it is small enough to have a tag; else passed on."""

    def __init__(self, scope: Any, send: Callable[[Any], Awaitable[None]]) -> None:
        self._send = send
        self._state = scope["state"]
        self._only_head = scope["method"] == "HEAD"
        self._asked: Headers = scope["headers"]
        self._start: dict[str, Any] = {}
        self._held: bytearray | None = None
        self._gzip: Gzip | None = None
        self._over = False

    @property
    def is_held(self) -> bool:
        """Whether it has begun, and nothing of it was sent."""
        return self._held is not None

    async def send_kept(self, message: Any) -> None:
        """Send it as it is, with how it may be kept."""
        if message["type"] == "http.response.start":
            message = {**message, "headers": self._completed(message["headers"])}
        await self._send(message)

    async def send(self, message: Any) -> None:
        """Send what a GET is answered."""
        if message["type"] == "http.response.start":
            await self._begin(message)
        elif self._held is not None:
            await self._hold(message.get("body", b""), more=message.get("more_body", False))
        elif not self._over:
            await self._pass_on(message.get("body", b""), more=message.get("more_body", False))

    async def _begin(self, start: dict[str, Any]) -> None:
        headers = self._completed(start["headers"])
        self._start = {**start, "headers": headers}
        kind = _value(headers, b"content-type").decode("latin-1").partition(";")[0].strip().lower()
        if start["status"] != 200 or not is_text(kind) or self._state.get(_KEEPING) == NO_STORE:
            await self._send_start(headers)
        elif _TAGGED.fullmatch(kind):
            self._held = bytearray()
        else:
            await self._begin_pieces()

    async def _hold(self, body: bytes, *, more: bool) -> None:
        assert self._held is not None
        self._held += body
        if len(self._held) > LARGEST:
            begun, self._held = bytes(self._held), None
            await self._begin_pieces()
            await self._pass_on(begun, more=more)
        elif not more:
            whole, self._held = bytes(self._held), None
            await self._send_whole(whole)

    async def _send_whole(self, body: bytes) -> None:
        digest = await aside(_digest, body)
        coded = len(body) >= SMALLEST and self._takes_gzip()
        headers = [*_without(self._start["headers"], b"etag"), _VARY]
        headers.append((b"etag", b'"%b%b"' % (digest, b"-gzip" if coded else b"")))
        if not _value(headers, b"cache-control"):
            headers.append((b"cache-control", PUBLIC))
        if self._is_known(digest):
            self._start["status"] = 304
            await self._send_start(_without(headers, *_OF_A_BODY))
            await self._pass_on(b"", more=False)
            return
        if coded:
            body = await aside(Gzip().whole, body)
            headers.append((b"content-encoding", b"gzip"))
        await self._send_start([*_without(headers, b"content-length"), (b"content-length", b"%d" % len(body))])
        await self._pass_on(body, more=False)

    async def _begin_pieces(self) -> None:
        headers = [*_without(self._start["headers"], b"etag"), _VARY]
        size = _value(headers, b"content-length")
        if self._takes_gzip() and not (size.isdigit() and int(size) < SMALLEST):
            self._gzip = Gzip()
            headers = [*_without(headers, b"content-length"), (b"content-encoding", b"gzip")]
        await self._send_start(headers)

    async def _send_start(self, headers: Headers) -> None:
        await self._send({**self._start, "headers": headers})
        if self._only_head:
            self._over = True
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _pass_on(self, body: bytes, *, more: bool) -> None:
        if self._over:
            return
        if self._gzip is not None:
            body = await aside(self._gzip.piece if more else self._gzip.whole, body)
        for first in range(PIECE, len(body), PIECE):
            await self._send({"type": "http.response.body", "body": body[first - PIECE : first], "more_body": True})
        last = body[(len(body) - 1) // PIECE * PIECE :] if body else body
        await self._send({"type": "http.response.body", "body": last, "more_body": more})

    def _completed(self, headers: Iterable[tuple[bytes, bytes]]) -> Headers:
        """The headers, with HEAD where GET is allowed, and how the answer may be kept where they do not say so."""
        said = [(name, _ALLOWS_GET.sub(b"GET, HEAD", value) if name == b"allow" else value) for name, value in headers]
        keeping = self._state.get(_KEEPING)
        if keeping is not None and not _value(said, b"cache-control"):
            said.append((b"cache-control", keeping))
        return said

    def _takes_gzip(self) -> bool:
        said = b",".join(value for name, value in self._asked if name == b"accept-encoding")
        return bool(said) and takes_gzip(said[:LONGEST].decode("latin-1"))

    def _is_known(self, digest: bytes) -> bool:
        """Whether who asks has this already; both codings are the same answer."""
        said = b",".join(value for name, value in self._asked if name == b"if-none-match")
        return said.strip() == b"*" or digest in _TAG.findall(said)


def _digest(body: bytes) -> bytes:
    return hashlib.sha256(body).hexdigest()[:32].encode()


def _value(headers: Headers, name: bytes) -> bytes:
    return next((value for each, value in headers if each == name), b"")


def _without(headers: Headers, *names: bytes) -> Headers:
    return [(name, value) for name, value in headers if name not in names]
