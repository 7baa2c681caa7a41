"""Around an ASGI application: the requests under way, so that none ends without a word when the process does."""

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from services.kernel.errors import Unavailable
from services.kernel.events import problem_event
from services.kernel.problems import problem_of, send_problem
from services.kernel.request import REQUEST_ID, TRACE, continue_trace, trace_id, work

#: What is told of a question, and of a stream, that did not end in time.
UNANSWERED: Final = "this instance has ended before it had an answer: ask again"
BROKEN_OFF: Final = "this instance has ended, and the stream with it: ask for it again"
_KEY: Final = "under_way"


class UnderWay:
    """Middleware, outside of all others.

    A request that has to end is cancelled, and answered in its stead: by a problem document where no answer had begun,
    by the event ``problem`` in a stream of events. Any other answer that has begun breaks off.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._requests: set[UnderWayRequest] = set()
        self.resumable_end = False
        self.all_end = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        state[_KEY] = request = UnderWayRequest(self, state, send)
        self._requests.add(request)
        try:
            request.look()
            await self._app(scope, receive, request.send)
        except asyncio.CancelledError:
            if not request.told or not request.can_be_told:
                raise
            request.task.uncancel()
            await request.say_that_it_ends()
        finally:
            self._requests.discard(request)

    def end_resumable(self) -> None:
        """End the streams, those that begin from now on too, whose client goes on with them elsewhere."""
        self.resumable_end = True
        self._look()

    def end_all(self) -> None:
        """End everything, and what comes from now on."""
        self.all_end = True
        self._look()

    def _look(self) -> None:
        for request in list(self._requests):
            request.look()


class UnderWayRequest:
    """One request, and how far its answer is."""

    def __init__(self, all_of_them: UnderWay, state: Mapping[str, Any], send: Send) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.task = task
        self.told = False
        self.resumable = False
        self._all = all_of_them
        self._state = state
        self._send = send
        self._begun = self._ended = False
        self._events = False
        self._between_events = True

    @property
    def can_be_told(self) -> bool:
        """Whether something can still be said to who asks."""
        return not self._begun or self._ended or (self._events and self._between_events)

    def look(self) -> None:
        """End it, if it has to."""
        if not self.told and (self._all.all_end or (self._all.resumable_end and self.resumable)):
            self.told = True
            self.task.cancel()

    async def send(self, message: Message) -> None:
        await self._send(message)
        if message["type"] == "http.response.start":
            self._begun = True
            kind = next((value for name, value in message["headers"] if name.lower() == b"content-type"), b"")
            self._events = kind.startswith(b"text/event-stream")
        elif message["type"] == "http.response.body":
            self._ended = not message.get("more_body", False)
            if body := message.get("body", b""):
                self._between_events = body.endswith((b"\n\n", b"\r\n\r\n"))

    async def say_that_it_ends(self) -> None:
        if self._ended:
            return
        traceparent = self._state.get(TRACE) or continue_trace()
        with work(traceparent=traceparent):
            problem = problem_of(Unavailable(BROKEN_OFF if self._begun else UNANSWERED))
        if self._begun:
            await self._send({"type": "http.response.body", "body": problem_event(problem), "more_body": False})
            return
        said = [(b"connection", b"close"), (REQUEST_ID, trace_id(traceparent).encode())]
        await send_problem(self._send, problem, headers=said)


def let_resume(scope: Any) -> None:
    """Say that a request is for a stream with which its client goes on elsewhere where it ends."""
    request = scope.get("state", {}).get(_KEY)
    if request is not None:
        request.resumable = True
        request.look()
