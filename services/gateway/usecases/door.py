"""The public door: who is let in, where a question goes, and how the answer comes back."""

import asyncio
import io
import re
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, aclosing
from typing import Any, Final, cast

import msgspec
import structlog
from msgspec import Struct

from services.gateway.domain import NotAllowed, Routes, without_addresses
from services.gateway.usecases.idempotency import leave_in_doubt
from services.gateway.usecases.identities import IDENTIFYING
from services.gateway.usecases.streams import Streams
from services.kernel.app import (
    LARGE_AT_ONCE,
    LARGE_SECONDS,
    LONGEST_SECONDS,
    Identify,
    Watched,
    create_docs,
    nobody_watches,
)
from services.kernel.asgi import Receive, Scope, Send
from services.kernel.calls import LARGEST, LARGEST_OF_ANYBODY, Caller, Endpoint, check_permission
from services.kernel.errors import Denied, Invalid, Unauthenticated, Unavailable
from services.kernel.events import REVOKED, problem_event
from services.kernel.http_calls import Forwarded, HttpCalls
from services.kernel.http_limits import be_patient
from services.kernel.http_origin import is_cross_site
from services.kernel.http_questions import Asked, whole_events
from services.kernel.http_representation import Represented, note_keeping
from services.kernel.http_server import HANGING_UP
from services.kernel.observed import Observed, name_request
from services.kernel.openapi import Problem
from services.kernel.problems import headers_of, make_problem, problem_of, send_problem
from services.kernel.request import SECONDS, TRACE, continue_trace, current_trace
from services.kernel.under_way import let_resume

#: What of a request is for the service as it is; all else is between the client and this door.
_PASSED: Final = (b"mirage-seconds", b"last-event-id", b"content-type", b"accept")
#: What of an answer is for the client.
_RETURNED: Final = (
    *("content-type", "cache-control", "location", "retry-after", "etag"),
    *("content-disposition", "x-content-type-options"),
)

#: Told of who is known and asks what he may not.
Refused = Callable[[Endpoint[Any, Any], Caller], None]

_EVENTS: Final = "text/event-stream"
_PROBLEM_EVENT: Final = re.compile(rb"(?:\A|\n)event: problem\r?\ndata: ([^\r\n]*)")

_log = structlog.get_logger(__name__)


class TooLarge(Invalid):
    """A question is larger than one may be."""


class Bodies(Struct, frozen=True):
    """What may be held of questions, in bytes: each is read whole before it is passed on, since it may be asked twice.

    ``largest``: of one, where its endpoint takes as much. Those above ``large``, and those that do not say how large
    they are, are read ``at_once``; a further one waits so many ``seconds`` for its turn, and has come within
    ``patient`` ones. Of who is not known ``unknowns`` at most are read, which take
    no turn, and have come within ``hasty`` seconds: nobody needs more to log in.
    """

    largest: int = LARGEST
    large: int = 65_536
    at_once: int = LARGE_AT_ONCE
    seconds: float = 30.0
    patient: float = LARGE_SECONDS
    unknowns: int = LARGEST_OF_ANYBODY
    hasty: float = 10.0


