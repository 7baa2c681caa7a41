"""Bundles: several messages that travel as one."""

import asyncio
from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from services.kernel.inbox import Inbox, consumer_of, durable
from services.kernel.messages import now
from services.kernel.once_store import forget
from services.kernel.service import Handles, Ports, Received, Unit
from tests.kernel.once.bench import (
    SPACE,
    STREAMS,
    Bench,
    Counted,
    bundled,
    dead,
    equals,
    eventually,
    idle,
    record,
    said_by,
)


async def test_each_message_of_a_bundle_has_one_effect_however_often_it_comes(bench: Bench) -> None:
    async with bench.running(Handles(name="record", takes=Counted, handle=record)):
        await bench.bus.publish([bundled(1, 2, 3), bundled(4, 5)])
        await bench.bus.publish([bundled(1, 2, 3)])
        await eventually(lambda: equals(bench.effects, [1, 2, 3, 4, 5]))
        await eventually(lambda: idle(bench, "record"))
    assert await bench.effects() == [1, 2, 3, 4, 5]


async def test_what_is_emitted_in_bundles_arrives_message_by_message(bench: Bench) -> None:
    async with bench.running(Handles(name="record", takes=Counted, handle=record)):
        async with bench.outbox.unit() as unit:
            unit.emit_bundled({str(number): Counted(number) for number in range(150)}, workspace=SPACE)
        await eventually(lambda: equals(bench.effects, list(range(150))))


async def test_a_bad_message_of_a_bundle_is_alone_in_failing_and_in_being_closed(bench: Bench) -> None:
    closed: list[int] = []

    async def refuse_two(ports: Ports, unit: Unit, batch: Sequence[Received[Counted]]) -> None:
        await record(ports, unit, batch)
        if any(received.message.number == 2 for received in batch):
            raise ValueError("two")

    async def close(ports: Ports, unit: Unit, received: Received[Counted], reason: str) -> None:
        closed.append(received.message.number)

    async with bench.running(Handles(name="record", takes=Counted, handle=refuse_two, buried=close)):
        await bench.bus.publish([bundled(1, 2, 3), bundled(4, 5)])
        await eventually(lambda: dead(bench, durable("tester", "record")))
        await eventually(lambda: equals(bench.effects, [1, 3, 4, 5]))
    assert set(closed) == {2}
    assert await bench.effects() == [1, 3, 4, 5]


async def test_a_bundle_that_was_taken_in_part_is_finished_when_it_comes_again(bench: Bench) -> None:
    failed: list[int] = []

    async def refuse_two_at_first(ports: Ports, unit: Unit, batch: Sequence[Received[Counted]]) -> None:
        await record(ports, unit, batch)
        if len(failed) < 3 and any(received.message.number == 2 for received in batch):
            failed.append(len(batch))
            raise ValueError("two, not yet")

    async with bench.running(Handles(name="record", takes=Counted, handle=refuse_two_at_first)):
        await bench.bus.publish([bundled(1, 2, 3)])
        await eventually(lambda: equals(bench.effects, [1, 2, 3]))
        await eventually(lambda: idle(bench, "record"))
    assert await bench.effects() == [1, 2, 3]
    assert len(failed) == 3


@pytest.mark.parametrize("first", ["the whole", "a part"])
async def test_an_instance_that_takes_a_bundle_apart_and_one_that_takes_it_whole_exclude_each_other(
    bench: Bench, first: str
) -> None:
    """As when one takes longer than the bus waits for it."""
    begun, goes_on = asyncio.Event(), asyncio.Event()

    async def slowly(ports: Ports, unit: Unit, batch: Sequence[Received[Counted]]) -> None:
        if not begun.is_set():
            begun.set()
            await goes_on.wait()
        await record(ports, unit, batch)

    await bench.bus.declare(STREAMS, [consumer_of("tester", Handles(name="record", takes=Counted), "EVT_COUNTER")])
    inbox = Inbox(bench.ports, bench.outbox, Handles(name="record", takes=Counted, handle=slowly))
    tries = {"the whole": 1, "a part": 2}
    await bench.bus.publish([bundled(1, 2, 3)])
    (delivery,) = (await bench.bus.pull(inbox.consumer, 1, wait=30.0))[:1]
    slow = asyncio.create_task(inbox._take_or_pause([replace(delivery, tries=tries.pop(first))], 0.0))
    await begun.wait()
    (other,) = tries.values()
    late = asyncio.create_task(inbox._take_or_pause([replace(delivery, tries=other)], 0.0))
    await asyncio.wait([late], timeout=0.05)
    goes_on.set()
    await asyncio.gather(slow, late)
    assert await bench.effects() == [1, 2, 3]


@pytest.mark.parametrize("bad", [{2}, {2, 3}, {1, 2, 3, 4}], ids=["one", "two", "all"])
@pytest.mark.parametrize("later", [False, True], ids=["soon", "when-the-inbox-forgot"])
@pytest.mark.parametrize("closes", [False, True], ids=["silent", "told"])
async def test_what_is_revived_of_a_bundle_is_what_had_no_effect(
    bench: Bench, bad: set[int], later: bool, closes: bool
) -> None:
    refused = set(bad)

    async def refuse(ports: Ports, unit: Unit, batch: Sequence[Received[Counted]]) -> None:
        await record(ports, unit, batch)
        if any(received.message.number in refused for received in batch):
            raise ValueError("not yet")

    async def close(ports: Ports, unit: Unit, received: Received[Counted], reason: str) -> None:
        assert received.message.number in bad

    handles = Handles(name="record", takes=Counted, handle=refuse, buried=close if closes else None)
    async with bench.running(handles):
        await bench.bus.publish([bundled(1, 2, 3, 4)])
        await eventually(lambda: dead(bench, durable("tester", "record")))
        assert await bench.effects() == sorted({1, 2, 3, 4} - bad)
        if later:  # long after nobody has it in hand any more
            await eventually(lambda: idle(bench, "record"))
            await forget(bench.ports.sql, before=now() + 1)
        refused.clear()
        await bench.bus.revive([letter.id for letter in await bench.bus.dead()])
        await eventually(lambda: equals(bench.effects, [1, 2, 3, 4]))
        await eventually(lambda: idle(bench, "record"))
    assert await bench.effects() == [1, 2, 3, 4]


async def test_what_is_said_of_messages_of_a_bundle_names_the_bundle(bench: Bench) -> None:
    async def refuse_all_together(ports: Ports, unit: Unit, batch: Sequence[Received[Counted]]) -> None:
        if len(batch) > 1:
            raise ValueError("one by one")
        await record(ports, unit, batch)

    async with bench.running(Handles(name="record", takes=Counted, handle=refuse_all_together)):
        await bench.bus.publish([bundled(1, 2)])
        said = await asyncio.wait_for(said_by(bench, 2), 10)
    assert [each.cause for each in said] == [bundled(1, 2).id] * 2
