"""At least once on the wire, exactly once in effect."""

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest
from structlog.testing import capture_logs

from services.kernel import inbox, metrics, outbox
from services.kernel.bus import Delivery, Lag
from services.kernel.bus.sqlite import SqliteBus
from services.kernel.errors import Conflict, Unavailable
from services.kernel.inbox import TRIES, consumer_of, durable
from services.kernel.messages import Envelope
from services.kernel.once_store import MIGRATIONS, forget
from services.kernel.outbox import Outbox
from services.kernel.service import Handles, Hold, Ports, Received, Unit
from services.kernel.sql import Tx
from tests.conftest import Forward
from tests.kernel.once.bench import (
    SPACE,
    STREAMS,
    TABLE,
    Bench,
    Counted,
    Echoed,
    dead,
    envelope,
    equals,
    eventually,
    flaky,
    hear,
    idle,
    is_so,
    record,
    said_by,
)
from tests.stores import Stores

#: What puts the clock of this process forward, or writes into the file of the bus.
on_sqlite = pytest.mark.parametrize("watched", ["once", "twice"], indirect=True)


async def test_a_message_that_comes_again_has_one_effect(bench: Bench) -> None:
    async with bench.running(Handles(name="record", takes=Counted, handle=record)):
        await bench.publish(1, 2, 3)
        await bench.publish(2, 3, 4)
        await eventually(lambda: equals(bench.effects, [1, 2, 3, 4]))
        await eventually(lambda: idle(bench, "record"))
    assert await bench.effects() == [1, 2, 3, 4]