class Door:
    """An ASGI application, which passes on what is asked by whom ``identify`` knows; ``watched``: until when he may.

    ``before``: what makes of an application one with something before it. ``refused`` is told of questions that do not
    reach their service.
    """

    def __init__(
        self,
        calls: HttpCalls,
        routes: Routes[Endpoint[Any, Any]],
        endpoints: Iterable[Endpoint[Any, Any]],
        identify: Identify,
        prefix: str,
        bodies: Bodies | None = None,
        watched: Watched = nobody_watches,
        before: Callable[[Any], Any] | None = None,
        refused: Refused | None = None,
    ) -> None:
        self._refused = refused
        self._watched = watched
        self._bodies = bodies or Bodies()
        self._turns = asyncio.Semaphore(self._bodies.at_once)
        self._calls = calls
        self._streams = Streams(calls)
        self._routes = routes
        self._identify = identify
        self._prefix = prefix
        self._docs: Any = create_docs(endpoints, prefix)
        serve = cast("Any", self._serve)
        self._observed: Any = Observed(Represented(before(serve) if before else serve))

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
        if is_cross_site(scope["method"], scope["headers"]):
            raise Denied("this is not asked by a page from elsewhere")
        headers = {name: value for name, value in scope["headers"] if name in _WANTED}
        said = {name.decode(): headers[name].decode("latin-1") for name in IDENTIFYING if name in headers}
        caller = await self._identify(said, (scope.get("client") or ("",))[0])
        raw = scope.get("raw_path", path.encode()).decode("ascii", "replace")
        endpoint = self._routes.find(scope["method"], raw.removeprefix(self._prefix))
        note_keeping(scope, endpoint)
        self._check(endpoint, caller)
        known = caller.account is not None or caller.kind == "operator"
        if known:
            be_patient(scope, caller.account or caller.kind)
        name_request(scope, endpoint.name)  # type: ignore[arg-type]  # the same mapping
        if endpoint.resumes:
            let_resume(scope)
        query = scope["query_string"].decode("ascii", "replace")
        target = raw.removeprefix(self._prefix) + (f"?{query}" if query else "")
        passed = dict(_passed(headers))
        with self._watched(caller) as revoked, ExitStack() as held:
            reading = self._body(endpoint, headers, receive, held) if known else self._unknowns(headers, receive)
            asked = Asked(scope["method"], target, await reading or None)
            held.callback(_let_go, asked)
            leaving = asyncio.create_task(_left(receive))
            ending = asyncio.create_task(revoked.wait())
            answering = asyncio.create_task(self._answer(endpoint, asked, caller, passed, revoked, answer, held))
            try:
                await asyncio.wait({leaving, ending, answering}, return_when=asyncio.FIRST_COMPLETED)
                if answering.done():
                    answering.result()
                elif ending.done():
                    leave_in_doubt(scope)
                    raise Unauthenticated(REVOKED)
            finally:
                for task in (leaving, ending, answering):
                    task.cancel()
                await asyncio.gather(leaving, ending, answering, return_exceptions=True)

    def _check(self, endpoint: Endpoint[Any, Any], caller: Caller) -> None:
        """As the service does: who may not shall not reach it."""
        try:
            check_permission(endpoint, caller)
        except Denied:
            if self._refused is not None:
                self._refused(endpoint, caller)
            raise

    async def _answer(
        self,
        endpoint: Endpoint[Any, Any],
        asked: Asked,
        caller: Caller,
        headers: Mapping[str, str],
        revoked: asyncio.Event,
        answer: "Answer",
        held: ExitStack,
    ) -> None:
        seconds = _seconds(headers)
        if endpoint.resumes and asked.body is None:
            forwarding = self._streams.view(endpoint, asked, caller, headers, revoked, seconds=seconds)
        elif endpoint.streams:
            forwarding = self._streams.ask(endpoint, asked, caller, headers, seconds=seconds)
        else:
            forwarding = self._calls.forward(endpoint, asked, caller, headers, seconds=seconds)
        async with forwarding as given:
            held.close()  # nothing is asked again, and the answer may take hours
            await answer.pass_on(given)

    async def _unknowns(self, headers: Mapping[bytes, bytes], receive: Receive) -> bytes:
        """The body of a request of who is not known."""
        _said_size(headers, self._bodies.unknowns)
        try:
            async with asyncio.timeout(self._bodies.hasty):
                return await _read(receive, self._bodies.unknowns)
        except TimeoutError:
            raise Invalid(f"the request did not come within {self._bodies.hasty:g} s") from None

    async def _body(
        self, endpoint: Endpoint[Any, Any], headers: Mapping[bytes, bytes], receive: Receive, held: ExitStack
    ) -> bytes:
        """The body of a request, when it is its turn, which lasts until ``held`` is closed."""
        largest = min(self._bodies.largest, endpoint.largest)
        size = _said_size(headers, largest)
        if not (b"transfer-encoding" in headers or (size or 0) > self._bodies.large):
            return await _read(receive, largest)
        try:
            async with asyncio.timeout(self._bodies.seconds):
                await self._turns.acquire()
        except TimeoutError:
            raise Unavailable(f"{self._bodies.at_once} other large requests are being read: try again later") from None
        held.callback(self._turns.release)
        try:
            async with asyncio.timeout(self._bodies.patient):
                return await _read(receive, largest)
        except TimeoutError:
            raise Invalid(f"the request did not come within {self._bodies.patient:g} s") from None


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
        async with asyncio.timeout(HANGING_UP):  # who takes nothing is told nothing
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


_WANTED: Final = frozenset({*_PASSED, *IDENTIFYING, b"content-length", b"transfer-encoding"})


def _passed(headers: Mapping[bytes, bytes]) -> Iterator[tuple[str, str]]:
    for name in _PASSED:
        if name in headers:
            yield name.decode(), headers[name].decode("latin-1")
    yield TRACE, continue_trace(current_trace())


def _seconds(headers: Mapping[str, str]) -> float:
    """How long the client waits; what is no number is for the service to refuse."""
    try:
        return max(0.0, min(LONGEST_SECONDS, float(headers.get(SECONDS.lower(), LONGEST_SECONDS))))
    except ValueError:
        return LONGEST_SECONDS


def _said_size(headers: Mapping[bytes, bytes], largest: int) -> int | None:
    """The bytes of a body, where that is said; raises `TooLarge`."""
    said = headers.get(b"content-length", b"")
    size = int(said) if said.isdigit() else None
    if size is not None and size > largest:
        raise TooLarge(f"a request of more than {largest} bytes is not taken")
    return size


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
    headers = [(name.lower().encode(), value.encode()) for name, value in headers_of(error).items()]
    if isinstance(error, NotAllowed):
        problem = make_problem(405, "not_allowed", problem.detail)
        headers.append((b"allow", ", ".join(error.allowed).encode()))
    elif isinstance(error, TooLarge):
        problem = make_problem(413, "too_large", problem.detail)
    await send_problem(send, problem, headers=headers)
