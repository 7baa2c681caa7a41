"""Calls between processes over the data folder's socket."""

import asyncio
import stat
import struct
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from pathlib import Path
from uuid import UUID

import msgspec
import pytest
from msgspec import Struct

from services.kernel import errors, socket
from services.kernel.calls import Caller, Endpoint, LocalCalls, operator
from services.kernel.errors import Conflict, Incompatible, Invalid, MirageError, NotFound, Unavailable, meaning
from services.kernel.socket import OwnerLost, SocketCalls, SocketServer
from tests.kernel.conftest import ROOT

CALLER = operator(UUID(int=7), "tester")
LEAVES = [error for error in vars(errors).values() if error in MirageError.__subclasses__()]


class Word(Struct, frozen=True):
    word: str
    workspace: UUID | None = None


class Error(Struct, frozen=True):
    name: str


def endpoint(name: str, *, streams: bool = False, takes: type = Word, answers: type = Word) -> Endpoint:
    return Endpoint(
        service="echo", name=name, method="GET", path=f"/v1/{name}", takes=takes, answers=answers, summary=name,
        streams=streams,
    )  # fmt: skip


SAY = endpoint("say")
FAIL = endpoint("fail", takes=Error)
BREAK = endpoint("break")
HANG = endpoint("hang")
SWELL = endpoint("swell")
REPEAT = endpoint("repeat", streams=True)
FALTER = endpoint("falter", streams=True)
WATCH = endpoint("watch", streams=True)


class Echo:
    def __init__(self) -> None:
        self.asked = 0
        self.watched = asyncio.Event()
        self.closed = asyncio.Event()


async def say(ports: Echo, caller: Caller, question: Word) -> Word:
    ports.asked += 1
    return Word(f"{caller.name} said {question.word}", caller.workspace)


async def fail(ports: Echo, caller: Caller, question: Error) -> Word:
    raise getattr(errors, question.name)(f"this is {question.name}")


async def break_down(ports: Echo, caller: Caller, question: Word) -> Word:
    raise ZeroDivisionError("the secret inside")


async def hang(ports: Echo, caller: Caller, question: Word) -> Word:
    await asyncio.Event().wait()
    raise AssertionError


async def swell(ports: Echo, caller: Caller, question: Word) -> Word:
    return Word("w" * (socket.LIMIT + 1))


async def repeat(ports: Echo, caller: Caller, question: Word) -> AsyncGenerator[Word, None]:
    for _ in range(3):
        yield question


async def falter(ports: Echo, caller: Caller, question: Word) -> AsyncGenerator[Word, None]:
    yield question
    raise Conflict("no further")


async def watch(ports: Echo, caller: Caller, question: Word) -> AsyncGenerator[Word, None]:
    try:
        yield question
        ports.watched.set()
        await asyncio.Event().wait()
    finally:
        ports.closed.set()


DOORS = {
    SAY: say, FAIL: fail, BREAK: break_down, HANG: hang, SWELL: swell, REPEAT: repeat, FALTER: falter, WATCH: watch,
}  # fmt: skip


@pytest.fixture
def echo() -> Echo:
    return Echo()


@pytest.fixture
async def server(tmp_path: Path, echo: Echo) -> AsyncIterator[SocketServer]:
    local = LocalCalls()
    local.serve(echo, DOORS)
    started = SocketServer(local, tmp_path / "s")
    await started.start()
    yield started
    await started.close()


@pytest.fixture
def calls(server: SocketServer, tmp_path: Path) -> SocketCalls:
    return SocketCalls(tmp_path / "s")


async def test_a_question_from_another_process_is_answered_as_if_it_were_the_same(calls: SocketCalls) -> None:
    assert await calls.ask(SAY, Word("hallo"), CALLER) == Word("tester said hallo", CALLER.workspace)


async def test_a_stream_arrives_part_by_part_and_ends(calls: SocketCalls) -> None:
    assert [part.word async for part in calls.follow(REPEAT, Word("again"), CALLER)] == ["again"] * 3


