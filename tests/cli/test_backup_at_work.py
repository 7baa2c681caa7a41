"""What is backed up while Mirage works is one instant, whatever happens between the copies of two databases."""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from uuid import UUID

import pytest
from msgspec import Struct

from services.cli import archive
from services.cli.archive import Copied, databases, restore_backup, write_backup
from services.cli.hull import HELD_SECONDS, HOLD, Held, Hull
from services.kernel.blobs import Blob
from services.kernel.blobs.segments import SegmentBlobs
from services.kernel.calls import operator
from services.kernel.errors import Unavailable
from services.kernel.folder import BUS, EVIDENCE
from services.kernel.runtime import Runtime
from services.kernel.service import Handles, Ports, Received, Service, Unit
from services.kernel.settings import Settings

SPACE = UUID(int=7)


class Rung(Struct, frozen=True, tag="mirage.evt.tower.rung.v1"):
    times: int


class Heard(Struct, frozen=True, tag="mirage.evt.town.heard.v1"):
    times: int


async def hear(ports: Ports, unit: Unit, batch: Sequence[Received[Rung]]) -> None:
    if "gate" in ports.state:
        await ports.state["gate"].wait()
    for received in batch:
        ports.state.setdefault("heard", []).append(received.message.times)
        unit.emit(Heard(received.message.times), workspace=SPACE, key=str(received.message.times))


HEARS = (Handles(name="hears", takes=Rung, handle=hear),)
KNOWS = (Handles(name="knows", takes=Heard),)


def town() -> list[Service]:
    here = __name__
    return [
        Service(name="town", summary="", needs=("sql", "bus", "blobs"), publishes=(Heard,), consumers=f"{here}:HEARS"),
        Service(name="tower", summary="", needs=("sql", "bus"), publishes=(Rung,), consumers=f"{here}:KNOWS"),
    ]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data=str(tmp_path / "data"))


def holding(runtime: Runtime) -> Callable[[str], AbstractAsyncContextManager[None]]:
    return lambda what: runtime.relays_held() if what == "relays" else runtime.segments_held()


def meanwhile(monkeypatch: pytest.MonkeyPatch, name: str, work: Callable[[], Awaitable[object]]) -> None:
    """Let `work` be done as soon as one of the databases has been copied."""
    loop = asyncio.get_running_loop()
    copy = archive.copy_database

    async def all_of_it() -> None:
        await work()

    def copy_and_work(source: Path, target: Path, place: str) -> Copied:
        copied = copy(source, target, place)
        if place == name:
            asyncio.run_coroutine_threadsafe(all_of_it(), loop).result()
        return copied

    monkeypatch.setattr(archive, "copy_database", copy_and_work)


async def until(holds: Callable[[], Awaitable[object]]) -> None:
    async with asyncio.timeout(10):
        while not await holds():
            await asyncio.sleep(0.01)


async def ring(ports: Ports, times: int) -> None:
    async with ports.outbox.unit() as unit:
        unit.emit(Rung(times), workspace=SPACE, key=str(times))


async def told_of(settings: Settings) -> int:
    """Of how many strokes the tower of a restored folder learns that they were heard."""
    async with Runtime(town(), settings) as runtime:
        bus = runtime.ports["town"].bus

        async def quiet() -> bool:
            """In the order in which a message comes along, so that it cannot slip past."""
            for name, consumer in (("tower", "town__hears"), ("town", "tower__knows")):
                waiting = await outbox(runtime.ports[name])
                lag = await bus.lag(consumer)
                if waiting + lag.waiting + lag.in_flight:
                    return False
            return True

        await until(quiet)
        async with runtime.ports["tower"].sql.read() as view:
            return len(await view.fetch("SELECT 1 FROM inbox WHERE consumer = 'tower__knows'"))


async def give_turns(ports: Ports) -> None:
    """Let a relay that is not held publish and forget what it has."""
    for _ in range(10):
        await ports.bus.ping()
        async with ports.sql.begin():
            pass


async def outbox(ports: Ports) -> int:
    async with ports.sql.read() as view:
        return len(await view.fetch("SELECT 1 FROM outbox"))


@pytest.mark.parametrize(("copied", "told"), [(BUS, 1), ("tower.db", 0), ("town.db", 0)])
async def test_what_is_said_between_two_copies_is_said_whole_or_not_at_all(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, copied: str, told: int
) -> None:
    async with Runtime(town(), settings) as runtime:
        tower = runtime.ports["tower"]

        async def say() -> None:
            await ring(tower, 1)
            await give_turns(tower)

        meanwhile(monkeypatch, copied, say)
        await write_backup(settings.folder, tmp_path / "backup", holding(runtime))
        await until(lambda: _none(outbox(tower)))
    restore_backup(tmp_path / "backup", tmp_path / "restored")
    assert await told_of(Settings(data=str(tmp_path / "restored"))) == told


