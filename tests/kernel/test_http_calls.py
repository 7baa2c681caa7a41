"""Calls over HTTP: whoever can answer does, nobody waits for ever, and what must not be asked twice is not."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from uuid import UUID

import pytest
from msgspec.structs import replace

from services.kernel import http_calls
from services.kernel.breaker import FAILURES
from services.kernel.calls import Endpoint, LocalCalls, Nothing, operator
from services.kernel.directory.local import LocalDirectory
from services.kernel.errors import Conflict, Denied, Invalid, MirageError, NotFound, Unavailable
from services.kernel.http_calls import Broken, Http, HttpCalls, Unheard
from services.kernel.http_questions import Asked, write_question
from services.kernel.request import trace_id, work
from tests.kernel.keys import signer
from tests.kernel.organ import FAIL, LISTEN, PLAY, SHEET, STUMBLE, Named, Organ, Tune, play
from tests.kernel.served import LOOK, STRIKE, TUNE_UP, WAIT, WAIT_ONCE, Instances, Served

Serve = Callable[..., Awaitable[Served]]
CALLER = operator(UUID("5f2c1a6e-9d41-5c4e-8a51-2b7d0f3e6a90"))
TUNE = Tune(number=UUID(int=7), key="d", volume=3)


@pytest.fixture
def directory() -> LocalDirectory:
    return LocalDirectory()


@pytest.fixture
async def serve(directory: LocalDirectory) -> AsyncIterator[Serve]:
    instances = Instances(directory)
    yield instances.begin
    await instances.end()


@pytest.fixture
async def calls(directory: LocalDirectory) -> AsyncIterator[HttpCalls]:
    opened = HttpCalls(LocalCalls(), directory, signer())
    yield opened
    await opened.close()


@asynccontextmanager
async def impatient(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    monkeypatch.setattr(http_calls, "PATIENCE", 0.2)
    yield


async def test_a_service_is_asked_wherever_it_is(calls: HttpCalls, serve: Serve) -> None:
    await serve()
    played = await calls.ask(PLAY, TUNE, CALLER)
    assert (played.number, played.key, played.volume, played.workspace) == (TUNE.number, "d", 3, CALLER.workspace)


async def test_what_this_process_answers_it_asks_itself(directory: LocalDirectory) -> None:
    local = LocalCalls()
    local.serve(Organ(), {PLAY: play})
    calls = HttpCalls(local, directory, signer())
    assert (await calls.ask(PLAY, TUNE, CALLER)).volume == 3


@pytest.mark.parametrize("error", [NotFound, Conflict, Denied])
async def test_a_no_of_the_other_side_is_the_same_here_and_nobody_else_is_asked(
    calls: HttpCalls, serve: Serve, error: type[MirageError]
) -> None:
    first, second = await serve(), await serve()
    for each in (first, second):
        each.pipes.error = error("the reason")
    with pytest.raises(error, match="the reason"):
        await calls.ask(TUNE_UP, Nothing(), CALLER)
    assert first.pipes.struck + second.pipes.struck == 1


async def test_an_instance_that_is_gone_is_not_the_last_word(calls: HttpCalls, serve: Serve) -> None:
    gone, there = await serve(), await serve()
    await gone.die()
    for _ in range(10):
        await calls.ask(STRIKE, Nothing(), CALLER)
    assert there.pipes.struck == 10


async def test_what_finds_another_service_where_its_own_was_is_not_done_there(
    calls: HttpCalls, serve: Serve, directory: LocalDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An address is taken again soon, and the directory may be a moment late."""
    another, there = await serve(says="another"), await serve()
    for _ in range(10):
        await calls.ask(STRIKE, Nothing(), CALLER)
    assert (another.pipes.struck, there.pipes.struck) == (0, 10)
    await directory.deregister("organ", there.instance.id)
    async with impatient(monkeypatch):
        with pytest.raises(Unavailable, match=f"{another.instance.id} is not at {another.instance.address} any more"):
            async with calls.forward(STRIKE, write_question(STRIKE, Nothing()), CALLER, {}):
                pass
    assert another.pipes.struck == 0


