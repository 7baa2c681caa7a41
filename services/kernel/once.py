"""At least once on the wire, exactly once in effect: inbox, outbox, and the loops around them.

A handler gets a batch and one transaction. The inbox row of each message is written in it, so a message that comes
twice is handled once; what it emits is written to the outbox in it, so nothing is said that did not happen and
nothing that happened stays unsaid.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import count
from secrets import randbelow
from time import monotonic
from typing import Any, Final
from uuid import UUID

import structlog
from msgspec import Struct
from msgspec.structs import replace

from services.kernel import metrics
from services.kernel.bus import Bus, Consumer, Delivery
from services.kernel.errors import Conflict, Invalid, MirageError, Unavailable, meaning
from services.kernel.intake import Intake
from services.kernel.messages import (
    Because,
    Envelope,
    bundle,
    derive,
    envelop,
    message_id,
    message_type,
    now,
    open_bundle,
    open_places,
    part_of,
    places_of,
)
from services.kernel.once_store import count_failure, first_times, known_of, take_back
from services.kernel.request import current_trace, work
from services.kernel.service import Handles, Ports, Received, Unit
from services.kernel.sql import Row, Sql, Tx

TRIES: Final = 5
#: Seconds, doubled with each try: what passes by itself is `Unavailable` and not counted at all.
RETRY_AFTER: Final = 0.025
#: Seconds that a consumer pauses when what it needs is away, doubled each time in a row.
PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 30.0
#: Seconds after which a message comes again that waits for what passes by itself.
PASSING: Final = 1.0
#: Seconds until a consumer or the outbox tries a bus again that is away.
BUS_AWAY: Final = 1.0
RELAY_BATCH: Final = 64
#: Seconds for which more may come after a batch: under load batches get larger, and the first message never waits.
RELAY_GATHERS: Final = 0.03
#: Seconds after which the outbox is looked into, whoever has written to it.
RELAY_LOOKS: Final = 5.0
#: A consumer lets more come for so many times what its last batch took, at most for so many seconds.
INBOX_RESTS: Final = 2.0
LONGEST_REST: Final = 0.5

_log = structlog.get_logger(__name__)

_OUTBOX: Final = ("position", "id", "type", "workspace", "filter", "time", "data", "cause", "traceparent")


class Outbox:
    """Writes what units emit, and relays it to the bus as soon as something was committed.

    What one instance writes it relays in order; several relay beside each other, and nobody may depend on their order.
    """

    def __init__(self, sql: Sql, bus: Bus, service: str) -> None:
        self._sql = sql
        self._bus = bus
        self._service = service
        self._wake = asyncio.Event()
        self._wake.set()
        self._relaying = asyncio.Lock()
        self._positions: Iterator[int] | None = None

    @asynccontextmanager
    async def unit(self) -> AsyncIterator[Unit]:
        """Open a unit of work; its messages go out soon after it commits."""
        stored = False
        try:
            async with self._sql.begin() as tx:
                unit = Unit(tx, self._service)
                unit.because(Because(None, current_trace()))
                yield unit
                await self.store(unit)
                stored = bool(unit.emitted or unit.bundles)
        finally:
            # Also where the end of it was not seen: what was cancelled in its commit may have been committed.
            if stored:
                self._wake.set()
        for call in unit.afterwards:
            call()

    async def store(self, unit: Unit) -> None:
        """Write the messages of ``unit`` to the outbox, within its transaction."""
        if not unit.emitted and not unit.bundles:
            return
        positions = self._positions or await self._continue(unit.tx)
        rows = [
            (
                next(positions),
                envelope.id.bytes,
                envelope.type,
                envelope.workspace.bytes,
                envelope.filter,
                envelope.time,
                envelope.data,
                envelope.cause and envelope.cause.bytes,
                envelope.traceparent,
            )
            for envelope in self._envelopes(unit)
        ]
        while rows:
            written = await unit.tx.insert_new("outbox", _OUTBOX, ("position",), rows)
            taken = {row[0] for row in rows} - {row[0] for row in written}
            # By another process of the service, whose clock is ahead: count on above all that waits.
            rows = sorted(row for row in rows if row[0] in taken)
            if rows:
                self._positions = None
                positions = await self._continue(unit.tx)
                rows = [(next(positions), *row[1:]) for row in rows]

    async def _continue(self, tx: Tx) -> Iterator[int]:
        """Count on from the clock, and above all that waits: the clock may have been put back since it was written."""
        row = await tx.fetch_one("SELECT MAX(position) FROM outbox")
        last = row[0] if row else None
        if self._positions is None:  # or another unit was here meanwhile
            self._positions = count(max(now() << 8, (last or 0) + 1 + randbelow(1 << 20)))
        return self._positions

    def _envelopes(self, unit: Unit) -> Iterator[Envelope]:
        at = now()
        for message, workspace, key, token, because in unit.emitted:
            identity = message_id(message_type(type(message)), workspace, key)
            yield envelop(
                message, source=self._service, workspace=workspace, id=identity, filter=token, because=because, at=at
            )
        for messages, workspace, because in unit.bundles:
            yield from bundle(messages, source=self._service, workspace=workspace, because=because, at=at)

    def wake(self) -> None:
        """Say that a unit was committed whose messages wait in the outbox."""
        self._wake.set()

    async def relay(self) -> None:
        """Publish what waits, then wait for more; runs as long as the service does."""
        self._wake.set()
        while True:
            await self._wait_for_more()
            try:
                while True:
                    async with self._relaying:
                        if not await self._relay_some():
                            break
                await asyncio.sleep(RELAY_GATHERS)
            except Unavailable as error:
                _log.warning("outbox waits", service=self._service, reason=str(error))
                self._wake.set()
                await asyncio.sleep(BUS_AWAY)

    async def _wait_for_more(self) -> None:
        """Wait until this instance has committed something; or to see what another did not live to send, or to say."""
        with suppress(TimeoutError):
            async with asyncio.timeout(RELAY_LOOKS):
                await self._wake.wait()
        self._wake.clear()

    async def flush(self, seconds: float) -> None:
        """Wait until all has left that waits now, so many seconds at most: another instance sends the rest."""
        with suppress(TimeoutError, Unavailable):
            async with asyncio.timeout(seconds):
                last = await self._last()
                while await self._waits(last):
                    self._wake.set()
                    await asyncio.sleep(RELAY_GATHERS)

    async def _last(self) -> int:
        async with self._sql.read() as view:
            row = await view.fetch_one("SELECT MAX(position) FROM outbox")
        return row[0] if row and row[0] is not None else -1

    async def _waits(self, last: int) -> bool:
        async with self._sql.read() as view:
            row = await view.fetch_one("SELECT position FROM outbox WHERE position <= :last LIMIT 1", last=last)
        return row is not None

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """While this is open nothing leaves; what is on its way has arrived before."""
        async with self._relaying:
            yield

    async def _relay_some(self) -> bool:
        """Publish the first that waits; say whether more may."""
        if self._sql.sole_writer:
            return await self._relay_alone()
        # Other instances take others meanwhile; what is not published in the end is there again.
        async with self._sql.begin() as tx:
            rows = await tx.take_rows("outbox", ("position",), _OUTBOX, RELAY_BATCH)
            await self._publish(sorted(rows))
        return len(rows) == RELAY_BATCH

    async def _relay_alone(self) -> bool:
        """As above, where a transaction that waits for the bus would make all others wait."""
        async with self._sql.read() as view:
            rows = await view.fetch(
                f"SELECT {', '.join(_OUTBOX)} FROM outbox ORDER BY position LIMIT :limit",  # noqa: S608  columns only
                limit=RELAY_BATCH,
            )
        if rows:
            await self._publish(rows)
            async with self._sql.begin() as tx:
                await tx.execute_in("DELETE FROM outbox WHERE position IN :keys", [row[0] for row in rows])
        return len(rows) == RELAY_BATCH

    async def _publish(self, rows: Sequence[Row]) -> None:
        envelopes = [
            Envelope(
                id=UUID(bytes=identity),
                type=kind,
                source=self._service,
                workspace=UUID(bytes=workspace),
                time=at,
                data=data,
                filter=token,
                cause=UUID(bytes=cause) if cause else None,
                traceparent=traceparent,
            )
            for _, identity, kind, workspace, token, at, data, cause, traceparent in rows
        ]
        if envelopes:
            await self._bus.publish(envelopes)


class Inbox:
    """Runs one transactional consumer: pull, decode, take once, handle, commit, accept."""

    def __init__(self, ports: Ports, outbox: Outbox, handles: Handles) -> None:
        self._ports = ports
        self._bus = ports.bus
        self._outbox = outbox
        self._handles = handles
        self.consumer = self._consumer = durable(ports.service, handles.name)
        self._failing = Failing(ports, outbox, handles)
        self._intake = Intake()
        self._running: asyncio.Task[Any] | None = None

    async def run(self) -> None:
        """Consume as long as the service runs, or until it is drained."""
        self._running = asyncio.current_task()
        pause = 0.0
        try:
            while not self._intake.over:
                try:
                    deliveries = await self._intake.wait(self._bus.pull(self._consumer, self._handles.batch, wait=30.0))
                    if deliveries:
                        pause = await self._take_or_give_back(deliveries, pause)
                except Unavailable as error:
                    # The bus itself is away; what was pulled comes again.
                    _log.warning("consumer waits for the bus", consumer=self._consumer, reason=str(error))
                    await self._intake.wait(asyncio.sleep(BUS_AWAY))
        finally:
            self._intake.ended.set()

    async def drain(self, seconds: float) -> None:
        """Take in nothing more; what was taken in ends, or is given back where it takes longer than ``seconds``."""
        if not await self._intake.drain(seconds) and self._running is not None:
            self._running.cancel()
            await self._intake.ended.wait()

    async def _take_or_give_back(self, deliveries: Sequence[Delivery], pause: float) -> float:
        try:
            return await self._take_or_pause(deliveries, pause)
        except asyncio.CancelledError:
            if self._intake.over:
                with suppress(MirageError):  # so that another instance has them at once
                    await self._bus.nak(deliveries, 0.0)
            raise

    async def _take_or_pause(self, deliveries: Sequence[Delivery], pause: float) -> float:
        """Take a batch, or its messages one by one; return how long (seconds) the consumer paused for it."""
        # A bundle that comes again may have been taken in part.
        in_part = [delivery for delivery in deliveries if delivery.envelope.bundled and delivery.tries > 1]
        if in_part:
            await self._take_singly(in_part)
            deliveries = [delivery for delivery in deliveries if delivery not in in_part]
        began = monotonic()
        try:
            await self._take(deliveries)
        except Exception as error:  # noqa: BLE001  whatever a handler raises is counted, never lost
            if meaning(error).bus == "pause":
                pause = min(LONGEST_PAUSE, max(PAUSE, pause * 2))
                _log.warning("consumer pauses", consumer=self._consumer, seconds=pause, reason=str(error))
                await self._bus.nak(deliveries, pause)
                await self._intake.wait(asyncio.sleep(pause))
                return pause
            await self._take_singly(deliveries)
        else:
            if len(deliveries) < self._handles.batch:
                await self._intake.wait(asyncio.sleep(min(LONGEST_REST, INBOX_RESTS * (monotonic() - began))))
        return 0.0

    async def _take(self, deliveries: Sequence[Delivery]) -> None:
        trace = deliveries[-1].envelope.traceparent if deliveries else ""
        with metrics.batch(self._consumer, len(deliveries)), work(traceparent=trace):
            await self._take_at_once(deliveries)
        await self._bus.ack(deliveries)

    async def _take_at_once(self, deliveries: Sequence[Delivery]) -> None:
        async with self._outbox.unit() as unit:
            fresh = await self._first_times(unit.tx, deliveries)
            received = [each for delivery in fresh for each in _all_received(delivery.envelope, self._handles.takes)]
            if received and self._handles.handle:
                unit.because(received[-1].because)
                await self._handles.handle(self._ports, unit, received)

    async def _first_times(self, tx: Tx, deliveries: Sequence[Delivery]) -> list[Delivery]:
        by_id = {delivery.envelope.id: delivery for delivery in deliveries}
        fresh = await first_times(tx, self._consumer, list(by_id))
        marks = [_mark_of(identity) for identity, delivery in by_id.items() if delivery.envelope.bundled]
        if marks and await known_of(tx, self._consumer, marks):
            raise Conflict("another instance has taken a bundle in part")
        return [delivery for identity, delivery in by_id.items() if identity in fresh]

    async def _take_singly(self, deliveries: Sequence[Delivery]) -> None:
        for delivery in deliveries:
            try:
                if delivery.envelope.bundled:
                    await self._take_apart(delivery)
                else:
                    await self._take([delivery])
            except Exception as error:  # noqa: BLE001  whatever a handler raises is counted, never lost
                await self._failing.fail(delivery, error)

    async def _take_apart(self, delivery: Delivery) -> None:
        """Take the messages of a bundle one by one; those that fail come again with it, the others are done."""
        failure: Exception | None = None
        async with self._ports.sql.read() as view:
            known = await known_of(view, self._consumer, [delivery.envelope.id])
        for identity, received in () if known else _by_id(delivery.envelope, self._handles.takes):
            try:
                async with self._outbox.unit() as unit:
                    if not await self._begin_part(unit.tx, delivery.envelope.id):
                        break
                    fresh = await first_times(unit.tx, self._consumer, [identity])
                    if fresh and self._handles.handle:
                        unit.because(received.because)
                        await self._handles.handle(self._ports, unit, [received])
            except Exception as error:  # noqa: BLE001  it is raised when the others had their turn
                failure = error
        if failure is not None:
            raise failure
        async with self._outbox.unit() as unit:
            await first_times(unit.tx, self._consumer, [delivery.envelope.id])
        await self._bus.ack([delivery])

    async def _begin_part(self, tx: Tx, bundle: UUID) -> bool:
        """Say whether a bundle was not taken as a whole; nobody else takes it, or a part of it, until ``tx`` ends."""
        if not await first_times(tx, self._consumer, [bundle]):
            return False
        await first_times(tx, self._consumer, [_mark_of(bundle)])
        await take_back(tx, self._consumer, bundle)
        return True


class Failing:
    """What becomes of a message whose handler failed: it comes again, later each time, and is buried at the last."""

    def __init__(self, ports: Ports, outbox: Outbox, handles: Handles) -> None:
        self._ports = ports
        self._bus = ports.bus
        self._outbox = outbox
        self._handles = handles
        self._consumer = durable(ports.service, handles.name)

    async def fail(self, delivery: Delivery, error: Exception) -> None:
        """Give it back uncounted where the failure passes by itself; else count it, and give it back or bury it."""
        if meaning(error).bus == "pause":
            _log.warning("message waits", consumer=self._consumer, reason=str(error))
            await self._bus.nak([delivery], PASSING)
            return
        reason = f"{type(error).__name__}: {error}"
        if not isinstance(error, MirageError):
            _log.error("handler failed", consumer=self._consumer, id=str(delivery.envelope.id), exc_info=error)
        async with self._outbox.unit() as unit:
            tries = await count_failure(unit.tx, self._consumer, delivery.envelope.id, reason)
        if tries < TRIES:
            await self._bus.nak([delivery], 2.0**tries * RETRY_AFTER)
            return
        left = await self._what_is_left(delivery.envelope)
        try:
            await self._tell_buried(left, reason)
        except Exception as refusal:  # noqa: BLE001  a service that cannot close a message must not keep it for ever
            if meaning(refusal).bus == "pause":
                await self._bus.nak([delivery], PASSING)
                return
            _log.error("message could not be closed", consumer=self._consumer, exc_info=refusal)
        _log.error("message buried", consumer=self._consumer, id=str(delivery.envelope.id), reason=reason)
        await self._bus.bury(self._consumer, replace(delivery, envelope=left), reason)

    async def _what_is_left(self, envelope: Envelope) -> Envelope:
        """What of a bundle had no effect: that alone is revived, however late, under the ids that it has had."""
        ids = {place: _id_within(envelope, place) for place in places_of(envelope)}
        async with self._ports.sql.read() as view:
            taken = await known_of(view, self._consumer, list(ids.values()))
        left = {place for place, identity in ids.items() if identity not in taken}
        return part_of(envelope, left) if left else envelope

    async def _tell_buried(self, envelope: Envelope, reason: str) -> None:
        """Let the service close what waits for a buried message, unless nobody can read whose it was."""
        if self._handles.buried is None:
            return
        try:
            messages = _by_id(envelope, self._handles.takes)
        except Invalid:
            return
        for identity, received in messages:
            async with self._outbox.unit() as unit:
                # Under an id of its own: what is closed now may be revived, and has its effect then.
                if not envelope.bundled or await first_times(unit.tx, self._consumer, [derive(identity, "buried")]):
                    unit.because(received.because)
                    await self._handles.buried(self._ports, unit, received, reason)


def durable(service: str, name: str) -> str:
    """The name of a consumer on the bus."""
    return f"{service}__{name}"


def consumer_of(service: str, handles: Handles, stream: str) -> Consumer:
    """What the bus must know of a consumer."""
    return Consumer(
        name=durable(service, handles.name),
        stream=stream,
        subjects=(f"{message_type(handles.takes)}.>",),
        ack_wait=handles.ack_wait,
    )


def _all_received(envelope: Envelope, message: type[Struct]) -> list[Received[Any]]:
    """The messages of an envelope, be it a bundle or not."""
    because = Because.of(envelope)
    return [Received(each, envelope.workspace, envelope.time, because) for each in open_bundle(envelope, message)]


def _by_id(envelope: Envelope, message: type[Struct]) -> list[tuple[UUID, Received[Any]]]:
    """The messages of an envelope with their ids: those of a bundle have ids of their own."""
    if not envelope.bundled:
        return [(envelope.id, each) for each in _all_received(envelope, message)]
    because = Because.of(envelope)
    return [
        (_id_within(envelope, place), Received(each, envelope.workspace, envelope.time, because))
        for place, each in enumerate(open_places(envelope, message))
        if each is not None
    ]


def _mark_of(bundle: UUID) -> UUID:
    """What is noted of a bundle of which parts were taken by themselves."""
    return derive(bundle, "apart")


def _id_within(bundle: Envelope, place: int) -> UUID:
    return derive(bundle.id, str(place))
