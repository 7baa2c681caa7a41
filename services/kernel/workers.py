"""Long work on single messages: outside of any transaction, extended as long as it lasts."""

import asyncio
from typing import Any

import structlog
from msgspec import Struct

from services.kernel import metrics
from services.kernel.bus import Delivery
from services.kernel.errors import Unavailable
from services.kernel.inbox import Failing, durable
from services.kernel.intake import Intake
from services.kernel.messages import Because, Envelope, open_envelope
from services.kernel.outbox import BUS_AWAY, Outbox
from services.kernel.ownership import own
from services.kernel.request import work
from services.kernel.service import Handles, Hold, Ports, Received

_log = structlog.get_logger(__name__)


class Workers:
    """Runs one consumer of long work: up to ``parallel`` messages at a time, each extended while it lasts."""

    def __init__(self, ports: Ports, outbox: Outbox, handles: Handles) -> None:
        self._ports = ports
        self._bus = ports.bus
        self._handles = handles
        self.consumer = self._consumer = durable(ports.service, handles.name)
        self._failing = Failing(ports, outbox, handles)
        self._intake = Intake()
        self._working: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Consume as long as the service runs, or until it is drained; what is cancelled in the middle comes again."""
        free = asyncio.Semaphore(self._handles.parallel)
        try:
            async with asyncio.TaskGroup() as group:
                while not self._intake.over:
                    await self._intake.wait(free.acquire())
                    deliveries = await self._pull()
                    if not deliveries:
                        free.release()
                        continue
                    task = group.create_task(self._work_or_leave(deliveries[0]))
                    self._working.add(task)
                    task.add_done_callback(self._working.discard)
                    task.add_done_callback(lambda _: free.release())
        finally:
            self._intake.ended.set()

    async def drain(self, seconds: float) -> None:
        """Take in nothing more; what is in work ends, or is given back where it takes longer than ``seconds``."""
        if not await self._intake.drain(seconds):
            for task in self._working:
                task.cancel()
            await self._intake.ended.wait()

    async def _pull(self) -> list[Delivery] | None:
        try:
            return await self._intake.wait(self._bus.pull(self._consumer, 1, wait=30.0))
        except Unavailable as error:
            _log.warning("consumer waits for the bus", consumer=self._consumer, reason=str(error))
            await self._intake.wait(asyncio.sleep(BUS_AWAY))
            return None

    async def _work_or_leave(self, delivery: Delivery) -> None:
        try:
            await self._work(delivery)
        except Unavailable as error:
            # What became of it could not be said; it comes again.
            _log.warning("work is not accounted for", consumer=self._consumer, reason=str(error))

    async def _work(self, delivery: Delivery) -> None:
        hold = Hold(self._bus, delivery)
        extending = asyncio.create_task(self._extend(hold))
        try:
            received = _received(delivery.envelope, self._handles.takes)
            assert self._handles.work is not None
            with metrics.batch(self._consumer, 1) as batch, work(traceparent=delivery.envelope.traceparent):
                if await self._is_own(received):
                    await self._handles.work(self._ports, received, hold)
                if hold.delay is not None:
                    batch.outcome = metrics.GIVEN_BACK
        except asyncio.CancelledError:
            if self._intake.over:
                await self._bus.nak([delivery], 0.0)  # so that another instance has it at once
            raise
        except Exception as error:  # noqa: BLE001  whatever a handler raises is counted, never lost
            await self._failing.fail(delivery, error)
        else:
            if hold.delay is None:
                await self._bus.ack([delivery])
            else:
                await self._bus.nak([delivery], hold.delay)
        finally:
            extending.cancel()

    async def _is_own(self, received: Received[Any]) -> bool:
        async with self._ports.sql.read() as view:
            return bool(await own(self._handles, self._consumer, view, [received]))

    async def _extend(self, hold: Hold) -> None:
        while True:
            await asyncio.sleep(self._handles.ack_wait / 3)
            try:
                await hold.extend()
            except Unavailable as error:
                _log.warning("work could not be extended", consumer=self._consumer, reason=str(error))


def _received(envelope: Envelope, message: type[Struct]) -> Received[Any]:
    return Received(
        open_envelope(envelope, message), envelope.workspace, envelope.time, Because.of(envelope), envelope.filter
    )
