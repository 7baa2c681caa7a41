"""The service on a real bus that delivers everything twice, with collectors that come and go."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

import msgspec
import pytest

from services.contracts.commands import Collect
from services.contracts.facts import Collected, Finished, Superseded
from services.contracts.progress import Progressed
from services.contracts.resources import Renew, Watch
from services.kernel.bus.sqlite import SqliteBus
from services.kernel.inbox import Inbox
from services.kernel.messages import NAMESPACE, derive, envelop, message_type
from services.kernel.service import Handles, Service
from services.kernel.streams import consumers_of, streams_of
from services.scans import api, service
from services.scans.consumers import CONSUMERS, TASKS
from tests.services.scans.desk import CALLER, WORKSPACE, Desk, answers
from tests.services.scans.worlds import MODULES, SCOPE, World, end_of, in_parts

COLLECTOR = Service(
    name="collector", summary="", needs=("bus",), publishes=(Collected, Superseded), consumes=(Collect,)
)
COMMANDS = Handles(name="collect", takes=Collect)


@asynccontextmanager
async def running(
    folder: Path, world: World, rng: random.Random, dies: asyncio.Event | None = None
) -> AsyncIterator[Desk]:
    """Everything runs until the block ends; then it is cut off wherever it is.

    ``dies`` is set after a few commands, when the collector stops to answer.
    """
    bus = SqliteBus(folder / "bus.db", duplicate=True)
    await bus.declare(
        streams_of([service.service, COLLECTOR]), consumers_of({"scans": CONSUMERS, "collector": (COMMANDS,)})
    )
    desk = await Desk(folder / "scans.db", MODULES).open()
    desk.ports.bus = bus
    desk.ports.outbox._bus = bus
    work = [
        desk.ports.outbox.relay(),
        *(Inbox(desk.ports, desk.ports.outbox, handles).run() for handles in CONSUMERS),
        *(task(desk.ports) for task in TASKS),
        collect(desk, bus, world, rng, dies),
    ]
    tasks = [asyncio.create_task(each) for each in work]
    try:
        yield desk
    finally:
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        await desk.close()
        await bus.close()
        assert all(isinstance(each, asyncio.CancelledError) for each in ended), ended


async def collect(desk: Desk, bus: SqliteBus, world: World, rng: random.Random, dies: asyncio.Event | None) -> None:
    """A collector: it renews the lease, drops what is lost and answers the rest."""
    left = rng.randrange(1, 6) if dies else None
    while left != 0:
        deliveries = await bus.pull("collector__collect", 4, 5.0)
        rng.shuffle(deliveries)
        for delivery in deliveries:
            command = msgspec.json.decode(delivery.envelope.data, type=Collect)
            assert ".".join(delivery.envelope.subject.split(".")[4:6]).startswith("v1.")
            lost = (await api.renew_leases(desk.ports, CALLER, Renew((command.batch,)))).lost
            if not lost:
                # The journal makes a collector say the same again, cut in the same way.
                whole = answers(command, world)
                results = [part for one in whole for part in in_parts(one, random.Random(one.item.bytes))]
                rng.shuffle(results)
                await bus.publish([wrapped(result) for result in results])
                if left is not None:
                    left -= 1
                    if not left:
                        break
        else:
            await bus.ack(deliveries)
    dies.set()
    await asyncio.Event().wait()


def wrapped(result: Collected):
    key = f"{message_type(Collected)}|{WORKSPACE.hex}|{result.item.hex}|{result.turn}|{result.part}"
    return envelop(result, source="collector", workspace=WORKSPACE, id=derive(NAMESPACE, key))


async def ended(desk: Desk, scan: UUID) -> str:
    async with asyncio.timeout(30):
        async for seen in api.watch_scan(desk.ports, CALLER, Watch(scan)):
            state = seen.progress.state
    return state


@pytest.mark.parametrize("seed", [21, 22])
async def test_a_scan_comes_to_the_same_end_over_a_bus_that_repeats(tmp_path: Path, seed: int) -> None:
    world = World(seed)
    plain = await Desk(tmp_path / "plain.db", MODULES).open()
    scan = await plain.create("example.org", **SCOPE)
    await plain.run(world)
    expected = await end_of(plain, scan)
    await plain.close()
    async with running(tmp_path, world, random.Random(seed)) as desk:
        other = await desk.create("example.org", **SCOPE)
        assert await ended(desk, other) == "finished"
        assert await end_of(desk, other) == expected


async def test_progress_and_the_end_are_published(tmp_path: Path) -> None:
    async with running(tmp_path, World(1), random.Random(1)) as desk:
        progress: list[Progressed] = []
        finished: list[Finished] = []

        async def listen() -> None:
            subjects = [f"{message_type(kind)}.>" for kind in (Progressed, Finished)]
            async for _, envelope in desk.ports.bus.replay(subjects, None):
                if envelope.type == message_type(Progressed):
                    progress.append(msgspec.json.decode(envelope.data, type=Progressed))
                else:
                    finished.append(msgspec.json.decode(envelope.data, type=Finished))
                if finished and progress[-1].progress.state == "finished":
                    return

        async with asyncio.timeout(30), asyncio.TaskGroup() as group:
            listening = group.create_task(listen())
            await asyncio.sleep(0)
            scan = await desk.create("example.org", **SCOPE)
            await ended(desk, scan)
            await listening
        seen = await desk.scan(scan)
        last = progress[-1].progress
        assert last is not None
        assert last.items == {"waiting": 0, "leased": 0, "done": seen.items["done"]}
        assert (last.entities, last.sources) == (seen.entities, seen.sources)
        assert [(one.scan, one.run, one.results) for one in finished] == [(scan, 1, seen.results)]
