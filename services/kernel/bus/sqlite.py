"""`bus` in one SQLite file: a durable queue inside the process that owns the data folder.

What is in flight is known in memory only, so that after a death everything unaccepted is delivered again. Calls that
meet share a transaction. Nobody polls: whoever pulls is woken by the publisher, or by the clock when something falls
due.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from pathlib import Path
from typing import Any, Final, Generic, NamedTuple, TypeVar
from uuid import UUID

from services.kernel.bus import Bus, Consumer, DeadLetter, Delivery, Lag, Stream
from services.kernel.bus.places import Place
from services.kernel.bus.sqlite_queue import Connection, Declared, Kept, Outgoing, Queue, decode, encode, read_on
from services.kernel.bus.subjects import any_matches, any_overlap, check_pattern, check_subject
from services.kernel.errors import Invalid, Unavailable
from services.kernel.messages import Envelope, derive, now
from services.kernel.sql.sqlite_file import SqliteFile

R = TypeVar("R")
A = TypeVar("A")

TOGETHER: Final = 64  # calls that share a transaction
REPLAYED: Final = 100
ROUTES: Final = 10_000


class Route(NamedTuple):
    """Where a subject goes."""

    stream: int
    consumers: tuple[int, ...]


class Request(NamedTuple, Generic[R, A]):
    """A call on the writing thread; ``settle`` makes its answer on the loop, told whether anybody still waits."""

    call: Callable[[Connection], R]
    settle: Callable[[R, bool], A]
    future: "asyncio.Future[A]"


class SqliteBus(Bus):
    """The bus of one process. ``duplicate`` delivers every message twice, to try how a handler takes it."""

    def __init__(self, path: str | Path, *, cache_kib: int = 4096, duplicate: bool = False) -> None:
        self._queue = Queue()
        self._file = SqliteFile(
            path, cache_kib=cache_kib, pragmas=("auto_vacuum = INCREMENTAL",), setup=self._queue.open
        )
        self._duplicate = duplicate
        self._requests: deque[Request[Any, Any]] = deque()
        self._quiet = asyncio.Event()
        self._quiet.set()
        self._closed = False
        self._streams: dict[int, Stream] = {}
        self._places: dict[str, Place] = {}
        self._routes: dict[str, Route] = {}
        self._newest = 0
        self._followers: dict[asyncio.Event, tuple[str, ...]] = {}

    async def declare(self, streams: Sequence[Stream], consumers: Sequence[Consumer]) -> None:
        for each in streams:
            check_patterns(each.subjects)
        for consumer in consumers:
            check_patterns(consumer.subjects)
        await self._ask(lambda connection: self._queue.declare(connection, streams, consumers), self._declared)

    def _declared(self, result: Declared, _: bool) -> None:
        self._streams = result.streams
        self._newest = max(self._newest, result.sequence)
        self._routes.clear()
        for each in result.consumers:
            place = self._places.setdefault(each.declared.name, Place(each.id, each.stream, each.declared))
            place.declared = each.declared
            place.kept = each.kept
            place.newest = max(place.newest, each.newest)
            place.arrived.set()

    # Publishing

    async def publish(self, envelopes: Sequence[Envelope]) -> None:
        if envelopes:
            outgoing = [self._address(envelope) for envelope in envelopes]
            await self._ask(lambda connection: self._queue.publish(connection, outgoing), self._arrive)

    def _address(self, envelope: Envelope) -> Outgoing:
        subject = envelope.subject
        route = self._routes.get(subject) or self._route(subject)
        return Outgoing(envelope, subject, route.stream, route.consumers)

    def _route(self, subject: str) -> Route:
        check_subject(subject)
        stream = next((key for key, stream in self._streams.items() if any_matches(stream.subjects, subject)), None)
        if stream is None:
            raise Unavailable(f"no stream keeps {subject} yet")
        readers = (place for place in self._places.values() if place.stream == stream)
        if len(self._routes) >= ROUTES:  # workspaces come and go
            self._routes.clear()
        self._routes[subject] = route = Route(
            stream, tuple(place.id for place in readers if any_matches(place.declared.subjects, subject))
        )
        return route

    def _arrive(self, kept: Kept, _: bool) -> None:
        self._newest = max(self._newest, kept.sequence)
        for place in self._places.values():
            if place.id in kept.consumers:
                count, newest = kept.consumers[place.id]
                place.kept += count
                place.newest = max(place.newest, newest)
                place.arrived.set()
        for follower, subjects in self._followers.items():
            # Who follows progress is left alone while commands and facts pass.
            if not kept.streams.isdisjoint(self._streams_of(subjects)):
                follower.set()

    # Reading

    async def pull(self, consumer: str, limit: int, wait: float) -> list[Delivery]:
        place = self._place(consumer)
        loop = asyncio.get_running_loop()
        end = loop.time() + wait
        while True:
            place.arrived.clear()
            async with place.turn:
                if taken := await self._take(place, limit):
                    return taken
            due = place.next_due()
            try:
                async with asyncio.timeout_at(end if due is None else min(end, due)):
                    await place.arrived.wait()
            except TimeoutError:
                if loop.time() >= end:
                    return []

    async def _take(self, place: Place, limit: int) -> list[Delivery]:
        self._check_open()
        if place.echoes:
            return [place.echoes.popleft() for _ in range(min(limit, len(place.echoes)))]
        time = asyncio.get_running_loop().time
        room = min(limit, place.declared.max_in_flight - place.in_flight)
        if not place.pass_time(time()) or room <= 0:
            return []
        again, cursor, name = place.returned(room), place.cursor, place.declared.name
        settled = False

        def settle(result: tuple[list[Delivery], int], abandoned: bool) -> list[Delivery]:
            nonlocal settled
            settled = True
            taken, place.cursor = result
            for sequence in again:
                place.forget(sequence)  # unless it was accepted late, it is among those taken
            for each in taken:
                place.hand_out(each.sequence, each.tries, time())
                if abandoned:
                    place.give_back(each.sequence, each.tries, time())
            return taken

        try:
            taken = await self._ask(lambda c: self._queue.hand_out(c, name, place.id, cursor, again, room), settle)
        finally:
            if not settled:
                for sequence, tries in again.items():
                    place.wait_again(sequence, tries, time())
        if self._duplicate:
            place.echoes.extend(taken)
        return taken

    # Answering

    async def ack(self, deliveries: Sequence[Delivery]) -> None:
        by_place: dict[Place, list[int]] = {}
        for each in deliveries:
            by_place.setdefault(self._place(each.token), []).append(each.sequence)
        for place, sequences in by_place.items():
            await self._accept(place, sequences)

    async def _accept(self, place: Place, sequences: list[int]) -> None:
        def call(connection: Connection) -> int:
            return self._queue.accept(connection, place.id, place.stream, sequences)

        await self._ask(call, lambda removed, _: place.accept(sequences, removed))

    async def nak(self, deliveries: Sequence[Delivery], delay: float) -> None:
        due = asyncio.get_running_loop().time() + delay
        for each in deliveries:
            place = self._place(each.token)
            place.give_back(each.sequence, each.tries, due)
            place.arrived.set()

    async def extend(self, deliveries: Sequence[Delivery]) -> None:
        moment = asyncio.get_running_loop().time()
        for each in deliveries:
            self._place(each.token).extend(each.sequence, each.tries, moment)

    # Dead letters

    async def bury(self, consumer: str, delivery: Delivery, reason: str) -> None:
        place, envelope = self._place(consumer), delivery.envelope
        letter = (derive(envelope.id, consumer).bytes, consumer, reason, now(), delivery.tries, encode(envelope))

        def call(connection: Connection) -> int:
            return self._queue.bury(connection, place.id, place.stream, delivery.sequence, letter)

        await self._ask(call, lambda removed, _: place.accept([delivery.sequence], removed))

    async def dead(self, consumer: str = "", limit: int = 100) -> list[DeadLetter]:
        rows = await self._file.read(
            lambda connection: connection.execute(
                "SELECT id, consumer, reason, at, tries, envelope FROM dead"
                " WHERE consumer = :consumer OR :consumer = '' ORDER BY at DESC, rowid DESC LIMIT :limit",
                {"consumer": consumer, "limit": limit},
            ).fetchall()
        )
        return [
            DeadLetter(UUID(bytes=key), name, reason, at, tries, decode(raw))
            for key, name, reason, at, tries, raw in rows
        ]

    async def revive(self, ids: Sequence[UUID]) -> int:
        letters = [each.bytes for each in ids]
        consumers = {place.declared.name: place.id for place in self._places.values()}

        def settle(kept: Kept, abandoned: bool) -> int:
            self._arrive(kept, abandoned)
            return sum(count for count, _ in kept.consumers.values())

        return await self._ask(lambda connection: self._queue.revive(connection, letters, consumers), settle)

    async def drop_dead(self, ids: Sequence[UUID]) -> int:
        letters = [(each.bytes,) for each in set(ids)]

        def call(connection: Connection) -> int:
            return connection.executemany("DELETE FROM dead WHERE id = ?", letters).rowcount if letters else 0

        return await self._ask(call, lambda count, _: count)

    # Reading along

    def replay(self, subjects: Sequence[str], after: int | None) -> AsyncGenerator[tuple[int, Envelope], None]:
        check_patterns(subjects)
        return self._replay(tuple(subjects), self._newest if after is None else min(after, self._newest))

    async def _replay(self, subjects: tuple[str, ...], cursor: int) -> AsyncGenerator[tuple[int, Envelope], None]:
        arrived = asyncio.Event()
        self._followers[arrived] = subjects
        try:
            while True:
                self._check_open()
                arrived.clear()
                while cursor < self._newest:
                    streams = self._streams_of(subjects)
                    rows, cursor = await self._file.read(self._reading_on(streams, cursor))
                    for sequence, subject, raw in rows:
                        if any_matches(subjects, subject):
                            yield sequence, decode(raw)
                await arrived.wait()
        finally:
            del self._followers[arrived]

    def _streams_of(self, subjects: Sequence[str]) -> list[int]:
        return [key for key, each in self._streams.items() if any_overlap(each.subjects, subjects)]

    def _reading_on(
        self, streams: list[int], cursor: int
    ) -> Callable[[Connection], tuple[list[tuple[int, str, bytes]], int]]:
        upto = self._newest
        return lambda connection: read_on(connection, streams, cursor, upto, REPLAYED)

    async def lag(self, consumer: str) -> Lag:
        place = self._place(consumer)
        place.pass_time(asyncio.get_running_loop().time())
        return Lag(waiting=place.kept - place.in_flight, in_flight=place.in_flight)

    # Health

    async def ping(self) -> None:
        await self._file.read(lambda connection: connection.execute("SELECT 1 FROM state LIMIT 1").fetchone())

    async def close(self) -> None:
        self._closed = True
        for place in self._places.values():
            place.arrived.set()
        for follower in self._followers:
            follower.set()
        await self._quiet.wait()
        await self._file.close()

    def _check_open(self) -> None:
        if self._closed:
            raise Unavailable(f"{self._file.path.name} is closed")

    def _place(self, consumer: object) -> Place:
        place = self._places.get(consumer) if isinstance(consumer, str) else None
        if place is None:
            raise Invalid(f"nobody declared the consumer {consumer}")
        return place

    # One transaction for calls that meet

    def _ask(self, call: Callable[[Connection], R], settle: Callable[[R, bool], A]) -> "asyncio.Future[A]":
        self._check_open()
        future: asyncio.Future[A] = asyncio.get_running_loop().create_future()
        self._requests.append(Request(call, settle, future))
        if self._quiet.is_set():
            self._quiet.clear()
            self._drain()
        return future

    def _drain(self) -> None:
        if not self._requests:
            self._quiet.set()
            return
        batch = [self._requests.popleft() for _ in range(min(TOGETHER, len(self._requests)))]
        job = self._file.threads.run(lambda: self._answer(batch))
        job.add_done_callback(lambda done: self._settle(batch, done.result()))

    def _answer(self, batch: list[Request[Any, Any]]) -> list[Any]:
        """On the thread: all calls in one transaction; when that fails each alone, so that one bad call is alone."""
        if len(batch) > 1:
            try:
                return self._file.transact(lambda connection: [request.call(connection) for request in batch])
            except Exception:  # noqa: BLE001, S110 - whichever it was raises again below
                pass
        results: list[Any] = []
        for request in batch:
            try:
                results.append(self._file.transact(request.call))
            except Exception as error:  # noqa: BLE001 - carried to whoever asked
                results.append(error)
        return results

    def _settle(self, batch: list[Request[Any, Any]], results: list[Any]) -> None:
        for request, result in zip(batch, results, strict=True):
            waited_for = not request.future.done()
            if not isinstance(result, Exception):
                answer = request.settle(result, not waited_for)
                if waited_for:
                    request.future.set_result(answer)
            elif waited_for:
                request.future.set_exception(result)
        self._drain()


def check_patterns(patterns: Sequence[str]) -> None:
    for pattern in patterns:
        check_pattern(pattern)
