"""The public door: who is let in, where a question goes, and how the answer comes back."""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from typing import Any, Final, cast

import msgspec

from services.gateway.domain import NotAllowed, Routes
from services.kernel.app import create_docs
from services.kernel.calls import Endpoint
from services.kernel.errors import Denied, Invalid
from services.kernel.http_calls import HttpCalls
from services.kernel.http_questions import Asked
from services.kernel.observed import Observed, name_request
from services.kernel.openapi import PROBLEM
from services.kernel.problems import problem_of
from services.kernel.request import TRACE, continue_trace, current_trace

#: The largest question, in bytes.
LARGEST: Final = 50_000_000
#: What of a request is for the service; all else is between the client and this door.
_PASSED: Final = (b"mirage-workspace", b"mirage-seconds", b"last-event-id", b"content-type", b"accept")
#: What of an answer is for the client.
_RETURNED: Final = ("content-type", "cache-control", "location", "retry-after", "etag")

Scope = MutableMapping[str, Any]
Receive = Callable[[], Any]
Send = Callable[[dict[str, Any]], Any]


class Unauthorised(Denied):
    """Nobody knows who asks."""


class Door:
    """An ASGI application: ``admits`` says whether an Authorization header lets in."""

    def __init__(
        self,
        calls: HttpCalls,
        routes: Routes[Endpoint[Any, Any]],
        endpoints: Iterable[Endpoint[Any, Any]],
        admits: Callable[[str], bool],
        prefix: str,
    ) -> None:
        self._calls = calls
        self._routes = routes
        self._admits = admits
        self._prefix = prefix
        self._docs: Any = create_docs(endpoints, prefix)
        self._observed: Any = Observed(cast("Any", self._serve))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._observed(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        if not path.startswith(f"{self._prefix}/v"):
            await self._docs(scope, receive, send)
            return
        begun = False

        async def send_noting(message: dict[str, Any]) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._forward(scope, path, receive, send_noting)
        except Exception as error:
            if begun:  # too late to say so: the answer ends in the middle, and the client sees that it does
                raise
            await _refuse(error, send)

    async def _forward(self, scope: Scope, path: str, receive: Receive, send: Send) -> None:
        headers = {name: value for name, value in scope["headers"] if name in _WANTED}
        if not self._admits(headers.get(b"authorization", b"").decode("latin-1")):
            raise Unauthorised("this needs a token: Authorization: Bearer …")
        raw = scope.get("raw_path", path.encode()).decode("ascii", "replace")
        endpoint = self._routes.find(scope["method"], raw.removeprefix(self._prefix))
        name_request(scope, endpoint.name)  # type: ignore[arg-type]  # the same mapping
        query = scope["query_string"].decode("ascii", "replace")
        target = raw.removeprefix(self._prefix) + (f"?{query}" if query else "")
        asked = Asked(scope["method"], target, await _read(receive) or None)
        passed = dict(_passed(headers))
        leaving = asyncio.create_task(_left(receive))
        answering = asyncio.create_task(self._answer(endpoint, asked, passed, send))
        try:
            await asyncio.wait({leaving, answering}, return_when=asyncio.FIRST_COMPLETED)
            if answering.done():
                answering.result()
        finally:
            leaving.cancel()
            answering.cancel()
            await asyncio.gather(leaving, answering, return_exceptions=True)

    async def _answer(self, endpoint: Endpoint[Any, Any], asked: Asked, headers: Mapping[str, str], send: Send) -> None:
        async with self._calls.forward(endpoint, asked, headers) as answer:
            returned = [
                (name.encode(), answer.headers[name].encode("latin-1")) for name in _RETURNED if name in answer.headers
            ]
            returned.append((b"mirage-instance", answer.instance.id.encode()))
            await send({"type": "http.response.start", "status": answer.status, "headers": returned})
            async for chunk in answer.chunks:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})


_WANTED: Final = frozenset({*_PASSED, b"authorization"})


def _passed(headers: Mapping[bytes, bytes]) -> Iterator[tuple[str, str]]:
    for name in _PASSED:
        if name in headers:
            yield name.decode(), headers[name].decode("latin-1")
    yield TRACE, continue_trace(current_trace())


async def _read(receive: Receive) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Invalid("the request broke off")
        body += message.get("body", b"")
        if len(body) > LARGEST:
            raise Invalid(f"a request of more than {LARGEST} bytes is not taken")
        if not message.get("more_body", False):
            return bytes(body)


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _refuse(error: Exception, send: Send) -> None:
    """Say what is wrong, as a service itself would."""
    problem = problem_of(error)
    headers = [(b"content-type", PROBLEM.encode())]
    status = problem.status
    if isinstance(error, Unauthorised):
        status = 401
        headers.append((b"www-authenticate", b"Bearer"))
    elif isinstance(error, NotAllowed):
        status = 405
        headers.append((b"allow", ", ".join(error.allowed).encode()))
    body = msgspec.json.encode(msgspec.structs.replace(problem, status=status))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
