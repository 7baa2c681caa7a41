"""The inbox: a message that comes twice has its effect once.

A handler gets a batch and one transaction, in which the row of each message is written that says that it was taken.
What fails comes again by itself, later each time, and is buried at the last.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from time import monotonic
from typing import Any, Final
from uuid import UUID

import structlog
from msgspec import Struct
from msgspec.structs import replace

from services.kernel import metrics
from services.kernel.bus import Consumer, Delivery
from services.kernel.errors import Conflict, Invalid, MirageError, Unavailable, meaning
from services.kernel.intake import Intake
from services.kernel.messages import (
    Because,
    Envelope,
    derive,
    message_type,
    open_bundle,
    open_places,
    part_of,
    places_of,
)
from services.kernel.once_store import count_failure, first_times, known_of, take_back
from services.kernel.outbox import BUS_AWAY, Outbox
from services.kernel.ownership import own
from services.kernel.request import work
from services.kernel.service import Handles, Ports, Received
from services.kernel.sql import Tx

TRIES: Final = 5
#: Seconds, doubled with each try: what passes by itself is `Unavailable` and not counted at all.
RETRY_AFTER: Final = 0.025
#: Seconds that a consumer pauses when what it needs is away, doubled each time in a row.
PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 30.0
#: Seconds after which a message comes again that waits for what passes by itself.
PASSING: Final = 1.0
#: A consumer lets more come for so many times what its last batch took, at most for so many seconds.
INBOX_RESTS: Final = 2.0
LONGEST_REST: Final = 0.5

_log = structlog.get_logger(__name__)


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
            received = await own(self._handles, self._consumer, unit.tx, received)
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
                    ours = await own(self._handles, self._consumer, unit.tx, [received]) if fresh else []
                    if ours and self._handles.handle:
                        unit.because(received.because)
                        await self._handles.handle(self._ports, unit, ours)
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
                first = not envelope.bundled or await first_times(unit.tx, self._consumer, [derive(identity, "buried")])
                if first and await own(self._handles, self._consumer, unit.tx, [received]):
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
    return [
        Received(each, envelope.workspace, envelope.time, because, envelope.filter)
        for each in open_bundle(envelope, message)
    ]


def _by_id(envelope: Envelope, message: type[Struct]) -> list[tuple[UUID, Received[Any]]]:
    """The messages of an envelope with their ids: those of a bundle have ids of their own."""
    if not envelope.bundled:
        return [(envelope.id, each) for each in _all_received(envelope, message)]
    because = Because.of(envelope)
    return [
        (_id_within(envelope, place), Received(each, envelope.workspace, envelope.time, because, envelope.filter))
        for place, each in enumerate(open_places(envelope, message))
        if each is not None
    ]


def _mark_of(bundle: UUID) -> UUID:
    """What is noted of a bundle of which parts were taken by themselves."""
    return derive(bundle, "apart")


def _id_within(bundle: Envelope, place: int) -> UUID:
    return derive(bundle.id, str(place))
