"""One process of a fleet: it answers before it is ready, says what is missing, and ends without losing anything."""

import asyncio
import os
import signal
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from msgspec import Struct, structs

from services.kernel import metrics, process, runtime
from services.kernel.calls import Caller, Nothing
from services.kernel.directory.consul import ConsulDirectory
from services.kernel.directory.registration import asked_of
from services.kernel.errors import Exhausted, Invalid, MirageError, Unavailable
from services.kernel.folder import Folder
from services.kernel.listening import open_listener
from services.kernel.process import Process, serve
from services.kernel.runtime import Place
from services.kernel.server import Server
from services.kernel.service import Handles, Hold, Ports, Received, Service
from services.kernel.settings import Settings
from services.kernel.sql.sqlite import SqliteSql
from tests.kernel import organ
from tests.kernel.keys import PEERS, asking
from tests.kernel.organ import From, Hole
from tests.kernel.test_runtime import BELL, CALLER, EAR, HEARD, Heard, Rung, bell, eventually

HERE = __name__
PLACE = Place("127.0.0.1:1", "one", {"host": "here"})


class Answer(Struct):
    status: int
    body: Any


Get = Callable[[str], Awaitable[Answer]]


class Work:
    """Long work that is under way until it is let go on."""

    begun = asyncio.Event()
    open = asyncio.Event()


async def toil(ports: Ports, received: Received[Rung], hold: Hold) -> None:
    Work.begun.set()
    await Work.open.wait()
    ports.state["heard"] = [received.message.times]


async def heard(ports: Ports, caller: Caller, question: Nothing) -> Heard:
    return Heard(tuple(ports.state.get("heard", ())))


async def ponder(ports: Ports, caller: Caller, question: Nothing) -> Heard:
    """Ask the store once it is let go on: it is open for as long as somebody is answered."""
    Work.begun.set()
    await Work.open.wait()
    async with ports.sql.read() as view:
        row = await view.fetch_one("SELECT 7")
    return Heard(row or ())


async def sing(ports: Ports, caller: Caller, question: Nothing) -> AsyncGenerator[Heard, None]:
    yield Heard((1,))
    Work.begun.set()
    await Work.open.wait()
    yield Heard((2,))


async def roll(ports: Ports, caller: Caller, question: From) -> AsyncGenerator[Hole, None]:
    yield Hole(1)
    Work.begun.set()
    await asyncio.Event().wait()


async def welcome(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"welcome"})


async def linger(scope: Any, receive: Any, send: Any) -> None:
    if scope["path"] == "/slow":
        Work.begun.set()
        await Work.open.wait()
    await welcome(scope, receive, send)


def front(ports: Ports) -> Any:
    return linger


