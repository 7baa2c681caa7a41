"""Calls between services: typed endpoints, answered in this process, over a socket, or over HTTP.

An `Endpoint` says once how a question is asked and answered. Its owner names a function for it in ``api.py``; the
same function then answers a call from the same process, from the data folder's socket, and over HTTP.
"""

import asyncio
import re
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Mapping
from contextlib import AbstractAsyncContextManager, aclosing
from functools import partial
from typing import Any, Final, Generic, Literal, Protocol, TypeVar
from uuid import UUID

import msgspec
from msgspec import Struct

from services.kernel.errors import Denied, Invalid, NotFound, Unauthenticated, Unavailable
from services.kernel.messages import EVERYWHERE
from services.kernel.request import seconds_left, work

Q = TypeVar("Q", bound=Struct)
A = TypeVar("A")

_FIELD: Final = re.compile(r"\{([a-z_]+)\}")


class Nothing(Struct, frozen=True):
    """A question without fields."""


#: How large the body of a question may be, in bytes: of who need not be known, of who is, and where it may be *large*.
LARGEST_OF_ANYBODY: Final = 16_384
LARGEST_OF_KNOWN: Final = 1_000_000
LARGEST: Final = 50_000_000
#: What an `Endpoint` needs that nobody is ever permitted: it is for the operator, and for services that declare it.
UNGRANTED: Final = ""
#: What an `Endpoint` needs that is for everybody, known or not: who is not known says little.
ANYBODY: Final = "anybody"


Kind = Literal["operator", "person", "token", "service"]