async def test_what_comes_while_a_consumer_rests_is_one_batch(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    rested = asyncio.Event()
    sleep = asyncio.sleep

    async def rest(seconds: float) -> None:
        await (rested.wait() if seconds == inbox.LONGEST_REST else sleep(seconds))

    monkeypatch.setattr(inbox, "LONGEST_REST", 1 / 3)
    monkeypatch.setattr(inbox, "INBOX_RESTS", 1e9)
    monkeypatch.setattr(asyncio, "sleep", rest)
    batches: list[list[int]] = []

    async def note(ports: Ports, unit: Unit, batch: Sequence[Received[Counted]]) -> None:
        await record(ports, unit, batch)
        batches.append([received.message.number for received in batch])

    async with bench.running(Handles(name="record", takes=Counted, handle=note)):
        await bench.publish(1)
        await eventually(lambda: equals(bench.effects, [1]))
        for number in (2, 3, 4):
            await bench.publish(number)
        rested.set()
        await eventually(lambda: equals(bench.effects, [1, 2, 3, 4]))
    assert batches == [[1], [2, 3, 4]]


async def test_what_a_handler_emits_leaves_only_if_it_commits(bench: Bench) -> None:
    failed: list[int] = []

    async def fail_first(ports: Ports, unit: Unit, batch: Sequence[Received[Counted]]) -> None:
        await record(ports, unit, batch)
        if len(failed) < 2:
            failed.append(len(batch))
            raise Conflict("not yet")

    async with bench.running(Handles(name="record", takes=Counted, handle=fail_first)):
        heard = asyncio.create_task(hear(bench.bus, "mirage.evt.tester.>", 2))
        await asyncio.sleep(0)
        await bench.publish(1, 2)
        numbers = await asyncio.wait_for(heard, 10)
    assert sorted(numbers) == [1, 2]
    assert await bench.effects() == [1, 2]
    assert failed


async def test_what_waits_to_leave_outlasts_a_clock_that_is_put_back(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in (1, 2, 3):
        fresh = Outbox(bench.ports.sql, bench.bus, "tester")  # that of a process that has just started
        monkeypatch.setattr(outbox, "now", lambda at=10 - number // 3: at)
        async with fresh.unit() as unit:
            unit.emit(Echoed(number), workspace=SPACE, key=str(number))
            unit.emit(Echoed(-number), workspace=SPACE, key=str(-number))
    async with bench.ports.sql.read() as view:
        waiting = await view.fetch("SELECT data FROM outbox ORDER BY position")
    assert [msgspec.json.decode(data)["number"] for (data,) in waiting] == [1, -1, 2, -2, 3, -3]


async def test_one_bad_message_is_alone_in_failing(bench: Bench) -> None:
    async def refuse_two(ports: Ports, unit: Unit, batch: Sequence[Received[Counted]]) -> None:
        await record(ports, unit, batch)
        if any(received.message.number == 2 for received in batch):
            raise ValueError("two")

    async with bench.running(Handles(name="record", takes=Counted, handle=refuse_two)):
        await bench.publish(1, 2, 3)
        await eventually(lambda: equals(bench.effects, [1, 3]))


async def test_a_message_that_fails_five_times_is_buried_and_its_owner_told(bench: Bench) -> None:
    buried: list[tuple[int, str]] = []
    tries: list[int] = []

    async def fail(ports: Ports, unit: Unit, batch: Sequence[Received[Counted]]) -> None:
        if len(batch) == 1:
            tries.append(batch[0].message.number)
        raise ValueError("never")

    async def close(ports: Ports, unit: Unit, received: Received[Counted], reason: str) -> None:
        buried.append((received.message.number, reason))

    async with bench.running(Handles(name="record", takes=Counted, handle=fail, buried=close)):
        await bench.publish(9)
        await eventually(lambda: dead(bench, durable("tester", "record")))
    assert buried[0] == (9, "ValueError: never")
    assert len(tries) >= TRIES
    [letter] = await bench.bus.dead()
    assert letter.envelope.id == envelope(9).id


async def test_a_message_that_its_owner_cannot_close_is_buried_all_the_same(bench: Bench) -> None:
    async def fail(ports: Ports, unit: Unit, batch: Sequence[Received[Counted]]) -> None:
        raise ValueError("never")

    async def fail_to_close(ports: Ports, unit: Unit, received: Received[Counted], reason: str) -> None:
        raise ValueError("nor this")

    async with bench.running(Handles(name="record", takes=Counted, handle=fail, buried=fail_to_close)):
        await bench.publish(9)
        await eventually(lambda: dead(bench, durable("tester", "record")))
    assert (await bench.bus.dead())[0].reason == "ValueError: never"


async def test_a_consumer_outlasts_a_bus_that_is_away(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox, "BUS_AWAY", 0.0)
    monkeypatch.setattr(outbox, "BUS_AWAY", 0.0)
    away = {"pull": 3, "ack": 1, "publish": 2}
    for name in away:
        monkeypatch.setattr(bench.bus, name, flaky(getattr(bench.bus, name), away, name))
    handles = Handles(name="record", takes=Counted, handle=record, ack_wait=0.1)
    async with bench.running(handles):
        heard = asyncio.create_task(hear(bench.bus, "mirage.evt.tester.>", 2))
        await asyncio.sleep(0)
        await publish_at_last(bench, 1, 2)
        assert await asyncio.wait_for(heard, 10) == {1, 2}
        await eventually(lambda: idle(bench, "record"))
    assert await bench.effects() == [1, 2]
    assert set(away.values()) == {0}


async def publish_at_last(bench: Bench, *numbers: int) -> None:
    for _ in range(10):
        with contextlib.suppress(Unavailable):
            return await bench.publish(*numbers)
    raise AssertionError("the bus stayed away")


async def test_an_absent_port_pauses_the_consumer_and_is_not_counted(bench: Bench) -> None:
    calls: list[int] = []

    async def away_for_a_while(ports: Ports, unit: Unit, batch: Sequence[Received[Counted]]) -> None:
        calls.append(len(batch))
        if len(calls) < 3:
            raise Unavailable("the port is away")
        await record(ports, unit, batch)

    async with bench.running(Handles(name="record", takes=Counted, handle=away_for_a_while)):
        await bench.publish(1)
        await eventually(lambda: equals(bench.effects, [1]))
    async with bench.ports.sql.read() as view:
        assert await view.fetch("SELECT * FROM failure") == []


async def test_a_message_that_nobody_can_read_is_buried_and_stops_nothing(bench: Bench) -> None:
    broken = Envelope(
        id=UUID(int=66), type="mirage.evt.counter.counted.v1", source="x", workspace=SPACE, time=0, data=b"{not json"
    )

    async def close(ports: Ports, unit: Unit, received: Received[Any], reason: str) -> None:
        raise AssertionError("nothing can be closed of a message that cannot be read")

    async with bench.running(Handles(name="record", takes=Counted, handle=record, buried=close)):
        await bench.bus.publish([broken])
        await bench.publish(1)
        await eventually(lambda: equals(bench.effects, [1]))
        await eventually(lambda: dead(bench, durable("tester", "record")))


@on_sqlite
@pytest.mark.parametrize("work", [False, True], ids=["batches", "work"])
async def test_a_damaged_row_of_the_bus_is_buried_with_its_bytes_and_stops_nothing(bench: Bench, work: bool) -> None:
    async def do(ports: Ports, received: Received[Counted], hold: Hold) -> None:
        async with bench.outbox.unit() as unit:
            await record(ports, unit, [received])

    handles = Handles(name="record", takes=Counted, **({"work": do} if work else {"handle": record}))
    await bench.bus.declare(STREAMS, [consumer_of("tester", handles, "EVT_COUNTER")])
    await bench.publish(1, 2, 3)
    bytes_left = [b"\x81\xa2id", b""]  # one that was cut off, one that is gone
    with contextlib.closing(sqlite3.connect(bench.folder / "bus.db")) as connection:
        for sequence, left in enumerate(bytes_left, 1):
            connection.execute("UPDATE message SET envelope = ? WHERE sequence = ?", (left, sequence))
        connection.commit()
    async with bench.running(handles):
        await eventually(lambda: idle(bench, "record"))
    assert set(await bench.effects()) == {3}
    buried = await bench.bus.dead(durable("tester", "record"))
    assert sorted((letter.envelope.data, letter.envelope.type) for letter in buried) == [
        (left, "mirage.evt.counter.counted.v1") for left in sorted(bytes_left)
    ]


@on_sqlite
async def test_long_work_is_kept_from_others_as_long_as_it_is_extended(
    bench: Bench, forward: Forward, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[int] = []
    extended: list[Delivery] = []
    done = asyncio.Event()
    extend = bench.bus.extend

    async def count(deliveries: Sequence[Delivery]) -> None:
        await extend(deliveries)
        extended.extend(deliveries)

    async def work(ports: Ports, received: Received[Counted], hold: Hold) -> None:
        await asyncio.sleep(0)  # whoever extends it has begun to wait
        begun.append(received.message.number)
        await done.wait()
        async with ports.outbox.unit() as unit:
            await unit.tx.execute("INSERT INTO effect (number) VALUES (:number)", number=received.message.number)

    monkeypatch.setattr(bench.bus, "extend", count)
    workers = 2 if bench.twice else 1
    async with bench.running(Handles(name="work", takes=Counted, work=work, parallel=3, ack_wait=90)):
        await bench.publish(1)
        await eventually(lambda: is_so(len(begun) == workers))
        for times in range(1, 6):  # longer than it is kept without being extended
            forward(30)
            await eventually(lambda times=times: is_so(len(extended) == times * workers))
            assert await bench.bus.lag(durable("tester", "work")) == Lag(waiting=0, in_flight=1)
        done.set()
        await eventually(lambda: equals(bench.effects, [1] * workers))
        await eventually(lambda: idle(bench, "work"))
    assert len(begun) == workers


async def test_work_that_is_given_back_comes_again_uncounted(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "_metrics", None)
    metrics.start()
    tries: list[int] = []

    async def work(ports: Ports, received: Received[Counted], hold: Hold) -> None:
        tries.append(received.message.number)
        if len(tries) <= TRIES + 2:
            hold.give_back(0.0)

    with capture_logs() as logged:
        async with bench.running(Handles(name="work", takes=Counted, work=work)):
            await bench.publish(1)
            await eventually(lambda: idle(bench, "work"))
    assert len(tries) > TRIES + 2
    assert await bench.bus.dead() == []
    measured = (await metrics.render()).decode()
    done = len(tries) - TRIES - 2
    for outcome, count in (("given_back", TRIES + 2), ("ok", done)):
        assert f'mirage_messages_total{{consumer="tester__work",outcome="{outcome}"}} {count}.0' in measured
    assert [line["outcome"] for line in logged if line["event"] == "batch"] == ["ok"] * done


async def test_the_inbox_forgets_what_can_no_longer_come_back(bench: Bench) -> None:
    async with bench.running(Handles(name="record", takes=Counted, handle=record)):
        await bench.publish(1)
        await eventually(lambda: idle(bench, "record"))
    await forget(bench.ports.sql, before=1 << 62)
    async with bench.ports.sql.read() as view:
        assert await view.fetch("SELECT * FROM inbox") == []


# Causes


async def test_what_is_said_while_a_message_is_handled_names_it_as_its_cause(bench: Bench) -> None:
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    cause = msgspec.structs.replace(envelope(1), traceparent=trace)
    async with bench.running(Handles(name="record", takes=Counted, handle=record)):
        await bench.bus.publish([cause])
        (said,) = await asyncio.wait_for(said_by(bench, 1), 10)
        async with bench.outbox.unit() as unit:
            unit.emit(Echoed(2), workspace=SPACE, key="by itself")
        (_, other) = await asyncio.wait_for(said_by(bench, 2), 10)
    assert (said.cause, said.traceparent) == (cause.id, trace)
    assert (other.cause, other.traceparent) == (None, "")


async def test_what_is_said_of_a_batch_names_its_last_message_unless_the_handler_tells_them_apart(
    bench: Bench,
) -> None:
    async def apart(ports: Ports, unit: Unit, batch: Sequence[Received[Counted]]) -> None:
        unit.emit(Echoed(0), workspace=SPACE, key="whole")
        for received in batch:
            unit.because(received.because)
            unit.emit_bundled({str(received.message.number): Echoed(received.message.number)}, workspace=SPACE)

    await bench.bus.declare(STREAMS, [consumer_of("tester", Handles(name="record", takes=Counted), "EVT_COUNTER")])
    await bench.publish(1, 2, 3)
    async with bench.running(Handles(name="record", takes=Counted, handle=apart)):
        whole, *each = await asyncio.wait_for(said_by(bench, 4), 10)
    assert whole.cause == envelope(3).id
    assert [said.cause for said in each] == [envelope(number).id for number in (1, 2, 3)]


async def test_what_was_committed_leaves_though_nobody_saw_that_it_was(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when a deadline cancels a commit, or the answer to it is lost."""
    monkeypatch.setattr(outbox, "RELAY_LOOKS", 1000.0)
    await bench.bus.declare(STREAMS, [])
    begin = bench.ports.sql.begin

    @asynccontextmanager
    async def begin_unseen() -> AsyncIterator[Tx]:
        async with begin() as tx:
            yield tx
        monkeypatch.setattr(bench.ports.sql, "begin", begin)
        raise asyncio.CancelledError

    relaying = asyncio.create_task(bench.outbox.relay())
    await asyncio.sleep(0)
    monkeypatch.setattr(bench.ports.sql, "begin", begin_unseen)
    with pytest.raises(asyncio.CancelledError):
        async with bench.outbox.unit() as unit:
            unit.emit(Echoed(1), workspace=SPACE, key="1")
    assert await asyncio.wait_for(hear(bench.bus, "mirage.evt.tester.>", 1), 10) == {1}
    relaying.cancel()
    await asyncio.gather(relaying, return_exceptions=True)


async def test_two_instances_whose_clocks_differ_lose_no_message(
    tmp_path: Path, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "randbelow", lambda _: 0)
    sql = stores.open(tmp_path / "tester.db")
    await sql.migrate([*MIGRATIONS, TABLE])
    ahead, behind = (Outbox(sql, None, "tester") for _ in range(2))  # type: ignore[arg-type]

    async def say(outbox: Outbox, number: int) -> None:
        async with outbox.unit() as unit:
            unit.emit(Echoed(number), workspace=SPACE, key=str(number))

    await say(ahead, 0)
    monkeypatch.setattr(outbox, "now", lambda: 1)
    for number in range(1, 9, 2):
        await say(behind, number)
        await say(ahead, number + 1)
    async with sql.read() as view:
        rows = await view.fetch("SELECT data FROM outbox ORDER BY position")
    assert sorted(msgspec.json.decode(data)["number"] for (data,) in rows) == list(range(9))
    await sql.close()


async def test_an_outbox_of_the_version_before_goes_out(tmp_path: Path, stores: Stores) -> None:
    sql = stores.open(tmp_path / "tester.db")
    await sql.migrate([MIGRATIONS[0], TABLE])
    async with sql.begin() as tx:
        await tx.execute(
            "INSERT INTO outbox (position, id, type, workspace, filter, time, data)"
            " VALUES (1, :id, :type, :space, '', 5, :data)",
            id=UUID(int=5).bytes, type="mirage.evt.tester.echoed.v1", space=SPACE.bytes, data=b'{"number":5}',
        )  # fmt: skip
    await sql.migrate([*MIGRATIONS, TABLE])
    bus = SqliteBus(tmp_path / "bus.db")
    await bus.declare(STREAMS, [])
    heard = asyncio.create_task(anext(bus.replay(["mirage.evt.tester.>"], 0)))
    relaying = asyncio.create_task(Outbox(sql, bus, "tester").relay())
    _, said = await asyncio.wait_for(heard, 10)
    assert (said.id, said.time, said.cause, said.traceparent) == (UUID(int=5), 5, None, "")
    relaying.cancel()
    await asyncio.gather(relaying, return_exceptions=True)
    await bus.close()
    await sql.close()


# Pauses


def given_back(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """After how many seconds messages are to come again, each time that they are given back."""
    nak, delays = bench.bus.nak, []

    async def note(deliveries: Sequence[Delivery], delay: float) -> None:
        delays.append(delay)
        await nak(deliveries, delay)

    monkeypatch.setattr(bench.bus, "nak", note)
    return delays


async def test_a_consumer_pauses_twice_as_long_each_time_up_to_the_longest_and_begins_anew_after_a_success(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox, "PAUSE", 1 / 1024)
    monkeypatch.setattr(inbox, "LONGEST_PAUSE", 5 / 1024)
    delays = given_back(bench, monkeypatch)
    away = {1: 5, 2: 2}

    async def away_for_a_while(ports: Ports, unit: Unit, batch: Sequence[Received[Counted]]) -> None:
        number = batch[-1].message.number
        if away[number]:
            away[number] -= 1
            raise Unavailable("the port is away")
        await record(ports, unit, batch)

    async with bench.running(Handles(name="record", takes=Counted, handle=away_for_a_while)):
        for number in (1, 2):
            await bench.publish(number)
            await eventually(lambda: idle(bench, "record"))
    assert [delay * 1024 for delay in delays] == [1, 2, 4, 5, 5, 1, 2]


async def test_a_message_that_fails_comes_again_twice_as_late_each_time(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox, "RETRY_AFTER", 1 / 1024)
    delays = given_back(bench, monkeypatch)

    async def fail(ports: Ports, unit: Unit, batch: Sequence[Received[Counted]]) -> None:
        raise Conflict("never")

    async with bench.running(Handles(name="record", takes=Counted, handle=fail)):
        await bench.publish(1)
        await eventually(lambda: dead(bench, durable("tester", "record")))
    assert [delay * 1024 for delay in delays] == [2, 4, 8, 16]


async def test_what_waits_to_leave_goes_out_when_the_bus_is_back_though_nothing_more_is_said(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox, "BUS_AWAY", 0.0)
    monkeypatch.setattr(outbox, "BUS_AWAY", 0.0)
    away = {"publish": 3}
    monkeypatch.setattr(bench.bus, "publish", flaky(bench.bus.publish, away, "publish"))
    async with bench.running(Handles(name="record", takes=Counted, handle=record)):
        async with bench.outbox.unit() as unit:
            unit.emit(Echoed(1), workspace=SPACE, key="1")
        await asyncio.wait_for(said_by(bench, 1), 30)
    assert away == {"publish": 0}


async def test_who_was_told_of_a_buried_message_is_told_again_when_it_fails_once_it_was_revived(bench: Bench) -> None:
    told: list[int] = []

    async def fail(ports: Ports, unit: Unit, batch: Sequence[Received[Counted]]) -> None:
        raise Conflict("never")

    async def close(ports: Ports, unit: Unit, received: Received[Counted], reason: str) -> None:
        told.append(received.message.number)

    async with bench.running(Handles(name="record", takes=Counted, handle=fail, buried=close)):
        await bench.publish(5)
        for _ in range(2):
            await eventually(lambda: dead(bench, durable("tester", "record")))
            await eventually(lambda: idle(bench, "record"))
            before = len(told)
            await bench.bus.revive([letter.id for letter in await bench.bus.dead()])
            await eventually(lambda so_far=before: _more_than(told, so_far))


async def _more_than(told: list[int], number: int) -> bool:
    return len(told) > number
