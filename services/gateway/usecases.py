"""The public door: who is let in, where a question goes, and how the answer comes back."""

import asyncio
import io
import re
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping, MutableMapping
from contextlib import ExitStack, aclosing
from typing import Any, Final, cast

import msgspec
import structlog
from msgspec import Struct

from services.gateway.domain import NotAllowed, Routes, without_addresses
from services.kernel.app import LONGEST_SECONDS, create_docs
from services.kernel.calls import Endpoint
from services.kernel.errors import Denied, Invalid, Unavailable
from services.kernel.events import problem_event
from services.kernel.http_calls import Forwarded, HttpCalls
from services.kernel.http_limits import be_patient
from services.kernel.http_questions import Asked, whole_events
from services.kernel.observed import Observed, name_request
from services.kernel.openapi import WORKSPACE, Problem
from services.kernel.problems import make_problem, problem_of, send_problem
from services.kernel.request import SECONDS, TRACE, continue_trace, current_trace
from services.kernel.under_way import let_resume
from services.kernel.workspace import read_workspace

#: What of a request is for the service as it is; all else is between the client and this door.
_PASSED: Final = (b"mirage-seconds", b"last-event-id", b"content-type", b"accept")
#: What of an answer is for the client.
_RETURNED: Final = ("content-type", "cache-control", "location", "retry-after", "etag")

Scope = MutableMapping[str, Any]
Receive = Callable[[], Any]
Send = Callable[[dict[str, Any]], Any]

_EVENTS: Final = "text/event-stream"
_PROBLEM_EVENT: Final = re.compile(rb"(?:\A|\n)event: problem\r?\ndata: ([^\r\n]*)")

_log = structlog.get_logger(__name__)


class Unauthorised(Denied):
    """Nobody knows who asks."""


class TooLarge(Invalid):
    """A question is larger than one may be."""


class Bodies(Struct, frozen=True):
    """What may be held of questions, in bytes: each is read whole before it is passed on, since it may be asked twice.

    ``largest``: of one. Those above ``large``, and those that do not say how large they are, are read ``at_once``; a
    further one waits so many ``seconds`` for its turn.
    """

    largest: int = 50_000_000
    large: int = 65_536
    at_once: int = 2
    seconds: float = 30.0


class Door:
    """An ASGI application: ``admits`` says whether an Authorization header lets in."""

    def __init__(
        self,
        calls: HttpCalls,
        routes: Routes[Endpoint[Any, Any]],
        endpoints: Iterable[Endpoint[Any, Any]],
        admits: Callable[[str], bool],
        prefix: str,
        bodies: Bodies | None = None,
    ) -> None:
        self._bodies = bodies or Bodies()
        self._turns = asyncio.Semaphore(self._bodies.at_once)
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
        answer = Answer(send)
        try:
            await self._forward(scope, path, receive, answer)
        except Exception as error:  # noqa: BLE001  whoever asked is told
            await answer.refuse(error)

    async def _forward(self, scope: Scope, path: str, receive: Receive, answer: "Answer") -> None:
        headers = {name: value for name, value in scope["headers"] if name in _WANTED}
        if not self._admits(headers.get(b"authorization", b"").decode("latin-1")):
            raise Unauthorised("this needs a token: Authorization: Bearer …")
        be_patient(scope)
        raw = scope.get("raw_path", path.encode()).decode("ascii", "replace")
        endpoint = self._routes.find(scope["method"], raw.removeprefix(self._prefix))
        name_request(scope, endpoint.name)  # type: ignore[arg-type]  # the same mapping
        if endpoint.resumes:
            let_resume(scope)
        query = scope["query_string"].decode("ascii", "replace")
        target = raw.removeprefix(self._prefix) + (f"?{query}" if query else "")
        passed = dict(_passed(headers))
        with ExitStack() as held:
            asked = Asked(scope["method"], target, await self._body(headers, receive, held) or None)
            held.callback(_let_go, asked)
            leaving = asyncio.create_task(_left(receive))
            answering = asyncio.create_task(self._answer(endpoint, asked, passed, answer, held))
            try:
                await asyncio.wait({leaving, answering}, return_when=asyncio.FIRST_COMPLETED)
                if answering.done():
                    answering.result()
            finally:
                leaving.cancel()
                answering.cancel()
                await asyncio.gather(leaving, answering, return_exceptions=True)

    async def _answer(
        self,
        endpoint: Endpoint[Any, Any],
        asked: Asked,
        headers: Mapping[str, str],
        answer: "Answer",
        held: ExitStack,
    ) -> None:
        async with self._calls.forward(endpoint, asked, headers, seconds=_seconds(headers)) as given:
            held.close()  # nothing is asked again, and the answer may take hours
            await answer.pass_on(given)

    async def _body(self, headers: Mapping[bytes, bytes], receive: Receive, held: ExitStack) -> bytes:
        """The body of a request, when it is its turn, which lasts until ``held`` is closed."""
        said = headers.get(b"content-length", b"")
        size = int(said) if said.isdigit() else None
        if size is not None and size > self._bodies.largest:
            raise TooLarge(f"a request of more than {self._bodies.largest} bytes is not taken")
        if not (b"transfer-encoding" in headers or (size or 0) > self._bodies.large):
            return await _read(receive, self._bodies.largest)
        try:
            async with asyncio.timeout(self._bodies.seconds):
                await self._turns.acquire()
        except TimeoutError:
            raise Unavailable(f"{self._bodies.at_once} other large requests are being read: try again later") from None
        held.callback(self._turns.release)
        return await _read(receive, self._bodies.largest)


