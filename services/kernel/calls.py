"""Calls between services: typed endpoints, answered in this process, over a socket, or over HTTP.

An `Endpoint` says once how a question is asked and answered. Its owner names a function for it in ``api.py``; the
same function then answers a call from the same process, from the data folder's socket, and over HTTP.
"""

import asyncio
import re
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from typing import Any, Final, Generic, Literal, TypeVar
from uuid import UUID

from msgspec import Struct

from services.kernel.errors import Invalid, NotFound, Unavailable
from services.kernel.messages import EVERYWHERE
from services.kernel.request import seconds_left, work

Q = TypeVar("Q", bound=Struct)
A = TypeVar("A")

_FIELD: Final = re.compile(r"\{([a-z_]+)\}")


class Nothing(Struct, frozen=True):
    """A question without fields."""


class Caller(Struct, frozen=True):
    """On whose behalf: every question is asked within one workspace."""

    workspace: UUID
    name: str = "operator"


class Endpoint(Struct, Generic[Q, A], frozen=True, kw_only=True):
    """One question that a service answers.

    ``takes`` is a flat Struct: the fields named in ``path`` come from there, the others from the query of a GET or
    DELETE and from the JSON body otherwise. ``streams``: the answer is a sequence of ``answers``. ``idempotent``:
    asking twice is asking once, so that a caller may try again. ``resumes``: the parts of the stream have a
    ``sequence``, and the question takes ``after``, the last one that was seen, to go on from there.
    """

    service: str
    name: str
    method: Literal["GET", "POST", "PUT", "DELETE"]
    path: str
    takes: type[Q]
    answers: type[A]
    summary: str
    streams: bool = False
    idempotent: bool = True
    resumes: bool = False

    @property
    def path_fields(self) -> tuple[str, ...]:
        return tuple(_FIELD.findall(self.path))


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


class LocalCalls(Calls):
    """Answers by the functions of services in this process.

    Questions and answers pass by reference: they are frozen.
    """

    def __init__(self) -> None:
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
        seconds = seconds_left(seconds)
        try:
            async with asyncio.timeout(seconds) as deadline:
                with work(seconds=seconds):
                    return await handle(ports, caller, question)  # type: ignore[no-any-return]
        except TimeoutError:
            if not deadline.expired():
                raise
            raise Unavailable(f"{endpoint.service} did not answer {endpoint.name} within {seconds:g} s") from None

    async def follow(self, endpoint: Endpoint[Q, A], question: Q, caller: Caller) -> AsyncGenerator[A, None]:
        ports, handle = self._handler(endpoint, caller)
        async with aclosing(handle(ports, caller, question)) as parts:
            async for part in parts:
                yield part

    def _handler(self, endpoint: Endpoint[Any, Any], caller: Caller) -> tuple[Any, Callable[..., Any]]:
        if caller.workspace == EVERYWHERE:  # as over HTTP
            raise Invalid("a question is asked within a workspace")
        found = self._handlers.get((endpoint.service, endpoint.name))
        if found is None:
            raise Unavailable(f"the service {endpoint.service} is not running here")
        return found