@pytest.mark.parametrize("copied", [BUS, "tower.db", "town.db"])
async def test_what_is_handled_between_two_copies_is_handled_once(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, copied: str
) -> None:
    async with Runtime(town(), settings) as runtime:
        listener, tower = runtime.ports["town"], runtime.ports["tower"]
        listener.state["gate"] = asyncio.Event()
        await ring(tower, 1)
        await until(lambda: _none(outbox(tower)))

        async def hear_and_accept() -> None:
            listener.state["gate"].set()
            await until(lambda: _accepted(listener))

        meanwhile(monkeypatch, copied, hear_and_accept)
        await write_backup(settings.folder, tmp_path / "backup", holding(runtime))
    restore_backup(tmp_path / "backup", tmp_path / "restored")
    assert await told_of(Settings(data=str(tmp_path / "restored"))) == 1


async def _accepted(ports: Ports) -> bool:
    lag = await ports.bus.lag("town__hears")
    return not lag.waiting + lag.in_flight


async def _none(counted: Awaitable[int]) -> bool:
    return not await counted


def blob(content: bytes) -> Blob:
    return Blob(hashlib.sha256(content).digest(), content)


async def test_no_body_is_lost_that_is_moved_between_its_index_and_its_segment(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = [blob(os.urandom(20_000)) for _ in range(20)]
    kept = [blob(os.urandom(100)) for _ in range(50)]
    async with Runtime(town(), settings) as runtime:
        blobs = runtime.ports["town"].blobs
        await blobs.put(SPACE, large + kept)
        (segment,) = (settings.folder / EVIDENCE).glob("*.seg")

        async def drop() -> None:
            await blobs.drop(SPACE, [each.digest for each in large])
            await blobs.put(SPACE, [blob(b"what comes meanwhile")])

        meanwhile(monkeypatch, f"{EVIDENCE}/index.db", drop)
        await write_backup(settings.folder, tmp_path / "backup", holding(runtime))
        await until(lambda: _gone(segment))
    restore_backup(tmp_path / "backup", tmp_path / "restored")
    restored = SegmentBlobs(tmp_path / "restored" / EVIDENCE)
    assert [await restored.get(SPACE, each.digest) for each in kept + large] == [each.content for each in kept + large]
    await restored.close()


async def _gone(path: Path) -> bool:
    return not path.exists()


def test_databases_are_copied_before_what_they_refer_to(tmp_path: Path) -> None:
    names = ("storage.db", "storage-search.db", "bus.db", "cache.db", "collector.db", "registry-documents.db")
    (tmp_path / EVIDENCE).mkdir()
    for name in (*names, "evidence/index.db"):
        (tmp_path / name).touch()
    order = [place for _, _, place in databases(tmp_path, tmp_path / "scratch")]
    assert order[0] == "bus.db"
    assert order.index("storage.db") < order.index("storage-search.db")
    assert order[-1] == "evidence/index.db"


# Whom the owner holds still for


@pytest.fixture
async def owner(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Hull]:
    monkeypatch.setattr("services.cli.hull.load_embedded", town)
    async with Hull(settings) as hull:
        yield hull


@asynccontextmanager
async def another(settings: Settings) -> AsyncIterator[Hull]:
    async with Hull(settings) as hull:
        assert hull.runtime is None
        yield hull


async def test_an_owner_holds_still_as_long_as_somebody_copies(owner: Hull, settings: Settings) -> None:
    assert owner.runtime is not None
    tower = owner.runtime.ports["tower"]
    async with another(settings) as hull:
        async with hull.held("segments"), hull.held("relays"):
            await ring(tower, 1)
            await give_turns(tower)
            assert await outbox(tower) == 1
        await until(lambda: _none(outbox(tower)))
    async with owner.held("relays"):
        await ring(tower, 2)
        assert await outbox(tower) == 1
    await until(lambda: _none(outbox(tower)))


async def test_an_owner_whose_caller_died_goes_on(owner: Hull, settings: Settings) -> None:
    assert owner.runtime is not None
    tower = owner.runtime.ports["tower"]
    async with another(settings) as hull:
        parts = hull.calls.follow(HOLD, Held("relays"), operator(SPACE))
        await anext(parts)
        await ring(tower, 1)
        await parts.aclose()
        await until(lambda: _none(outbox(tower)))


@pytest.mark.parametrize("from_afar", [False, True])
async def test_a_copy_that_takes_too_long_is_none(
    owner: Hull, settings: Settings, monkeypatch: pytest.MonkeyPatch, from_afar: bool
) -> None:
    monkeypatch.setitem(HELD_SECONDS, "relays", 0.01)
    assert owner.runtime is not None
    tower = owner.runtime.ports["tower"]
    async with another(settings) as hull:
        with pytest.raises(Unavailable, match="not copied in the time"):
            async with (hull if from_afar else owner).held("relays"):
                await ring(tower, 1)
                await until(lambda: _none(outbox(tower)))
                await asyncio.sleep(0.05)  # until the caller hears of it
