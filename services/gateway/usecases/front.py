"""What every request passes before it reaches an endpoint, in a fleet and in one process alike.

Who asks is found out once, is not let in too often, and what he asks with a key is done once.
"""

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Final, Protocol
from uuid import UUID

from services.gateway.usecases.idempotency import KeptAnswers, read_key
from services.gateway.usecases.identities import IDENTIFYING
from services.gateway.usecases.rate_limits import RateLimiter, Taken, TooOften
from services.kernel.asgi import App, Message, Receive, Scope, Send
from services.kernel.calls import Caller
from services.kernel.errors import MirageError, Unauthenticated
from services.kernel.problems import headers_of, problem_of, send_problem

#: Whoever watches over this process asks it as often as he likes: it looks at nothing.
LIVE: Final = "/health/live"
#: Who asks, or why that is not known, as the application asks for it.
_found: Final[ContextVar[Caller | MirageError]] = ContextVar("caller")


class Recognises(Protocol):
    """Tells who asks: see `services.gateway.usecases.identities`."""

    async def identify(self, headers: Mapping[str, str], address: str) -> Caller: ...

    def recall(self, headers: Mapping[str, str], address: str) -> Caller | None: ...


class Front:
    """``prefix``: below which the API is; nobody is known elsewhere, and all but `LIVE` has the limit of an address."""

    def __init__(self, identities: Recognises, limiter: RateLimiter, answers: KeptAnswers, prefix: str) -> None:
        self._identities = identities
        self._limiter = limiter
        self._answers = answers
        self._endpoints = f"{prefix}/v"

    async def identify(self, headers: Mapping[str, str], address: str) -> Caller:
        """Who asks, as this knows it already.

        Raises:
            Unauthenticated, Denied, Unavailable: see `Identities.identify`.
        """
        found = _found.get()
        if isinstance(found, MirageError):
            raise found
        return found

    def before(self, app: App) -> App:
        """The application with this before it; it asks `identify` who asks."""

        async def passed(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http" and scope["path"] != LIVE:
                await self._pass(app, scope, receive, send)
            else:
                await app(scope, receive, send)

        return passed

    async def _pass(self, app: App, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            found, taken = await self._let_in(scope)
        except TooOften as error:
            said = [(name.lower().encode(), value.encode()) for name, value in headers_of(error).items()]
            await send_problem(send, problem_of(error), headers=[*said, *error.taken.headers])
            return

        async def send_limits(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], *taken.headers]}
            await send(message)

        token = _found.set(found)
        try:
            if scope["method"] == "POST" and isinstance(found, Caller) and found.account is not None:
                await self._post(app, scope, receive, send_limits, found)
            else:
                await app(scope, receive, send_limits)
        finally:
            _found.reset(token)

    async def _post(self, app: App, scope: Scope, receive: Receive, send: Send, caller: Caller) -> None:
        try:
            key = read_key(scope["headers"])
        except MirageError as error:
            await send_problem(send, problem_of(error))
            return
        if key:
            await self._answers.once(app, scope, receive, send, caller, key)
        else:
            await app(scope, receive, send)

    async def _let_in(self, scope: Scope) -> tuple[Caller | MirageError, Taken]:
        """Who asks, or why that is not known, and what was taken of his bucket.

        Whoever has a token that is not known here is let in as one of his address until it turns out to be good: how
        often others have to look at what strangers bring is limited by that.

        Raises:
            TooOften: he is not let in.
        """
        address: str = (scope.get("client") or ("",))[0]
        if not scope["path"].startswith(self._endpoints):
            return Unauthenticated("there is nothing to be asked here"), self._limiter.take_of_address(address)
        said = {name.decode(): value.decode("latin-1") for name, value in scope["headers"] if name in IDENTIFYING}
        try:
            caller = self._identities.recall(said, address)
        except MirageError as error:
            return error, self._limiter.take_of_address(address)
        if caller is not None and caller.session is not None:
            return caller, self._take(caller.kind, caller.session)
        taken = self._limiter.take_of_address(address)
        if caller is not None:
            return caller, taken
        try:
            caller = await self._identities.identify(said, address)
        except MirageError as error:
            return error, taken
        if caller.session is None:
            return caller, taken
        self._limiter.give_back(taken)
        return caller, self._take(caller.kind, caller.session)

    def _take(self, kind: str, session: UUID) -> Taken:
        return self._limiter.take("token" if kind == "token" else "person", session.hex)
