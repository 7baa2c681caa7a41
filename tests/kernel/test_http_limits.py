"""A port for the world: nobody who is not known costs more than a little, however he sends or does not read."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from msgspec import Struct, structs

from services.kernel import http_server
from services.kernel.app import create_app, identify_operator
from services.kernel.calls import LocalCalls
from services.kernel.errors import Limited
from services.kernel.http_limits import Limits, be_patient
from services.kernel.http_server import HttpServer
from services.kernel.listening import open_listener
from services.kernel.problems import problem_of, send_problem
from tests.kernel.organ import DOORS, HOLD, Organ

#: All of the limits are far away, but for the one that a test is about.
LIMITS = Limits(head=4096, fields=20, head_seconds=60.0, connections=50, queued=4, pace_seconds=60.0, look=0.01)
HEAD = b"POST /echo HTTP/1.1\r\nHost: here\r\n"
LARGE = 30_000_000
Write = Callable[[bytes], Awaitable[None]]


class Line(Struct):
    """A connection to the port that is tried."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, *parts: bytes) -> None:
        """Each as a packet of its own, as far as the other side still listens."""
        for part in parts:
            self.writer.write(part)
            await self.writer.drain()
            await asyncio.sleep(0)

    async def rest(self) -> bytes:
        """All until the other side hangs up."""
        try:
            return await self.reader.read()
        except ConnectionError:
            return b""

    async def refusal(self) -> tuple[int, str]:
        """The status, and the detail of the problem, after which the other side has hung up; it is in the log."""
        said = await asyncio.wait_for(self.rest(), 30)
        head, _, body = said.partition(b"\r\n\r\n")
        problem = json.loads(body)
        assert f"x-request-id: {problem['request_id']}".encode() in head.split(b"\r\n")
        return int(head.split(b" ")[1]), problem["detail"]


Connect = Callable[[], Awaitable[Line]]


