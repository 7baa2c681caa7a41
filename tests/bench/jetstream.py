"""How many messages JetStream carries through the `bus` port, beside bare nats-py on the same server.

Bare is `pull_subscribe`, `fetch` of as many and `ack` of each, which is the least that a consumer can do, by turns with
the port, on messages of the same size and headers. The pipeline is a service that says things in transactions, its
outbox, the server, and a service that takes them in once; both have databases of their own.
"""

import asyncio
import itertools
import os
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import nats
import uvloop
from msgspec import Struct

from services.kernel.bus import Consumer, Stream
from services.kernel.bus.jetstream import JetStreamBus
from services.kernel.bus.jetstream_messages import to_headers
from services.kernel.inbox import Inbox, consumer_of
from services.kernel.messages import Envelope
from services.kernel.once_store import MIGRATIONS
from services.kernel.outbox import Outbox
from services.kernel.server import Server as Address
from services.kernel.service import Handles, Ports, Received, Unit
from services.kernel.sql.sqlite import SqliteSql
from tests.bench.declaration import Bench, Figure, Options, Unable, middle, span
from tests.servers.running import KINDS, Server

TYPE = "mirage.evt.bench.measured.v1"
STREAM = Stream("EVT_BENCH", ("mirage.evt.bench.>",), "facts")
WORKSPACE = uuid.uuid4()
BATCH = 100
LARGE_BATCH = 16
#: What is pulled, how many, of how many bytes, how many at a time.
CASES = (("1 KiB", 20_000, 1024, BATCH), ("bundles of 200 kB", 600, 200_000, LARGE_BATCH))
#: What a service says: bytes of a message, messages in a transaction, and whether they travel as one.
PIPELINES = (
    ("1 KiB, 50 in a transaction", 1024, 50, False),
    ("1 KiB, 1 in a transaction", 1024, 1, False),
    ("4 KiB, 50 in a transaction and a bundle", 4096, 50, True),
)
FIRSTS = 500
SAID = 10_000
names = (f"reader{number}" for number in itertools.count())


class Measured(Struct, frozen=True, tag=TYPE):
    number: int
    text: str


@contextmanager
def server(folder: Path) -> Iterator[str]:
    """A server on a disk, that ends with us."""
    if KINDS["nats"].find() is None:
        raise Unable("nats is not installed: tests/servers/README.md")
    os.mkfifo(folder / "fifo")
    leash = os.open(folder / "fifo", os.O_RDWR)
    running = Server(KINDS["nats"], folder / "nats", folder / "fifo")
    running.start()
    try:
        yield running.url
    finally:
        running.kill()
        os.close(leash)


