"""A service to ask: it answers in every way in which a service can."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from contextvars import ContextVar
from functools import cache
from typing import Any, Literal
from uuid import UUID

import msgspec
from litestar import Litestar
from msgspec import Struct

from services.kernel import errors
from services.kernel.app import Identify, create_app, identify_operator, serve_hosts
from services.kernel.calls import Answering, Caller, Endpoint, LocalCalls, Nothing, Piece
from services.kernel.errors import Conflict, NotFound


class Tune(Struct, frozen=True, kw_only=True):
    """A tune to play, by its number."""

    number: UUID
    key: Literal["c", "d"] = "c"
    volume: int = 5
    loud: bool = False
    by: str | None = None


class Played(Struct, frozen=True, kw_only=True):
    number: UUID
    key: str
    volume: int
    loud: bool
    by: str | None
    workspace: UUID


class Named(Struct, frozen=True):
    name: str


class Upload(Struct, frozen=True):
    name: str
    content: bytes


class Note(Struct, frozen=True):
    pitch: int


class From(Struct, frozen=True):
    after: int | None = None


class Hole(Struct, frozen=True):
    sequence: int


def endpoint(name: str, method: str, path: str, takes: type, answers: type, *, streams: bool = False) -> Endpoint:
    return Endpoint(
        service="organ", name=name, method=method, path=path, takes=takes, answers=answers, summary=name,
        streams=streams, needs="organ.play",
    )  # fmt: skip


PLAY = endpoint("play_tune", "GET", "/v1/tunes/{number}", Tune, Played)
COMPOSE = endpoint("compose_tune", "POST", "/v1/tunes/{number}", Tune, Played)
FAIL = endpoint("fail", "GET", "/v1/errors/{name}", Named, Nothing)
KEEP = endpoint("keep", "PUT", "/v1/files/{name}", Upload, Upload)
LISTEN = endpoint("listen", "GET", "/v1/notes", Nothing, Note, streams=True)
STUMBLE = endpoint("stumble", "GET", "/v1/stumbles/{name}", Named, Note, streams=True)
HOLD = endpoint("hold", "GET", "/v1/long", Nothing, Note, streams=True)
SHEET = msgspec.structs.replace(endpoint("sheet", "GET", "/v1/sheets/{name}", Named, Piece, streams=True), file=True)
ROLL = msgspec.structs.replace(endpoint("roll", "GET", "/v1/roll", From, Hole, streams=True), resumes=True)


class Organ:
    def __init__(self) -> None:
        self.closed = asyncio.Event()


async def play(organ: Organ, caller: Caller, tune: Tune) -> Played:
    return Played(
        number=tune.number, key=tune.key, volume=tune.volume, loud=tune.loud, by=tune.by, workspace=caller.workspace
    )


async def fail(organ: Organ, caller: Caller, question: Named) -> Nothing:
    raise getattr(errors, question.name, ZeroDivisionError)("the reason")


async def keep(organ: Organ, caller: Caller, question: Upload) -> Upload:
    return question


async def listen(organ: Organ, caller: Caller, question: Nothing) -> AsyncGenerator[Note, None]:
    yield Note(1)
    yield Note(2)


async def stumble(organ: Organ, caller: Caller, question: Named) -> AsyncGenerator[Note, None]:
    if question.name == "first":
        raise NotFound("no such notes")
    yield Note(1)
    raise Conflict("lost the page") if question.name == "later" else ZeroDivisionError("the secret inside")


async def hold(organ: Organ, caller: Caller, question: Nothing) -> AsyncGenerator[Note, None]:
    try:
        yield Note(1)
        await asyncio.Event().wait()
    finally:
        organ.closed.set()


async def roll(organ: Organ, caller: Caller, question: From) -> AsyncGenerator[Hole, None]:
    for number in range(question.after or 0, 4):
        yield Hole(number + 1)


async def sheet(organ: Organ, caller: Caller, question: Named) -> AsyncGenerator[Piece, None]:
    yield Piece(data=b"\x00\xff", media_type="application/x-notes", name="sheet.notes")
    yield Piece(data=b"da")
    yield Piece(data=b"", lacks="the second voice")


DOORS = {
    ROLL: roll,
    SHEET: sheet,
    PLAY: play, COMPOSE: play, FAIL: fail, KEEP: keep, LISTEN: listen, STUMBLE: stumble, HOLD: hold,
}  # fmt: skip


#: Whoever asks is the operator.
EVERYBODY = identify_operator()
#: The services that are here, and their ids.
Here = frozenset[tuple[str, str]]
#: Who answers the request that is under way.
_ANSWERS: ContextVar[Answering] = ContextVar("answers")


class Whoever(Answering):
    """Lets those answer whose application it is now: putting one together is what takes time."""

    def check(self, endpoint: Endpoint, caller: Caller) -> None:
        _ANSWERS.get().check(endpoint, caller)

    async def ask(self, endpoint: Endpoint, question: object, caller: Caller, *, seconds: float = 30.0) -> Any:
        return await _ANSWERS.get().ask(endpoint, question, caller, seconds=seconds)

    async def follow(self, endpoint: Endpoint, question: object, caller: Caller) -> AsyncGenerator[Any, None]:
        async with aclosing(_ANSWERS.get().follow(endpoint, question, caller)) as parts:
            async for part in parts:
                yield part


@cache
def _application(
    endpoints: tuple[Endpoint, ...], hosts: frozenset[str], identify: Identify, prefix: str, instances: Here
) -> Litestar:
    return create_app(Whoever(), endpoints, hosts=hosts, identify=identify, prefix=prefix, instances=instances)


class App:
    """An application in front of ``calls``; those that answer the same are one."""

    def __init__(
        self,
        calls: LocalCalls,
        hosts: frozenset[str],
        identify: Identify = EVERYBODY,
        prefix: str = "",
        instances: Here = frozenset(),
    ) -> None:
        self._calls = calls
        self._app = _application(tuple(calls.endpoints), hosts, identify, prefix, instances)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        before = _ANSWERS.set(self._calls)
        try:
            await self._app(scope, receive, send)
        finally:
            _ANSWERS.reset(before)


def compose_app(organ: Organ, prefix: str = "") -> App:
    """All of it over HTTP, for whoever calls it localhost."""
    calls = LocalCalls()
    calls.serve(organ, DOORS)
    return App(calls, serve_hosts("127.0.0.1:8080"), prefix=prefix)
