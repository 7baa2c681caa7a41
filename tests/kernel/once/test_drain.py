"""A consumer that is drained takes in nothing more; what it has in work ends, or another instance has it at once."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import pytest

from services.kernel import inbox
from services.kernel.bus import Delivery
from services.kernel.errors import Invalid, Unavailable
from services.kernel.inbox import Inbox, consumer_of
from services.kernel.messages import Envelope
from services.kernel.once_store import first_times
from services.kernel.outbox import Outbox
from services.kernel.service import Handles, Hold, Ports, Received, Unit
from services.kernel.workers import Workers
from tests.kernel.once.bench import (
    SPACE,
    STREAMS,
    Bench,
    Counted,
    Echoed,
    derive,
    equals,
    eventually,
    flaky,
    hear,
    idle,
    record,
)

#: What is not given back comes again after this, which is longer than any test waits.
NEVER = 3600.0


class Gate:
    """Work that is begun waits here until it is let go on."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self.open = asyncio.Event()

    async def pass_through(self) -> None:
        self.reached.set()
        await self.open.wait()


def handles(kind: str, gate: Gate | None = None) -> Handles:
    """A consumer that writes down what it gets, in batches or as single work."""

    async def handle(ports: Ports, unit: Unit, batch: Sequence[Received[Counted]]) -> None:
        if gate is not None:
            await gate.pass_through()
        await record(ports, unit, batch)

    async def work(ports: Ports, received: Received[Counted], hold: Hold) -> None:
        if gate is not None:
            await gate.pass_through()
        async with ports.outbox.unit() as unit:
            first = await first_times(unit.tx, "work", [derive(SPACE, str(received.message.number))])
            await record(ports, unit, [received] if first else [])

    does = {"work": work, "parallel": 2} if kind == "work" else {"handle": handle}
    return Handles(name="drained", takes=Counted, ack_wait=NEVER, **does)


@asynccontextmanager
async def instance(bench: Bench, consumes: Handles) -> AsyncIterator[tuple[Inbox | Workers, asyncio.Task[None]]]:
    await bench.bus.declare(STREAMS, [consumer_of("tester", consumes, "EVT_COUNTER")])
    consumer = (Workers if consumes.work else Inbox)(bench.ports, bench.outbox, consumes)
    task = asyncio.create_task(consumer.run())
    try:
        yield consumer, task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


kinds = pytest.mark.parametrize("kind", ["batches", "work"])


@kinds
async def test_nothing_more_is_taken_in(bench: Bench, kind: str) -> None:
    async with instance(bench, handles(kind)) as (consumer, task):
        await bench.publish(1)
        await eventually(lambda: equals(bench.effects, [1]))
        await consumer.drain(30.0)
        await asyncio.wait_for(task, 30)
        await bench.publish(2)
    assert await bench.effects() == [1]
    async with instance(bench, handles(kind)):
        await eventually(lambda: equals(bench.effects, [1, 2]))


@kinds
async def test_what_is_in_work_ends(bench: Bench, kind: str) -> None:
    gate = Gate()
    async with instance(bench, handles(kind, gate)) as (consumer, _):
        await bench.publish(1)
        await gate.reached.wait()
        draining = asyncio.create_task(consumer.drain(NEVER))
        await asyncio.sleep(0)
        assert not draining.done()
        gate.open.set()
        await asyncio.wait_for(draining, 30)
        assert await bench.effects() == [1]
        # The second copy of a bus that delivers twice is not in work yet, and nobody's loss.
        assert bench.twice or await idle_without_consumer(bench)


async def idle_without_consumer(bench: Bench) -> bool:
    lag = await bench.bus.lag("tester__drained")
    return (lag.waiting, lag.in_flight) == (0, 0)


@kinds
async def test_what_takes_too_long_is_given_back_and_another_instance_has_it_at_once(bench: Bench, kind: str) -> None:
    gate = Gate()
    async with instance(bench, handles(kind, gate)) as (consumer, task):
        await bench.publish(1, 2)
        await gate.reached.wait()
        await consumer.drain(0.05)
        await asyncio.wait({task}, timeout=30)
        assert task.done()
    assert await bench.effects() == []
    async with instance(bench, handles(kind)):
        await eventually(lambda: equals(bench.effects, [1, 2]))
        await eventually(lambda: idle(bench, "drained"))