def test_every_leaf_is_tried() -> None:
    assert len(LEAVES) >= 8


@pytest.mark.parametrize("error", LEAVES, ids=lambda error: error.__name__)
async def test_an_error_of_the_other_side_arrives_as_the_same(calls: SocketCalls, error: type[MirageError]) -> None:
    with pytest.raises(error, match=f"this is {error.__name__}") as raised:
        await calls.ask(FAIL, Error(error.__name__), CALLER)
    assert type(raised.value) is error


async def test_an_error_within_a_stream_arrives_after_what_came_before_it(calls: SocketCalls) -> None:
    async with aclosing(calls.follow(FALTER, Word("once"), CALLER)) as parts:
        assert await anext(parts) == Word("once")
        with pytest.raises(Conflict, match="no further"):
            await anext(parts)


async def test_a_fault_of_the_other_side_is_internal_and_keeps_its_details_there(calls: SocketCalls) -> None:
    with pytest.raises(MirageError) as raised:
        await calls.ask(BREAK, Word("x"), CALLER)
    assert meaning(raised.value) is errors.UNKNOWN
    assert "secret" not in str(raised.value)


async def test_an_unknown_endpoint_is_not_found(calls: SocketCalls) -> None:
    with pytest.raises(NotFound):
        await calls.ask(endpoint("sing"), Word("x"), CALLER)


async def test_the_deadline_of_a_question_goes_with_it(calls: SocketCalls) -> None:
    with pytest.raises(Unavailable, match=r"echo did not answer hang within 0\.01 s"):
        await calls.ask(HANG, Word("x"), CALLER, seconds=0.01)


async def test_an_owner_that_hangs_does_not_hang_its_callers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def listen_in_silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        await socket._close(writer)
        hung_up.set()

    hung_up = asyncio.Event()
    monkeypatch.setattr(socket, "GRACE", 0.01)
    async with await asyncio.start_unix_server(listen_in_silence, tmp_path / "s"):
        with pytest.raises(Unavailable, match="did not answer say"):
            await SocketCalls(tmp_path / "s").ask(SAY, Word("x"), CALLER, seconds=0.01)
        await hung_up.wait()


async def test_a_stream_ends_when_its_caller_goes_away_although_it_is_silent(calls: SocketCalls, echo: Echo) -> None:
    async with aclosing(calls.follow(WATCH, Word("x"), CALLER)) as parts:
        await anext(parts)
        await echo.watched.wait()
        assert not echo.closed.is_set()
    async with asyncio.timeout(5):
        await echo.closed.wait()


async def test_a_stream_ends_when_the_process_of_its_caller_is_killed(
    server: SocketServer, echo: Echo, tmp_path: Path
) -> None:
    script = """
import asyncio
from pathlib import Path
from services.kernel.socket import SocketCalls
from tests.kernel.test_socket import CALLER, WATCH, Word
async def main():
    async for _ in SocketCalls(Path("s")).follow(WATCH, Word("x"), CALLER):
        pass
asyncio.run(main())
"""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}
    )
    async with asyncio.timeout(30):
        await echo.watched.wait()
        child.kill()
        await echo.closed.wait()
        await child.wait()


async def test_an_owner_that_stops_hangs_up_on_its_callers(
    server: SocketServer, calls: SocketCalls, echo: Echo
) -> None:
    async with aclosing(calls.follow(WATCH, Word("x"), CALLER)) as parts:
        await anext(parts)
        await server.close()
        with pytest.raises(OwnerLost, match="went away") as lost:
            await anext(parts)
        assert lost.value.taken
    assert echo.closed.is_set()
    with pytest.raises(OwnerLost, match="no process owns") as lost:
        await calls.ask(SAY, Word("x"), CALLER)
    assert not lost.value.taken