async def test_what_may_be_asked_twice_is_asked_of_another_when_one_breaks_off(calls: HttpCalls, serve: Serve) -> None:
    first = await serve()
    asking = asyncio.create_task(calls.ask(WAIT, Nothing(), CALLER))
    await first.pipes.waiting.wait()
    second = await serve()
    await first.die()
    await second.pipes.waiting.wait()
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)


async def test_what_must_not_be_asked_twice_is_not_when_it_is_unknown_whether_it_was_heard(
    calls: HttpCalls, serve: Serve
) -> None:
    first = await serve()
    asking = asyncio.create_task(calls.ask(WAIT_ONCE, Nothing(), CALLER))
    await first.pipes.waiting.wait()
    second = await serve()
    await first.die()
    with pytest.raises(Unavailable, match="went away"):
        await asking
    assert not second.pipes.waiting.is_set()


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
@pytest.mark.parametrize("stays", [True, False])
async def test_what_was_heard_is_sent_no_second_time_and_not_said_to_be_unheard(method: str, stays: bool) -> None:
    heard: list[bytes] = []

    async def drop(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"\r\n\r\n"))
        if not stays:
            server.close()
        writer.close()

    server = await asyncio.start_server(drop, "127.0.0.1", 0)
    base = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    http = Http()
    async with server:
        with pytest.raises(Broken, match="went away"):
            async with http.request(base, Asked(method, "/", b"1"), {}, 10.0):
                pass
    with pytest.raises(Unheard, match="does not answer"):
        async with http.request(base, Asked(method, "/", b"1"), {}, 10.0):
            pass
    assert len(heard) == 1
    await http.close()


async def test_one_that_comes_a_moment_later_is_waited_for(calls: HttpCalls, serve: Serve) -> None:
    asking = asyncio.create_task(calls.ask(STRIKE, Nothing(), CALLER))
    await asyncio.sleep(0)
    served = await serve()
    await asking
    assert served.pipes.struck == 1


async def test_without_an_instance_it_is_said_whose(calls: HttpCalls, monkeypatch: pytest.MonkeyPatch) -> None:
    async with impatient(monkeypatch):
        with pytest.raises(Unavailable, match="organ: no instance of organ is well"):
            await calls.ask(LOOK, Nothing(), CALLER)


async def test_nobody_waits_longer_than_the_time_that_is_left(calls: HttpCalls, serve: Serve) -> None:
    served = await serve()
    with pytest.raises(Unavailable, match=r"organ did not answer wait within 0\.2 s"):
        await calls.ask(WAIT, Nothing(), CALLER, seconds=0.2)
    with work(seconds=0.1), pytest.raises(Unavailable, match="organ did not answer wait within 0"):
        await calls.ask(WAIT, Nothing(), CALLER)
    assert served.pipes.waiting.is_set()


async def test_the_time_that_is_left_and_the_trace_go_along(calls: HttpCalls, serve: Serve) -> None:
    await serve()
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    with work(traceparent=trace):
        seen = await calls.ask(LOOK, Nothing(), CALLER, seconds=4.0)
    assert 0.0 < seen.left <= 4.0
    assert trace_id(seen.trace) == trace_id(trace)
    assert seen.trace != trace


