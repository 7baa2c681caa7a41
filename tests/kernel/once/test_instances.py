"""Several instances of a service send from one outbox: each message once, and also what one did not live to send."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from services.kernel import outbox
from services.kernel.messages import Envelope
from services.kernel.outbox import Outbox
from tests.kernel.once.bench import SPACE, STREAMS, Bench, Echoed, hear

pytestmark = [pytest.mark.server, pytest.mark.parametrize("stores", ["postgres"], indirect=True)]


async def say(outbox: Outbox, *numbers: int) -> None:
    async with outbox.unit() as unit:
        for number in numbers:
            unit.emit(Echoed(number), workspace=SPACE, key=str(number))


@asynccontextmanager
async def sending(*outboxes: Outbox) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(outbox.relay()) for outbox in outboxes]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_instances_that_send_at_the_same_time_send_each_message_once(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "RELAY_BATCH", 5)
    publish, sent, under_way, most = bench.bus.publish, [], 0, 0

    async def note(envelopes: Sequence[Envelope]) -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        sent.extend(envelope.id for envelope in envelopes)
        await publish(envelopes)
        under_way -= 1

    monkeypatch.setattr(bench.bus, "publish", note)
    await bench.bus.declare(STREAMS, [])
    others = [Outbox(bench.ports.sql, bench.bus, "tester") for _ in range(3)]
    await say(bench.outbox, *range(200))
    async with sending(*others):
        assert await asyncio.wait_for(hear(bench.bus, "mirage.evt.tester.>", 200), 30) == set(range(200))
        await asyncio.wait_for(bench.outbox.flush(30), 30)
    assert len(sent) == len(set(sent)) == 200
    assert most > 1, "they took turns"


async def test_what_an_instance_did_not_live_to_send_another_does_that_has_nothing_to_say(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "RELAY_LOOKS", 0.1)
    await bench.bus.declare(STREAMS, [])
    other = Outbox(bench.ports.sql, bench.bus, "tester")
    async with sending(other):
        await say(other, 1)
        await asyncio.wait_for(hear(bench.bus, "mirage.evt.tester.>", 1), 30)
        await say(bench.outbox, 2)  # which sends nothing
        assert await asyncio.wait_for(hear(bench.bus, "mirage.evt.tester.>", 2), 30) == {1, 2}