async def test_a_connection_can_ask_again_after_an_error(server: SocketServer, tmp_path: Path) -> None:
    reader, writer = await asyncio.open_unix_connection(tmp_path / "s")
    answers = []
    for name, question in (("fail", Error("Conflict")), ("repeat", Word("x")), ("say", Word("x"))):
        raw = msgspec.Raw(msgspec.msgpack.encode(question))
        await socket._write(writer, socket.Ask("echo", name, CALLER.workspace, "tester", 5.0, raw))
        while not (part := socket._decode_part(await socket._read(reader))).end:
            pass
        answers.append(part.code)
    await socket._close(writer)
    assert answers == ["conflict", "", ""]


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"word": 5}, "word: expected `str`"),
        ({}, "word is missing"),
        ({"word": "x", "wrod": "y"}, "say takes no wrod"),
        (["x"], "expected `object`"),
    ],
)
async def test_a_question_is_decoded_strictly(
    server: SocketServer, echo: Echo, tmp_path: Path, fields: object, says: str
) -> None:
    raw = msgspec.Raw(msgspec.msgpack.encode(fields))
    reader, writer = await asyncio.open_unix_connection(tmp_path / "s")
    await socket._write(writer, socket.Ask("echo", "say", CALLER.workspace, "tester", 5.0, raw))
    part = socket._decode_part(await socket._read(reader))
    await socket._close(writer)
    assert part.code == "invalid"
    assert says in part.reason
    assert echo.asked == 0


async def test_what_is_no_question_at_all_is_refused_and_hurts_nobody_else(
    server: SocketServer, calls: SocketCalls, tmp_path: Path
) -> None:
    reader, writer = await asyncio.open_unix_connection(tmp_path / "s")
    writer.write(struct.pack(">I", 5) + b"hello")
    assert socket._decode_part(await socket._read(reader)).code == "invalid"
    await socket._close(writer)
    assert (await calls.ask(SAY, Word("x"), CALLER)).word


async def test_a_frame_has_a_limit_for_those_who_read_it(
    server: SocketServer, calls: SocketCalls, tmp_path: Path
) -> None:
    reader, writer = await asyncio.open_unix_connection(tmp_path / "s")
    writer.write(struct.pack(">I", socket.LIMIT + 1))
    assert "larger than one may be" in socket._decode_part(await socket._read(reader)).reason
    assert await reader.read() == b""
    await socket._close(writer)


async def test_a_frame_has_a_limit_for_those_who_write_it(
    calls: SocketCalls, echo: Echo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "LIMIT", 1000)
    with pytest.raises(Invalid, match="larger than one may be"):
        await calls.ask(SAY, Word("x" * 1000), CALLER)
    with pytest.raises(Invalid, match="larger than one may be"):
        await calls.ask(SWELL, Word("x"), CALLER)
    assert echo.asked == 0


async def test_an_answer_of_another_version_is_said_to_be_one(calls: SocketCalls) -> None:
    class Other(Struct, frozen=True):
        number: int

    with pytest.raises(Incompatible, match="another version"):
        await calls.ask(endpoint("say", answers=Other), Word("x"), CALLER)


async def test_the_socket_is_for_its_user_alone_and_goes_with_its_server(server: SocketServer, tmp_path: Path) -> None:
    assert stat.S_IMODE((tmp_path / "s").stat().st_mode) == 0o600
    await server.close()
    assert not (tmp_path / "s").exists()


async def test_the_socket_that_a_dead_process_left_is_taken_over(tmp_path: Path, calls: SocketCalls) -> None:
    (tmp_path / "t").touch()
    local = LocalCalls()
    local.serve(Echo(), DOORS)
    second = SocketServer(local, tmp_path / "t")
    await second.start()
    assert await SocketCalls(tmp_path / "t").ask(SAY, Word("x"), CALLER)
    await second.close()


async def test_a_path_that_no_socket_can_have_is_refused_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="name a shorter data folder"):
        await SocketServer(LocalCalls(), tmp_path / ("x" * 120)).start()