@kinds
async def test_it_ends_though_the_bus_is_away_to_give_back_to(
    bench: Bench, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(deliveries: Sequence[Delivery], delay: float) -> None:
        raise Unavailable("the bus is away")

    gate = Gate()
    async with instance(bench, handles(kind, gate)) as (consumer, task):
        await bench.publish(1)
        await gate.reached.wait()
        monkeypatch.setattr(bench.bus, "nak", fail)
        await asyncio.wait_for(consumer.drain(0.05), 30)
        await asyncio.wait({task}, timeout=30)
        assert task.done()


@kinds
async def test_one_that_has_failed_is_not_waited_for(bench: Bench, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(deliveries: Sequence[Delivery], *_: object) -> None:
        raise Invalid("this is a fault")

    monkeypatch.setattr(bench.bus, "ack", fail)
    monkeypatch.setattr(bench.bus, "nak", fail)
    async with instance(bench, handles(kind)) as (consumer, task):
        await bench.publish(1)
        await asyncio.wait({task}, timeout=30)
        assert task.exception() is not None
        await asyncio.wait_for(consumer.drain(0.0), 30)


@kinds
async def test_one_that_pauses_does_not_sleep_on(bench: Bench, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox, "BUS_AWAY", NEVER)
    monkeypatch.setattr("services.kernel.workers.BUS_AWAY", NEVER)
    asked = asyncio.Event()

    async def away(*_: object, **__: object) -> list[Delivery]:
        asked.set()
        raise Unavailable("the bus is away")

    monkeypatch.setattr(bench.bus, "pull", away)
    async with instance(bench, handles(kind)) as (consumer, task):
        await asked.wait()
        await asyncio.sleep(0)
        await asyncio.wait_for(consumer.drain(NEVER), 30)
        await asyncio.wait_for(task, 30)


# What is said while it ends


async def say(outbox: Outbox, *numbers: int) -> None:
    async with outbox.unit() as unit:
        for number in numbers:
            unit.emit(Echoed(number), workspace=SPACE, key=str(number))


async def test_what_was_said_is_on_the_bus_when_it_is_flushed(bench: Bench) -> None:
    await bench.bus.declare(STREAMS, [])
    relaying = asyncio.create_task(bench.outbox.relay())
    await say(bench.outbox, *range(200))
    await bench.outbox.flush(30.0)
    relaying.cancel()
    await asyncio.gather(relaying, return_exceptions=True)
    assert await asyncio.wait_for(hear(bench.bus, "mirage.evt.tester.>", 200), 30) == set(range(200))
    async with bench.ports.sql.read() as view:
        assert await view.fetch("SELECT position FROM outbox") == []


async def test_a_flush_waits_for_nothing_that_others_write_meanwhile(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bench.bus.declare(STREAMS, [])
    await say(bench.outbox, 1)
    publish = bench.bus.publish

    async def publish_and_write(envelopes: Sequence[Envelope]) -> None:
        await publish(envelopes)
        await asyncio.create_task(say(other, 2))

    other = Outbox(bench.ports.sql, bench.bus, "tester")
    monkeypatch.setattr(bench.bus, "publish", publish_and_write)
    relaying = asyncio.create_task(bench.outbox.relay())
    await asyncio.wait_for(bench.outbox.flush(1000.0), 30)
    relaying.cancel()
    await asyncio.gather(relaying, return_exceptions=True)
    async with bench.ports.sql.read() as view:
        assert await view.fetch("SELECT position FROM outbox")


async def test_a_bus_that_is_away_is_not_waited_for_longer_than_there_is_time_and_another_instance_sends_the_rest(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bench.bus.declare(STREAMS, [])
    away = {"publish": 1_000_000}
    publish: Callable[..., Awaitable[None]] = bench.bus.publish
    monkeypatch.setattr(bench.bus, "publish", flaky(publish, away, "publish"))
    relaying = asyncio.create_task(bench.outbox.relay())
    await say(bench.outbox, 1, 2)
    await asyncio.wait_for(bench.outbox.flush(0.1), 30)
    relaying.cancel()
    await asyncio.gather(relaying, return_exceptions=True)
    monkeypatch.setattr(bench.bus, "publish", publish)
    other = asyncio.create_task(Outbox(bench.ports.sql, bench.bus, "tester").relay())
    assert await asyncio.wait_for(hear(bench.bus, "mirage.evt.tester.>", 2), 30) == {1, 2}
    other.cancel()
    await asyncio.gather(other, return_exceptions=True)
