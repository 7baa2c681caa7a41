"""Nothing is lost or done twice while the server of the bus is killed."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from services.kernel import inbox, outbox
from services.kernel.messages import derive
from services.kernel.once_store import first_times
from services.kernel.service import Handles, Hold, Ports, Received
from services.kernel.sql import Sql
from tests.kernel.once.bench import (
    SPACE,
    Bench,
    Counted,
    WatchedJetStreamBus,
    equals,
    eventually,
    has,
    hear,
    record,
    settled,
)
from tests.servers.running import Server


@pytest.mark.server
@pytest.mark.parametrize("work", [False, True], ids=["batches", "work"])
async def test_every_message_has_its_effect_though_the_server_of_the_bus_is_killed_again_and_again(
    sql: Sql, tmp_path: Path, own_server: Callable[[str], Server], monkeypatch: pytest.MonkeyPatch, work: bool
) -> None:
    monkeypatch.setattr(inbox, "BUS_AWAY", 0.05)
    monkeypatch.setattr(outbox, "BUS_AWAY", 0.05)
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
            await eventually(lambda seen=first // 2: has(bench, seen))
            await asyncio.to_thread(server.kill)
            await asyncio.to_thread(server.start)
        await eventually(lambda: equals(bench.effects, list(range(300))))
        await eventually(lambda: settled(bench, "record"))
        assert await asyncio.wait_for(hear(bus, "mirage.evt.tester.>", 300), 30) == set(range(300))
    assert await bench.effects() == list(range(300))
    assert await bus.dead() == []
    await bus.close()
