"""Streams that are shared: one question to the service, and everybody sees each event once and in order."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import hypothesis
import pytest
from hypothesis import strategies as st

from services.gateway.usecases import streams
from services.gateway.usecases.streams import Key, SharedStream, Viewer
from services.kernel.directory import Instance
from services.kernel.errors import NotFound, Unavailable
from services.kernel.http_calls import Forwarded
from services.kernel.http_limits import Limits
from services.kernel.http_questions import Asked
from services.kernel.http_server import HttpServer
from services.kernel.listening import open_listener
from services.kernel.messages import workspace_id
from tests.kernel.asgi import request
from tests.services.gateway.tower import HEAR, PATH, Watching, World, identify, standing, until


@pytest.fixture
async def world(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    monkeypatch.setattr(streams, "LINGERING", 0.01)
    async with standing() as world:
        yield world


async def test_all_who_watch_a_stream_share_one_question_to_its_service(world: World) -> None:
    world.tower.strike(1, 2)
    first = world.watch("jo@ours")
    await first.hears(2)
    others = [world.watch(f"{name}@ours") for name in ("al", "bo", "cy")]
    for each in others:
        await each.hears(2)
    world.tower.strike(3)
    for each in (first, *others):
        await each.hears(2, 3)
    await until(lambda: world.tower.open == 1)
    assert first.reply.headers["content-type"].startswith("text/event-stream")
    assert others[0].reply.headers["mirage-instance"] == "organ-1"


async def test_another_workspace_has_a_stream_of_its_own(world: World) -> None:
    world.tower.strike(1, workspace="ours")
    world.tower.strike(11, workspace="theirs")
    ours, theirs = world.watch("jo@ours"), world.watch("jo@theirs")
    await ours.hears(1)
    await theirs.hears(11)
    again = world.watch("al@theirs", after=1)
    world.tower.strike(2, workspace="ours")
    world.tower.strike(12, workspace="theirs")
    await ours.hears(1, 2)
    await theirs.hears(11, 12)
    await again.hears(11, 12)
    await until(lambda: world.tower.open == 2)


@pytest.mark.parametrize(("who", "status"), [("stranger@ours", 403), ("nobody", 401)])
async def test_who_may_not_watch_does_not_come_in_behind_who_may(world: World, who: str, status: int) -> None:
    world.tower.strike(1)
    await world.watch("jo@ours").hears(1)
    for after in (None, 1):
        refused = world.watch(who, after=after)
        await refused.task
        assert refused.reply.status == status
        assert refused.heard == []


async def test_a_stream_outlives_who_came_first_and_ends_soon_after_the_last_one_left(world: World) -> None:
    world.tower.strike(1)
    first = world.watch("jo@ours")
    await first.hears(1)
    second = world.watch("al@ours")
    await second.hears(1)
    await first.leave()
    world.tower.strike(2)
    await second.hears(1, 2)
    await second.leave()
    await until(lambda: world.tower.open == 0)
    third = world.watch("bo@ours", after=1)
    await third.hears(2)


async def test_who_is_revoked_leaves_alone(world: World) -> None:
    world.tower.strike(1)
    first, second = world.watch("jo@ours"), world.watch("al@ours")
    await first.hears(1)
    await second.hears(1)
    await until(lambda: world.tower.open == 1)
    world.revoke("jo@ours")
    await first.task
    assert first.last[0] == "problem"
    assert '"code":"unauthenticated"' in first.last[1]
    world.tower.strike(2)
    await second.hears(1, 2)
    assert first.heard == [1]
    assert world.tower.open == 1


async def test_who_comes_again_goes_on_without_a_question_where_all_is_kept_that_he_missed(world: World) -> None:
    world.tower.strike(1)
    watching = world.watch()
    await watching.hears(1)
    world.tower.strike(2, 3, 4)
    await watching.hears(1, 2, 3, 4)
    asked = len(world.tower.asked)
    for again in (world.watch("al@ours", after=2), world.watch("bo@ours", query="?after=2")):
        await again.hears(3, 4)
    assert len(world.tower.asked) == asked


async def test_who_has_missed_more_than_is_kept_catches_up_by_himself(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "KEPT_BYTES", 1000)
    world.tower.strike(*range(1, 11))
    first = world.watch(after=9)
    await first.hears(10)
    world.tower.strike(*range(11, 31))
    await first.hears(*range(10, 31))
    late = world.watch("al@ours", after=2)
    await late.hears(*range(3, 31))
    await until(lambda: world.tower.open == 1)
    world.tower.strike(31)
    await late.hears(*range(3, 32))
    await first.hears(*range(10, 32))


@pytest.mark.parametrize("after", [77, 10**17])
async def test_who_says_that_he_has_seen_what_there_is_not_yet_is_answered_by_the_service(
    world: World, after: int
) -> None:
    world.tower.strike(1)
    await world.watch().hears(1)
    asked = len(world.tower.asked)
    world.watch("al@ours", after=after)
    await until(lambda: len(world.tower.asked) == asked + 1)
    assert world.tower.asked[-1].after == after


async def test_who_is_told_nothing_for_a_while_goes_to_the_others_who_are_not_either(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.kernel.events.PING_SECONDS", 0.02)
    monkeypatch.setattr(streams, "QUIET", 0.01)
    world.tower.strike(5)
    first = world.watch()
    await first.hears(5)
    others = [world.watch(f"{name}@ours", after=after) for name, after in (("al", 5), ("bo", 77), ("cy", 10**17))]
    await until(lambda: len(world.tower.asked) == 3)
    await until(lambda: world.tower.open == 1)
    world.tower.strike(6)
    await first.hears(5, 6)
    for each in others:
        await each.hears(6)
    assert len(world.tower.asked) == 3


async def test_those_who_come_again_at_once_to_a_gateway_that_is_new_share_what_the_first_one_gets(
    world: World,
) -> None:
    world.tower.strike(5)
    viewers = [world.watch(f"v{number}@ours", after=5) for number in range(20)]
    await until(lambda: all(each.reply.status for each in viewers))
    await until(lambda: world.tower.open == 1)
    world.tower.strike(6)
    for each in viewers:
        await each.hears(6)


async def test_who_does_not_say_where_he_was_as_he_should_is_told_so_and_shares_nothing(world: World) -> None:
    for headers in ({"Last-Event-ID": "x"}, {"Last-Event-ID": "-1"}):
        reply = await request(world.door, "GET", PATH, headers={"Authorization": "Bearer jo@ours", **headers})
        assert (reply.status, reply.json()["code"]) == (400, "invalid")
    for query in ("?after=x", "?after=1&after=2", "?other=1"):
        reply = await request(world.door, "GET", PATH + query, headers={"Authorization": "Bearer jo@ours"})
        assert (reply.status, reply.json()["code"]) == (400, "invalid")


async def test_nobody_is_too_slow_because_much_comes_at_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "KEPT_BYTES", 2000)
    caller = await identify({"authorization": "jo@ours"}, "")
    key = Key("organ", "hear", caller.workspace, "/v1/bells/tenor")
    shared = SharedStream(world.door._calls, HEAR, key, 0, list)
    burst = [b"id: %d\r\ndata: {}\r\n\r\n" % number for number in range(1, 500)]

    async def at_once() -> AsyncIterator[bytes]:
        yield b"".join(burst) + b"event: end\r\ndata: \r\n\r\n"

    async def watch() -> list[bytes]:
        return [raw async for raw in shared.events(Viewer(caller, asyncio.Event()), 0)]

    watching = [asyncio.create_task(watch()) for _ in range(20)]
    await asyncio.sleep(0)
    instance = Instance("organ", "organ-1", "127.0.0.1:1", {})
    shared.begin(AsyncExitStack(), Forwarded(200, {}, at_once(), instance))
    for heard in await asyncio.gather(*watching):
        assert heard[:-1] == burst


async def test_who_is_too_slow_is_ended_and_holds_nobody_up(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "KEPT_BYTES", 20_000)
    world.tower.strike(1)
    quick, slow = world.watch("jo@ours"), world.watch("al@ours")
    await quick.hears(1)
    await slow.hears(1)
    await until(lambda: world.tower.open == 1)
    slow.taking.clear()
    world.tower.strike(*range(2, 101), sound="x" * 1000)
    await quick.hears(*range(1, 101))
    slow.taking.set()
    await slow.task
    assert slow.last[0] == "problem"
    assert "too slowly" in slow.last[1]
    seen = slow.heard[-1]
    assert slow.heard == [*range(1, seen + 1)]
    again = world.watch("al@ours", after=seen)
    await again.hears(*range(seen + 1, 101))


async def test_who_takes_nothing_at_all_is_ended_too(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "KEPT_BYTES", 20_000)
    monkeypatch.setattr("services.gateway.usecases.door.HANGING_UP", 0.01)
    world.tower.strike(1)
    quick, slow = world.watch("jo@ours"), world.watch("al@ours")
    await quick.hears(1)
    await slow.hears(1)
    await until(lambda: world.tower.open == 1)
    slow.taking.clear()
    world.tower.strike(*range(2, 101), sound="x" * 1000)
    with pytest.raises(TimeoutError):
        await slow.task
    await quick.hears(*range(1, 101))


async def test_the_connection_of_who_takes_nothing_is_hung_up(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.gateway.usecases.door.HANGING_UP", 0.01)
    world.tower.strike(1)
    quick = world.watch("jo@ours")
    await quick.hears(1)
    listener = open_listener("127.0.0.1:0")
    server = HttpServer(world.door, listener, Limits(pace_seconds=0.01, look=0.01))
    server.begin()
    reader, writer = await asyncio.open_connection(*listener.getsockname(), limit=1000)
    writer.write(f"GET {PATH} HTTP/1.1\r\nHost: here\r\nAuthorization: Bearer al@ours\r\n\r\n".encode())
    await reader.readuntil(b"id: 1")
    await until(lambda: world.tower.open == 1)
    connections, number = server._server.server_state.connections, 1
    while connections:
        number += 1
        world.tower.strike(number, sound="x" * 500_000)
        await quick.hears(*range(1, number + 1))
    writer.transport.abort()
    await server.close(0.0)


@pytest.mark.parametrize("how", ["hung up", "unavailable"])
async def test_a_stream_that_breaks_off_goes_on_after_its_last_event(world: World, how: str) -> None:
    world.tower.strike(1, 2)
    viewers = [world.watch(f"{name}@ours") for name in ("jo", "al")]
    for each in viewers:
        await each.hears(2)
    await until(lambda: world.tower.open == 1)
    asked = len(world.tower.asked)
    if how == "hung up":
        world.break_off()
    else:
        world.tower.fail(Unavailable("this instance has ended"))
        await until(lambda: world.tower.open == 0)
        world.tower.error = None
    world.tower.strike(3)
    for each in viewers:
        await each.hears(2, 3)
    await until(lambda: world.tower.open == 1)
    assert world.tower.asked[asked].after == 2
    world.tower.strike(4)
    for each in viewers:
        await each.hears(2, 3, 4)


async def test_a_stream_is_asked_for_again_by_the_right_of_one_who_still_watches_and_may(world: World) -> None:
    world.tower.strike(1)
    first, second = world.watch("jo@ours"), world.watch("al@ours")
    for each in (first, second):
        await each.hears(1)
    revoked, asked = asyncio.Event(), Asked("GET", HEAR.path.format(bell="tenor"), None)
    bo = await identify({"authorization": "bo@ours"}, "")
    async with world.door._streams.view(HEAR, asked, bo, {"last-event-id": "1"}, revoked):
        await until(lambda: world.tower.open == 1)
        already = len(world.tower.asked)
        await first.leave()
        revoked.set()
        for number in range(2, 7):
            world.break_off()
            world.tower.strike(number)
            await second.hears(*range(1, number + 1))
    assert {each.name for each in world.tower.asked[already:]} == {"al@ours"}


async def test_a_stream_that_nobody_answers_any_more_ends_with_the_reason_for_all(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.kernel.http_calls.PATIENCE", 0.05)
    world.tower.strike(1)
    viewers = [world.watch(f"{name}@ours") for name in ("jo", "al")]
    for each in viewers:
        await each.hears(1)
    await until(lambda: world.tower.open == 1)
    await world.go_away()
    for each in viewers:
        await each.task
        assert each.last[0] == "problem"
        assert '"code":"unavailable"' in each.last[1]
        assert "127.0.0.1" not in each.last[1]


async def test_a_stream_that_breaks_off_again_and_again_is_given_up(world: World) -> None:
    world.tower.strike(1)
    watching = world.watch()
    await watching.hears(1)
    world.tower.fail(Unavailable("the database is away"))
    await watching.task
    assert watching.last[0] == "problem"
    assert "the database is away" in watching.last[1]


async def test_what_fails_for_good_fails_for_all_and_is_not_asked_again(world: World) -> None:
    world.tower.strike(1)
    viewers = [world.watch(f"{name}@ours") for name in ("jo", "al")]
    for each in viewers:
        await each.hears(1)
    await until(lambda: world.tower.open == 1)
    asked = len(world.tower.asked)
    world.tower.fail(NotFound("the bell was sold"))
    for each in viewers:
        await each.task
        assert each.last[0] == "problem"
        assert "the bell was sold" in each.last[1]
    assert len(world.tower.asked) == asked


async def test_a_stream_that_ends_ends_for_all_and_begins_anew_for_who_comes_then(world: World) -> None:
    world.tower.strike(1)
    viewers = [world.watch(f"{name}@ours") for name in ("jo", "al")]
    for each in viewers:
        await each.hears(1)
    world.tower.end()
    for each in viewers:
        await each.task
        assert each.last == ("end", "")
    late = world.watch("bo@ours", after=0)
    await late.task
    assert late.heard == [1]
    assert late.last == ("end", "")


async def test_what_cannot_begin_is_an_ordinary_answer(world: World) -> None:
    world.tower.fail(NotFound("there is no such bell"))
    watching = world.watch()
    await watching.task
    assert (watching.reply.status, watching.reply.json()["detail"]) == (404, "there is no such bell")
    world.tower.error = None
    world.tower.strike(1)
    await world.watch("al@ours").hears(1)


async def test_a_service_that_begins_to_count_anew_is_followed(world: World) -> None:
    world.tower.strike(500)
    viewers = [world.watch(f"{name}@ours") for name in ("jo", "al")]
    for each in viewers:
        await each.hears(500)
    await until(lambda: world.tower.open == 1)
    world.tower.struck[workspace_id("ours")].clear()
    world.break_off()
    await until(lambda: world.tower.open == 1 and world.tower.asked[-1].after == 500)
    world.tower.strike(501)
    for each in viewers:
        await each.hears(500, 501)


async def test_who_waits_is_told_now_and_then_that_the_stream_lives(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "PING_SECONDS", 0.001)
    world.tower.strike(1)
    viewers = [world.watch(f"{name}@ours") for name in ("jo", "al")]
    for each in viewers:
        await until(lambda each=each: each.reply.body.count(b": nothing new") > 2)


# --- whatever happens ---

Step = tuple[str, int | None]
STEP = st.one_of(
    st.tuples(st.just("strike"), st.integers(1, 12)),
    st.tuples(st.just("come"), st.none() | st.integers(0, 60)),
    st.tuples(st.just("leave"), st.integers(0, 9)),
    st.tuples(st.just("break"), st.none()),
    st.tuples(st.just("begin"), st.none()),
)


def test_whatever_happens_each_sees_what_comes_after_his_beginning_once_and_in_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(streams, "LINGERING", 0.001)
    monkeypatch.setattr(streams, "KEPT_BYTES", 2500)
    monkeypatch.setattr(streams, "REOPENED", 1000)
    workspaces = itertools.count()
    with asyncio.Runner() as runner:
        stood = standing()
        world = runner.run(stood.__aenter__())

        @hypothesis.settings(max_examples=60, deadline=None, database=None)
        @hypothesis.given(steps=st.lists(STEP, max_size=14))
        def run(steps: list[Step]) -> None:
            runner.run(run_through(world, f"w{next(workspaces)}", steps))

        try:
            run()
        finally:
            runner.run(stood.__aexit__(None, None, None))


async def run_through(world: World, workspace: str, steps: list[Step]) -> None:
    struck, viewers = 1, list[tuple[Watching, int | None]]()
    world.tower.strike(1, workspace=workspace)

    async def all_begin() -> None:
        await until(lambda: all(each.reply.status or each.task.done() for each, _ in viewers))

    for step, number in steps:
        if step == "strike" and number is not None:
            world.tower.strike(*range(struck + 1, struck + 1 + number), workspace=workspace)
            struck += number
        elif step == "come":
            after = None if number is None else min(number, struck)
            viewers.append((world.watch(f"v{len(viewers)}@{workspace}", after=after), after))
        elif step == "leave" and number is not None and number < len(viewers):
            viewers[number][0].leaving.set()
        elif step == "break":
            await all_begin()
            world.break_off()
        elif step == "begin":
            await all_begin()
    await all_begin()
    world.tower.strike(struck + 1, workspace=workspace)
    for watching, after in viewers:
        await until(lambda each=watching: struck + 1 in each.heard or each.task.done())
        # Who left, or broke off while he caught up by himself, has heard all up to some stroke.
        left = watching.leaving.is_set() or b"event: problem" in watching.reply.body
        first = after + 1 if after is not None else watching.heard[0] if watching.heard else 0
        last = struck + 1 if not left else watching.heard[-1] if watching.heard else first - 1
        assert watching.heard == [*range(first, last + 1)]
        watching.task.cancel()
