"""What only the SQLite adapter of `bus` does: one bounded file, a clock to the second, delivering twice on purpose."""

import asyncio
import stat
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.kernel.bus import Consumer, Delivery, Stream
from services.kernel.bus import sqlite_queue as queue
from services.kernel.bus.sqlite import SqliteBus
from services.kernel.messages import Envelope
from tests.conftest import Forward

FACTS = Stream("EVT_T", ("t.>",), "facts")
READERS = [Consumer(f"t__{name}", "EVT_T", ("t.>",)) for name in ("a", "b", "c")]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "bus.db"


def envelope(size: int = 10) -> Envelope:
    return Envelope(id=uuid.uuid4(), type="t.x", source="t", workspace=uuid.UUID(int=1), time=0, data=b"x" * size)


async def count(bus: SqliteBus, table: str) -> int:
    return int(await bus._file.read(lambda c: c.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0]))


async def test_its_files_are_for_their_owner_only(path: Path) -> None:
    bus = SqliteBus(path)
    await bus.declare([FACTS], [])
    assert {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()} == {0o600}
    await bus.close()


async def test_a_body_is_stored_once_for_all_consumers(path: Path) -> None:
    bus = SqliteBus(path)
    await bus.declare([FACTS], READERS)
    await bus.publish([envelope()])
    assert (await count(bus, "message"), await count(bus, "pending")) == (1, 3)
    for reader in READERS:
        assert await count(bus, "message") == 1
        await bus.ack(await bus.pull(reader.name, 1, 5))
    assert (await count(bus, "message"), await count(bus, "pending")) == (0, 0)
    await bus.close()


async def test_the_file_does_not_grow_with_what_passes_through(path: Path) -> None:
    bus = SqliteBus(path)
    await bus.declare([FACTS], READERS[:1])
    for _ in range(40):
        await bus.publish([envelope(4_000) for _ in range(100)])
        await bus.ack(await bus.pull("t__a", 100, 5))
    await bus.close()
    assert path.stat().st_size < 3_000_000


async def test_room_is_given_back_after_a_backlog(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "SPARE_PAGES", 10)
    monkeypatch.setattr(queue, "SWEEP_SECONDS", 0)
    bus = SqliteBus(path)
    await bus.declare([FACTS], READERS[:1])
    await bus.publish([envelope(100_000) for _ in range(100)])
    await bus.ack(await bus.pull("t__a", 100, 5))
    for _ in range(3):
        await bus.publish([envelope()])
    await bus.close()
    assert path.stat().st_size < 1_000_000


async def test_ids_are_forgotten_by_halves(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "MEMORY_IDS", 10)
    bus = SqliteBus(path)
    await bus.declare([FACTS], READERS[:1])
    sent = [envelope() for _ in range(40)]
    for each in sent:
        await bus.publish([each])
    assert await count(bus, "seen_0") + await count(bus, "seen_1") <= 20
    await bus.publish(sent[-10:])
    assert (await bus.lag("t__a")).waiting == 40
    await bus.close()


async def test_progress_disappears_from_its_consumers_too(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "SWEEP_SECONDS", 0)
    bus = SqliteBus(path)
    await bus.declare([Stream("P", ("t.>",), "progress", 0)], [Consumer("t__p", "P", ("t.>",))])
    for _ in range(5):
        await bus.publish([envelope()])
    assert await count(bus, "message") <= 2
    assert await count(bus, "pending") == await count(bus, "message")
    await bus.close()


async def test_one_bad_call_does_not_harm_those_that_share_its_transaction(path: Path) -> None:
    bus = SqliteBus(path)
    await bus.declare([FACTS], READERS[:1])

    def fails(_: object) -> None:
        raise ZeroDivisionError

    good, bad, other = (
        bus.publish([envelope()]),
        bus._ask(fails, lambda result, _: result),
        bus.publish([envelope()]),
    )
    results = await asyncio.gather(good, bad, other, return_exceptions=True)
    assert [type(result) for result in results] == [type(None), ZeroDivisionError, type(None)]
    assert len(await bus.pull("t__a", 10, 5)) == 2
    await bus.close()