def messages(count: int, size: int) -> list[Envelope]:
    data = os.urandom(size // 2).hex().encode()
    return [
        Envelope(id=uuid.uuid4(), type=TYPE, source="bench", workspace=WORKSPACE, time=n, data=data)
        for n in range(count)
    ]


async def publish(bus: JetStreamBus, envelopes: Sequence[Envelope]) -> float:
    started = time.perf_counter()
    for first in range(0, len(envelopes), 500):
        await bus.publish(envelopes[first : first + 500])
    return len(envelopes) / (time.perf_counter() - started)


async def publish_bare(url: str, envelopes: Sequence[Envelope]) -> float:
    """`publish_async` in windows of 500, each waited for."""
    client = await nats.connect(url)
    stream = client.jetstream()
    started = time.perf_counter()
    for first in range(0, len(envelopes), 500):
        window = [
            await stream.publish_async(each.subject, each.data, headers=to_headers(each))
            for each in envelopes[first : first + 500]
        ]
        await asyncio.gather(*window)
    taken = time.perf_counter() - started
    await client.close()
    return len(envelopes) / taken


async def pull(bus: JetStreamBus, count: int, batch: int) -> float:
    """Messages a second from the first pull to the last acknowledgement."""
    name = next(names)
    await bus.declare([], [Consumer(name, STREAM.name, (f"{TYPE}.>",))])
    seen = 0
    started = time.perf_counter()
    while seen < count:
        taken = await bus.pull(name, batch, 5)
        await bus.ack(taken)
        seen += len(taken)
    return count / (time.perf_counter() - started)


async def pull_bare(url: str, count: int, batch: int) -> float:
    client = await nats.connect(url)
    subscription = await client.jetstream().pull_subscribe(f"{TYPE}.>", durable=next(names), stream=STREAM.name)
    seen = 0
    started = time.perf_counter()
    while seen < count:
        taken = await subscription.fetch(batch)
        for each in taken:
            await each.ack()
        seen += len(taken)
    await client.flush()
    taken_for = time.perf_counter() - started
    await client.close()
    return count / taken_for


async def first_message(bus: JetStreamBus) -> float:
    """Milliseconds from publishing one message to having it, when somebody waits for it."""
    name = next(names)
    consumer = Consumer(name, STREAM.name, (f"{TYPE}.alone.*",))
    await bus.declare([], [consumer])
    each, times = [], []
    for _ in range(FIRSTS):
        waiting = asyncio.create_task(bus.pull(name, BATCH, 30))
        await asyncio.sleep(0.001)
        alone = Envelope(
            id=uuid.uuid4(), type=TYPE, source="bench", workspace=WORKSPACE, time=0, data=b"{}", filter="alone"
        )
        started = time.perf_counter()
        await bus.publish([alone])
        each = await waiting
        times.append(1000 * (time.perf_counter() - started))
        await bus.ack(each)
    return middle(times)


class Service:
    """A service with a database of its own, that says or hears."""

    def __init__(self, folder: Path, name: str, bus: JetStreamBus) -> None:
        self.sql = SqliteSql(folder / f"{name}{time.monotonic_ns()}.db")
        self.outbox = Outbox(self.sql, bus, name)
        self.ports = Ports(name, sql=self.sql, bus=bus, outbox=self.outbox)


@asynccontextmanager
async def beside(*work: Awaitable[Any]) -> Any:
    tasks = [asyncio.ensure_future(each) for each in work]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def alone(url: str, count: int, size: int) -> float:
    """What the port carries by itself, from one who publishes to one who pulls, at the same time."""
    await remove(url)
    one, other = JetStreamBus(Address.parse(url)), JetStreamBus(Address.parse(url))
    await one.declare([STREAM], [])
    await other.declare([STREAM], [])
    started = time.perf_counter()
    await asyncio.gather(publish(one, messages(count, size)), pull(other, count, 200))
    taken = time.perf_counter() - started
    await one.close()
    await other.close()
    return count / taken


async def pipeline(folder: Path, url: str, size: int, in_unit: int, *, bundled: bool) -> float:
    """Messages a second from the first transaction that says one to the last that has taken one in."""
    await remove(url)
    one, other = JetStreamBus(Address.parse(url)), JetStreamBus(Address.parse(url))
    sender, receiver = Service(folder, "sender", one), Service(folder, next(names), other)
    for service in (sender, receiver):
        await service.sql.migrate(MIGRATIONS)
    seen, done, run = 0, asyncio.Event(), uuid.uuid4().hex

    async def count(_: Ports, unit: Unit, batch: Sequence[Received[Measured]]) -> None:
        nonlocal seen
        seen += len(batch)
        if seen >= SAID:
            unit.then(done.set)

    handles = Handles(name="count", takes=Measured, handle=count)
    await other.declare([STREAM], [consumer_of(receiver.ports.service, handles, STREAM.name)])
    await one.declare([STREAM], [])
    text = "x" * size
    started = time.perf_counter()
    async with beside(sender.outbox.relay(), Inbox(receiver.ports, receiver.outbox, handles).run()):
        for first in range(0, SAID, in_unit):
            said = {f"{run} {number}": Measured(number, text) for number in range(first, first + in_unit)}
            async with sender.outbox.unit() as unit:
                if bundled:
                    unit.emit_bundled(said, workspace=WORKSPACE)
                else:
                    for key, message in said.items():
                        unit.emit(message, workspace=WORKSPACE, key=key)
        await done.wait()
        taken = time.perf_counter() - started
    for bus, service in ((one, sender), (other, receiver)):
        await bus.close()
        await service.sql.close()
    return SAID / taken


async def by_turns(
    runs: int, what: str, work: Callable[[], Awaitable[float]], bare: Callable[[], Awaitable[float]]
) -> Figure:
    figures, limits = [], []
    for _ in range(runs):
        figures.append(await work())
        limits.append(await bare())
    limit = middle(limits)
    bar = limit / 2 if what.startswith("pull") else None
    return Figure(what=what, value=middle(figures), unit="messages/s", bar=bar, bare=limit, spread=span(figures))


async def measure(options: Options) -> list[Figure]:
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory() as name, server(Path(name)) as url:
        bus = JetStreamBus(Address.parse(url))
        for what, count, size, batch in CASES:
            await bus.declare([STREAM], [])
            await remove(url)
            figures.append(
                await by_turns(
                    options.runs, f"publish, {what}",
                    lambda count=count, size=size: publish(bus, messages(count, size)),
                    lambda count=count, size=size: publish_bare(url, messages(count, size)),
                )
            )  # fmt: skip
            figures.append(
                await by_turns(
                    options.runs, f"pull and ack, {what}, {batch} at a time",
                    lambda count=count, batch=batch: pull(bus, count, batch),
                    lambda count=count, batch=batch: pull_bare(url, count, batch),
                )
            )  # fmt: skip
        firsts = [await first_message(bus) for _ in range(options.runs)]
        figures.append(Figure(what="the first message", value=middle(firsts), unit="ms", spread=span(firsts)))
        await bus.close()
        for what, size, in_unit, bundled in PIPELINES:
            rates, limits = [], []
            for _ in range(options.runs):
                rates.append(await pipeline(Path(name), url, size, in_unit, bundled=bundled))
                together = in_unit if bundled else 1
                limits.append(together * await alone(url, SAID // together, size * together))
            limit = middle(limits)
            figures.append(
                Figure(
                    what=f"outbox to inbox, {what}", value=middle(rates), unit="messages/s", spread=span(rates),
                    bare=limit, beside="bare: the same bytes through the port alone",
                )
            )  # fmt: skip
    return figures


async def remove(url: str) -> None:
    """Take away what was published before, so that the next is pulled alone."""
    client = await nats.connect(url)
    await client.jsm().purge_stream(STREAM.name)
    await client.close()


BENCH = Bench(
    "jetstream",
    "The fleet's bus beside bare nats-py: at least half of bare pull and acknowledge.",
    lambda options: uvloop.run(measure(options)),
)