async def answer(scope: Any, receive: Any, send: Any) -> None:
    """Say how long the body was, or say much, as the path has it."""
    length, more = 0, scope["path"] != "/deaf"
    while more:
        message = await receive()
        length += len(message.get("body", b""))
        more = message.get("more_body", False)
    if scope["path"].startswith("/known"):
        try:
            be_patient(scope, scope["path"])
        except Limited as error:
            await send_problem(send, problem_of(error))
            return
    much = scope["path"] in {"/known", "/known/other", "/much"}
    content = b"." * LARGE if much else str(length).encode()
    headers = [(b"content-length", str(len(content)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": content, "more_body": False})


@asynccontextmanager
async def port(app: Any = answer, **limits: Any) -> AsyncIterator[Connect]:
    listener = open_listener("127.0.0.1:0")
    number = listener.getsockname()[1]
    server = HttpServer(app, listener, structs.replace(LIMITS, **limits))
    server.begin()
    lines: list[Line] = []

    async def connect() -> Line:
        lines.append(Line(*await asyncio.open_connection("127.0.0.1", number)))
        return lines[-1]

    try:
        yield connect
    finally:
        for line in lines:
            line.writer.transport.abort()
        await server.close(0.0)


async def whole(line: Line) -> bytes:
    """One answer that says its length."""
    head = await asyncio.wait_for(line.reader.readuntil(b"\r\n\r\n"), 30)
    fields = dict(field.split(b": ") for field in head.splitlines()[1:-1])
    return await line.reader.readexactly(int(fields[b"content-length"]))


async def test_what_keeps_to_the_limits_is_answered_also_piece_by_piece_and_one_after_the_other() -> None:
    async with port() as connect:
        line = await connect()
        await line.send(b"GET /a HT", b"TP/1.1\r\nHost", b": here\r\n", b"\r\n")
        assert await whole(line) == b"0"
        await line.send((HEAD + b"Content-Length: 300000\r\n\r\n") + b"x" * 300_000)
        assert await whole(line) == b"300000"
        await line.send(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"4\r\nabcd\r\n" * 5000 + b"0\r\n\r\n")
        assert await whole(line) == b"20000"
        await line.send(b"GET /a HTTP/1.1\r\nHost: here\r\n\r\n" * 3)
        assert [await whole(line) for _ in range(3)] == [b"0"] * 3


def fields(count: int) -> bytes:
    return b"".join(b"x-%d: y\r\n" % number for number in range(count))


@pytest.mark.parametrize(
    "parts",
    [
        (b"GET /" + b"a" * 5000,),
        (b"GET /" + b"a" * 5000 + b" HTTP/1.1\r\nHost: here\r\n\r\n",),
        (HEAD + b"x: " + b"a" * 5000 + b"\r\n\r\n",),
        (HEAD, *[b"x: " + b"a" * 200 + b"\r\n"] * 19, b"y: " + b"a" * 500),
        (HEAD + fields(30) + b"\r\n",),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"4;" + b"a" * 5000),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n0\r\n", b"x: " + b"a" * 5000),
    ],
    ids=["line", "whole line", "field", "pieces", "fields", "chunk", "trailer"],
)
async def test_a_head_that_is_too_large_is_refused_before_it_is_whole(parts: Iterable[bytes]) -> None:
    async with port() as connect:
        line = await connect()
        refused = asyncio.create_task(line.refusal())
        await line.send(*parts)
        while not (await asyncio.wait({refused}, timeout=0.01))[0]:
            await line.send(b"a" * 500)
        assert refused.result() == (431, "more than 4096 bytes or 20 fields are no head")


@pytest.mark.parametrize("parts", [(), (b"GET /a HTTP/1.1\r\nHo",), (b"GET /a HTTP/1.1\r\nHost: a\r\n\r\nGET",)])
async def test_a_head_that_does_not_come_is_not_waited_for_for_ever(parts: tuple[bytes, ...]) -> None:
    async with port(head_seconds=0.05) as connect:
        line = await connect()
        await line.send(*parts)
        assert b" 408 " in await asyncio.wait_for(line.rest(), 20)


async def test_a_connection_that_was_used_may_be_idle_for_longer_but_its_next_head_may_not_dawdle() -> None:
    async with port(head_seconds=0.2) as connect:
        line, other = await connect(), await connect()
        await line.send(b"GET /a HTTP/1.1\r\nHost: here\r\n\r\n")
        assert await whole(line) == b"0"
        assert b" 408 " in await asyncio.wait_for(other.rest(), 20)
        await line.send(b"GET /a HTTP/1.1\r\nHost: here\r\n\r\n")
        assert await whole(line) == b"0"
        await line.send(b"GET")
        assert b" 408 " in await asyncio.wait_for(line.rest(), 20)


async def test_a_connection_whose_last_request_ends_after_its_answer_is_not_kept_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(http_server._CONFIG, "timeout_keep_alive", 0.05)
    async with port(head_seconds=0.2, pace_seconds=0.2) as connect:
        line = await connect()
        await line.send(b"POST /deaf HTTP/1.1\r\nHost: here\r\nContent-Length: 1\r\n\r\n")
        assert await whole(line) == b"0"
        await line.send(b"x")
        assert await asyncio.wait_for(line.rest(), 20) == b""


async def test_a_body_that_does_not_come_on_is_not_waited_for_for_ever() -> None:
    async with port(pace_seconds=0.05) as connect:
        line = await connect()
        await line.send(HEAD + b"Content-Length: 300000\r\n\r\nabc")
        assert await line.refusal() == (408, "the body of the request comes too slowly")


async def test_a_body_that_nobody_wants_is_not_taken_without_end() -> None:
    async with port(unread=1_000_000) as connect:
        line = await connect()
        await line.send(b"POST /deaf HTTP/1.1\r\nHost: here\r\nContent-Length: 9000000000\r\n\r\n")
        assert await whole(line) == b"0"
        with pytest.raises(ConnectionError):
            for _ in range(10_000):
                await line.send(b"x" * 65_536)


async def test_who_is_known_takes_no_place_of_strangers() -> None:
    async with port(connections=2, in_all=4) as connect:
        for _ in range(3):
            known = await connect()
            await known.send(b"GET /known HTTP/1.1\r\nHost: here\r\n\r\n")
            assert b" 200 " in await known.reader.readline()
        stranger = await connect()
        await stranger.send(b"GET /a HTTP/1.1\r\nHost: here\r\n\r\n")
        assert await whole(stranger) == b"0"
        await busy(await connect())
        assert await asyncio.wait_for(stranger.rest(), 30) == b"", "he asked nothing, and has made room"
        assert (await (await connect()).refusal())[0] == 503


async def asked(connect: Connect, path: str) -> tuple[Line, bytes]:
    """A connection, and the first line of what is answered in it."""
    line = await connect()
    await line.send(b"GET %b HTTP/1.1\r\nHost: here\r\n\r\n" % path.encode())
    return line, await asyncio.wait_for(line.reader.readline(), 30)


async def test_one_who_is_known_has_no_connections_of_others() -> None:
    async with port(of_one=2) as connect:
        held = [await asked(connect, "/known") for _ in range(2)]
        _, said = await asked(connect, "/known")
        assert [b" 200 " in line for _, line in held] == [True, True]
        assert b" 429 " in said
        assert b" 200 " in (await asked(connect, "/known/other"))[1]
        held[0][0].writer.transport.abort()
        async with asyncio.timeout(30):
            while b" 429 " in (await asked(connect, "/known"))[1]:
                await asyncio.sleep(0.01)


async def test_whoever_has_a_token_is_one_of_them_where_everything_is_in_one_process() -> None:
    calls = LocalCalls()
    calls.serve(Organ(), DOORS)
    app = create_app(calls, DOORS, hosts=frozenset({"here"}), identify=identify_operator(), public=True)
    async with port(app, of_one=1) as connect:
        _, said = await asked(connect, HOLD.path)
        assert b" 200 " in said
        assert b" 429 " in (await asked(connect, HOLD.path))[1]


async def test_a_connection_in_which_somebody_asks_nothing_makes_room_for_one_of_his_own() -> None:
    async with port(of_one=2) as connect:
        first, second = await asked(connect, "/known/small"), await asked(connect, "/known/small")
        for line, _ in (first, second):
            await whole(line)
        for _ in range(5):
            line, said = await asked(connect, "/known/small")
            assert b" 200 " in said
            await whole(line)
        assert await asyncio.wait_for(first[0].rest(), 30) == b""


async def busy(line: Line) -> None:
    """Ask for more than fits on the way, and take no more than its beginning."""
    await line.send(b"GET /much HTTP/1.1\r\nHost: here\r\n\r\n")
    assert b" 200 " in await line.reader.readline()


async def test_more_connections_than_may_be_are_told_to_come_later() -> None:
    async with port(connections=2) as connect:
        lines = [await connect() for _ in range(2)]
        for line in lines:
            await busy(line)
        refused = await connect()
        assert await refused.refusal() == (503, "too many connections are open: try again later")
        lines[0].writer.transport.abort()

        async def is_let_in() -> bool:
            line = await connect()
            await line.send(b"GET /a HTTP/1.1\r\nHost: here\r\n\r\n")
            return b" 200 " in await line.reader.readline()

        async with asyncio.timeout(30):
            while not await is_let_in():
                await asyncio.sleep(0.01)


async def test_who_says_nothing_for_longest_makes_room_for_who_comes() -> None:
    """However many connections a stranger opens, and begins a request in, nobody else is kept out."""
    async with port(connections=2) as connect:
        first, second = await connect(), await connect()
        for line in (first, second):
            await line.send(b"GET /a HTTP/1.1\r\nX-")
        for over in (first, second):
            line = await connect()
            await line.send(b"GET /a HTTP/1.1\r\nHost: here\r\n\r\n")
            assert b" 200 " in await asyncio.wait_for(line.reader.readline(), 30)
            assert await asyncio.wait_for(over.rest(), 30) == b""
            await busy_again(line)


async def busy_again(line: Line) -> None:
    """Ask once more in a connection, so that it is no idle one."""
    await whole(line)
    await busy(line)


async def test_requests_that_are_sent_before_the_answers_are_taken_are_only_so_many() -> None:
    async with port() as connect:
        line = await connect()
        await line.send(b"GET /a HTTP/1.1\r\nHost: here\r\n\r\n" * 50)
        assert (await asyncio.wait_for(line.rest(), 30)).count(b" 200 ") <= LIMITS.queued + 1


async def test_who_does_not_read_is_hung_up_on_unless_it_is_known_who_it_is() -> None:
    async with port(pace_seconds=0.1) as connect:
        patient, other = await connect(), await connect()
        await patient.send(b"GET /known HTTP/1.1\r\nHost: here\r\n\r\n")
        await asyncio.wait_for(patient.reader.readuntil(b"\r\n\r\n"), 30)
        for _ in range(2):
            await other.send(b"GET /much HTTP/1.1\r\nHost: here\r\n\r\n")
            await asyncio.wait_for(lost(other), 30)
            assert len(await other.rest()) < LARGE
            other = await connect()
        assert len(await patient.reader.readexactly(LARGE)) == LARGE


async def lost(line: Line) -> None:
    """Wait until the other side has hung up, without reading what it said."""
    with pytest.raises(ConnectionError):
        while True:
            await line.send(b"x")
            await asyncio.sleep(0.01)


async def test_what_is_no_http_is_refused_as_a_problem() -> None:
    async with port() as connect:
        line = await connect()
        await line.send(b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n")
        assert (await line.refusal())[0] == 400