async def test_everything_is_delivered_twice_when_asked_to(path: Path) -> None:
    bus = SqliteBus(path, duplicate=True)
    await bus.declare([FACTS], READERS[:1])
    await bus.publish([envelope(), envelope(), envelope()])
    seen = []
    while taken := await bus.pull("t__a", 2, 0.01):
        seen += [delivery.envelope.id for delivery in taken]
        await bus.ack(taken)
    assert len(seen) == 6
    assert len(set(seen)) == 3
    assert (await bus.lag("t__a")).waiting == 0
    await bus.close()


# Its clock


@pytest.fixture
async def bus(path: Path) -> AsyncIterator[SqliteBus]:
    opened = SqliteBus(path)
    await opened.declare([FACTS], [Consumer("t__quick", "EVT_T", ("t.>",), ack_wait=20)])
    yield opened
    await opened.close()


async def beginning_to_pull(bus: SqliteBus) -> "asyncio.Task[list[Delivery]]":
    """Wait for what is to come, as somebody who found nothing there."""
    assert await bus.pull("t__quick", 10, 0) == []
    waiting = asyncio.create_task(bus.pull("t__quick", 1, 600))
    for _ in range(5):
        await asyncio.sleep(0)
    assert not waiting.done()
    return waiting


async def test_an_unanswered_message_does_not_come_again_before_ack_wait(bus: SqliteBus, forward: Forward) -> None:
    await bus.publish([envelope(), envelope()])
    first = await bus.pull("t__quick", 2, 5)
    await bus.ack(first[:1])
    forward(10)
    waiting = await beginning_to_pull(bus)
    forward(10)
    async with asyncio.timeout(10):
        (again,) = await waiting
    assert (again.sequence, again.tries) == (first[1].sequence, 2)


async def test_a_message_given_back_does_not_come_again_before_its_delay(bus: SqliteBus, forward: Forward) -> None:
    await bus.publish([envelope(), envelope()])
    taken = await bus.pull("t__quick", 2, 5)
    await bus.nak(taken[:1], 25)
    await bus.nak(taken[1:], 0)
    (second,) = await bus.pull("t__quick", 10, 5)
    assert second.sequence == taken[1].sequence
    await bus.ack([second])
    forward(15)
    waiting = await beginning_to_pull(bus)
    forward(10)
    async with asyncio.timeout(10):
        (first,) = await waiting
    assert (first.sequence, first.tries) == (taken[0].sequence, 2)


async def test_work_that_goes_on_is_not_delivered_again(bus: SqliteBus, forward: Forward) -> None:
    await bus.publish([envelope()])
    taken = await bus.pull("t__quick", 1, 5)
    for _ in range(4):
        forward(8)
        assert await bus.pull("t__quick", 10, 0) == []
        await bus.extend(taken)
    forward(20)
    assert len(await bus.pull("t__quick", 10, 5)) == 1


async def test_who_replays_one_stream_is_not_woken_by_what_passes_in_another(tmp_path: Path) -> None:
    bus = SqliteBus(tmp_path / "bus.db")
    work = Stream("CMD_T", ("mirage.cmd.t.>",), "work")
    steps = Stream("PROGRESS", ("mirage.progress.>",), "progress", keep_seconds=60)
    await bus.declare([work, steps], [])
    stream = bus.replay(["mirage.progress.t.>"], None)
    reading = asyncio.create_task(anext(stream))
    await asyncio.sleep(0.01)
    (woken,) = bus._followers
    await bus.publish([an_envelope("mirage.cmd.t.do.v1", 1)])
    assert not woken.is_set()
    await bus.publish([an_envelope("mirage.progress.t.step.v1", 2)])
    assert (await reading)[1].time == 2
    await stream.aclose()
    await bus.close()


def an_envelope(kind: str, number: int) -> Envelope:
    identity = uuid.UUID(int=number)
    return Envelope(id=identity, type=kind, source="t", workspace=identity, time=number, data=b"{}")
