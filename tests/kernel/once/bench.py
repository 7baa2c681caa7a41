"""A service with one consumer, on real adapters, and what is seen of it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

from msgspec import Struct

from services.kernel.bus import Bus, Delivery, Stream
from services.kernel.bus.jetstream import JetStreamBus
from services.kernel.bus.sqlite import SqliteBus
from services.kernel.errors import Unavailable
from services.kernel.inbox import Inbox, consumer_of, durable
from services.kernel.messages import Envelope, bundle, derive, envelop
from services.kernel.outbox import Outbox
from services.kernel.server import Server as Address
from services.kernel.service import Handles, Ports, Received, Unit
from services.kernel.sql import Migration, Sql
from services.kernel.workers import Workers

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


def bundled(*numbers: int) -> Envelope:
    [envelope] = bundle({str(n): Counted(n) for n in numbers}, source="counter", workspace=SPACE, at=1)
    return envelope


async def has(bench: Bench, count: int) -> bool:
    return len(await bench.effects()) >= count


async def settled(bench: Bench, name: str) -> bool:
    """As `_idle`, while the server may be away."""
    with contextlib.suppress(Unavailable):
        return await idle(bench, name)
    return False


async def is_so(condition: bool) -> bool:
    return condition


async def equals(ask: Callable[[], Awaitable[list[int]]], wanted: list[int]) -> bool:
    return await ask() == wanted


async def idle(bench: Bench, name: str) -> bool:
    """All that came is accepted, and what came twice was handled twice."""
    lag = await bench.bus.lag(durable("tester", name))
    return (lag.waiting, lag.in_flight) == (0, 0) and bench.bus.has_nothing_for(durable("tester", name))


async def dead(bench: Bench, consumer: str) -> bool:
    return bool(await bench.bus.dead(consumer))


async def hear(bus: Bus, subject: str, count: int) -> set[int]:
    numbers: set[int] = set()
    async for _, heard in bus.replay([subject], 0):
        numbers.add(int(heard.data.partition(b'"number":')[2].rstrip(b"}")))
        if len(numbers) == count:
            break
    return numbers


async def said_by(bench: Bench, count: int) -> list[Envelope]:
    """The first messages that the tester says, whole."""
    found: list[Envelope] = []
    async for _, heard in bench.bus.replay(["mirage.evt.tester.>"], 0):
        found.append(heard)
        if len(found) == count:
            break
    return found


def flaky(call: Callable[..., Awaitable[Any]], away: dict[str, int], name: str) -> Callable[..., Awaitable[Any]]:
    async def call_or_fail(*values: Any, **options: Any) -> Any:
        if away[name]:
            away[name] -= 1
            raise Unavailable("the bus is away")
        return await call(*values, **options)

    return call_or_fail
