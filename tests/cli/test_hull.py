"""A command finds the services: in its own process, or in the one that owns the data folder."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Never, NoReturn

import pytest

from services.cli import hull as hulls
from services.cli.hull import CallsOfOwner, Hull
from services.contracts.endpoints import CREATE_SCAN, LIST_SCANS, PAUSE_SCAN, STOP_SCAN, WATCH_SCAN
from services.contracts.resources import NewScan, ScanId, Watch
from services.kernel.calls import LocalCalls, Nothing, operator
from services.kernel.errors import Exhausted, Unavailable
from services.kernel.folder import Folder, Owned
from services.kernel.messages import workspace_id
from services.kernel.settings import Settings
from services.kernel.socket import OwnerLost, SocketCalls

ROOT = Path(__file__).parents[2]
CALLER = operator(workspace_id("default"))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data=str(tmp_path / "data"))


@asynccontextmanager
async def owner(settings: Settings) -> AsyncIterator[asyncio.subprocess.Process]:
    """Another process that owns the folder and answers."""
    script = """
import asyncio, sys
from services.cli.hull import Hull
from services.kernel.settings import Settings
async def main():
    async with Hull(Settings(data=sys.argv[1])):
        print("ready", flush=True)
        await asyncio.Event().wait()
asyncio.run(main())
"""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, settings.data, stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert process.stdout is not None
    try:
        assert await process.stdout.readline() == b"ready\n"
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_the_first_process_owns_the_folder_and_answers_the_others(settings: Settings) -> None:
    async with Hull(settings) as first, Hull(settings) as second:
        assert isinstance(first.calls, LocalCalls)
        assert isinstance(second.nearest, SocketCalls)
        assert second.runtime is None
        assert await second.calls.ask(LIST_SCANS, Nothing(), CALLER) == ()


async def test_when_the_owner_is_killed_the_next_one_takes_over(settings: Settings) -> None:
    async with owner(settings) as process, Hull(settings) as hull:
        assert hull.runtime is None
        process.send_signal(signal.SIGKILL)
        await process.wait()
        with pytest.raises(OwnerLost) as lost:
            await hull.nearest.ask(LIST_SCANS, Nothing(), CALLER)
        assert await hull.lost(lost.value)
        assert hull.runtime is not None
        assert await hull.calls.ask(LIST_SCANS, Nothing(), CALLER) == ()


async def test_what_an_owner_did_not_answer_is_asked_of_the_next_one(settings: Settings) -> None:
    async with owner(settings) as process, Hull(settings) as one, Hull(settings) as other:
        process.send_signal(signal.SIGKILL)
        await process.wait()
        asked = [hull.calls.ask(LIST_SCANS, Nothing(), CALLER) for hull in (one, other) for _ in range(3)]
        assert await asyncio.gather(*asked) == [()] * 6
        assert [hull.runtime is None for hull in (one, other)].count(True) == 1


async def test_what_may_have_happened_is_not_asked_twice(settings: Settings) -> None:
    class Forgetful(LocalCalls):
        async def ask(self, *_: object, **__: object) -> Never:
            raise OwnerLost("the process that owns the data folder went away", taken=True)

    async with Hull(settings) as hull:
        hull._calls = Forgetful()
        calls = CallsOfOwner(hull)
        with pytest.raises(OwnerLost):
            await calls.ask(CREATE_SCAN, NewScan(targets=("example.org",)), CALLER)


async def test_a_service_that_is_away_is_no_lost_owner(settings: Settings) -> None:
    async with Hull(settings) as first, Hull(settings) as second:
        for hull in (first, second):
            assert not await hull.lost(Unavailable("the registry is waiting"))


async def test_who_comes_to_look_works_only_when_somebody_else_comes_to_work(settings: Settings) -> None:
    async with Hull(settings, works=False) as looking, Hull(settings, works=False) as other:
        assert looking.runtime is not None
        assert other.runtime is None
        assert not works(looking)
        assert not await looking.somebody_works()
        assert not await other.somebody_works()
        async with Hull(settings) as working:
            assert working.runtime is None
            assert works(looking)
            assert await working.somebody_works()
        assert await looking.somebody_works()
        assert await other.somebody_works()
    async with Hull(settings) as working, Hull(settings) as another, Hull(settings, works=False) as looking:
        assert another.runtime is None
        assert works(working)
        assert [await hull.somebody_works() for hull in (working, another, looking)] == [True] * 3


async def test_when_who_worked_is_killed_nobody_works(settings: Settings) -> None:
    async with owner(settings) as process, Hull(settings, works=False) as looking:
        assert await looking.somebody_works()
        process.send_signal(signal.SIGKILL)
        await process.wait()
        assert not await looking.somebody_works()


def works(hull: Hull) -> bool:
    assert hull.runtime is not None
    return "collector.collect" in {task.get_name() for task in hull.runtime._running}


async def test_a_scan_is_watched_over_the_socket_and_on_from_what_was_seen(settings: Settings) -> None:
    async with Hull(settings, works=False) as first, Hull(settings, works=False) as second:
        new = NewScan(targets=("example.org",), modules=("crtsh",))
        scan = (await first.calls.ask(CREATE_SCAN, new, CALLER)).id
        async with aclosing(second.calls.follow(WATCH_SCAN, Watch(scan), CALLER)) as parts:
            seen = await anext(parts)
            await first.calls.ask(PAUSE_SCAN, ScanId(scan), CALLER)
            assert (await anext(parts)).progress.state == "paused"
        await first.calls.ask(STOP_SCAN, ScanId(scan), CALLER)
        missed = [part async for part in second.calls.follow(WATCH_SCAN, Watch(scan, seen.sequence), CALLER)]
        assert [part.progress.state for part in missed] == ["paused", "stopped"]


async def test_an_owner_that_is_about_to_answer_is_waited_for(settings: Settings) -> None:
    """Between taking the lock and listening, an owner opens its stores."""
    owned = Folder(settings.folder)
    owned.acquire()
    arriving = asyncio.create_task(Hull(settings).__aenter__())
    await asyncio.sleep(0)
    assert not arriving.done()
    owned.close()
    hull = await asyncio.wait_for(arriving, 10)
    assert hull.runtime is not None
    await hull.__aexit__(None, None, None)


async def test_an_owner_that_never_answers_is_named(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hulls, "SETTLING", 0.0)
    owned = Folder(settings.folder)
    owned.acquire()
    with pytest.raises(Owned, match="in use by another process"):
        await Hull(settings).__aenter__()
    owned.close()


async def test_a_command_is_left_when_a_part_of_its_process_fails(settings: Settings) -> None:
    with pytest.raises(Exhausted, match="the disk is full"):
        async with Hull(settings) as hull:
            assert hull.runtime is not None
            hull.runtime._run("scans.broken", fail)
            await asyncio.Event().wait()
    current = asyncio.current_task()
    assert current is not None
    assert not current.cancelling()
    async with Hull(settings) as again:
        assert again.runtime is not None


@pytest.mark.parametrize("moment", ["at the start", "in a part", "in a call"])
async def test_who_meets_a_full_disk_is_told_that_all_is_kept_and_what_to_do(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    async def cannot_begin(_: Hull) -> NoReturn:
        raise Unavailable("bus.db: disk I/O error")

    settings.folder.mkdir()
    monkeypatch.setattr(hulls.shutil, "disk_usage", lambda _: SimpleNamespace(free=0))
    if moment == "at the start":
        monkeypatch.setattr(Hull, "_own", cannot_begin)
    with pytest.raises(Exhausted) as told:
        async with Hull(settings) as hull:
            if moment == "in a call":
                await fail()
            assert hull.runtime is not None
            hull.runtime._run("scans.broken", fail)
            await asyncio.Event().wait()
    said = "the disk is full (bus.db: disk I/O error)" if moment == "at the start" else "the disk is full"
    assert str(told.value) == f"{said}; all that {settings.folder} has is kept: make room on its disk, then call again"


async def test_other_failures_are_not_put_down_to_a_disk_with_room(settings: Settings) -> None:
    for error in (Unavailable("the registry is away"), Exhausted("/dev/full cannot be written")):
        with pytest.raises(type(error), match=f"^{error}$"):
            async with Hull(settings):
                raise error


async def fail() -> NoReturn:
    raise Exhausted("the disk is full")


async def test_a_folder_too_deep_for_a_socket_is_refused_and_left(tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 100)
    with pytest.raises(Exception, match="name a shorter data folder"):
        await Hull(Settings(data=str(deep))).__aenter__()
    Folder(deep).acquire()
