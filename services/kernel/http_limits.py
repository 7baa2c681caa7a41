"""What a connection may cost before anybody knows whose it is: uvicorn's own protocol with limits.

Without them a head may be of any size, come at any pace and never end, and an answer may never be read.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Hashable
from typing import Any, Final

import msgspec
import structlog
from msgspec import Struct
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from services.kernel.errors import Limited
from services.kernel.http_framing import fault_of_head
from services.kernel.openapi import PROBLEM
from services.kernel.problems import make_problem
from services.kernel.request import REQUEST_ID, continue_trace, work

#: In the state of the scope of a request: that its sender is known, and what counts its connection as his.
_PATIENT: Final = "patient"
_OWN: Final = "own"
_HEAD: Final = b"content-type: %b\r\ncontent-length: %d\r\n%b: %b\r\nconnection: close\r\n\r\n"

_log = structlog.get_logger(__name__)


class Limits(Struct, frozen=True, kw_only=True):
    """Of one port: sizes in bytes, times in seconds.

    ``head``: of the first line and the fields of a request together, and of what frames a body; ``fields``: how many;
    ``head_seconds``: until a head is there, from its first byte, and in a new connection from its beginning.
    ``connections``: at once that answer nobody who is known; for a further one an idle one has to go, or it is refused;
    likewise above ``in_all``. ``of_one``: at once that answer one and the same who is known.
    ``queued``: requests that are sent before the one before them was answered. ``pace`` bytes have to come of a body,
    and to be taken of an answer, in each ``pace_seconds`` in which they are waited for. ``unread``: what is still taken
    of a body that nobody wants. ``look``: between two looks.
    """

    head: int = 65_536
    fields: int = 100
    head_seconds: float = 10.0
    connections: int = 512
    in_all: int = 4096
    of_one: int = 512
    queued: int = 8
    pace: int = 200_000
    pace_seconds: float = 20.0
    unread: int = 64_000_000
    look: float = 0.5


class Pace:
    """Whether enough passes: ``least`` in each ``seconds`` since it was begun."""

    def __init__(self, least: int, seconds: float) -> None:
        self._least = least
        self._seconds = seconds
        self._since: tuple[float, int] | None = None

    def end(self) -> None:
        self._since = None

    def is_kept(self, now: float, passed: int) -> bool:
        """Look, ``passed`` being all that has passed so far."""
        if self._since is None or passed - self._since[1] >= self._least:
            self._since = (now, passed)
        return now - self._since[0] < self._seconds


class LimitedProtocol(HttpToolsProtocol):
    """One connection; ``look`` is called from time to time."""

    limits: Limits
    #: How many connections of its port are whose.
    owned: Counter[Hashable]

    def connection_made(self, transport: Any) -> None:
        self._refused = False
        self.owner: Hashable = None
        self._in_head = True
        self._fields = 0
        #: What came since the last piece of a body, or since the last request was whole.
        self._framing = 0
        self._taken = 0
        self._unread = 0
        self.waits_since: float | None = self.loop.time()
        self._body_pace = Pace(self.limits.pace, self.limits.pace_seconds)
        self._answer_pace = Pace(self.limits.pace, self.limits.pace_seconds)
        super().connection_made(transport)
        if self._are_too_many() and not self._make_room():
            self._refuse(503, "unavailable", "too many connections are open: try again later")

    def connection_lost(self, exc: Exception | None) -> None:
        self._disown()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        self._framing += len(data)
        if self._in_head and self.waits_since is None:
            self.waits_since = self.loop.time()
        super().data_received(data)
        if self._framing > self.limits.head:
            self._refuse_head()
        elif self._in_head and self.waits_since is None and self._is_answered():
            # uvicorn has put off its hanging up at this data, and takes it up again only where an answer ends.
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def look(self) -> None:
        """Hang up where the other side is too slow, or not there any more."""
        now = self.loop.time()
        if self._in_head and self.waits_since is not None and now - self.waits_since > self.limits.head_seconds:
            self._refuse(408, "invalid", f"a request has to begin within {self.limits.head_seconds:g} s")
        if self._in_head or self.flow.read_paused or self._refused:
            self._body_pace.end()
        elif not self._body_pace.is_kept(now, self._taken):
            self._refuse(408, "invalid", "the body of the request comes too slowly")
        if not (self.transport.is_closing() or (self.flow.write_paused and not self.is_known())):
            self._answer_pace.end()
        # What waits to be written shrinks as it is read; what is added meanwhile begins a new count.
        elif not self._answer_pace.is_kept(now, -self.transport.get_write_buffer_size()):
            self.transport.abort()

    def _are_too_many(self) -> bool:
        if len(self.connections) <= self.limits.connections:
            return False
        strangers = sum(isinstance(each, LimitedProtocol) and not each.is_known() for each in self.connections)
        return strangers > self.limits.connections or len(self.connections) > self.limits.in_all

    def _make_room(self) -> bool:
        """Hang up on a stranger who asks nothing, one who has asked before or who waits for longest; if there is one.

        Else whoever opens as many connections as there may be, and says nothing, would keep all others out.
        """
        idle = [
            each
            for each in self.connections
            if isinstance(each, LimitedProtocol) and each is not self and each.is_idle() and not each.is_known()
        ]
        longest = min(idle, key=lambda each: each.waits_since or 0.0, default=None)
        if longest is None:
            return False
        longest.hang_up()
        return True

    def own(self, who: Hashable) -> None:
        """Count it as the connection of somebody, for whom one of his that asks nothing makes room.

        Raises:
            Limited: he has as many as he may.
        """
        if who == self.owner:
            return
        if self.owned[who] >= self.limits.of_one:
            others = (each for each in self.connections if isinstance(each, LimitedProtocol))
            idle = next((each for each in others if each.owner == who and each.is_idle()), None)
            if idle is None:
                raise Limited(f"{self.limits.of_one} connections of yours are open: end one, or try again later", 5.0)
            idle.hang_up()
        self._disown()
        self.owner = who
        self.owned[who] += 1

    def _disown(self) -> None:
        if self.owner is not None:
            self.owned[self.owner] -= 1
            if not self.owned[self.owner]:
                del self.owned[self.owner]
            self.owner = None

    def is_idle(self) -> bool:
        """Whether no request is under way, and no answer."""
        cycle: RequestResponseCycle | None = self.cycle
        answered = cycle is None or (cycle.response_complete and not self.flow.write_paused)
        return self._in_head and not self._refused and answered

    def _is_answered(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is not None and cycle.response_complete and not self.transport.is_closing()

    def is_known(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is not None and _PATIENT in cycle.scope["state"]

    def resume_writing(self) -> None:
        self._answer_pace.end()
        super().resume_writing()

    # What the parser finds

    def on_message_begin(self) -> None:
        self._fields = 0
        if self.waits_since is None:
            self.waits_since = self.loop.time()
        if not self._refused:
            super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields += 1
        if self._fields > self.limits.fields:
            self._refuse_head()
        if not self._refused:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._framing = 0
        self.waits_since = None
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size > self.limits.head:
            self._refuse_head()
        if len(self.pipeline) >= self.limits.queued:
            self._refuse(429, "unavailable", f"more than {self.limits.queued} requests wait in one connection")
        upgrades: bool = self.parser.should_upgrade()
        if fault := fault_of_head(self.parser.get_http_version(), self.headers, upgrades=upgrades):
            self._refuse(400, "invalid", fault)
        if not self._refused:
            super().on_headers_complete()
            self.cycle.keep_alive &= not upgrades  # the parser gives up the rest of what came with it
            self.cycle.scope["state"][_OWN] = self.own

    def on_body(self, body: bytes) -> None:
        self._framing = 0
        self._taken += len(body)
        if self._refused:
            return
        if self.cycle.response_complete:
            self._unread += len(body)
            if self._unread > self.limits.unread:
                self.hang_up()
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._in_head = True
        self._framing = 0
        self._unread = 0
        if not self._refused:
            super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        self._refuse(400, "invalid", msg)

    def _refuse_head(self) -> None:
        self._refuse(431, "invalid", f"more than {self.limits.head} bytes or {self.limits.fields} fields are no head")

    def _refuse(self, status: int, code: str, detail: str) -> None:
        """Say why, unless an answer has begun, and hang up."""
        if self._refused:
            return
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is None or cycle.response_complete or not (cycle.response_started or self.pipeline):
            with work(traceparent=continue_trace()):
                problem = make_problem(status, code, detail)
            _log.info("a connection was refused", status=status, reason=detail, trace=problem.request_id)
            body = msgspec.json.encode(problem)
            head = _HEAD % (PROBLEM.encode(), len(body), REQUEST_ID, problem.request_id.encode())
            self.transport.write(STATUS_LINE[status] + head + body)
            self._refused = True
            self.transport.close()
        else:
            self.hang_up()
        if cycle is not None and not cycle.response_complete:
            cycle.disconnected = True
            cycle.message_event.set()

    def hang_up(self) -> None:
        """End it without a word."""
        self._refused = True
        self._disown()
        self.transport.abort()


def be_patient(scope: Any, who: Hashable) -> None:
    """Let whoever sent this request take its answer as slowly as it likes: it is known ``who`` that is.

    Raises:
        Limited: he has as many connections as he may.
    """
    state = scope.setdefault("state", {})
    own: Callable[[Hashable], None] | None = state.get(_OWN)
    if own is not None:
        own(who)
    state[_PATIENT] = True


def limited(limits: Limits) -> type[asyncio.Protocol]:
    """The protocol for a port with these limits, as uvicorn takes it."""
    return type("LimitedProtocol", (LimitedProtocol,), {"limits": limits, "owned": Counter()})
