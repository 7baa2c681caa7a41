"""What every `bus` adapter promises."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Sequence

import pytest

from services.kernel.bus import Bus, Consumer, Delivery, Stream
from services.kernel.errors import Conflict, Invalid, Unavailable
from services.kernel.messages import Envelope
from tests.kernel.conftest import OpenBus, PassTime

W = uuid.UUID(int=7)
FACT = "mirage.evt.t.fact.v1"
OTHER = "mirage.evt.t.other.v1"
COMMAND = "mirage.cmd.t.work.v1"
PROGRESS = "mirage.progress.t.step.v1"

FACTS = Stream("EVT_T", ("mirage.evt.t.>",), "facts", 0)
WORK = Stream("CMD_T", ("mirage.cmd.t.>",), "work")
STEPS = Stream("PROGRESS", ("mirage.progress.>",), "progress", 600)
ONE = Consumer("t__one", "EVT_T", (f"{FACT}.>",))
TWO = Consumer("t__two", "EVT_T", (f"{FACT}.>", f"{OTHER}.>"))
WORKER = Consumer("t__worker", "CMD_T", (f"{COMMAND}.>",))
QUICK = Consumer("t__quick", "EVT_T", (f"{FACT}.>",), ack_wait=20)


def envelope(number: int, type: str = FACT, **more: object) -> Envelope:
    return Envelope(
        id=uuid.UUID(int=number), type=type, source="test", workspace=W, time=number, data=b"%d" % number, **more
    )


def numbers(deliveries: Sequence[Delivery]) -> list[int]:
    return [delivery.envelope.time for delivery in deliveries]


async def drain(bus: Bus, consumer: str, count: int) -> list[Delivery]:
    """Pull until there are ``count`` messages; more would be pulled with them."""
    found: list[Delivery] = []
    async with asyncio.timeout(10):
        while len(found) < count:
            found += await bus.pull(consumer, count + 10, 1)
    return found


async def empty(bus: Bus, consumer: str) -> bool:
    return not await bus.pull(consumer, 10, 0)


# Delivery


async def test_a_message_arrives_as_it_was_published(bus: Bus) -> None:
    await bus.declare([FACTS], [ONE])
    sent = Envelope(
        id=uuid.UUID(int=1), type=FACT, source="tést", workspace=W, time=2**52, data=bytes(range(256)),
        filter="passive", cause=uuid.UUID(int=9), traceparent="00-ab-cd-01",
    )  # fmt: skip
    await bus.publish([sent])
    (delivery,) = await bus.pull("t__one", 10, 5)
    assert delivery.envelope == sent
    assert delivery.tries == 1


async def test_each_consumer_gets_each_message_of_its_subjects(bus: Bus) -> None:
    await bus.declare([FACTS], [ONE, TWO])
    await bus.publish([envelope(1), envelope(2, OTHER), envelope(3)])
    assert numbers(await drain(bus, "t__one", 2)) == [1, 3]
    assert numbers(await drain(bus, "t__two", 3)) == [1, 2, 3]
    assert await empty(bus, "t__one")


async def test_a_star_stands_for_one_token(bus: Bus) -> None:
    await bus.declare([WORK], [Consumer("t__passive", "CMD_T", (f"{COMMAND}.passive.*",))])
    await bus.publish(
        [envelope(1, COMMAND, filter="passive"), envelope(2, COMMAND, filter="active"), envelope(3, COMMAND)]
    )
    assert numbers(await drain(bus, "t__passive", 1)) == [1]
    assert await empty(bus, "t__passive")


async def test_oldest_first_in_batches_of_the_size_asked_for(bus: Bus) -> None:
    await bus.declare([FACTS], [ONE])
    for first in range(1, 301, 100):
        await bus.publish([envelope(n) for n in range(first, first + 100)])
    seen: list[int] = []
    while len(seen) < 300:
        taken = await bus.pull("t__one", 70, 5)
        assert len(taken) <= 70
        seen += numbers(taken)
        await bus.ack(taken)
    assert seen == list(range(1, 301))


async def test_sequences_only_grow(bus: Bus) -> None:
    await bus.declare([FACTS], [ONE])
    last = 0
    for number in range(1, 4):
        await bus.publish([envelope(number)])
        (delivery,) = await drain(bus, "t__one", 1)
        assert delivery.sequence > last
        last = delivery.sequence
        await bus.ack([delivery])


async def test_pull_wakes_as_soon_as_there_is_one(bus: Bus) -> None:
    await bus.declare([FACTS], [ONE])
    waiting = asyncio.create_task(bus.pull("t__one", 10, 60))
    await asyncio.sleep(0)
    await bus.publish([envelope(1)])
    async with asyncio.timeout(5):
        assert numbers(await waiting) == [1]


async def test_pull_returns_nothing_when_nothing_comes(bus: Bus) -> None:
    await bus.declare([FACTS], [ONE])
    assert await bus.pull("t__one", 10, 0.01) == []
    assert await bus.pull("t__one", 10, 0) == []


async def test_two_who_pull_share_the_messages(bus: Bus) -> None:
    await bus.declare([WORK], [WORKER])
    seen: list[int] = []

    async def work() -> None:
        while len(seen) < 200:
            taken = await bus.pull("t__worker", 10, 0.05)
            seen.extend(numbers(taken))
            await bus.ack(taken)

    workers = [asyncio.create_task(work()) for _ in range(2)]
    await bus.publish([envelope(n, COMMAND) for n in range(200)])
    await asyncio.gather(*workers)
    assert sorted(seen) == list(range(200))


async def test_large_messages_arrive(bus: Bus) -> None:
    await bus.declare([FACTS], [ONE])
    bodies = {n: bytes([n]) * 900_000 for n in range(1, 31)}
    for number, data in bodies.items():
        await bus.publish([Envelope(id=uuid.uuid4(), type=FACT, source="t", workspace=W, time=number, data=data)])
    got = await drain(bus, "t__one", 30)
    assert {delivery.envelope.time: delivery.envelope.data for delivery in got} == bodies


# Publishing


async def test_the_same_id_again_is_no_second_message(bus: Bus) -> None:
    await bus.declare([FACTS], [ONE])
    await bus.publish([envelope(1), envelope(1)])
    await bus.publish([envelope(1), envelope(2)])
    taken = await drain(bus, "t__one", 2)
    assert numbers(taken) == [1, 2]
    await bus.ack(taken)
    await bus.publish([envelope(1), envelope(2)])
    assert await empty(bus, "t__one")


async def test_a_message_keeps_the_place_at_which_it_came_first(bus: Bus) -> None:
    await bus.declare([FACTS], [ONE])
    await bus.publish([envelope(1), envelope(2), envelope(1)])
    assert numbers(await drain(bus, "t__one", 2)) == [1, 2]


async def test_the_memory_of_ids_belongs_to_the_stream(bus: Bus) -> None:
    await bus.declare([FACTS, WORK], [ONE, WORKER])
    await bus.publish([envelope(1), envelope(1, COMMAND)])
    assert numbers(await drain(bus, "t__one", 1)) == numbers(await drain(bus, "t__worker", 1)) == [1]


async def test_a_subject_that_no_stream_takes_is_unavailable_and_nothing_is_kept(bus: Bus) -> None:
    await bus.declare([FACTS], [ONE])
    with pytest.raises(Unavailable):
        await bus.publish([envelope(1), envelope(2, COMMAND)])
    assert await empty(bus, "t__one")
    await bus.publish([envelope(1)])
    assert numbers(await drain(bus, "t__one", 1)) == [1]


async def test_publishing_nothing_is_nothing(bus: Bus) -> None:
    await bus.publish([])


async def test_many_publish_at_once(bus: Bus) -> None:
    await bus.declare([FACTS], [ONE])
    await asyncio.gather(*(bus.publish([envelope(n)]) for n in range(1, 201)))
    assert sorted(numbers(await drain(bus, "t__one", 200))) == list(range(1, 201))


@pytest.mark.parametrize("bad", ["a b", "a..b", "a.*.b", "a.>", ".a", "a\n"])
async def test_a_malformed_subject_is_invalid(bus: Bus, bad: str) -> None:
    await bus.declare([Stream("ALL", ("a.>",), "facts")], [])
    with pytest.raises(Invalid):
        await bus.publish([envelope(1, bad)])


# Answers


async def test_an_accepted_message_does_not_come_again(bus: Bus, pass_time: PassTime) -> None:
    await bus.declare([FACTS], [QUICK])
    await bus.publish([envelope(1)])
    taken = await drain(bus, "t__quick", 1)
    await bus.ack(taken)
    await bus.ack(taken)
    await pass_time(40)
    assert await empty(bus, "t__quick")


async def test_an_unanswered_message_comes_again_after_ack_wait(bus: Bus, pass_time: PassTime) -> None:
    await bus.declare([FACTS], [QUICK])
    await bus.publish([envelope(1), envelope(2)])
    first = await drain(bus, "t__quick", 2)
    await bus.ack(first[:1])
    await pass_time(20)
    (again,) = await drain(bus, "t__quick", 1)
    assert (again.envelope.time, again.tries) == (2, 2)


async def test_a_message_given_back_comes_again(bus: Bus, pass_time: PassTime) -> None:
    await bus.declare([FACTS], [ONE])
    await bus.publish([envelope(1), envelope(2)])
    taken = await drain(bus, "t__one", 2)
    await bus.nak(taken[:1], 25)
    await bus.nak(taken[1:], 0)
    (second,) = await bus.pull("t__one", 1, 5)
    assert (second.envelope.time, second.tries) == (2, 2)
    await bus.ack([second])
    await pass_time(25)
    (first,) = await drain(bus, "t__one", 1)
    assert (first.envelope.time, first.tries) == (1, 2)


async def test_work_that_was_extended_comes_again_when_it_no_longer_is(bus: Bus, pass_time: PassTime) -> None:
    await bus.declare([FACTS], [QUICK])
    await bus.publish([envelope(1)])
    taken = await drain(bus, "t__quick", 1)
    for _ in range(4):
        await bus.extend(taken)
        await pass_time(8)
    await pass_time(20)
    assert numbers(await drain(bus, "t__quick", 1)) == [1]


async def test_what_falls_due_comes_by_itself(bus: Bus) -> None:
    await bus.declare([FACTS], [Consumer("t__soon", "EVT_T", (f"{FACT}.>",), ack_wait=0.02)])
    await bus.publish([envelope(1)])
    async with asyncio.timeout(10):
        for tries in (1, 2):
            (delivery,) = await bus.pull("t__soon", 1, 60)
            assert delivery.tries == tries
        await bus.nak([delivery], 0.02)
        (delivery,) = await bus.pull("t__soon", 1, 60)
    assert delivery.tries == 3


async def test_tries_are_counted(bus: Bus) -> None:
    await bus.declare([FACTS], [ONE])
    await bus.publish([envelope(1)])
    for tries in range(1, 6):
        taken = await drain(bus, "t__one", 1)
        assert [delivery.tries for delivery in taken] == [tries]
        await bus.nak(taken, 0)


async def test_a_late_accept_counts(bus: Bus, pass_time: PassTime) -> None:
    await bus.declare([FACTS], [QUICK])
    await bus.publish([envelope(1)])
    late = await drain(bus, "t__quick", 1)
    await pass_time(20)
    again = await drain(bus, "t__quick", 1)
    await bus.ack(late)
    await bus.ack(again)
    await pass_time(20)
    assert await empty(bus, "t__quick")


async def test_no_more_than_max_in_flight_are_handed_out(bus: Bus) -> None:
    await bus.declare([FACTS], [Consumer("t__few", "EVT_T", (f"{FACT}.>",), max_in_flight=3)])
    await bus.publish([envelope(n) for n in range(1, 6)])
    taken = await bus.pull("t__few", 10, 5)
    assert numbers(taken) == [1, 2, 3]
    waiting = asyncio.create_task(bus.pull("t__few", 10, 60))
    assert await empty(bus, "t__few")
    await bus.ack(taken[:1])
    async with asyncio.timeout(5):
        assert numbers(await waiting) == [4]


async def test_lag_counts_what_waits_and_what_is_in_flight(bus: Bus) -> None:
    await bus.declare([FACTS], [ONE])
    await bus.publish([envelope(n) for n in range(1, 11)])

    async def lag() -> tuple[int, int]:
        found = await bus.lag("t__one")
        return found.waiting, found.in_flight

    assert await lag() == (10, 0)
    taken = await bus.pull("t__one", 4, 5)
    assert await lag() == (6, 4)
    await bus.ack(taken[:2])
    assert await lag() == (6, 2)
    taken += await drain(bus, "t__one", 6)
    await bus.ack(taken)
    assert await lag() == (0, 0)


async def test_a_cancelled_pull_loses_nothing(bus: Bus, pass_time: PassTime) -> None:
    await bus.declare([FACTS], [QUICK])
    for number in range(1, 13):
        task = asyncio.create_task(bus.pull("t__quick", 1, 60))
        publishing = asyncio.create_task(bus.publish([envelope(number)]))
        for _ in range(number):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await publishing
    seen: set[int] = set()
    while len(seen) < 12:  # what went to one who was cancelled comes again after ack_wait at the latest
        taken = await bus.pull("t__quick", 100, 0)
        seen |= set(numbers(taken))
        await bus.ack(taken)
        await pass_time(2)


# Streams and consumers


async def test_a_new_consumer_gets_what_its_stream_still_keeps(bus: Bus) -> None:
    await bus.declare([FACTS, WORK], [ONE])
    await bus.publish([envelope(1), envelope(2, OTHER), envelope(3, COMMAND)])
    await bus.declare([FACTS, WORK], [TWO, WORKER])
    assert numbers(await drain(bus, "t__two", 2)) == [1, 2]
    assert numbers(await drain(bus, "t__worker", 1)) == [3]


async def test_declaring_again_changes_nothing_for_messages(bus: Bus) -> None:
    await bus.declare([FACTS], [ONE])
    await bus.publish([envelope(1), envelope(2)])
    await bus.pull("t__one", 1, 5)
    await bus.declare([FACTS], [ONE])
    assert numbers(await drain(bus, "t__one", 1)) == [2]


async def test_a_consumer_no_longer_gets_what_it_no_longer_asks_for(bus: Bus) -> None:
    await bus.declare([FACTS], [TWO])
    await bus.publish([envelope(1), envelope(2, OTHER)])
    await bus.declare([FACTS], [Consumer("t__two", "EVT_T", (f"{OTHER}.>",))])
    await bus.publish([envelope(3), envelope(4, OTHER)])
    assert numbers(await drain(bus, "t__two", 2)) == [2, 4]


async def test_streams_must_not_overlap(bus: Bus) -> None:
    await bus.declare([FACTS], [])
    with pytest.raises(Conflict):
        await bus.declare([Stream("X", ("mirage.evt.*.fact.>",), "facts")], [])
    await bus.declare([Stream("Y", ("mirage.evt.u.>",), "facts")], [])


async def test_two_consumers_of_work_must_not_overlap(bus: Bus) -> None:
    await bus.declare([WORK], [WORKER])
    with pytest.raises(Conflict):
        await bus.declare([WORK], [Consumer("t__rival", "CMD_T", ("mirage.cmd.t.*.v1.>",))])


async def test_a_consumer_needs_its_stream_and_a_pull_its_consumer(bus: Bus) -> None:
    with pytest.raises(Invalid):
        await bus.declare([], [ONE])
    with pytest.raises(Invalid):
        await bus.pull("t__nobody", 1, 0)
    with pytest.raises(Invalid):
        await bus.declare([Stream("BAD", ("a.>.b",), "facts")], [])


# Dead letters


async def test_a_buried_message_is_kept_aside_and_not_delivered(bus: Bus, pass_time: PassTime) -> None:
    await bus.declare([FACTS], [QUICK, TWO])
    assert await bus.dead() == []
    await bus.publish([envelope(1), envelope(2)])
    first, second = await drain(bus, "t__quick", 2)
    await bus.bury("t__quick", first, "it makes no sense")
    await bus.bury("t__quick", first, "said twice")
    await bus.bury("t__quick", second, "nor this")
    newest, oldest = await bus.dead()
    assert (newest.envelope, newest.reason) == (envelope(2), "nor this")
    assert (oldest.envelope, oldest.reason, oldest.consumer, oldest.tries) == (
        envelope(1), "it makes no sense", "t__quick", 1,
    )  # fmt: skip
    assert oldest.at > 1_500_000_000_000_000
    await pass_time(40)
    assert await empty(bus, "t__quick")
    assert numbers(await drain(bus, "t__two", 2)) == [1, 2]
    assert [letter.id for letter in await bus.dead("t__quick", limit=1)] == [newest.id]
    assert await bus.dead("t__two") == []


async def test_a_revived_message_goes_to_the_one_who_gave_up(bus: Bus) -> None:
    await bus.declare([FACTS], [ONE, TWO])
    await bus.publish([envelope(1)])
    (delivery,) = await drain(bus, "t__one", 1)
    await bus.nak([delivery], 0)
    (delivery,) = await drain(bus, "t__one", 1)
    await bus.ack(await drain(bus, "t__two", 1))
    await bus.bury("t__one", delivery, "reason")
    (letter,) = await bus.dead()
    assert letter.tries == 2
    assert await bus.revive([letter.id, uuid.uuid4()]) == 1
    assert await bus.dead() == []
    (again,) = await drain(bus, "t__one", 1)
    assert (again.envelope, again.tries) == (envelope(1), 3)
    await bus.ack([again])
    assert await empty(bus, "t__one")
    assert await empty(bus, "t__two")
    assert await bus.revive([letter.id]) == 0


async def test_a_revived_message_may_be_buried_again(bus: Bus) -> None:
    await bus.declare([FACTS], [ONE])
    await bus.publish([envelope(1)])
    for reason in ("first", "second"):
        (delivery,) = await drain(bus, "t__one", 1)
        await bus.bury("t__one", delivery, reason)
        (letter,) = await bus.dead()
        assert letter.reason == reason
        assert await bus.revive([letter.id]) == 1


async def test_dead_letters_can_be_forgotten(bus: Bus) -> None:
    await bus.declare([FACTS], [ONE])
    await bus.publish([envelope(1), envelope(2)])
    for delivery in await drain(bus, "t__one", 2):
        await bus.bury("t__one", delivery, "reason")
    ids = [letter.id for letter in await bus.dead()]
    assert await bus.drop_dead([ids[0], ids[0], uuid.uuid4()]) == 1
    assert [letter.id for letter in await bus.dead()] == ids[1:]
    assert await bus.drop_dead([]) == 0
    assert await bus.revive([]) == 0


# Reading along


async def following(stream: AsyncIterator[tuple[int, Envelope]], count: int) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    async with asyncio.timeout(10):
        async for sequence, each in stream:
            found.append((sequence, each.time))
            if len(found) == count:
                break
    return found


async def test_replay_yields_what_is_kept_and_then_what_comes(bus: Bus) -> None:
    await bus.declare([STEPS], [])
    await bus.publish([envelope(n, PROGRESS) for n in range(1, 251)])
    stream = bus.replay(["mirage.progress.t.>"], 0)
    kept = await following(stream, 250)
    assert [number for _, number in kept] == list(range(1, 251))
    assert kept == sorted(kept)

    await bus.publish([envelope(n, PROGRESS) for n in range(251, 254)])
    again = bus.replay(["mirage.progress.t.>"], kept[-1][0])
    assert [number for _, number in await following(again, 3)] == [251, 252, 253]

    task = asyncio.create_task(following(bus.replay(["mirage.progress.t.>"], kept[248][0]), 6))
    await asyncio.sleep(0)
    await bus.publish([envelope(254, PROGRESS), envelope(255, PROGRESS)])
    assert [number for _, number in await task] == list(range(250, 256))


async def test_replay_without_a_sequence_yields_only_what_is_new(bus: Bus) -> None:
    await bus.declare([STEPS], [])
    await bus.publish([envelope(1, PROGRESS)])
    stream = bus.replay([f"{PROGRESS}.>"], None)
    await bus.publish([envelope(2, PROGRESS)])
    assert [number for _, number in await following(stream, 1)] == [2]


async def test_replay_after_what_was_not_given_yet_yields_only_what_is_new(bus: Bus) -> None:
    await bus.declare([STEPS], [])
    await bus.publish([envelope(1, PROGRESS)])
    stream = bus.replay([f"{PROGRESS}.>"], 10**15)
    await bus.publish([envelope(2, PROGRESS)])
    assert [number for _, number in await following(stream, 1)] == [2]


async def test_replay_yields_only_its_subjects_in_order_over_streams(bus: Bus) -> None:
    await bus.declare([STEPS, FACTS], [ONE])
    stream = bus.replay([f"{PROGRESS}.>", f"{FACT}.>"], None)
    for number in range(1, 10, 3):
        await bus.publish([envelope(number, PROGRESS), envelope(number + 1, "mirage.progress.u.step.v1")])
        await bus.publish([envelope(number + 2)])
    assert [number for _, number in await following(stream, 6)] == [1, 3, 4, 6, 7, 9]


async def test_several_replay_at_once(bus: Bus) -> None:
    await bus.declare([STEPS], [])
    tasks = [asyncio.create_task(following(bus.replay([">"], 0), 50)) for _ in range(5)]
    for number in range(50):
        await bus.publish([envelope(number, PROGRESS)])
    assert [[number for _, number in each] for each in await asyncio.gather(*tasks)] == [list(range(50))] * 5


async def test_progress_is_kept_only_for_its_time(bus: Bus) -> None:
    await bus.declare([Stream("PROGRESS", ("mirage.progress.>",), "progress", 0)], [])
    await bus.publish([envelope(1, PROGRESS)])
    number = 1
    async with asyncio.timeout(10):
        while True:
            number += 1
            await bus.publish([envelope(number, PROGRESS)])
            if (await following(bus.replay([">"], 0), 1))[0][1] > 1:
                break
            await asyncio.sleep(0.05)


async def test_facts_are_kept_for_their_time_though_all_have_accepted_them(bus: Bus) -> None:
    await bus.declare([Stream("EVT_T", FACTS.subjects, "facts", 600)], [ONE])
    await bus.publish([envelope(1)])
    await bus.ack(await drain(bus, "t__one", 1))
    await bus.declare([], [TWO])
    assert numbers(await drain(bus, "t__two", 1)) == [1]


async def test_facts_are_kept_until_all_have_accepted_them(bus: Bus) -> None:
    await bus.declare([FACTS], [ONE, TWO])
    await bus.publish([envelope(1)])
    await bus.ack(await drain(bus, "t__one", 1))
    assert [number for _, number in await following(bus.replay([">"], 0), 1)] == [1]
    assert numbers(await drain(bus, "t__two", 1)) == [1]


# Death


async def test_what_is_in_flight_when_the_bus_closes_comes_again(open_bus: OpenBus, bus: Bus) -> None:
    await bus.declare([FACTS], [ONE])
    await bus.publish([envelope(n) for n in range(1, 5)])
    taken = await bus.pull("t__one", 3, 5)
    await bus.ack(taken[:1])
    await bus.close()
    again = open_bus()
    await again.declare([FACTS], [ONE])
    found = await drain(again, "t__one", 3)
    assert sorted((delivery.envelope.time, delivery.tries) for delivery in found) == [(2, 2), (3, 2), (4, 1)]


async def test_ids_are_remembered_over_a_restart(open_bus: OpenBus, bus: Bus) -> None:
    await bus.declare([FACTS], [ONE])
    await bus.publish([envelope(1)])
    await bus.ack(await drain(bus, "t__one", 1))
    await bus.close()
    again = open_bus()
    await again.declare([FACTS], [ONE])
    await again.publish([envelope(1), envelope(2)])
    assert numbers(await drain(again, "t__one", 1)) == [2]


async def test_sequences_go_on_after_a_restart(open_bus: OpenBus, bus: Bus) -> None:
    await bus.declare([FACTS], [ONE])
    await bus.publish([envelope(1)])
    first = await drain(bus, "t__one", 1)
    await bus.ack(first)
    await bus.close()
    again = open_bus()
    await again.declare([FACTS], [ONE])
    await again.publish([envelope(2)])
    assert (await drain(again, "t__one", 1))[0].sequence > first[0].sequence


KILLED = """
import asyncio, uuid
from services.kernel.bus import Consumer, Stream
from services.kernel.bus.jetstream import JetStreamBus
from services.kernel.bus.sqlite import SqliteBus
from services.kernel.messages import Envelope
from services.kernel.server import Server

