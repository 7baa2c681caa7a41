"""How much work waits is read from what all instances share: each says the same, and no item is read for it."""

import asyncio
from pathlib import Path

import pytest

from services.kernel import metrics
from services.kernel.directory.headcount import headcount_of
from services.scans import api
from services.scans.store import ready as ready_store
from services.scans.usecases import measure
from services.scans.usecases.measure import Waiting
from tests.services.scans.conftest import OpenDesk
from tests.services.scans.desk import CALLER, Desk, module

NAMES = tuple(f"n{number}.example.org" for number in range(1000))
#: Of 1,000 items, a window of four batches of 200 is handed out where there is no rate, of two of ten where there is; a
#: collector works on 100 of a module at a time.
FREE = module("free", "dns", "hostname")
RATED = module("rated", "dns", "hostname", rate=1.0)


async def waiting(desk: Desk, reader: Waiting | None = None) -> dict[str, float]:
    samples = await (reader or Waiting(desk.ports)).read()
    assert {sample.name for sample in samples} == {"items_waiting"}
    return {sample.labels["waits_for"]: sample.value for sample in samples}


async def test_items_that_nobody_works_on_are_told_by_what_they_wait_for(open_desk: OpenDesk) -> None:
    desk = await open_desk(FREE, RATED)
    reader = Waiting(desk.ports)
    assert await waiting(desk, reader) == {"collector": 0, "source": 0}
    scan = await desk.create(*NAMES)
    assert await waiting(desk, reader) == {"collector": 200 + 800 - 100, "source": 980}
    other = await desk.create(*NAMES[:900])
    assert await waiting(desk, reader) == {"collector": 300 + 1600 - 100, "source": 1860}
    await api.stop_scan(desk.ports, CALLER, api.r.ScanId(other))
    assert await waiting(desk, reader) == {"collector": 200 + 800 - 100, "source": 980}
    await api.pause_scan(desk.ports, CALLER, api.r.ScanId(scan))
    assert await waiting(desk, reader) == {"collector": 0, "source": 0}


async def test_items_that_wait_for_their_turn_are_not_among_them(open_desk: OpenDesk) -> None:
    desk = await open_desk(FREE)
    await desk.create(*NAMES)
    async with desk.real.begin() as tx:
        await tx.execute("UPDATE source SET held = 150, held_until = :at", at=1 << 60)
    assert await waiting(desk) == {"collector": 50 + 800 - 100, "source": 0}


async def test_as_many_as_collectors_work_on_at_a_time_wait_for_nobody(open_desk: OpenDesk) -> None:
    desk = await open_desk(FREE)
    collectors = headcount_of(desk.ports.state, "collector")
    collectors.now = 4
    await desk.create(*NAMES[:400])  # all of it is handed out
    assert await waiting(desk) == {"collector": 0, "source": 0}
    collectors.now = 3
    assert await waiting(desk) == {"collector": 100, "source": 0}


async def test_every_instance_says_the_same(open_desk: OpenDesk, tmp_path: Path) -> None:
    one, other = [await open_desk(FREE, RATED, path=tmp_path / "shared.db") for _ in range(2)]
    await one.create(*NAMES)
    assert await waiting(one) == await waiting(other) == {"collector": 900, "source": 980}


async def test_a_plan_is_read_once_and_forgotten_with_its_scan(
    open_desk: OpenDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = await open_desk(FREE)
    read, modules = [], ready_store.read_modules

    async def note(view: object, key: ready_store.Key) -> object:
        read.append(key.scan)
        return await modules(view, key)  # type: ignore[arg-type]

    monkeypatch.setattr(ready_store, "read_modules", note)
    reader = Waiting(desk.ports)
    scan = await desk.create(*NAMES)
    for _ in range(3):
        await waiting(desk, reader)
    assert read == [1]
    await api.stop_scan(desk.ports, CALLER, api.r.ScanId(scan))
    await waiting(desk, reader)
    assert reader._kept == {}


async def test_it_is_measured_as_long_as_the_service_runs(open_desk: OpenDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "_metrics", None)
    metrics.start()
    desk = await open_desk(FREE)
    await desk.create(*NAMES)
    measuring = asyncio.create_task(measure.measure(desk.ports))
    await asyncio.sleep(0)
    assert b'mirage_items_waiting{waits_for="collector"} 900.0' in await metrics.render()
    measuring.cancel()
    await asyncio.gather(measuring, return_exceptions=True)
    assert b"mirage_items_waiting" not in await metrics.render()