TOILS = (Handles(name="toil", takes=Rung, work=toil),)
DOORS = {HEARD: heard}
WORKER = Service(
    name="ear", summary="Toils.", needs=("sql", "bus"), consumes=(Rung,), consumers=f"{HERE}:TOILS",
    answers=(HEARD,), doors=f"{HERE}:DOORS",
)  # fmt: skip
PONDER = structs.replace(HEARD, service="poet", name="ponder", path="/v1/ponder")
SING = structs.replace(PONDER, name="sing", path="/v1/sing", streams=True)
ROLL = structs.replace(organ.ROLL, service="poet")
THOUGHTS = {PONDER: ponder, SING: sing, ROLL: roll}
POET = Service(
    name="poet", summary="Takes its time.", needs=("sql",), answers=(PONDER, SING, ROLL), doors=f"{HERE}:THOUGHTS"
)
GATE = Service(name="gate", summary="Lets in.", needs=(), public=f"{HERE}:front")


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has to be given time to notice that this process leaves; what it measures is forgotten afterwards."""
    monkeypatch.setattr(runtime, "LEAVING", 0.0)
    monkeypatch.setattr(process, "pauses", lambda *_: iter(lambda: 0.01, None))
    monkeypatch.setattr(metrics, "_metrics", None)
    Work.begun, Work.open = asyncio.Event(), asyncio.Event()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data=str(tmp_path / "data"), peers=PEERS)


@asynccontextmanager
async def served(settings: Settings, *services: Service) -> AsyncIterator[tuple[asyncio.Task[None], Get]]:
    """Serve until the block ends, or SIGTERM comes."""
    with open_listener("127.0.0.1:0") as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        serving = asyncio.create_task(serve(services, settings, listener, structs.replace(PLACE, address=address)))
        async with aiohttp.ClientSession() as session:

            async def get(path: str) -> Answer:
                async with session.get(f"http://{address}{path}", headers=asking(services[-1].name)) as answer:
                    kind = answer.content_type
                    return Answer(answer.status, await answer.json() if "json" in kind else await answer.text())

            try:
                yield serving, get
            finally:
                if not serving.done():
                    os.kill(os.getpid(), signal.SIGTERM)
                await asyncio.wait({serving}, timeout=30)
        assert serving.done()


def says(get: Get, path: str, status: int) -> Callable[[], Awaitable[bool]]:
    async def holds() -> bool:
        return (await get(path)).status == status

    return holds


@pytest.mark.server
async def test_a_check_is_answered_for_those_that_are_registered_and_for_nobody_else(
    settings: Settings, consul_url: str
) -> None:
    directory = ConsulDirectory(Server.parse(consul_url))
    async with served(structs.replace(settings, directory=consul_url), EAR, BELL) as (_, get):
        await eventually(says(get, "/health/ready", 200))
        for service in (EAR, BELL):
            (known,) = await directory.resolve(service.name)
            assert (await get(f"/health/ready?{asked_of(service.name, known.id)}")).status == 200
            assert (await get(f"/health/ready?{asked_of(service.name, 'another')}")).status == 404
    await directory.close()


async def test_it_is_live_before_it_is_ready_says_what_is_missing_and_gets_ready_by_itself(settings: Settings) -> None:
    other = Folder(settings.folder)
    other.acquire()
    async with served(settings, EAR) as (_, get):
        assert await get("/health/live") == Answer(200, {"status": "live"})

        async def is_told() -> bool:
            return "in use by another process" in (await get("/health/ready")).body["detail"]

        await eventually(is_told)
        for path in ("/health/ready", "/v1/heard"):
            refused = await get(path)
            assert (refused.status, refused.body["code"]) == (503, "unavailable")
        other.close()
        await eventually(says(get, "/health/ready", 200))
        assert (await get("/v1/heard")).body == {"times": []}
        assert "mirage_request_seconds" in (await get("/metrics")).body


async def test_told_to_end_while_it_waits_it_ends_at_once(settings: Settings) -> None:
    other = Folder(settings.folder)
    other.acquire()
    async with served(settings, EAR) as (serving, get):
        await get("/health/live")
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(serving, 30)
    other.close()


async def test_at_sigterm_it_is_not_ready_leaves_the_directory_ends_its_work_and_answers_until_then(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    left: list[str] = []
    deregister = runtime.Runtime._leave

    async def note(self: runtime.Runtime) -> None:
        left.extend(known.id for known in self._instances)
        await deregister(self)

    monkeypatch.setattr(runtime.Runtime, "_leave", note)
    async with served(settings, BELL, WORKER) as (serving, get):
        await asyncio.wait_for(Work.begun.wait(), 30)
        os.kill(os.getpid(), signal.SIGTERM)
        await eventually(says(get, "/health/ready", 503))
        assert "ending" in (await get("/health/ready")).body["detail"]
        assert left == ["bell-one", "ear-one"]
        assert (await get("/v1/heard")).body == {"times": []}
        assert not serving.done()
        Work.open.set()
        await asyncio.wait_for(serving, 30)
    async with runtime.Runtime([WORKER], settings, works=False) as again:
        lag = await again.bus.lag("ear__toil")
        assert (lag.waiting, lag.in_flight) == (0, 0)


async def test_work_that_does_not_end_in_time_is_there_for_the_next_process(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "DRAINING", 0.05)
    async with served(settings, BELL, WORKER) as (serving, _):
        await asyncio.wait_for(Work.begun.wait(), 30)
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(serving, 30)
    Work.open.set()
    async with runtime.Runtime([WORKER], settings) as again:
        await eventually(lambda: asyncio.sleep(0, again.ports["ear"].state.get("heard") == [3]))


# Questions that are under way


async def told_to_end(get: Get, path: str) -> "asyncio.Task[Answer]":
    """Ask, and have the process told to end while it answers."""
    asking = asyncio.create_task(get(path))
    await asyncio.wait_for(Work.begun.wait(), 30)
    os.kill(os.getpid(), signal.SIGTERM)
    await eventually(says(get, "/health/ready", 503))
    return asking


@pytest.mark.parametrize(("path", "answer"), [("/v1/ponder", {"times": [7]}), ("/v1/sing", '{"times":[2]}')])
async def test_a_question_that_is_under_way_is_answered_and_what_it_needs_is_open_until_then(
    settings: Settings, path: str, answer: Any
) -> None:
    async with served(settings, POET) as (serving, get):
        await eventually(says(get, "/health/ready", 200))
        asking = await told_to_end(get, path)
        assert not serving.done()
        Work.open.set()
        answered = await asking
        assert answered.status == 200
        assert answered.body == answer or answer in answered.body
        await asyncio.wait_for(serving, 30)


async def test_a_question_is_answered_though_work_cannot_end(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = asyncio.Event()

    async def fail(self: runtime.Runtime, seconds: float) -> None:
        failed.set()
        raise Exhausted("the disk is full")

    monkeypatch.setattr(runtime.Runtime, "drain", fail)
    async with served(settings, POET) as (serving, get):
        await eventually(says(get, "/health/ready", 200))
        asking = await told_to_end(get, "/v1/ponder")
        await asyncio.wait_for(failed.wait(), 30)
        Work.open.set()
        assert await asking == Answer(200, {"times": [7]})
        await asyncio.wait_for(serving, 30)


async def test_a_question_without_an_answer_in_time_and_a_stream_are_told_so(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "DRAINING", 0.1)
    async with served(settings, POET) as (serving, get):
        await eventually(says(get, "/health/ready", 200))
        streaming = asyncio.create_task(get("/v1/sing"))
        asking = await told_to_end(get, "/v1/ponder")
        refused, broken_off = await asking, await streaming
        assert (refused.status, refused.body["code"]) == (503, "unavailable")
        assert "ask again" in refused.body["detail"]
        assert len(refused.body["request_id"]) == 32
        assert '{"times":[1]}' in broken_off.body
        assert "event: problem" in broken_off.body
        assert '"code":"unavailable"' in broken_off.body
        assert '"request_id":"' in broken_off.body
        await asyncio.wait_for(serving, 30)


async def test_a_stream_that_goes_on_elsewhere_ends_at_once(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "DRAINING", 3600.0)
    async with served(settings, POET) as (serving, get):
        await eventually(says(get, "/health/ready", 200))
        streaming = asyncio.create_task(get("/v1/roll"))
        await asyncio.wait_for(Work.begun.wait(), 30)
        os.kill(os.getpid(), signal.SIGTERM)
        assert "event: problem" in (await asyncio.wait_for(streaming, 30)).body
        await asyncio.wait_for(serving, 30)


async def test_there_is_one_deadline_for_all_that_ends(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "DRAINING", 0.1)
    left: list[float] = []

    async def hang_up(seconds: float) -> None:
        left.append(seconds)

    one = Process([BELL, WORKER], settings, PLACE)
    running = asyncio.create_task(one.run(hang_up))
    await asyncio.wait_for(Work.begun.wait(), 30)
    one.end()
    await asyncio.wait_for(running, 30)
    assert left == [0.0]


async def test_a_port_that_does_not_close_holds_nobody_for_ever(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "CLOSING", 0.05)
    closing = asyncio.Event()

    async def close(self: SqliteSql) -> None:
        closing.set()
        await asyncio.Event().wait()

    one = Process([POET], settings, PLACE)
    running = asyncio.create_task(one.run())
    await eventually(lambda: is_ready(one))
    with monkeypatch.context() as broken:
        broken.setattr(SqliteSql, "close", close)
        one.end()
        await asyncio.wait_for(running, 30)
    assert closing.is_set()


async def test_a_fault_in_a_part_ends_the_process_and_is_raised(settings: Settings) -> None:
    async with served(settings, bell(tasks="tests.kernel.test_runtime:TRIPS")) as (serving, _):
        with pytest.raises(MirageError, match=r"bell\.trip, a part of this process, ended"):
            await asyncio.wait_for(serving, 30)


async def test_a_full_disk_of_its_own_is_waited_for_and_said(settings: Settings) -> None:
    async with served(settings, bell(tasks="tests.kernel.test_runtime:RUNS_OUT")) as (serving, get):

        async def is_told() -> bool:
            return (await get("/health/ready")).body.get("detail") == "the disk is full"

        await eventually(is_told)
        assert not serving.done()


# The port for the world


async def reached(port: int) -> bool:
    try:
        async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/") as answer:
            return await answer.text() == "welcome"
    except aiohttp.ClientError:
        return False


async def test_the_world_is_let_in_when_all_is_there_and_no_more_when_it_ends(settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    settings = structs.replace(settings, public=f"127.0.0.1:{port}")
    other = Folder(settings.folder)
    other.acquire()
    one = Process([GATE, BELL], settings, PLACE)
    running = asyncio.create_task(one.run())
    with pytest.raises(Unavailable):
        await one.ready()
    assert not await reached(port)
    other.close()
    await eventually(lambda: reached(port))
    # Another one of its like shares the port, and goes on when the first has ended.
    two = Process([GATE], structs.replace(settings, data=""), PLACE)
    also = asyncio.create_task(two.run())
    await eventually(lambda: is_ready(two))
    one.end()
    await asyncio.wait_for(running, 30)
    assert await reached(port)
    two.end()
    await asyncio.wait_for(also, 30)
    assert not await reached(port)


async def test_what_the_world_is_being_answered_is_answered_to_its_end(settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    one = Process([GATE], structs.replace(settings, public=f"127.0.0.1:{port}"), PLACE)
    running = asyncio.create_task(one.run())
    await eventually(lambda: reached(port))
    async with aiohttp.ClientSession() as session:
        asking = asyncio.create_task(session.get(f"http://127.0.0.1:{port}/slow"))
        await asyncio.wait_for(Work.begun.wait(), 30)
        one.end()

        async def is_closed() -> bool:
            return not await reached(port)

        await eventually(is_closed)
        assert not running.done()
        Work.open.set()
        async with await asking as answer:
            assert await answer.text() == "welcome"
    await asyncio.wait_for(running, 30)


async def is_ready(process: Process) -> bool:
    try:
        return await process.ready() == []
    except Unavailable:
        return False


async def test_a_port_for_the_world_that_is_somebody_elses_ends_the_process(settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        public = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(Invalid, match="is taken"):
            await asyncio.wait_for(Process([GATE], structs.replace(settings, public=public), PLACE).run(), 30)


async def test_its_services_are_asked_as_long_as_they_are_there(settings: Settings) -> None:
    one = Process([EAR], settings, PLACE)
    with pytest.raises(Unavailable, match="is starting"):
        await one.ask(HEARD, Nothing(), CALLER)
    running = asyncio.create_task(one.run())
    await eventually(lambda: is_ready(one))
    assert await one.ask(HEARD, Nothing(), CALLER) == Heard(())
    one.end()
    await asyncio.wait_for(running, 30)
    with pytest.raises(Unavailable, match="is ending"):
        await one.ask(HEARD, Nothing(), CALLER)
