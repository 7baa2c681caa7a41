"""A process with services in it: what it opens, runs, notices and closes."""

import asyncio
import stat
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct, structs

from services.kernel import metrics, parts
from services.kernel import runtime as kernel
from services.kernel.bus.sqlite import SqliteBus
from services.kernel.calls import Caller, Endpoint, Nothing, operator
from services.kernel.directory import Instance
from services.kernel.directory.local import LocalDirectory
from services.kernel.errors import Exhausted, Invalid, MirageError, Unavailable
from services.kernel.folder import Owned
from services.kernel.messages import workspace_id
from services.kernel.runtime import Place, Runtime, migrate
from services.kernel.server import Server as Address
from services.kernel.service import Handles, Hold, Ports, Received, Service, Unit
from services.kernel.settings import Settings
from services.kernel.sql.postgres import PostgresSql
from services.kernel.sql.sqlite import SqliteSql
from services.kernel.streams import consumers_of, stream_of, streams_of
from services.kernel.version import VERSION
from tests.servers.running import Server

CALLER = operator(workspace_id("default"))


class Rung(Struct, frozen=True, tag="mirage.evt.bell.rung.v1"):
    times: int


class Ring(Struct, frozen=True, tag="mirage.cmd.bell.ring.v1"):
    times: int


class Swinging(Struct, frozen=True, tag="mirage.progress.bell.swinging.v1"):
    angle: int


class Heard(Struct, frozen=True):
    times: tuple[int, ...]


HEARD = Endpoint(
    service="ear", name="heard", method="GET", path="/v1/heard", takes=Nothing, answers=Heard, summary="What was heard."
)
FOLLOW = Endpoint(
    service="ear", name="follow", method="GET", path="/v1/follow", takes=Nothing, answers=Heard, summary="As it comes.",
    streams=True,
)  # fmt: skip


async def heard(ports: Ports, caller: Caller, question: Nothing) -> Heard:
    return Heard(tuple(ports.state.get("heard", ())))


async def follow(ports: Ports, caller: Caller, question: Nothing) -> AsyncGenerator[Heard, None]:
    yield await heard(ports, caller, question)


async def listen(ports: Ports, unit: Unit, batch: Sequence[Received[Rung]]) -> None:
    ports.state.setdefault("heard", []).extend(received.message.times for received in batch)


async def ring(ports: Ports) -> None:
    async with ports.outbox.unit() as unit:
        unit.emit(Rung(3), workspace=CALLER.workspace, key="first")


async def wait_for_ever(ports: Ports) -> None:
    ports.state["waiting"] = True
    await asyncio.Event().wait()


async def trip(ports: Ports) -> None:
    raise ZeroDivisionError("inside")


async def run_out(ports: Ports) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(_exhaust())


async def _exhaust() -> None:
    raise Exhausted("the disk is full")


async def toil(ports: Ports, received: Received[Rung], hold: Hold) -> None:
    ports.state.setdefault("heard", []).append(received.message.times)


DOORS = {HEARD: heard, FOLLOW: follow}
CONSUMERS = (Handles(name="listen", takes=Rung, handle=listen),)
TOILS = (Handles(name="toil", takes=Rung, work=toil),)
RINGS = (ring, wait_for_ever)
TRIPS = (trip,)
RUNS_OUT = (run_out,)
HERE = __name__

BELL = Service(name="bell", summary="Rings.", needs=("sql", "bus"), publishes=(Rung, Swinging), tasks=f"{HERE}:RINGS")
EAR = Service(
    name="ear",
    summary="Listens.",
    needs=("sql", "bus", "documents", "search", "cache", "directory"),
    consumes=(Rung,),
    answers=(HEARD, FOLLOW),
    doors=f"{HERE}:DOORS",
    consumers=f"{HERE}:CONSUMERS",
)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data=str(tmp_path / "data"))


