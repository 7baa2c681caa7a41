"""At least once on the wire, exactly once in effect."""

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest
from msgspec import Struct

from services.kernel import once
from services.kernel.bus import Bus, Delivery, Lag, Stream
from services.kernel.bus.jetstream import JetStreamBus
from services.kernel.bus.sqlite import SqliteBus
from services.kernel.errors import Conflict, Unavailable
from services.kernel.messages import Envelope, bundle, derive, envelop, now
from services.kernel.once import TRIES, Inbox, Outbox, consumer_of, durable
from services.kernel.once_store import MIGRATIONS, first_times, forget
from services.kernel.server import Server as Address
from services.kernel.service import Handles, Hold, Ports, Received, Unit
from services.kernel.sql import Migration, Sql
from services.kernel.workers import Workers
from tests.conftest import Forward
from tests.servers.running import Server
from tests.stores import Stores

SPACE = UUID(int=7)


class Counted(Struct, frozen=True, tag="mirage.evt.counter.counted.v1"):
    number: int


class Echoed(Struct, frozen=True, tag="mirage.evt.tester.echoed.v1"):
    number: int


TABLE = Migration(version=1, name="effect", script="CREATE TABLE effect (number BIGINT NOT NULL);")
STREAMS = [
    Stream("EVT_COUNTER", ("mirage.evt.counter.>",), "facts"),
    Stream("EVT_TESTER", ("mirage.evt.tester.>",), "facts", keep_seconds=60),
]


class Watched(Bus):
    """Knows who asks for more: whatever came before, a consumer of batches has it in hand no more."""

    asking: set[str]

    async def pull(self, consumer: str, limit: int, wait: float) -> list[Delivery]:
        self.asking.add(consumer)
        try:
            return await super().pull(consumer, limit, wait)
        finally:
            self.asking.remove(consumer)

    def has_nothing_for(self, consumer: str) -> bool:
        """Say whether a consumer waits, and not for what it is to get a second time."""
        return consumer in self.asking


class WatchedSqliteBus(Watched, SqliteBus):
    def __init__(self, path: Path, *, duplicate: bool) -> None:
        super().__init__(path, duplicate=duplicate)
        self.asking = set()

    def has_nothing_for(self, consumer: str) -> bool:
        return super().has_nothing_for(consumer) and not self._place(consumer).echoes


class WatchedJetStreamBus(Watched, JetStreamBus):
    def __init__(self, url: str) -> None:
        super().__init__(Address.parse(url))
        self.asking = set()