class Piece(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A piece of a file. The first says what it is and is called; the last, in words, what it ``lacks`` that was not to
    be had, and what has no place in it and is ``left_out``.
    """

    data: bytes
    media_type: str = ""
    name: str = ""
    lacks: str = ""
    left_out: str = ""


class Caller(Struct, frozen=True):
    """Who asks, and within which workspace, which is nobody's where the question is about none.

    ``kind``: the *operator*, who owns the data folder or the fleet, may ask everything; a *person*, or a script by
    the *token* that a person gave it, what ``permissions`` names; a *service*, for whoever is named, what it declares
    that it asks. ``account`` is the person's, ``session`` or token what he is known by, ``address`` where he asks from.
    """

    workspace: UUID
    name: str
    kind: Kind = "person"
    permissions: frozenset[str] = frozenset()
    account: UUID | None = None
    service: str = ""
    session: UUID | None = None
    address: str = ""

    @property
    def person(self) -> UUID:
        """The account of whoever asks.

        Raises:
            Invalid: the operator asks on his own machine, who has none.
        """
        if self.account is None:
            raise Invalid("this is about an account, and the operator of this machine asks without one")
        return self.account

    def may(self, permission: str) -> bool:
        """Whether a permission was given, as all are to the operator."""
        return self.kind == "operator" or permission in self.permissions

    def through(self, service: str) -> "Caller":
        """The service that asks for this one's sake, and by its own right."""
        return msgspec.structs.replace(self, kind="service", service=service, permissions=frozenset())


def operator(workspace: UUID, name: str = "operator") -> Caller:
    """Whoever owns the data folder or the fleet."""
    return Caller(workspace, name, kind="operator")


class Endpoint(Struct, Generic[Q, A], frozen=True, kw_only=True):
    """One question that a service answers, to whom is permitted what it ``needs``.

    ``takes`` is a flat Struct: the fields named in ``path`` come from there, the others from the query of a GET or
    DELETE and from the JSON body otherwise. ``streams``: the answer is a sequence of ``answers``. ``idempotent``:
    asking twice is asking once, so that a caller may try again. ``resumes``: the parts of the stream have a
    ``sequence``, and the question takes ``after``, the last one that was seen, to go on from there; it is the same for
    all of a workspace who may ask it, however they are called, so that one stream serves them all. ``file``: the parts
    are each a `Piece`, and over HTTP who does not ask for events gets the file. ``large``: so may its body be.
    ``within``: it is asked within a workspace; what is not is about the installation, or about whoever
    asks. ``audited``: whether it is in the audit trail, as all are that are no GET where that is not said;
    ``audited_for``: when those services ask it, too, for somebody's sake.
    """

    service: str
    name: str
    method: Literal["GET", "POST", "PUT", "DELETE"]
    path: str
    takes: type[Q]
    answers: type[A]
    summary: str
    needs: str = UNGRANTED
    streams: bool = False
    idempotent: bool = True
    resumes: bool = False
    file: bool = False
    large: bool = False
    within: bool = True
    audited: bool | None = None
    audited_for: tuple[str, ...] = ()

    @property
    def is_audited(self) -> bool:
        return self.method != "GET" if self.audited is None else self.audited

    @property
    def largest(self) -> int:
        """Bytes that its body may have; of what services ask each other, as many as there may be."""
        if self.needs == ANYBODY:
            return LARGEST_OF_ANYBODY
        return LARGEST if self.large or self.needs == UNGRANTED else LARGEST_OF_KNOWN

    @property
    def path_fields(self) -> tuple[str, ...]:
        return tuple(_FIELD.findall(self.path))

    @property
    def is_secret(self) -> bool:
        """Whether an answer may hold what lets somebody in: those are of no permission that a token may have."""
        return "." not in self.needs


class Entry(Struct, frozen=True, kw_only=True):
    """What the audit trail says of a question: who asked ``what`` (``service.endpoint``), about what, and how it ended.

    ``outcome``: *done*, or the code of the error. ``kind``, ``name``, ``account``, ``session`` and ``address`` are the
    caller's, ``service`` the one that asked for his sake. ``about``: by the names of fields, ids and words of which
    there are few, and never a text that somebody makes up. ``at``: UTC microseconds; ``trace``: 32 hexadecimal digits.
    """

    at: int
    what: str
    outcome: str
    kind: Kind
    name: str
    account: UUID | None = None
    session: UUID | None = None
    address: str = ""
    service: str = ""
    about: dict[str, str] = {}
    trace: str = ""


Handler = Callable[[Any, Caller, Any], Awaitable[Any]]
StreamHandler = Callable[[Any, Caller, Any], AsyncGenerator[Any, None]]
Doors = Mapping[Endpoint[Any, Any], Handler | StreamHandler]


class Calls(ABC):
    """Asks services, wherever they run. Errors of the other side arrive as the same `MirageError`."""

    @abstractmethod
    async def ask(self, endpoint: Endpoint[Q, A], question: Q, caller: Caller, *, seconds: float = 30.0) -> A:
        """Return the answer within ``seconds`` or raise `Unavailable`."""

    @abstractmethod
    def follow(self, endpoint: Endpoint[Q, A], question: Q, caller: Caller) -> AsyncGenerator[A, None]:
        """Yield a streamed answer as it comes; the other side stops when the generator is closed."""


class CallsOf(Calls):
    """Asks as one service, for the sake of whoever is named as the caller."""

    def __init__(self, service: str, calls: Calls) -> None:
        self._service = service
        self._calls = calls

    async def ask(self, endpoint: Endpoint[Q, A], question: Q, caller: Caller, *, seconds: float = 30.0) -> A:
        return await self._calls.ask(endpoint, question, caller.through(self._service), seconds=seconds)

    def follow(self, endpoint: Endpoint[Q, A], question: Q, caller: Caller) -> AsyncGenerator[A, None]:
        return self._calls.follow(endpoint, question, caller.through(self._service))


def check_permission(endpoint: Endpoint[Any, Any], caller: Caller) -> None:
    """See that somebody who is no service may ask this.

    Raises:
        Unauthenticated: nobody knows who it is, and it is not for everybody.
        Denied: it may not.
    """
    if caller.kind == "operator" or (endpoint.needs != UNGRANTED and endpoint.needs in caller.permissions):
        return
    if caller.account is None:
        raise Unauthenticated("this needs a token: Authorization: Bearer …")
    if endpoint.within and caller.workspace == EVERYWHERE:
        raise Denied("this is asked within a workspace, and you are in none here: name one of yours, or log in again")
    if endpoint.needs == UNGRANTED:
        raise Denied(f"{endpoint.name} is for services and operators")
    if caller.kind == "token" and "." not in endpoint.needs:
        raise Denied(f"{endpoint.name} is for people who are logged in, and not for a token")
    raise Denied(f"{endpoint.name} needs the permission {endpoint.needs}")


class Answering(Calls):
    """Calls that are answered in this process."""

    @abstractmethod
    def check(self, endpoint: Endpoint[Any, Any], caller: Caller) -> None:
        """See that the caller may ask this; whoever asks it is checked in any case.

        Raises:
            Invalid: it asks within no workspace.
            Unauthenticated, Denied: it may not.
        """


class Records(Protocol):
    """Whoever keeps what the audit trail is to say of a service's questions."""

    def answering(
        self, endpoint: Endpoint[Any, Any], question: Any, caller: Caller
    ) -> AbstractAsyncContextManager[None]:
        """Let the block answer a question, which leaves its entry."""

    def streaming(
        self, endpoint: Endpoint[Any, Any], question: Any, caller: Caller, parts: AsyncGenerator[A, None]
    ) -> AsyncGenerator[A, None]:
        """The parts of an answer, of which the question leaves its entry."""

    def refused(self, endpoint: Endpoint[Any, Any], caller: Caller) -> None:
        """Note that somebody asked what he may not."""


class LocalCalls(Answering):
    """Answers by the functions of services in this process, to who may ask; ``asks`` says what of others each may.

    Questions and answers pass by reference: they are frozen.
    """

    def __init__(self, asks: Mapping[str, Collection[Endpoint[Any, Any]]] | None = None) -> None:
        self._asks = {
            service: frozenset((each.service, each.name) for each in asked) for service, asked in (asks or {}).items()
        }
        self._handlers: dict[tuple[str, str], tuple[Any, Callable[..., Any]]] = {}
        self._endpoints: dict[tuple[str, str], Endpoint[Any, Any]] = {}

    def serve(self, ports: Any, doors: Doors) -> None:
        """Let ``doors`` be answered with ``ports`` as their first argument."""
        for endpoint, handle in doors.items():
            self._handlers[endpoint.service, endpoint.name] = (ports, handle)
            self._endpoints[endpoint.service, endpoint.name] = endpoint

    def endpoint(self, service: str, name: str) -> Endpoint[Any, Any]:
        """Find an endpoint by its names, for a caller in another process."""
        found = self._endpoints.get((service, name))
        if found is None:
            raise NotFound(f"nobody here answers {service}.{name}")
        return found

    @property
    def endpoints(self) -> list[Endpoint[Any, Any]]:
        return list(self._endpoints.values())

    async def ask(self, endpoint: Endpoint[Q, A], question: Q, caller: Caller, *, seconds: float = 30.0) -> A:
        ports, handle = self._handler(endpoint, caller)
        asked = partial(handle, ports, caller, question)
        if (records := _records_of(ports)) is None:
            return await self._answer(endpoint, asked, seconds_left(seconds))
        async with records.answering(endpoint, question, caller):
            return await self._answer(endpoint, asked, seconds_left(seconds))

    async def _answer(self, endpoint: Endpoint[Q, A], asked: Callable[[], Awaitable[A]], seconds: float) -> A:
        try:
            async with asyncio.timeout(seconds) as deadline:
                with work(seconds=seconds):
                    return await asked()
        except TimeoutError:
            if not deadline.expired():
                raise
            raise Unavailable(f"{endpoint.service} did not answer {endpoint.name} within {seconds:g} s") from None

    async def follow(self, endpoint: Endpoint[Q, A], question: Q, caller: Caller) -> AsyncGenerator[A, None]:
        ports, handle = self._handler(endpoint, caller)
        parts = handle(ports, caller, question)
        if (records := _records_of(ports)) is not None:
            parts = records.streaming(endpoint, question, caller, parts)
        async with aclosing(parts):
            async for part in parts:
                yield part

    def check(self, endpoint: Endpoint[Any, Any], caller: Caller) -> None:
        if caller.kind == "service":
            if (endpoint.service, endpoint.name) not in self._asks.get(caller.service, ()):
                raise Denied(f"the service {caller.service} does not declare that it asks {endpoint.name}")
        else:
            try:
                check_permission(endpoint, caller)
            except Denied:
                ports, _ = self._handlers.get((endpoint.service, endpoint.name), (None, None))
                if (records := _records_of(ports)) is not None:
                    records.refused(endpoint, caller)
                raise
        if endpoint.within and caller.workspace == EVERYWHERE:
            raise Invalid(f"{endpoint.name} is asked within a workspace")

    def _handler(self, endpoint: Endpoint[Any, Any], caller: Caller) -> tuple[Any, Callable[..., Any]]:
        self.check(endpoint, caller)
        found = self._handlers.get((endpoint.service, endpoint.name))
        if found is None:
            raise Unavailable(f"the service {endpoint.service} is not running here")
        return found


def _records_of(ports: Any) -> Records | None:
    """Where the questions are recorded of whoever has these ports; nowhere, where it has no such thing."""
    records: Records | None = getattr(ports, "trail", None)
    return records
