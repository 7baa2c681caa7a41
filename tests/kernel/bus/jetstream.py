"""What tests of `bus` on JetStream declare, send and take."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

import nats

from services.kernel.bus import Consumer, Delivery, Stream
from services.kernel.bus.jetstream import JetStreamBus
from services.kernel.errors import Unavailable
from services.kernel.messages import Envelope
from services.kernel.server import Server as Address

W = uuid.UUID(int=7)
FACT = "mirage.evt.t.fact.v1"
COMMAND = "mirage.cmd.t.work.v1"
FACTS = Stream("EVT_T", ("mirage.evt.t.>",), "facts")
WORK = Stream("CMD_T", ("mirage.cmd.t.>",), "work")
STEPS = Stream("PROGRESS", ("mirage.progress.>",), "progress", 600)
READER = Consumer("t__reader", "EVT_T", (f"{FACT}.>",))
#: What went to a pull whose connection was lost comes again soon.
QUICK = Consumer("t__quick", "EVT_T", (f"{FACT}.>",), ack_wait=1)
WORKER = Consumer("t__worker", "CMD_T", (f"{COMMAND}.>",), ack_wait=2)


def envelope(number: int, type: str = FACT, data: bytes = b"{}") -> Envelope:
    return Envelope(id=uuid.UUID(int=number), type=type, source="test", workspace=W, time=number, data=data)


def numbers(deliveries: Sequence[Delivery]) -> list[int]:
    return [delivery.envelope.time for delivery in deliveries]


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[JetStreamBus]:
    bus = JetStreamBus(Address.parse(url))
    try:
        yield bus
    finally:
        await bus.close()


@asynccontextmanager
async def bare(url: str) -> AsyncIterator[nats.NATS]:
    client = await nats.connect(url)
    try:
        yield client
    finally:
        await client.close()


async def at_last(bus: JetStreamBus, envelopes: Sequence[Envelope]) -> None:
    """Publish as an outbox does: again until it is kept."""
    while True:
        with suppress(Unavailable):
            return await bus.publish(envelopes)
        await asyncio.sleep(0.05)


async def take(bus: JetStreamBus, consumer: str, limit: int = 10) -> list[Delivery]:
    """Pull as an inbox does: again when the server is back."""
    async with asyncio.timeout(60):
        while True:
            with suppress(Unavailable):
                if taken := await bus.pull(consumer, limit, 5):
                    return taken
            await asyncio.sleep(0.05)
