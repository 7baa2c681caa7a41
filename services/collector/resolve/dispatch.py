import asyncio
from asyncio import Task, TimerHandle
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from selectors import EVENT_READ, DefaultSelector
from time import monotonic, time_ns
from typing import Final

from services.collector.resolve.answer import Answer
from services.collector.resolve.chunk import Chunk, Query
from services.collector.resolve.names import BadMessage
from services.collector.resolve.stream import ask_over_tcp
from services.collector.resolve.upstream import CHANNELS, MOST_PENDING, Channel, Upstream
from services.collector.resolve.wire import HEADS, TAILS, Mismatch, build_question, read_answer
from services.kernel.egress import Egress, EgressError
from services.kernel.errors import Unavailable

LARGEST_DATAGRAM: Final = 4096
BURST: Final = 128
TICK: Final = 0.05
REFUSED_TIMEOUT: Final = 0.3
TCP_TIMEOUT: Final = 5.0
TCP_AT_ONCE: Final = 16
MOST_OVER_TCP: Final = 1_000  # with those that wait
URGENT: Final = 8

HEAD: Final = HEADS[True, True]
TAIL: Final = TAILS[True]


class Dispatcher:
    """Spreads the queries of all chunks over the upstreams.

    Everything happens in two callbacks: readable sockets, which take up bursts of responses and send as many queries,
    and a tick, which looks after what is late. Small chunks go first, then the oldest.
    """

    def __init__(self, egress: Egress, upstreams: Sequence[Upstream], timeouts: Sequence[float]) -> None:
        self._egress = egress
        self._timeouts = timeouts
        self._upstreams = deque(upstreams)
        self._loop = asyncio.get_running_loop()
        # uvloop forgets a socket once it had an error, as UDP sockets have when nobody listens; a selector does not
        self._selector = DefaultSelector()
        self._loop.add_reader(self._selector.fileno(), self._on_readable)
        self._urgent: deque[Chunk] = deque()
        self._chunks: deque[Chunk] = deque()
        self._again: deque[tuple[Query, Upstream]] = deque()
        self._over_tcp: dict[Task[None], Chunk] = {}
        self._slots = asyncio.Semaphore(TCP_AT_ONCE)
        self._timer: TimerHandle | None = None

    def submit(self, pairs: Sequence[tuple[str, str]]) -> Chunk:
        """Begin to ask ``pairs``: normalised names and types."""
        chunk = Chunk(pairs, self._loop)
        (self._urgent if len(pairs) <= URGENT else self._chunks).append(chunk)
        self._pump()
        return chunk

    def close(self) -> None:
        if self._timer:
            self._timer.cancel()
        for task, chunk in self._over_tcp.items():
            task.cancel()
            chunk.abandon()
        for upstream in self._upstreams:
            for channel in upstream.sockets:
                self._shut(channel)
                for query in channel.pending.values():
                    query.chunk.abandon()
            upstream.channels.clear()
            upstream.retired.clear()
        self._loop.remove_reader(self._selector.fileno())
        self._selector.close()
        for chunk in (*self._urgent, *self._chunks):
            chunk.abandon()
        for query, _ in self._again:
            query.chunk.abandon()

    # Sending

    def _pump(self) -> None:
        """Send what there is, as far as the windows of the upstreams allow."""
        now = monotonic()
        while self._again:
            last = self._again[0][1]
            if not self._dispatch(now, partial(self._retried, last), last):
                break
        while self._urgent or self._chunks:
            if not self._dispatch(now, self._fresh):
                break
        queued = self._again or self._urgent or self._chunks
        if self._timer is None and (queued or any(each.pending or each.retired for each in self._upstreams)):
            self._timer = self._loop.call_later(TICK, self._tick, now + TICK)

    def _dispatch(self, now: float, take: Callable[[], Query | None], last: Upstream | None = None) -> bool:
        """Send a burst of what ``take`` gives; False when nothing more can be sent at the moment."""
        upstream = self._choose(now, last)
        if upstream is None:
            return False
        try:
            channel = self._channel(upstream, now)
        except Unavailable:
            return False  # no descriptor is left for the moment; the tick tries again
        except EgressError:
            upstream.unopenable = True
            upstream.eject(now)
            if all(each.unopenable for each in self._upstreams):
                self._give_up()
            return True
        return self._send_burst(upstream, channel, take, now)

    def _choose(self, now: float, last: Upstream | None) -> Upstream | None:
        """The upstream that is least busy, another than ``last`` if possible, an ejected one if there are only such."""
        self._upstreams.rotate(1)
        standing = [each for each in self._upstreams if each.ejected_until <= now]
        candidates = standing or [each for each in self._upstreams if not each.unopenable]
        others = [each for each in candidates if each is not last] or candidates
        best = max(others, key=lambda each: each.free, default=None)
        return best if best and best.room > 0 else None

    def _channel(self, upstream: Upstream, now: float) -> Channel:
        """The next socket of ``upstream``; one that has been used for long is replaced."""
        channels = upstream.channels
        if len(channels) == CHANNELS:
            channels.rotate(-1)
            if not channels[0].is_worn(now):
                return channels[0]
            upstream.retired.append(channels.popleft())
        channel = Channel(upstream, self._egress.datagram_socket(upstream.address, upstream.port, exempt=True), now)
        upstream.unopenable = False
        channels.append(channel)
        self._selector.register(channel.socket, EVENT_READ, channel)
        return channel

    def _send_burst(self, upstream: Upstream, channel: Channel, take: Callable[[], Query | None], now: float) -> bool:
        """Send up to a burst on ``channel``; False when the system takes no more at the moment."""
        pending, ids, send = channel.pending, channel.ids, channel.send
        timeouts = self._timeouts
        room = min(upstream.room, BURST)
        before = len(pending)
        try:
            while room and (query := take()):
                room -= 1
                key = next(ids)
                while key in pending:
                    key = next(ids)
                query.sent = now
                query.deadline = now + timeouts[query.tries]
                pending[key] = query
                send(key.to_bytes(2, "big") + HEAD + query.question + TAIL)
        except BlockingIOError:
            self._again.appendleft((pending.pop(key), upstream))
            return False
        except OSError:
            self._on_refused(channel, now)
        finally:
            upstream.pending += len(pending) - before
            channel.sent += len(pending) - before
        return True

    def _retried(self, last: Upstream) -> Query | None:
        """The next query that ``last`` failed, if it is its turn."""
        return self._again.popleft()[0] if self._again and self._again[0][1] is last else None

    def _fresh(self) -> Query | None:
        while chunks := self._urgent or self._chunks:
            chunk = chunks[0]
            index = chunk.next
            chunk.next += 1
            if chunk.next >= len(chunk.pairs):
                chunks.popleft()
            if index >= len(chunk.pairs):  # it was abandoned
                continue
            name, kind = chunk.pairs[index]
            try:
                return Query(chunk, index, name, kind, build_question(name, kind))
            except BadMessage:
                chunk.settle(index, Answer(name, kind, "broken"))
        return None

    def _give_up(self) -> None:
        """No upstream can be dialled, or none has answered for long: answer all that is not out yet so, at once."""
        while query := self._again.popleft()[0] if self._again else self._fresh():
            query.chunk.settle(query.index, query.failure or Answer(query.name, query.type, "timeout"))

    # Receiving

    def _on_readable(self) -> None:
        for ready, _ in self._selector.select(0):
            self._receive(ready.data)
        self._pump()

    def _drain(self) -> None:
        """Take up everything that has come, or a good part of it."""
        for _ in range(MOST_PENDING // BURST):
            readable = self._selector.select(0)
            for ready, _ in readable:
                self._receive(ready.data)
            if not readable:
                break

    def _receive(self, channel: Channel) -> None:
        """Take up what came on ``channel``, up to a burst."""
        upstream, pending, recv = channel.upstream, channel.pending, channel.recv
        now = monotonic()
        at = time_ns() // 1000
        before = len(pending)
        for _ in range(BURST):
            try:
                wire = recv(LARGEST_DATAGRAM)
            except BlockingIOError:
                break
            except OSError:
                self._on_refused(channel, now)
                break
            key = int.from_bytes(wire[:2], "big")
            query = pending.get(key)
            if query is None:
                continue
            waited = now - query.sent
            try:
                answer = read_answer(
                    wire,
                    query.question,
                    query.name,
                    query.type,
                    upstream.label,
                    at,
                    int(waited * 1_000_000),
                )
            except Mismatch:
                continue
            except BadMessage:
                answer = Answer(query.name, query.type, "broken", -1, (), None, wire, upstream.label, at)
            del pending[key]
            upstream.fastest = min(upstream.fastest, waited)
            if answer is None:
                self._start_over_tcp(query, upstream)
            else:
                self._conclude(query, upstream, answer)
        upstream.pending -= before - len(pending)

    def _conclude(self, query: Query, upstream: Upstream, answer: Answer) -> None:
        """Take a response for what it is: an answer, or a failure that another upstream may not share."""
        if answer.rcode in {0, 3} and answer.status != "broken":
            upstream.answered += 1
            if query.failure is not None:
                self._blame(query.failure)
            query.chunk.settle(query.index, answer)
        else:
            if answer.status == "servfail":
                upstream.answered += 1
            else:
                upstream.lost += 1
            self._fail(query, upstream, answer)

    def _blame(self, failure: Answer) -> None:
        """Hold it against an upstream that another one answered what it could not."""
        for upstream in self._upstreams:
            if upstream.label == failure.server and failure.status == "servfail":
                upstream.lost += 1

    def _fail(self, query: Query, upstream: Upstream, failure: Answer) -> None:
        """Ask again, elsewhere if possible, or settle for the failure that says most."""
        if query.failure is None or query.failure.status == "timeout":
            query.failure = failure
        query.tries += 1
        # asking the same one for the same failure again would only be a nuisance
        most = len(self._timeouts) if failure.rcode < 0 else min(len(self._upstreams), 2)
        if query.tries >= min(most, len(self._timeouts)):
            query.chunk.settle(query.index, query.failure)
        elif not query.chunk.done.done():
            self._again.append((query, upstream))

    def _on_refused(self, channel: Channel, now: float) -> None:
        """Nobody listens there, or there is no route: do not wait long for what was sent."""
        for query in channel.pending.values():
            query.deadline = min(query.deadline, now + REFUSED_TIMEOUT)
        standing = [each for each in self._upstreams if each.ejected_until <= now]
        if channel.upstream in standing and len(standing) > 1:
            channel.upstream.eject(now)

    # Truncated responses

    def _start_over_tcp(self, query: Query, upstream: Upstream) -> None:
        if len(self._over_tcp) >= MOST_OVER_TCP:
            self._fail(query, upstream, self._lost(query, upstream))
            return
        task = self._loop.create_task(self._ask_over_tcp(query, upstream))
        self._over_tcp[task] = query.chunk
        task.add_done_callback(self._over_tcp.pop)

    async def _ask_over_tcp(self, query: Query, upstream: Upstream) -> None:
        try:
            async with self._slots, asyncio.timeout(TCP_TIMEOUT):
                answer = await ask_over_tcp(
                    self._egress,
                    (upstream.address, upstream.port),
                    query.question,
                    query.name,
                    query.type,
                    label=upstream.label,
                    recursion=True,
                    connect_timeout=TCP_TIMEOUT,
                    exempt=True,
                )
        except (EgressError, Unavailable, OSError, BadMessage):
            self._fail(query, upstream, self._lost(query, upstream))
        else:
            self._conclude(query, upstream, answer)
        self._pump()

    # What is late

    def _tick(self, due: float) -> None:
        now = monotonic()
        if now - due > TICK:  # this process was held up: what is here already is not late
            self._drain()
        for upstream in self._upstreams:
            for channel in upstream.sockets:
                for key in [key for key, query in channel.pending.items() if query.deadline <= now]:
                    query = channel.pending.pop(key)
                    upstream.pending -= 1
                    upstream.lost += 1
                    self._fail(query, upstream, self._lost(query, upstream))
            for channel in [channel for channel in upstream.retired if not channel.pending]:
                upstream.retired.remove(channel)
                self._shut(channel)
            upstream.judge(now, now - due)
        standing = [each for each in self._upstreams if each.ejected_until <= now]
        if any(each.is_healthy for each in standing):
            for upstream in standing:
                if upstream.is_failing:
                    upstream.eject(now)
        if all(each.is_dead(now) for each in self._upstreams):
            self._give_up()
        self._timer = None
        self._pump()

    def _lost(self, query: Query, upstream: Upstream) -> Answer:
        elapsed = int((monotonic() - query.sent) * 1_000_000)
        at = time_ns() // 1000
        return Answer(query.name, query.type, "timeout", server=upstream.label, at=at, elapsed=elapsed)

    def _shut(self, channel: Channel) -> None:
        self._selector.unregister(channel.socket)
        channel.socket.close()