async def eventually(holds: Callable[[], Awaitable[bool]], seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while not await holds():
            await asyncio.sleep(0.005)


def bell(**changes: Any) -> Service:
    return Service(**{"name": "bell", "summary": "Rings.", "needs": ("sql", "bus"), **changes})


async def test_what_one_service_says_another_hears_and_answers_for(settings: Settings) -> None:
    async with Runtime([EAR, BELL], settings) as runtime:

        async def was_heard() -> bool:
            return await runtime.calls.ask(HEARD, Nothing(), CALLER) == Heard((3,))

        await eventually(was_heard)
        assert [part async for part in runtime.calls.follow(FOLLOW, Nothing(), CALLER)] == [Heard((3,))]
        await runtime.ping()


async def test_work_waits_for_somebody_who_works_and_is_done_once(settings: Settings) -> None:
    worker = Service(name="worker", summary="Toils.", needs=("sql", "bus"), consumes=(Rung,), consumers=f"{HERE}:TOILS")
    async with Runtime([EAR, BELL, worker], settings, works=False) as runtime:
        heard, toiled = (runtime.ports[name].state for name in ("ear", "worker"))
        await eventually(lambda: asyncio.sleep(0, heard.get("heard") == [3]))
        assert "worker.toil" not in {task.get_name() for task in runtime._running}
        assert not toiled
        for _ in range(2):
            runtime.work()
        await eventually(lambda: asyncio.sleep(0, toiled.get("heard") == [3]))
        assert len([task for task in runtime._running if task.get_name() == "worker.toil"]) == 1


async def test_services_are_in_the_directory_from_when_they_are_ready_until_before_they_stop(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered: list[bool] = []

    class Watched(LocalDirectory):
        async def register(self, instance: Instance) -> None:
            answered.append(await runtime.calls.ask(HEARD, Nothing(), CALLER) is not None)
            await super().register(instance)

        async def deregister(self, service: str, id: str) -> None:
            await super().deregister(service, id)
            answered.append(await runtime.calls.ask(HEARD, Nothing(), CALLER) is not None)
            assert await self.resolve(service) == []
            assert any(not task.done() for task in runtime._running), "nobody is sent here while they end"

    monkeypatch.setattr("services.kernel.directory.local.LocalDirectory", Watched)
    async with (runtime := Runtime([EAR, BELL], settings)):
        (ear,) = await runtime.ports["ear"].directory.resolve("ear")
        (bell,) = await runtime.directory.resolve("bell")
        assert (ear.service, ear.address, bell.address) == ("ear", "local", "local")
        assert ear.id.removeprefix("ear-") == bell.id.removeprefix("bell-")
        assert await runtime.ready() == []
    assert answered == [True] * 4


def test_the_streams_follow_from_the_declarations() -> None:
    commander = bell(name="hand", publishes=(Ring,))
    streams = {stream.name: stream for stream in streams_of([BELL, EAR, commander])}
    assert {name: (stream.subjects, stream.kind) for name, stream in streams.items()} == {
        "CMD_BELL": (("mirage.cmd.bell.>",), "work"),
        "EVT_BELL": (("mirage.evt.bell.>",), "facts"),
        "PROGRESS": (("mirage.progress.>",), "progress"),
    }
    assert [stream_of(message) for message in (Rung, Ring, Swinging)] == ["EVT_BELL", "CMD_BELL", "PROGRESS"]


def test_a_consumer_is_named_after_its_service_and_reads_one_type() -> None:
    [consumer] = consumers_of({"ear": CONSUMERS})
    assert (consumer.name, consumer.stream) == ("ear__listen", "EVT_BELL")
    assert consumer.subjects == ("mirage.evt.bell.rung.v1.>",)


async def test_a_part_that_ends_by_a_fault_is_a_failure_of_the_process(settings: Settings) -> None:
    async with Runtime([bell(tasks=f"{HERE}:TRIPS")], settings) as runtime:
        with pytest.raises(MirageError, match=r"bell\.trip, a part of this process, ended") as raised:
            await asyncio.wait_for(runtime.failure(), 10)
        assert isinstance(raised.value.__cause__, ZeroDivisionError)
        with pytest.raises(Unavailable, match="has ended"):
            await runtime.ping()


async def test_a_part_that_ends_for_a_known_reason_gives_it(settings: Settings) -> None:
    async with Runtime([bell(tasks=f"{HERE}:RUNS_OUT")], settings) as runtime:
        with pytest.raises(Exhausted, match="the disk is full"):
            await asyncio.wait_for(runtime.failure(), 10)


async def test_a_consumer_that_is_cancelled_from_within_is_a_failure_too(settings: Settings) -> None:
    async with Runtime([EAR], settings) as runtime:
        next(task for task in runtime._running if task.get_name() == "ear.listen").cancel()
        with pytest.raises(MirageError, match=r"ear\.listen"):
            await asyncio.wait_for(runtime.failure(), 10)


async def test_a_task_may_be_done_and_stopping_is_no_failure(settings: Settings) -> None:
    async with Runtime([BELL], settings) as runtime:
        done = next(task for task in runtime._running if task.get_name() == "bell.ring")
        await done
        await runtime.ping()
    assert runtime._failed is not None
    assert not runtime._failed.done()


async def test_what_runs_is_stopped_before_what_it_uses_is_closed(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []

    def note(kind: type[Any]) -> None:
        close = kind.close

        async def noted(self: Any) -> None:
            assert all(task.done() for task in runtime._running)
            order.append(kind.__name__)
            await close(self)

        monkeypatch.setattr(kind, "close", noted)

    note(SqliteBus)
    note(SqliteSql)
    async with Runtime([EAR, BELL], settings) as runtime:
        pass
    assert order == ["SqliteSql", "SqliteSql", "SqliteBus"]


async def test_a_port_that_does_not_close_keeps_neither_the_others_nor_the_folder(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:

        async def fail(self: SqliteSql) -> None:
            await close(self)
            raise ZeroDivisionError

        close = SqliteSql.close
        patch.setattr(SqliteSql, "close", fail)
        async with Runtime([BELL], settings):
            pass
    async with Runtime([BELL], settings):
        pass


async def test_a_folder_has_one_runtime(settings: Settings) -> None:
    async with Runtime([BELL], settings):
        with pytest.raises(Owned):
            await Runtime([BELL], settings).__aenter__()
    async with Runtime([BELL], settings):
        pass


@pytest.mark.parametrize(
    ("service", "says"),
    [
        (bell(needs=("sql", "bus", "crystal_ball")), "needs crystal_ball"),
        (bell(needs=("bus",), publishes=(Rung,)), "needs sql and bus"),
        (bell(needs=("sql",), consumers=f"{HERE}:CONSUMERS", consumes=(Rung,)), "needs sql and bus"),
    ],
)
async def test_a_service_that_cannot_run_is_refused_and_the_folder_is_free_again(
    settings: Settings, service: Service, says: str
) -> None:
    with pytest.raises(Invalid, match=says):
        await Runtime([BELL, service], settings).__aenter__()
    async with Runtime([BELL], settings):
        pass


async def test_a_way_out_that_is_not_set_up_is_refused(tmp_path: Path) -> None:
    settings = Settings(data=str(tmp_path / "data"), dial_table=str(tmp_path / "missing"))
    with pytest.raises(Invalid, match="the way out is not set up"):
        await Runtime([bell(needs=("sql", "bus", "egress"))], settings).__aenter__()


async def test_a_service_has_the_ports_that_it_declares_and_no_others(settings: Settings) -> None:
    async with Runtime([EAR, BELL, Service(name="hermit", summary="Needs nothing.", needs=())], settings) as runtime:
        assert runtime.ports["ear"].documents is not None
        assert runtime.ports["ear"].sql is not runtime.ports["bell"].sql
        assert runtime.ports["ear"].bus is runtime.ports["bell"].bus
        for name in ("documents", "blobs", "egress"):
            with pytest.raises(AttributeError, match=f"bell does not declare that it needs {name}"):
                getattr(runtime.ports["bell"], name)
        with pytest.raises(AttributeError):
            _ = runtime.ports["hermit"].bus


async def test_every_file_of_the_data_folder_is_for_its_user_alone(settings: Settings) -> None:
    async with Runtime([EAR, BELL], settings):
        modes = {path: stat.S_IMODE(path.stat().st_mode) for path in files_below(settings.folder)}
    assert len(modes) > 5
    assert {path.name: oct(mode) for path, mode in modes.items() if mode not in (0o600, 0o700)} == {}


def files_below(folder: Path) -> Iterator[Path]:
    yield folder
    yield from folder.rglob("*")


async def test_after_a_kill_the_next_process_goes_on_where_it_was(
    settings: Settings, tmp_path: Path, kill_when_ready: Callable[[str], None]
) -> None:
    """The bell's process dies with a message in its outbox or on the bus; the next one delivers it once."""
    kill_when_ready("""
import asyncio
from tests.kernel.test_runtime import BELL, CALLER, Rung, Runtime, Settings
async def main():
    async with Runtime([BELL], Settings(data="data")) as runtime:
        async with runtime.ports["bell"].outbox.unit() as unit:
            unit.emit(Rung(5), workspace=CALLER.workspace, key="second")
        print("ready", flush=True)
        await asyncio.Event().wait()
asyncio.run(main())
""")
    async with Runtime([EAR, BELL], settings) as runtime:

        async def both_are_heard() -> bool:
            heard = await runtime.calls.ask(HEARD, Nothing(), CALLER)
            return sorted(heard.times) == [3, 5]

        await eventually(both_are_heard)


# What passes by itself


TRIED: list[int] = []


async def away_twice(ports: Ports) -> None:
    TRIED.append(len(TRIED))
    if len(TRIED) < 3:
        async with asyncio.TaskGroup() as group:
            group.create_task(_fail(Unavailable("the server is away")))


async def full_once(ports: Ports) -> None:
    TRIED.append(len(TRIED))
    if len(TRIED) < 2:
        await _fail(Exhausted("the disk of the server is full"))


async def _fail(error: MirageError) -> None:
    raise error


AWAY = (away_twice,)
FULL = (full_once,)


@pytest.fixture
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    TRIED.clear()
    monkeypatch.setattr(parts, "pauses", lambda *_: iter(lambda: 0.0, None))


@pytest.mark.usefixtures("_at_once")
async def test_a_task_is_begun_anew_after_what_it_needs_was_away(settings: Settings) -> None:
    async with Runtime([bell(tasks=f"{HERE}:AWAY")], settings) as runtime:
        await eventually(lambda: asyncio.sleep(0, TRIED == [0, 1, 2]))
        await runtime.ping()


@pytest.mark.usefixtures("_at_once")
async def test_a_full_disk_of_a_server_ends_nothing_in_a_fleet(settings: Settings) -> None:
    on_servers = Service(name="bell", summary="Keeps nothing here.", needs=("directory",), tasks=f"{HERE}:FULL")
    async with Runtime([on_servers], settings) as runtime:
        await eventually(lambda: asyncio.sleep(0, TRIED == [0, 1]))
        await runtime.ping()
    assert not settings.folder.exists(), "who keeps nothing here needs no data folder, and no bus in it"


# Whether it is ready


@pytest.mark.parametrize("register", ["nomad", "off"])
async def test_who_is_made_known_by_others_does_not_do_so_itself(settings: Settings, register: Any) -> None:
    async with Runtime([EAR], structs.replace(settings, register=register)) as runtime:
        assert await runtime.ready() == []
        assert await runtime.directory.resolve("ear") == []


async def test_it_says_where_others_find_it_and_what_it_is(settings: Settings) -> None:
    place = Place("127.0.0.1:4000", "one", {"host": "here"})
    async with Runtime([EAR], settings, place=place) as runtime:
        (ear,) = await runtime.directory.resolve("ear")
    assert ear == Instance("ear", "ear-one", "127.0.0.1:4000", {"host": "here", "version": VERSION})


async def test_it_is_ready_without_what_it_can_do_without_and_says_so(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Runtime([EAR], settings) as runtime:
        monkeypatch.setattr(runtime.bus, "ping", lambda: _fail(Unavailable("nobody is there")))
        monkeypatch.setattr(runtime.ports["ear"].cache, "ping", asyncio.Event().wait)
        monkeypatch.setattr(kernel, "ANSWERING", 0.02)
        assert sorted(await runtime.ready()) == ["bus: nobody is there", "cache: cache did not answer within 0.02 s"]
        monkeypatch.setattr(runtime.ports["ear"].sql, "ping", lambda: _fail(Unavailable("the database is away")))
        with pytest.raises(Unavailable, match="the database is away"):
            await runtime.ready()


async def test_drained_it_is_not_ready_and_known_to_nobody_but_answers(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernel, "LEAVING", 0.0)
    async with Runtime([EAR, BELL], settings) as runtime:
        await next(task for task in runtime._running if task.get_name() == "bell.ring")  # a task may speak to the last
        await runtime.drain(60.0)
        assert await runtime.directory.resolve("ear") == []
        with pytest.raises(Unavailable, match="is ending"):
            await runtime.ready()
        assert isinstance(await runtime.calls.ask(HEARD, Nothing(), CALLER), Heard)
        async with runtime.ports["bell"].sql.read() as view:
            assert await view.fetch("SELECT position FROM outbox") == []
        assert not runtime._failed.done()


async def test_a_directory_that_is_away_keeps_nobody_from_ending(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernel, "LEAVING", 0.0)
    async with Runtime([EAR], settings) as runtime:
        monkeypatch.setattr(runtime.directory, "deregister", lambda *_: _fail(Unavailable("the directory is away")))
        await runtime.drain(10.0)


# What it measures


async def test_it_measures_its_adapters_and_how_far_its_consumers_are_behind_as_long_as_it_is_open(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "_metrics", None)
    metrics.start()
    monkeypatch.setattr(LocalDirectory, "measures", lambda self: {"watched": 7.0}, raising=False)
    async with Runtime([EAR, BELL], settings):
        said = (await metrics.render()).decode()
        assert 'mirage_consumer_waiting{consumer="ear__listen"}' in said
        assert 'mirage_consumer_in_flight{consumer="ear__listen"}' in said
        assert "mirage_directory_watched 7.0" in said
    assert b"mirage_consumer_waiting" not in await metrics.render()


# Bringing a database forward


@pytest.mark.parametrize(("sql", "needs"), [("", ("sql", "bus")), ("postgresql://127.0.0.1:1/bell", ("bus",))])
async def test_there_has_to_be_a_server_with_a_database_to_be_brought_forward(
    settings: Settings, sql: str, needs: tuple[str, ...]
) -> None:
    with pytest.raises(Invalid, match="there is no database server of bell"):
        await migrate(bell(needs=needs), structs.replace(settings, sql=sql))
    assert not settings.folder.exists()


@pytest.mark.server
async def test_a_database_is_brought_forward_once_it_is_there_and_then_again_in_vain(
    settings: Settings, own_server: Callable[[str], Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = own_server("postgresql")
    server.stop()
    waited: list[float] = []
    monkeypatch.setattr(kernel, "pauses", lambda *_: iter(lambda: waited.append(0.05) or 0.05, None))
    settings = structs.replace(settings, sql=server.url)
    bringing = asyncio.create_task(migrate(BELL, settings))
    await eventually(lambda: asyncio.sleep(0, len(waited) > 1))
    server.start()
    await asyncio.wait_for(bringing, 60)
    await migrate(BELL, settings)
    sql = PostgresSql(Address.parse(server.url))
    async with sql.read() as view:
        assert await view.fetch("SELECT * FROM outbox") == []
    await sql.close()
