"""However many streams somebody opens, he keeps nobody else from a stream, nor from an answer."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from msgspec.structs import replace

from services.gateway.usecases import streams
from services.kernel import events, http_calls
from services.kernel.calls import LocalCalls, Nothing, operator
from services.kernel.directory.local import LocalDirectory
from services.kernel.http_calls import HttpCalls
from services.kernel.http_questions import Asked
from services.kernel.messages import workspace_id
from tests.kernel.keys import signer
from tests.kernel.served import LOOK, WAIT, Instances
from tests.services.gateway.tower import Watching, World, standing, until


@pytest.fixture
async def world(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    monkeypatch.setattr(streams, "LINGERING", 0.01)
    monkeypatch.setattr(events, "FIRST_SECONDS", 0.0)
    async with standing() as world:
        yield world


async def opened(world: World, who: str, after: int) -> Watching:
    """A stream that nobody shares: whoever watches says that he has seen more than there is."""
    watching = world.watch(who, after=after)
    await until(lambda: watching.reply.status)
    return watching


@pytest.mark.parametrize(("limit", "other"), [("OF_ACCOUNT", 200), ("IN_ALL", 429)])
async def test_streams_of_an_account_and_of_all_are_only_so_many(
    world: World, monkeypatch: pytest.MonkeyPatch, limit: str, other: int
) -> None:
    monkeypatch.setattr(streams, limit, 2)
    first = await opened(world, "jo@ours", 77)
    await opened(world, "jo@ours", 78)
    refused = await opened(world, "jo@ours", 79)
    await refused.task
    assert (refused.reply.status, refused.reply.json()["code"], refused.reply.headers["retry-after"]) == (
        429, "limited", "5"
    )  # fmt: skip
    assert (await opened(world, "al@ours", 80)).reply.status == other
    before = world.tower.open
    await first.leave()
    await until(lambda: world.tower.open < before)
    assert (await opened(world, "jo@ours", 81)).reply.status == 200


async def test_who_shares_a_stream_takes_no_place(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "IN_ALL", 2)
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


async def test_no_question_waits_because_streams_say_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_calls, "AT_ONCE", 1)
    directory = LocalDirectory()
    instances, calls = Instances(directory), HttpCalls(LocalCalls(), directory, signer())
    served = await instances.begin()
    caller, quiet = operator(workspace_id("ours")), replace(WAIT, streams=True)

    async def begin() -> None:
        async with calls.forward(quiet, Asked("GET", quiet.path, None), caller, {}):
            raise AssertionError("it says nothing")

    beginning = [asyncio.create_task(begin()) for _ in range(3)]
    await asyncio.wait_for(served.pipes.waiting.wait(), 20)
    assert (await calls.ask(LOOK, Nothing(), caller, seconds=20.0)).left > 0
    assert not any(task.done() for task in beginning)
    for task in beginning:
        task.cancel()
    await asyncio.gather(*beginning, return_exceptions=True)
    await calls.close()
    await instances.end()
