"""However many streams somebody opens, he keeps nobody else from a stream, nor from an answer."""

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID

import pytest
from msgspec.structs import replace

from services.gateway.usecases import places, streams
from services.gateway.usecases.streams import Streams
from services.kernel import events, http_calls
from services.kernel.calls import LocalCalls, Nothing, operator
from services.kernel.directory.local import LocalDirectory
from services.kernel.errors import Unavailable
from services.kernel.http_calls import HttpCalls
from services.kernel.http_questions import Asked
from services.kernel.messages import workspace_id
from tests.kernel.keys import signer
from tests.kernel.served import LOOK, WAIT, Instances, Served
from tests.services.gateway.tower import Watching, World, standing, until

CALLER = operator(workspace_id("ours"))
#: A stream that does not begin.
QUIET = replace(WAIT, streams=True)


@pytest.fixture
async def world(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    monkeypatch.setattr(streams, "LINGERING", 0.01)
    monkeypatch.setattr(events, "FIRST_SECONDS", 0.0)
    async with standing() as world:
        yield world


@pytest.fixture
async def organ(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[HttpCalls, Served]]:
    """A service that waits for one question at a time, and begins none of its streams."""
    monkeypatch.setattr(http_calls, "AT_ONCE", 1)
    directory = LocalDirectory()
    instances, calls = Instances(directory), HttpCalls(LocalCalls(), directory, signer())
    yield calls, await instances.begin()
    await calls.close()
    await instances.end()


async def opened(world: World, who: str, after: int) -> Watching:
    """A stream that nobody shares: whoever watches says that he has seen more than there is."""
    watching = world.watch(who, after=after)
    await until(lambda: watching.reply.status)
    return watching


def is_refused(watching: Watching) -> bool:
    reply = watching.reply
    return (reply.status, reply.json()["code"], reply.headers["retry-after"]) == (429, "limited", "5")


async def test_streams_of_an_account_are_only_so_many(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "OF_ACCOUNT", 2)
    first = await opened(world, "jo@ours", 77)
    await opened(world, "jo@ours", 78)
    refused = await opened(world, "jo@ours", 79)
    await refused.task
    assert is_refused(refused)
    assert (await opened(world, "al@ours", 80)).reply.status == 200
    before = world.tower.open
    await first.leave()
    await until(lambda: world.tower.open < before)
    assert (await opened(world, "jo@ours", 81)).reply.status == 200


async def test_where_all_places_are_taken_whoever_has_the_most_loses_his_oldest_to_who_has_fewer(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "IN_ALL", 4)
    world.tower.strike(1)
    shared = await opened(world, "jo@ours", 1)  # which goes on where others watch it
    own = [await opened(world, "jo@ours", after) for after in (77, 78, 79)]
    for number, gone in enumerate((shared, own[0])):
        assert (await opened(world, "al@ours", 80 + number)).reply.status == 200
        await gone.task
        assert gone.last[0] == "problem"
        assert "most of them are yours" in gone.last[1]
        await until(lambda: world.tower.open == 4)
    for who in ("jo@ours", "al@ours"):
        refused = await opened(world, who, 90)
        await refused.task
        assert is_refused(refused), "each has as many as the other"
    assert (await opened(world, "mo@ours", 91)).reply.status == 200
    await own[1].task


async def test_what_cannot_be_resumed_makes_room_too(
    organ: tuple[HttpCalls, Served], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls, served = organ
    monkeypatch.setattr(places, "IN_ALL", 2)
    asking = Streams(calls)

    async def ask(who: int) -> None:
        caller = replace(CALLER, account=UUID(int=who))
        async with asking.ask(QUIET, Asked("GET", QUIET.path, None), caller, {}):
            raise AssertionError("it says nothing")

    first, second = (asyncio.create_task(ask(1)) for _ in range(2))
    await asyncio.wait_for(served.pipes.waiting.wait(), 20)
    other = asyncio.create_task(ask(2))
    with pytest.raises(Unavailable, match="most of them are yours"):
        await asyncio.wait_for(first, 20)
    assert not second.done()
    assert not other.done()
    for task in (second, other):
        task.cancel()
    await asyncio.gather(second, other, return_exceptions=True)


async def test_who_shares_a_stream_takes_no_place(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "IN_ALL", 2)
    world.tower.strike(1)
    await world.watch("jo@ours").hears(1)
    for _ in range(5):
        watching = world.watch("jo@ours")
        await watching.hears(1)
        await until(lambda: world.tower.open == 1)
    world.break_off()
    world.tower.strike(2)
    await watching.hears(1, 2)


async def test_what_a_viewer_says_that_he_accepts_makes_no_stream_of_its_own(world: World) -> None:
    world.tower.strike(1)
    await world.watch("jo@ours").hears(1)
    for number in range(5):
        headers = {"Last-Event-ID": "1", "Accept": f"text/event-stream;q=0.{number}"}
        world.watching.append(Watching(world.door, "al@ours", headers))
        await until(lambda: world.watching[-1].reply.status == 200)
    assert len(world.tower.asked) == 1


async def test_no_question_waits_because_streams_say_nothing(
    organ: tuple[HttpCalls, Served],
) -> None:
    calls, served = organ

    async def begin() -> None:
        async with calls.forward(QUIET, Asked("GET", QUIET.path, None), CALLER, {}):
            raise AssertionError("it says nothing")

    beginning = [asyncio.create_task(begin()) for _ in range(3)]
    await asyncio.wait_for(served.pipes.waiting.wait(), 20)
    assert (await calls.ask(LOOK, Nothing(), CALLER, seconds=20.0)).left > 0
    assert not any(task.done() for task in beginning)
    for task in beginning:
        task.cancel()
    await asyncio.gather(*beginning, return_exceptions=True)