def envelope(n):
    type, workspace = "mirage.evt.t.fact.v1", uuid.UUID(int=7)
    return Envelope(id=uuid.UUID(int=n), type=type, source="test", workspace=workspace, time=n, data=b"%d" % n)

async def main():
    bus = BUS
    stream = Stream("EVT_T", ("mirage.evt.t.>",), "facts", 0)
    await bus.declare([stream], [Consumer("t__quick", "EVT_T", ("mirage.evt.t.fact.v1.>",), ack_wait=0.2)])
    await bus.publish([envelope(n) for n in range(1, 6)])
    taken = await bus.pull("t__quick", 4, 5)
    await bus.ack(taken[:1])
    await bus.bury("t__quick", taken[1], "reason")
    print("ready", flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


async def test_a_killed_process_loses_no_message(
    open_bus: OpenBus, opens_bus: str, kill_when_ready: Callable[[str], None]
) -> None:
    await asyncio.to_thread(kill_when_ready, KILLED.replace("BUS", opens_bus))
    bus = open_bus()
    await bus.declare([FACTS], [QUICK])
    found: dict[int, Delivery] = {}
    async with asyncio.timeout(10):
        while len(found) < 3:
            for delivery in await bus.pull("t__quick", 10, 1):
                found.setdefault(delivery.envelope.time, delivery)
    assert {number: delivery.tries for number, delivery in found.items()} == {3: 2, 4: 2, 5: 1}
    assert [letter.envelope.time for letter in await bus.dead()] == [2]
    await bus.publish([envelope(n) for n in range(1, 6)])
    await bus.ack([*found.values()])
    assert await empty(bus, "t__quick")


# Health


async def test_a_closed_bus_is_unavailable(bus: Bus) -> None:
    await bus.declare([FACTS], [ONE])
    await bus.ping()
    waiting = asyncio.create_task(bus.pull("t__one", 1, 60))
    reading = asyncio.create_task(following(bus.replay([">"], None), 1))
    await asyncio.sleep(0.01)
    await bus.close()
    await bus.close()
    async with asyncio.timeout(5):
        for task in (waiting, reading):
            with pytest.raises(Unavailable):
                await task
    for call in (bus.ping(), bus.publish([envelope(1)]), bus.pull("t__one", 1, 0)):
        with pytest.raises(Unavailable):
            await call