class Answer:
    """What is said to who asks: what the service said, without what is nobody's business outside."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._begun = self._events = False

    async def pass_on(self, given: Forwarded) -> None:
        """Pass on what a service answers, as it comes."""
        returned = [
            (name.encode(), given.headers[name].encode("latin-1")) for name in _RETURNED if name in given.headers
        ]
        returned.append((b"mirage-instance", given.instance.id.encode()))
        self._events = given.headers.get("content-type", "").startswith(_EVENTS)
        self._begun = True
        await self._send({"type": "http.response.start", "status": given.status, "headers": returned})
        chunks = whole_events(given.chunks) if self._events else _chunks(given)
        async with aclosing(chunks):
            async for chunk in chunks:
                told = _PROBLEM_EVENT.sub(_told, chunk) if self._events else chunk
                await self._send({"type": "http.response.body", "body": told, "more_body": True})
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def refuse(self, error: Exception) -> None:
        """Say what is wrong, as a service itself would; what has begun and is no stream of events breaks off."""
        if not self._begun:
            await _refuse(error, self._send)
            return
        if not self._events:
            raise error
        event = problem_event(_outside(problem_of(error)))
        await self._send({"type": "http.response.body", "body": event, "more_body": False})


async def _chunks(given: Forwarded) -> AsyncGenerator[bytes, None]:
    """An answer as it comes; one that says what is wrong in a service, whole."""
    if given.status < 500:
        async for chunk in given.chunks:
            yield chunk
        return
    body = bytearray()
    async for chunk in given.chunks:
        body += chunk
    yield without_addresses(body.decode("utf-8", "replace")).encode()


def _told(event: re.Match[bytes]) -> bytes:
    """The last event of a stream that failed, as it is told outside."""
    said = event[1].decode("utf-8", "replace")
    _log.warning("a stream failed", reason=said)
    return event[0][: event.start(1) - event.start()] + without_addresses(said).encode()


def _outside(problem: Problem) -> Problem:
    """A problem as it is told outside; where the servers are that are away is in the log."""
    told = without_addresses(problem.detail) if problem.status >= 500 else problem.detail
    if told != problem.detail:
        _log.warning("a request failed", reason=problem.detail)
    return msgspec.structs.replace(problem, detail=told)


_WANTED: Final = frozenset(
    {*_PASSED, b"authorization", b"content-length", b"transfer-encoding", WORKSPACE.lower().encode()}
)


def _passed(headers: Mapping[bytes, bytes]) -> Iterator[tuple[str, str]]:
    for name in _PASSED:
        if name in headers:
            yield name.decode(), headers[name].decode("latin-1")
    workspace = headers.get(WORKSPACE.lower().encode())
    if workspace is not None:  # by its id: a name would be encoded anew on its way
        yield WORKSPACE, str(read_workspace(workspace))
    yield TRACE, continue_trace(current_trace())


def _seconds(headers: Mapping[str, str]) -> float:
    """How long the client waits; what is no number is for the service to refuse."""
    try:
        return max(0.0, min(LONGEST_SECONDS, float(headers.get(SECONDS.lower(), LONGEST_SECONDS))))
    except ValueError:
        return LONGEST_SECONDS


async def _read(receive: Receive, largest: int) -> bytes:
    body = io.BytesIO()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Invalid("the request broke off")
        body.write(message.get("body", b""))
        if body.tell() > largest:
            raise TooLarge(f"a request of more than {largest} bytes is not taken")
        if not message.get("more_body", False):
            return body.getvalue()


def _let_go(asked: Asked) -> None:
    asked.body = None


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _refuse(error: Exception, send: Send) -> None:
    """Say what is wrong, as a service itself would."""
    problem = _outside(problem_of(error))
    headers: list[tuple[bytes, bytes]] = []
    if isinstance(error, Unauthorised):
        problem = msgspec.structs.replace(problem, status=401)
        headers.append((b"www-authenticate", b"Bearer"))
    elif isinstance(error, NotAllowed):
        problem = msgspec.structs.replace(problem, status=405)
        headers.append((b"allow", ", ".join(error.allowed).encode()))
    elif isinstance(error, TooLarge):
        problem = make_problem(413, "too_large", problem.detail)
    await send_problem(send, problem, headers=headers)
