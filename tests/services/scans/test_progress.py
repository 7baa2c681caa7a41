"""Whoever watches a scan sees it as it stands, then every change in order, none twice, until it ends."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from uuid import UUID

import pytest

from services.contracts.resources import Pause, Renew, ScanId, Waiting, Watch, Watched
from services.kernel.bus.sqlite import SqliteBus
from services.kernel.calls import operator
from services.kernel.errors import Invalid, NotFound
from services.kernel.messages import now, workspace_id
from services.kernel.streams import streams_of
from services.scans import api, service
from services.scans.settings import SECOND
from services.scans.usecases import progress
from tests.conftest import Forward
from tests.services.scans.desk import CALLER, Desk, module

SLOW = module("slow", "passive", "hostname", rate=0.1)


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with watched(tmp_path) as desk:
        yield desk


@asynccontextmanager
async def watched(folder: Path) -> AsyncIterator[Desk]:
    """The service with a bus and what says progress; closing it is like the end of its process."""
    desk = await Desk(folder / "scans.db", [SLOW]).open()
    desk.ports.bus = bus = SqliteBus(folder / "bus.db")
    await bus.declare(streams_of([service.service]), [])
    reporting = asyncio.create_task(progress.report_progress(desk.ports))
    yield desk
    reporting.cancel()
    await asyncio.gather(reporting, return_exceptions=True)
    await bus.close()
    await desk.close()


async def watch(desk: Desk, scan: UUID, after: int | None = None, *, upto: str = "", most: int = 1000) -> list[Watched]:
    """What a viewer sees until its stream ends, a state is seen, or it has seen so much."""
    seen: list[Watched] = []
    async with asyncio.timeout(10), aclosing(api.watch_scan(desk.ports, CALLER, Watch(scan, after))) as parts:
        async for part in parts:
            seen.append(part)
            if part.progress.state == upto or len(seen) == most:
                break
    return seen


async def turns(desk: Desk, scan: UUID, *verbs: str) -> None:
    """Bring a scan through states, each of which is said."""
    doors = {"pause": api.pause_scan, "resume": api.resume_scan, "stop": api.stop_scan}
    for verb in verbs:
        await doors[verb](desk.ports, CALLER, ScanId(scan))
        await progress._say(desk.ports, CALLER.workspace, scan)


def states(seen: list[Watched]) -> list[str]:
    return [part.progress.state for part in seen]


async def test_the_first_thing_seen_is_where_the_scan_stands(desk: Desk) -> None:
    scan = await desk.create("a.example.org")
    await turns(desk, scan, "pause")
    (first,) = await watch(desk, scan, most=1)
    stands = await desk.scan(scan)
    assert (first.progress.state, first.progress.items) == ("paused", stands.items)
    assert (first.progress.sources, first.progress.started) == (stands.sources, stands.started)


async def test_changes_are_seen_in_order_and_the_stream_ends_with_the_scan(desk: Desk) -> None:
    scan = await desk.create("a.example.org")
    watching = asyncio.create_task(watch(desk, scan))
    await asyncio.sleep(0.05)
    await turns(desk, scan, "pause", "resume", "stop")
    seen = await watching
    assert states(seen) == ["running", "paused", "running", "stopped"]
    assert [part.sequence for part in seen] == sorted({part.sequence for part in seen})


async def test_who_comes_again_gets_what_it_missed_in_order_and_nothing_twice(desk: Desk) -> None:
    scan = await desk.create("a.example.org")
    everything = asyncio.create_task(watch(desk, scan))
    (first,) = await watch(desk, scan, most=1)
    await turns(desk, scan, "pause", "resume", "pause")
    missed = await watch(desk, scan, first.sequence, most=3)
    assert states(missed) == ["paused", "running", "paused"]
    await turns(desk, scan, "resume", "stop")
    rest = await watch(desk, scan, missed[-1].sequence)
    assert states(rest) == ["running", "stopped"]
    assert [first, *missed, *rest] == (await everything)[-6:]


async def test_what_is_missed_is_still_there_when_the_process_has_ended(desk: Desk, tmp_path: Path) -> None:
    scan = await desk.create("a.example.org")
    (first,) = await watch(desk, scan, most=1)
    await turns(desk, scan, "pause", "resume", "stop")
    async with watched(tmp_path) as other:
        assert states(await watch(other, scan, first.sequence)) == ["paused", "running", "stopped"]


async def test_who_has_seen_the_end_sees_nothing_more(desk: Desk) -> None:
    scan = await desk.create("a.example.org")
    await turns(desk, scan, "stop")
    (last,) = await watch(desk, scan)
    assert last.progress.state == "stopped"
    assert await watch(desk, scan, last.sequence) == []


async def test_an_end_that_was_not_the_last_ends_no_stream(desk: Desk) -> None:
    scan = await desk.create("a.example.org")
    (first,) = await watch(desk, scan, most=1)
    await turns(desk, scan, "stop", "resume")
    assert states(await watch(desk, scan, first.sequence, most=2)) == ["stopped", "running"]


async def test_a_sequence_that_nobody_was_given_is_as_if_nothing_was_seen(desk: Desk) -> None:
    scan = await desk.create("a.example.org")
    await turns(desk, scan, "stop")
    assert states(await watch(desk, scan, 10**15)) == ["stopped"]
    for wrong in (-1, 2**63):
        with pytest.raises(Invalid):
            await watch(desk, scan, wrong)


async def test_an_end_is_said_at_once(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "PROGRESS_EVERY", 60.0)
    scan = await desk.create("a.example.org")
    watching = asyncio.create_task(watch(desk, scan))
    await asyncio.sleep(0.05)
    await api.stop_scan(desk.ports, CALLER, ScanId(scan))
    assert states(await watching) == ["running", "stopped"]


async def test_that_a_source_makes_the_scan_wait_and_until_when_is_a_change(desk: Desk) -> None:
    scan = await desk.create("a.example.org")
    watching = asyncio.create_task(watch(desk, scan, most=2))
    await asyncio.sleep(0.05)
    until = now() + 3600 * SECOND
    for _ in range(3):  # collectors say it with each renewal
        await api.renew_leases(desk.ports, CALLER, Renew((), (Pause(scan, "slow", until),)))
    first, then = await watching
    assert first.progress.waiting == (Waiting("slow", 1, "being asked"),)
    assert then.progress.waiting == (Waiting("slow", 1, "the source's rate", until),)


async def test_a_scan_that_is_deleted_is_gone_for_who_watches(desk: Desk) -> None:
    scan = await desk.create("a.example.org")
    watching = asyncio.create_task(watch(desk, scan))
    await asyncio.sleep(0.05)
    await api.delete_scan(desk.ports, CALLER, ScanId(scan))
    with pytest.raises(NotFound):
        await watching


async def test_nobody_watches_a_scan_of_another_workspace_and_asking_leaves_no_trace(desk: Desk) -> None:
    scan = await desk.create("a.example.org")
    stranger = operator(workspace_id("elsewhere"))
    heard = desk.ports.bus.replay([f"mirage.progress.scans.progressed.v2.*.{stranger.workspace.hex}"], None)
    with pytest.raises(NotFound):
        await anext(api.watch_scan(desk.ports, stranger, Watch(scan)))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(anext(heard), 0.1)


async def test_what_is_watched_never_looks_at_the_database_by_itself(desk: Desk, forward: Forward) -> None:
    scan = await desk.create("a.example.org")
    reads = []
    read = desk.ports.sql.read
    desk.ports.sql.read = lambda: reads.append(1) or read()  # type: ignore[method-assign]
    shown = asyncio.Semaphore(0)

    async def view() -> None:
        async with aclosing(api.watch_scan(desk.ports, CALLER, Watch(scan))) as parts:
            async for _ in parts:
                shown.release()

    viewers = [asyncio.create_task(view()) for _ in range(3)]
    for _ in viewers:
        await shown.acquire()
    await asyncio.sleep(0.05)  # until they wait for more
    reads.clear()
    for _ in range(10):
        forward(60)  # whatever is looked after now and then
        await asyncio.sleep(0.005)
    assert reads == []
    await api.stop_scan(desk.ports, CALLER, ScanId(scan))
    await asyncio.gather(*viewers)