class Bench:
    """One service with a consumer, on real adapters; ``twice``: on a bus that delivers each message twice."""

    def __init__(self, sql: Sql, bus: Watched, folder: Path, *, twice: bool = False) -> None:
        self.folder = folder
        self.twice = twice
        self.bus = bus
        self.outbox = Outbox(sql, bus, "tester")
        self.ports = Ports("tester", sql=sql, bus=bus, outbox=self.outbox)

    async def publish(self, *numbers: int) -> None:
        await self.bus.publish([envelope(number) for number in numbers])

    async def effects(self) -> list[int]:
        async with self.ports.sql.read() as view:
            return [row[0] for row in await view.fetch("SELECT number FROM effect ORDER BY number")]

    @asynccontextmanager
    async def running(self, handles: Handles) -> AsyncIterator[None]:
        await self.bus.declare(STREAMS, [consumer_of("tester", handles, "EVT_COUNTER")])
        consume = Workers if handles.work else Inbox
        tasks = [
            asyncio.create_task(consume(self.ports, self.outbox, handles).run()),
            asyncio.create_task(self.outbox.relay()),
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture
async def sql(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stores: Stores) -> AsyncIterator[Sql]:
    monkeypatch.setattr(once, "RETRY_AFTER", 0.001)
    monkeypatch.setattr(once, "PAUSE", 0.01)
    monkeypatch.setattr(once, "LONGEST_REST", 0.01)
    sql = stores.open(tmp_path / "tester.db")
    await sql.migrate([*MIGRATIONS, TABLE])
    yield sql
    await sql.close()


@pytest.fixture(params=["once", "twice", pytest.param("jetstream", marks=pytest.mark.server)])
def watched(request: pytest.FixtureRequest, tmp_path: Path) -> Watched:
    if request.param == "jetstream":
        return WatchedJetStreamBus(next(request.getfixturevalue("nats_accounts")))
    return WatchedSqliteBus(tmp_path / "bus.db", duplicate=request.param == "twice")


@pytest.fixture
async def bench(sql: Sql, watched: Watched, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    yield Bench(sql, watched, tmp_path, twice=getattr(watched, "_duplicate", False))
    await watched.close()


#: What puts the clock of this process forward, or writes into the file of the bus.
on_sqlite = pytest.mark.parametrize("watched", ["once", "twice"], indirect=True)


def envelope(number: int) -> Envelope:
    identity = derive(SPACE, f"counted {number}")
    return envelop(Counted(number), source="counter", workspace=SPACE, id=identity)


async def eventually(holds: Callable[[], Awaitable[bool]], seconds: float = 60.0) -> None:
    async with asyncio.timeout(seconds):
        while not await holds():
            await asyncio.sleep(0.01)


async def record(ports: Ports, unit: Unit, batch: Sequence[Received[Counted]]) -> None:
    for received in batch:
        await unit.tx.execute("INSERT INTO effect (number) VALUES (:number)", number=received.message.number)
        unit.emit(Echoed(received.message.number), workspace=received.workspace, key=str(received.message.number))


async def test_a_message_that_comes_again_has_one_effect(bench: Bench) -> None:
    async with bench.running(Handles(name="record", takes=Counted, handle=record)):
        await bench.publish(1, 2, 3)
        await bench.publish(2, 3, 4)
        await eventually(lambda: _equals(bench.effects, [1, 2, 3, 4]))
        await eventually(lambda: _idle(bench, "record"))
    assert await bench.effects() == [1, 2, 3, 4]


async def test_what_comes_while_a_consumer_rests_is_one_batch(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    rested = asyncio.Event()
    sleep = asyncio.sleep

    async def rest(seconds: float) -> None:
        await (rested.wait() if seconds == once.LONGEST_REST else sleep(seconds))

    monkeypatch.setattr(once, "LONGEST_REST", 1 / 3)
    monkeypatch.setattr(once, "INBOX_RESTS", 1e9)
    monkeypatch.setattr(asyncio, "sleep", rest)
    batches: list[list[int]] = []

    async def note(ports: Ports, unit: Unit, batch: Sequence[Received[Counted]]) -> None:
        await record(ports, unit, batch)
        batches.append([received.message.number for received in batch])

    async with bench.running(Handles(name="record", takes=Counted, handle=note)):
        await bench.publish(1)
        await eventually(lambda: _equals(bench.effects, [1]))
        for number in (2, 3, 4):
            await bench.publish(number)
        rested.set()
        await eventually(lambda: _equals(bench.effects, [1, 2, 3, 4]))
    assert batches == [[1], [2, 3, 4]]


async def test_what_a_handler_emits_leaves_only_if_it_commits(bench: Bench) -> None:
    failed: list[int] = []

    async def fail_first(ports: Ports, unit: Unit, batch: Sequence[Received[Counted]]) -> None:
        await record(ports, unit, batch)
        if len(failed) < 2:
            failed.append(len(batch))
            raise Conflict("not yet")

    async with bench.running(Handles(name="record", takes=Counted, handle=fail_first)):
        heard = asyncio.create_task(_hear(bench.bus, "mirage.evt.tester.>", 2))
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
        outbox = Outbox(bench.ports.sql, bench.bus, "tester")  # that of a process that has just started
        monkeypatch.setattr(once, "now", lambda at=10 - number // 3: at)
        async with outbox.unit() as unit:
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
        await eventually(lambda: _equals(bench.effects, [1, 3]))


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
        await eventually(lambda: _dead(bench, durable("tester", "record")))
    assert buried[0] == (9, "ValueError: never")
    assert len(tries) >= TRIES
    [letter] = await bench.bus.dead()
    assert letter.envelope.id == envelope(9).id


# Bundles: several messages that travel as one


def bundled(*numbers: int) -> Envelope:
    [envelope] = bundle({str(n): Counted(n) for n in numbers}, source="counter", workspace=SPACE, at=1)
    return envelope


async def test_each_message_of_a_bundle_has_one_effect_however_often_it_comes(bench: Bench) -> None:
    async with bench.running(Handles(name="record", takes=Counted, handle=record)):
        await bench.bus.publish([bundled(1, 2, 3), bundled(4, 5)])
        await bench.bus.publish([bundled(1, 2, 3)])
        await eventually(lambda: _equals(bench.effects, [1, 2, 3, 4, 5]))
        await eventually(lambda: _idle(bench, "record"))
    assert await bench.effects() == [1, 2, 3, 4, 5]


async def test_what_is_emitted_in_bundles_arrives_message_by_message(bench: Bench) -> None:
    async with bench.running(Handles(name="record", takes=Counted, handle=record)):
        async with bench.outbox.unit() as unit:
            unit.emit_bundled({str(number): Counted(number) for number in range(150)}, workspace=SPACE)
        await eventually(lambda: _equals(bench.effects, list(range(150))))


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
        await eventually(lambda: _dead(bench, durable("tester", "record")))
        await eventually(lambda: _equals(bench.effects, [1, 3, 4, 5]))
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
        await eventually(lambda: _equals(bench.effects, [1, 2, 3]))
        await eventually(lambda: _idle(bench, "record"))
    assert await bench.effects() == [1, 2, 3]
    assert len(failed) == 3


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
        await eventually(lambda: _dead(bench, durable("tester", "record")))
        assert await bench.effects() == sorted({1, 2, 3, 4} - bad)
        if later:  # long after nobody has it in hand any more
            await eventually(lambda: _idle(bench, "record"))
            await forget(bench.ports.sql, before=now() + 1)
        refused.clear()
        await bench.bus.revive([letter.id for letter in await bench.bus.dead()])
        await eventually(lambda: _equals(bench.effects, [1, 2, 3, 4]))
        await eventually(lambda: _idle(bench, "record"))
    assert await bench.effects() == [1, 2, 3, 4]


async def test_a_message_that_its_owner_cannot_close_is_buried_all_the_same(bench: Bench) -> None:
    async def fail(ports: Ports, unit: Unit, batch: Sequence[Received[Counted]]) -> None:
        raise ValueError("never")

    async def fail_to_close(ports: Ports, unit: Unit, received: Received[Counted], reason: str) -> None:
        raise ValueError("nor this")

    async with bench.running(Handles(name="record", takes=Counted, handle=fail, buried=fail_to_close)):
        await bench.publish(9)
        await eventually(lambda: _dead(bench, durable("tester", "record")))
    assert (await bench.bus.dead())[0].reason == "ValueError: never"


async def test_a_consumer_outlasts_a_bus_that_is_away(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(once, "BUS_AWAY", 0.0)
    away = {"pull": 3, "ack": 1, "publish": 2}
    for name in away:
        monkeypatch.setattr(bench.bus, name, flaky(getattr(bench.bus, name), away, name))
    handles = Handles(name="record", takes=Counted, handle=record, ack_wait=0.1)
    async with bench.running(handles):
        heard = asyncio.create_task(_hear(bench.bus, "mirage.evt.tester.>", 2))
        await asyncio.sleep(0)
        await publish_at_last(bench, 1, 2)
        assert await asyncio.wait_for(heard, 10) == {1, 2}
        await eventually(lambda: _idle(bench, "record"))
    assert await bench.effects() == [1, 2]
    assert set(away.values()) == {0}


def flaky(call: Callable[..., Awaitable[Any]], away: dict[str, int], name: str) -> Callable[..., Awaitable[Any]]:
    async def call_or_fail(*values: Any, **options: Any) -> Any:
        if away[name]:
            away[name] -= 1
            raise Unavailable("the bus is away")
        return await call(*values, **options)

    return call_or_fail


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
        await eventually(lambda: _equals(bench.effects, [1]))
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
        await eventually(lambda: _equals(bench.effects, [1]))
        await eventually(lambda: _dead(bench, durable("tester", "record")))


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
        await eventually(lambda: _idle(bench, "record"))
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
        await eventually(lambda: _is(len(begun) == workers))
        for times in range(1, 6):  # longer than it is kept without being extended
            forward(30)
            await eventually(lambda times=times: _is(len(extended) == times * workers))
            assert await bench.bus.lag(durable("tester", "work")) == Lag(waiting=0, in_flight=1)
        done.set()
        await eventually(lambda: _equals(bench.effects, [1] * workers))
        await eventually(lambda: _idle(bench, "work"))
    assert len(begun) == workers


async def test_work_that_is_given_back_comes_again_uncounted(bench: Bench) -> None:
    tries: list[int] = []

    async def work(ports: Ports, received: Received[Counted], hold: Hold) -> None:
        tries.append(received.message.number)
        if len(tries) <= TRIES + 2:
            hold.give_back(0.0)

    async with bench.running(Handles(name="work", takes=Counted, work=work)):
        await bench.publish(1)
        await eventually(lambda: _idle(bench, "work"))
    assert len(tries) > TRIES + 2
    assert await bench.bus.dead() == []


async def test_the_inbox_forgets_what_can_no_longer_come_back(bench: Bench) -> None:
    async with bench.running(Handles(name="record", takes=Counted, handle=record)):
        await bench.publish(1)
        await eventually(lambda: _idle(bench, "record"))
    await forget(bench.ports.sql, before=1 << 62)
    async with bench.ports.sql.read() as view:
        assert await view.fetch("SELECT * FROM inbox") == []


@pytest.mark.server
@pytest.mark.parametrize("work", [False, True], ids=["batches", "work"])
async def test_every_message_has_its_effect_though_the_server_of_the_bus_is_killed_again_and_again(
    sql: Sql, tmp_path: Path, own_server: Callable[[str], Server], monkeypatch: pytest.MonkeyPatch, work: bool
) -> None:
    monkeypatch.setattr(once, "BUS_AWAY", 0.05)
    server = own_server("nats")
    bus = WatchedJetStreamBus(server.url)
    bench = Bench(sql, bus, tmp_path)

    async def do(ports: Ports, received: Received[Counted], hold: Hold) -> None:
        async with bench.outbox.unit() as unit:
            first = await first_times(unit.tx, "work", [derive(SPACE, f"{received.message.number}")])
            await record(ports, unit, [received] if first else [])

    async def emit(first: int) -> None:
        for number in range(first, first + 100):
            async with bench.outbox.unit() as unit:
                unit.emit(Counted(number), workspace=SPACE, key=f"{number}")

    kind = {"work": do, "parallel": 5} if work else {"handle": record}
    handles = Handles(name="record", takes=Counted, ack_wait=1.0, **kind)
    async with bench.running(handles):
        for first in range(0, 300, 100):
            await emit(first)
            await eventually(lambda seen=first // 2: _has(bench, seen))
            await asyncio.to_thread(server.kill)
            await asyncio.to_thread(server.start)
        await eventually(lambda: _equals(bench.effects, list(range(300))))
        await eventually(lambda: _settled(bench, "record"))
        assert await asyncio.wait_for(_hear(bus, "mirage.evt.tester.>", 300), 30) == set(range(300))
    assert await bench.effects() == list(range(300))
    assert await bus.dead() == []
    await bus.close()


async def _has(bench: Bench, count: int) -> bool:
    return len(await bench.effects()) >= count


async def _settled(bench: Bench, name: str) -> bool:
    """As `_idle`, while the server may be away."""
    with contextlib.suppress(Unavailable):
        return await _idle(bench, name)
    return False


async def _is(condition: bool) -> bool:
    return condition


async def _equals(ask: Callable[[], Awaitable[list[int]]], wanted: list[int]) -> bool:
    return await ask() == wanted


async def _idle(bench: Bench, name: str) -> bool:
    """All that came is accepted, and what came twice was handled twice."""
    lag = await bench.bus.lag(durable("tester", name))
    return (lag.waiting, lag.in_flight) == (0, 0) and bench.bus.has_nothing_for(durable("tester", name))


async def _dead(bench: Bench, consumer: str) -> bool:
    return bool(await bench.bus.dead(consumer))


async def _hear(bus: Bus, subject: str, count: int) -> set[int]:
    numbers: set[int] = set()
    async for _, heard in bus.replay([subject], 0):
        numbers.add(int(heard.data.partition(b'"number":')[2].rstrip(b"}")))
        if len(numbers) == count:
            break
    return numbers


# Causes


async def said_by(bench: Bench, count: int) -> list[Envelope]:
    """The first messages that the tester says, whole."""
    found: list[Envelope] = []
    async for _, heard in bench.bus.replay(["mirage.evt.tester.>"], 0):
        found.append(heard)
        if len(found) == count:
            break
    return found


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


async def test_what_is_said_of_messages_of_a_bundle_names_the_bundle(bench: Bench) -> None:
    async def refuse_all_together(ports: Ports, unit: Unit, batch: Sequence[Received[Counted]]) -> None:
        if len(batch) > 1:
            raise ValueError("one by one")
        await record(ports, unit, batch)

    async with bench.running(Handles(name="record", takes=Counted, handle=refuse_all_together)):
        await bench.bus.publish([bundled(1, 2)])
        said = await asyncio.wait_for(said_by(bench, 2), 10)
    assert [each.cause for each in said] == [bundled(1, 2).id] * 2


async def test_two_instances_whose_clocks_differ_lose_no_message(
    tmp_path: Path, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(once, "randbelow", lambda _: 0)
    sql = stores.open(tmp_path / "tester.db")
    await sql.migrate([*MIGRATIONS, TABLE])
    ahead, behind = (Outbox(sql, None, "tester") for _ in range(2))  # type: ignore[arg-type]

    async def say(outbox: Outbox, number: int) -> None:
        async with outbox.unit() as unit:
            unit.emit(Echoed(number), workspace=SPACE, key=str(number))

    await say(ahead, 0)
    monkeypatch.setattr(once, "now", lambda: 1)
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
    monkeypatch.setattr(once, "PAUSE", 1 / 1024)
    monkeypatch.setattr(once, "LONGEST_PAUSE", 5 / 1024)
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
            await eventually(lambda: _idle(bench, "record"))
    assert [delay * 1024 for delay in delays] == [1, 2, 4, 5, 5, 1, 2]


async def test_a_message_that_fails_comes_again_twice_as_late_each_time(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(once, "RETRY_AFTER", 1 / 1024)
    delays = given_back(bench, monkeypatch)

    async def fail(ports: Ports, unit: Unit, batch: Sequence[Received[Counted]]) -> None:
        raise Conflict("never")

    async with bench.running(Handles(name="record", takes=Counted, handle=fail)):
        await bench.publish(1)
        await eventually(lambda: _dead(bench, durable("tester", "record")))
    assert [delay * 1024 for delay in delays] == [2, 4, 8, 16]


async def test_what_waits_to_leave_goes_out_when_the_bus_is_back_though_nothing_more_is_said(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(once, "BUS_AWAY", 0.0)
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
            await eventually(lambda: _dead(bench, durable("tester", "record")))
            await eventually(lambda: _idle(bench, "record"))
            before = len(told)
            await bench.bus.revive([letter.id for letter in await bench.bus.dead()])
            await eventually(lambda so_far=before: _more_than(told, so_far))


async def _more_than(told: list[int], number: int) -> bool:
    return len(told) > number