async def test_a_service_that_fails_again_and_again_is_left_alone(
    calls: HttpCalls, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = await serve()
    served.pipes.error = Unavailable("the database is away")
    for _ in range(FAILURES):
        with pytest.raises(Unavailable, match="organ: the database is away"):
            await calls.ask(STRIKE, Nothing(), CALLER)
    struck = served.pipes.struck
    with pytest.raises(Unavailable, match="the service organ failed 8 times in a row and is left alone"):
        await calls.ask(STRIKE, Nothing(), CALLER)
    assert served.pipes.struck == struck


async def test_one_that_hangs_takes_no_more_than_its_share(
    calls: HttpCalls, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_calls, "AT_ONCE", 2)
    await serve()
    hanging = [asyncio.create_task(calls.ask(WAIT, Nothing(), CALLER)) for _ in range(2)]
    await asyncio.sleep(0.05)
    with pytest.raises(Unavailable, match="did not answer look within"):
        await calls.ask(LOOK, Nothing(), CALLER, seconds=0.1)
    for task in hanging:
        task.cancel()
    await asyncio.gather(*hanging, return_exceptions=True)
    assert (await calls.ask(LOOK, Nothing(), CALLER)).left > 0


async def test_a_stream_comes_part_by_part_and_fails_as_it_does_there(calls: HttpCalls, serve: Serve) -> None:
    await serve()
    assert [note.pitch async for note in calls.follow(LISTEN, Nothing(), CALLER)] == [1, 2]
    with pytest.raises(NotFound, match="no such notes"):
        await anext(calls.follow(STUMBLE, Named("first"), CALLER))
    assert b"".join([piece.data async for piece in calls.follow(SHEET, Named("one"), CALLER)]) == b"\x00\xffda"
    parts = calls.follow(STUMBLE, Named("later"), CALLER)
    assert (await anext(parts)).pitch == 1
    with pytest.raises(Conflict, match="lost the page"):
        await anext(parts)


async def test_an_error_that_is_a_fault_says_nothing_of_itself(calls: HttpCalls, serve: Serve) -> None:
    await serve()
    with pytest.raises(MirageError, match="a fault of Mirage; see its log") as failed:
        await calls.ask(FAIL, Named("unheard of"), CALLER)
    assert type(failed.value) is MirageError


# Who is asked late, and who answers late


async def ask_late(calls: HttpCalls, seconds: float) -> None:
    with work(seconds=seconds), pytest.raises(Unavailable, match="did not answer wait within"):
        await calls.ask(WAIT, Nothing(), CALLER)


async def test_that_who_asks_has_no_time_left_is_no_fault_of_the_service(calls: HttpCalls, serve: Serve) -> None:
    served = await serve()
    for _ in range(FAILURES + 1):
        await ask_late(calls, 0.0)
        await ask_late(calls, 0.05)
    assert calls._peer("organ").balancer.standing(served.instance).failures == 0
    assert (await calls.ask(LOOK, Nothing(), CALLER)).left > 0


async def test_that_who_asks_is_in_a_hurry_is_no_fault_of_the_service(
    calls: HttpCalls, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_calls, "SHORTEST_TRY", 0.01)
    slow, other = await serve(), await serve()
    for _ in range(FAILURES + 1):
        await ask_late(calls, 0.1)
    balancer = calls._peer("organ").balancer
    assert balancer.standing(slow.instance).failures == balancer.standing(other.instance).failures == 0
    assert (await calls.ask(LOOK, Nothing(), CALLER)).left > 0


async def test_a_service_that_hangs_for_all_of_a_usual_time_is_left_alone(
    calls: HttpCalls, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_calls, "HANGS", 0.02)
    await serve()
    for _ in range(FAILURES):
        await ask_late(calls, 0.05)
    with pytest.raises(Unavailable, match="is left alone for a moment"):
        await calls.ask(LOOK, Nothing(), CALLER)


async def test_that_there_is_no_room_to_ask_is_no_fault_of_the_service(
    calls: HttpCalls, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_calls, "AT_ONCE", 1)
    served = await serve()
    hanging = asyncio.create_task(calls.ask(WAIT, Nothing(), CALLER))
    await served.pipes.waiting.wait()
    await asyncio.gather(*(ask_late(calls, 0.1) for _ in range(FAILURES + 1)))
    hanging.cancel()
    await asyncio.gather(hanging, return_exceptions=True)
    assert (await calls.ask(LOOK, Nothing(), CALLER)).left > 0


async def test_an_instance_that_hangs_again_and_again_is_left_out(
    calls: HttpCalls, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_calls, "SHORTEST_TRY", 0.1)
    monkeypatch.setattr(http_calls, "HANGS", 0.1)
    hanging, there = await serve(), await serve()
    there.pipes.hangs = False
    balancer = calls._peer("organ").balancer
    while balancer.measures()["failing"] == 0:
        await asyncio.gather(
            *(calls.ask(WAIT, Nothing(), CALLER, seconds=0.4) for _ in range(4)), return_exceptions=True
        )
    assert balancer.standing(there.instance).failures == 0
    hanging.pipes.waiting.clear()
    for _ in range(10):
        await calls.ask(WAIT, Nothing(), CALLER, seconds=30.0)
    assert not hanging.pipes.waiting.is_set()


async def test_one_that_hangs_leaves_time_to_ask_another(
    calls: HttpCalls, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_calls, "SHORTEST_TRY", 0.1)
    hanging, there = await serve(), await serve()
    there.pipes.hangs = False
    while not hanging.pipes.waiting.is_set():
        there.pipes.waiting.clear()
        await calls.ask(WAIT, Nothing(), CALLER, seconds=2.0)
    assert there.pipes.waiting.is_set()


async def test_the_time_that_an_instance_has_goes_along(calls: HttpCalls, serve: Serve) -> None:
    await serve()
    assert (await calls.ask(LOOK, Nothing(), CALLER, seconds=20.0)).left > 15.0  # nobody else could be asked
    await serve()
    assert 5.0 < (await calls.ask(LOOK, Nothing(), CALLER, seconds=20.0)).left <= 10.0
    once = replace(LOOK, idempotent=False)  # nobody else may be asked
    assert (await calls.ask(once, Nothing(), CALLER, seconds=20.0)).left > 15.0


async def test_one_that_hangs_has_all_of_the_time_where_it_must_not_be_asked_twice(
    calls: HttpCalls, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_calls, "SHORTEST_TRY", 0.05)
    instances = [await serve() for _ in range(3)]
    with pytest.raises(Unavailable, match=r"organ did not answer wait_once within 0\.3 s"):
        await calls.ask(WAIT_ONCE, Nothing(), CALLER, seconds=0.3)
    assert sum(each.pipes.waiting.is_set() for each in instances) == 1


# What is passed on


async def passed_on(calls: HttpCalls, endpoint: Endpoint) -> tuple[int, bytes]:
    async with calls.forward(endpoint, write_question(endpoint, Nothing()), CALLER, {}) as answer:
        return answer.status, b"".join([chunk async for chunk in answer.chunks])


async def test_what_is_passed_on_is_asked_again_and_left_alone_as_what_is_asked_here(
    calls: HttpCalls, serve: Serve
) -> None:
    ill, well = await serve(), await serve()
    ill.pipes.error = Unavailable("the database is away")
    while ill.pipes.struck == 0:
        assert (await passed_on(calls, TUNE_UP))[0] == 200
    ill.pipes.struck = well.pipes.struck = 0
    well.pipes.error = ill.pipes.error
    for _ in range(FAILURES):
        with pytest.raises(Unavailable, match="organ: the database is away"):
            await passed_on(calls, STRIKE)
    assert ill.pipes.struck + well.pipes.struck == FAILURES
    with pytest.raises(Unavailable, match="is left alone for a moment"):
        await passed_on(calls, STRIKE)
    assert ill.pipes.struck + well.pipes.struck == FAILURES


def test_a_question_about_nothing_is_not_asked_at_the_address_of_another_one() -> None:
    with pytest.raises(Invalid, match="stumble takes a name, and this one is empty"):
        write_question(STUMBLE, Named(""))
    assert write_question(STUMBLE, Named("0")).target == "/v1/stumbles/0"
