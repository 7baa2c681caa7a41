"""Streams that can be resumed: each is asked of its service once, however many watch it here.

Whoever comes is answered by the service itself, so that he is told what it tells him, and begins where it lets him
begin. He goes over to the stream that others watch already as soon as that has all that comes after what he has seen,
or both have nothing to say; where there is none, his own becomes it. Who comes again and has seen something that is
still kept goes there at once.

What is asked of services is limited (`places`).
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, ExitStack, aclosing, asynccontextmanager
from contextvars import Context
from typing import Any, Final
from uuid import UUID

import msgspec
import structlog
from msgspec import Struct

from services.gateway.usecases.events import Event, events_of, raise_unavailable, sequence_of
from services.gateway.usecases.places import Places
from services.kernel.calls import Caller, Endpoint
from services.kernel.errors import MirageError, Unavailable
from services.kernel.events import PING_SECONDS, SILENT
from services.kernel.http_calls import Forwarded, HttpCalls
from services.kernel.http_questions import Asked, read_problem
from services.kernel.openapi import LAST_EVENT
from services.kernel.pauses import pauses
from services.kernel.request import TRACE, continue_trace

#: Bytes of the last events of a stream that are kept for who is behind, or comes again.
KEPT_BYTES: Final = 65_536
#: What an event costs beside its own bytes.
_EACH: Final = 200
#: Seconds for which a stream goes on that nobody watches: who loads a page anew is back by then.
LINGERING: Final = 2.0
#: Seconds after which a stream that says nothing has nothing more to say: longer than any event is on its way.
QUIET: Final = 10.0
#: How often a stream is asked for again that breaks off each time before anything new was said.
REOPENED: Final = 5
EVENTS: Final = "text/event-stream"
BEHIND: Final = "the events were taken too slowly: ask for the stream again, after the last one that came"

_log = structlog.get_logger(__name__)


class Key(Struct, frozen=True):
    """What is the same for all who watch a stream: ``target`` without where to begin.

    What a viewer says that he accepts is no part of it: a stream comes in one form.
    """

    service: str
    endpoint: str
    workspace: UUID
    target: str


class Asker:
    """Who is answered by this task, until it is over or has to end."""

    def __init__(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._why = ""

    def end(self, why: str) -> None:
        """End it, also where it waits for a client that takes nothing."""
        self._why = why
        self._task.cancel()

    def say_why(self) -> None:
        """Raise `Unavailable` where it was cancelled because it has to end."""
        if self._why:
            self._task.uncancel()
            raise Unavailable(self._why)


class Viewer(Asker):
    """Who watches a stream; ``revoked`` is set once he may not any more.

    ``stream`` is the shared one, once he watches it; ``next``: how many of its events came before the one that he takes
    next; those up to ``seen`` he has had.
    """

    def __init__(self, caller: Caller, revoked: asyncio.Event) -> None:
        super().__init__()
        self.caller = caller
        self.revoked = revoked
        self.stream: SharedStream | None = None
        self.next = 0
        self.seen = -1


class Streams:
    """The streams that are watched through this process."""

    def __init__(self, calls: HttpCalls) -> None:
        self._calls = calls
        self._shared: dict[Key, SharedStream] = {}
        self._places = Places()

    @asynccontextmanager
    async def ask(
        self,
        endpoint: Endpoint[Any, Any],
        asked: Asked,
        caller: Caller,
        headers: Mapping[str, str],
        *,
        seconds: float = 30.0,
    ) -> AsyncIterator[Forwarded]:
        """As `HttpCalls.forward`, for a stream that nobody shares.

        Raises:
            Unavailable: as there; or it made room for somebody else.
            Limited: too many are open.
        """
        asker = Asker()
        try:
            with self._places.taken(caller.account, asker.end):
                async with self._calls.forward(endpoint, asked, caller, headers, seconds=seconds) as given:
                    yield given
        except asyncio.CancelledError:
            asker.say_why()
            raise

    @asynccontextmanager
    async def view(
        self,
        endpoint: Endpoint[Any, Any],
        asked: Asked,
        caller: Caller,
        headers: Mapping[str, str],
        revoked: asyncio.Event,
        *,
        seconds: float = 30.0,
    ) -> AsyncIterator[Forwarded]:
        """As `HttpCalls.forward`, for who may ask this in his workspace, until he is ``revoked``.

        Raises:
            Unavailable: as there; or the client is so slow that what it has not taken is kept no longer, or made room.
            Limited: too many are open.
        """
        key, after = _key(endpoint, asked, caller, headers)
        viewer = Viewer(caller, revoked)
        try:
            shared = self._that_has_said(key, after)
            if shared is not None:
                async with aclosing(shared.events(viewer, after)) as events:
                    yield shared.answer(events)
                return
            with ExitStack() as held:
                place = held.enter_context(self._places.taken(caller.account, viewer.end))
                async with AsyncExitStack() as own:
                    forwarding = self._calls.forward(endpoint, asked, caller, headers, seconds=seconds)
                    given = await own.enter_async_context(forwarding)
                    if not _is_stream(given):
                        yield given
                        return
                    if key in self._shared:
                        events = self._own_then_shared(key, viewer, after, given, own, held)
                    else:
                        events = self._share(endpoint, key, viewer, after, given, own, held)
                        place.end = self._shared[key].end
                    async with aclosing(events):
                        yield msgspec.structs.replace(given, chunks=events)
        except asyncio.CancelledError:
            viewer.say_why()
            raise
        finally:
            if viewer.stream is not None:
                viewer.stream.leave(viewer)

    def _share(
        self,
        endpoint: Endpoint[Any, Any],
        key: Key,
        viewer: Viewer,
        after: int | None,
        given: Forwarded,
        own: AsyncExitStack,
        held: ExitStack,
    ) -> AsyncGenerator[bytes, None]:
        """What a stream says that is from now on the one that others watch, too; it keeps its place until it ends."""
        kept = held.pop_all()
        kept.callback(self._shared.pop, key, None)
        shared = self._shared[key] = SharedStream(self._calls, endpoint, key, after, kept.close)
        events = shared.events(viewer, after)
        shared.begin(own.pop_all(), given)
        return events

    async def _own_then_shared(
        self, key: Key, viewer: Viewer, after: int | None, given: Forwarded, own: AsyncExitStack, held: ExitStack
    ) -> AsyncGenerator[bytes, None]:
        """What the service says to this viewer alone, until others have all that comes next."""
        shared = self._that_has_said(key, after)
        others = None if shared is None else shared.events(viewer, after)
        async with aclosing(events_of(given.chunks)) as own_events:
            while others is None:
                event = await anext(own_events, None)
                if event is None:
                    return
                yield event.raw
                others = self._others(key, viewer, event)
        await own.aclose()
        held.close()
        async with aclosing(others):
            async for raw in others:
                yield raw

    def _that_has_said(self, key: Key, after: int | None) -> "SharedStream | None":
        shared = self._shared.get(key)
        return shared if shared is not None and after is not None and shared.has_said(after) else None

    def _others(self, key: Key, viewer: Viewer, event: Event) -> AsyncGenerator[bytes, None] | None:
        """What others have that comes after an event of his own, once that is all there is."""
        shared = self._shared.get(key)
        if shared is not None and event.sequence is not None and shared.goes_on_after(event.sequence):
            return shared.events(viewer, event.sequence)
        if shared is not None and event.is_comment and shared.is_quiet():
            return shared.events(viewer, shared.last)
        return None


class SharedStream:
    """A stream that the gateway follows for whoever watches it; ``ended`` is called when it does so no more.

    Its first viewer had seen what came up to ``after``, which is where it begins.
    """

    def __init__(
        self,
        calls: HttpCalls,
        endpoint: Endpoint[Any, Any],
        key: Key,
        after: int | None,
        ended: Callable[[], object],
    ) -> None:
        self._calls = calls
        self._endpoint = endpoint
        self._key = key
        self._ended = ended
        self._viewers: set[Viewer] = set()
        self._kept: deque[tuple[int, bytes]] = deque()
        self._kept_bytes = 0
        #: How many events came before those that are kept, and the place in the stream after which all are kept.
        self._gone = 0
        self._floor = after
        #: The place of the last event, and the moment when it came.
        self.last = after
        self._said_at = asyncio.get_running_loop().time()
        self._changed = asyncio.Event()
        self._tries = 0
        self._over = False
        self._farewell = b""
        self._error: Exception | None = None

    def begin(self, opened: AsyncExitStack, given: Forwarded) -> None:
        """Follow it, from what a service has begun to answer; ``opened`` lets go of that."""
        self._given = given
        # In a context of its own: it belongs to no viewer's request.
        self._following = asyncio.create_task(self._follow(opened), context=Context())

    def has_said(self, after: int) -> bool:
        """Whether it has come to ``after``, and has all that came since."""
        return self.goes_on_after(after) and self.last is not None and after <= self.last

    def goes_on_after(self, sequence: int) -> bool:
        """Whether all that comes after ``sequence`` is kept, or is still to come."""
        return not self._over and self._floor is not None and self._floor <= sequence

    def is_quiet(self) -> bool:
        """Whether it goes on, and has said nothing for a while."""
        return not self._over and asyncio.get_running_loop().time() - self._said_at >= QUIET

    def answer(self, events: AsyncGenerator[bytes, None]) -> Forwarded:
        """What a service would answer whose events are these."""
        return msgspec.structs.replace(self._given, chunks=events)

    def events(self, viewer: Viewer, after: int | None) -> AsyncGenerator[bytes, None]:
        """What comes after an event, or from now on; who watches is there from this moment on, until he leaves."""
        viewer.stream = self
        viewer.seen = -1 if after is None else after
        viewer.next = self._gone + sum(sequence <= viewer.seen for sequence, _ in self._kept)
        self._viewers.add(viewer)
        return self._events(viewer)

    async def _events(self, viewer: Viewer) -> AsyncGenerator[bytes, None]:
        while True:
            while viewer.next < self._gone + len(self._kept):
                sequence, raw = self._kept[viewer.next - self._gone]
                viewer.next += 1
                if sequence > viewer.seen:
                    yield raw
            if self._error is not None:  # one of his own, so that it does not grow with each who raises it
                raise type(self._error)(*self._error.args)
            if self._over:
                yield self._farewell
                return
            try:
                async with asyncio.timeout(PING_SECONDS):
                    await self._changed.wait()
            except TimeoutError:
                yield SILENT

    def leave(self, viewer: Viewer) -> None:
        """Let it end soon, if this was the last one who watched it."""
        self._viewers.discard(viewer)
        if not self._viewers:
            asyncio.get_running_loop().call_later(LINGERING, self._end_unwatched)

    def _end_unwatched(self) -> None:
        if not self._viewers:
            self.end("nobody watched this stream")

    def end(self, why: str) -> None:
        """Follow it no more, and tell who is there why; whoever still wants it asks again."""
        self._end(Unavailable(why))
        # Not before it has begun: it closes what was opened for it.
        asyncio.get_running_loop().call_soon(self._following.cancel)

    def _end(self, error: MirageError | None) -> None:
        """Follow it no more; nobody comes from now on, and who is there is told."""
        if not self._over:
            self._over, self._error = True, error
            self._ended()
            self._wake()

    async def _follow(self, opened: AsyncExitStack) -> None:
        try:
            while (broken := await self._take(opened)) is not None:
                opened = await self._reopen(broken)
            self._end(None)
        except MirageError as error:
            self._end(error)
        except Exception as error:  # noqa: BLE001  whoever watches is told
            _log.error("a stream cannot be followed", endpoint=self._endpoint.name, exc_info=error)
            self._end(MirageError("a stream cannot be followed"))
        finally:
            self._end(Unavailable("this process is ending"))

    async def _take(self, opened: AsyncExitStack) -> Unavailable | None:
        """Let all have what comes until it has ended, or until it breaks off, by what is returned."""
        try:
            async with opened:
                async for event in events_of(self._given.chunks):
                    if event.name == "problem":
                        raise_unavailable(self._endpoint.service, event)
                    if event.is_last:
                        self._farewell = event.raw
                        return None
                    if event.sequence is not None:
                        self._tries = 0
                        self._keep(event.sequence, event.raw)
                        await asyncio.sleep(0)  # so that who is not slow is never behind
        except Unavailable as error:
            return error
        return Unavailable(f"the stream of {self._endpoint.service} broke off")

    def _keep(self, sequence: int, raw: bytes) -> None:
        if self.last is None or sequence <= self.last:
            self._begin_anew(sequence)
        self.last = sequence
        self._said_at = asyncio.get_running_loop().time()
        self._kept.append((sequence, raw))
        self._kept_bytes += len(raw) + _EACH
        while self._kept_bytes > KEPT_BYTES and len(self._kept) > 1:
            self._floor, oldest = self._kept.popleft()
            self._kept_bytes -= len(oldest) + _EACH
            self._gone += 1
        for viewer in [each for each in self._viewers if each.next < self._gone]:
            viewer.end(BEHIND)
        self._wake()

    def _begin_anew(self, sequence: int) -> None:
        """Whoever counts has begun to, or has forgotten what was before: what was kept fits nothing that comes."""
        self._floor = sequence
        self._gone += len(self._kept)
        self._kept.clear()
        self._kept_bytes = 0
        for viewer in self._viewers:
            viewer.next, viewer.seen = self._gone, -1

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def _reopen(self, broken: Unavailable) -> AsyncExitStack:
        """Ask for what comes after the last event, for one who still watches and may; raise where nobody answers."""
        for pause in pauses(0.05, 1.0):
            if self._tries == REOPENED:
                break
            self._tries += 1
            await asyncio.sleep(pause)
            viewer = next((each for each in self._viewers if not each.revoked.is_set()), None)
            if viewer is None:
                break
            _log.info("a stream is asked for again", endpoint=self._endpoint.name, reason=str(broken))
            headers = {TRACE: continue_trace(), "accept": EVENTS}
            if self.last is not None:
                headers[LAST_EVENT] = str(self.last)
            async with AsyncExitStack() as opened:
                asked = Asked(self._endpoint.method, self._key.target, None)
                given = await opened.enter_async_context(
                    self._calls.forward(self._endpoint, asked, viewer.caller, headers)
                )
                if not _is_stream(given):
                    body = b"".join([chunk async for chunk in given.chunks])
                    raise read_problem(self._endpoint.service, given.status, body)
                self._given = given
                return opened.pop_all()
        raise broken


def _is_stream(given: Forwarded) -> bool:
    return given.status == 200 and given.headers.get("content-type", "").startswith(EVENTS)


def _key(
    endpoint: Endpoint[Any, Any], asked: Asked, caller: Caller, headers: Mapping[str, str]
) -> tuple[Key, int | None]:
    """What a stream is known by, and after which event somebody wants it, as far as it can be read here."""
    path, _, query = asked.target.partition("?")
    parts = query.split("&") if query else []
    named = [part.removeprefix("after=") for part in parts if part.startswith("after=")]
    said = headers.get(LAST_EVENT.lower()) or (named[0] if len(named) == 1 else "")
    others = "&".join(part for part in parts if not part.startswith("after="))
    target = f"{path}?{others}" if others else path
    return Key(endpoint.service, endpoint.name, caller.workspace, target), sequence_of(said)
