"""Group commit: who waits learns what became of their own thing, and one bad thing is alone in failing."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from services.collector.group import GroupCommit
from services.kernel.errors import Exhausted, Invalid, Unavailable


class Writer:
    """What a group is committed to: remembers the groups, and refuses what it is told to."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []
        self.written: list[int] = []
        self.refused: dict[int, Exception] = {}
        self.free = asyncio.Event()
        self.free.set()

    async def commit(self, things: Sequence[int]) -> list[str]:
        self.groups.append(list(things))
        await self.free.wait()
        for thing in things:
            if thing in self.refused:
                raise self.refused[thing]
        self.written += things
        return [f"wrote {thing}" for thing in things]


@pytest.fixture
def writer() -> Writer:
    return Writer()


@pytest.fixture
async def group(writer: Writer) -> AsyncIterator[GroupCommit[int, str]]:
    made: GroupCommit[int, str] = GroupCommit(writer.commit, 10)
    running = asyncio.create_task(made.run())
    yield made
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_each_gets_the_result_of_its_own_thing(group: GroupCommit[int, str], writer: Writer) -> None:
    results = await asyncio.gather(*(group.put(number) for number in range(35)))
    assert results == [f"wrote {number}" for number in range(35)]
    assert [len(each) for each in writer.groups] == [10, 10, 10, 5]


async def test_what_comes_while_a_group_is_written_goes_together(group: GroupCommit[int, str], writer: Writer) -> None:
    writer.free.clear()
    first = asyncio.create_task(group.put(0))
    while not writer.groups:
        await asyncio.sleep(0)
    others = [asyncio.create_task(group.put(number)) for number in range(1, 6)]
    await asyncio.sleep(0)
    writer.free.set()
    await asyncio.gather(first, *others)
    assert writer.groups == [[0], [1, 2, 3, 4, 5]]


async def test_a_thing_that_cannot_be_written_fails_alone(group: GroupCommit[int, str], writer: Writer) -> None:
    writer.refused[3] = Invalid("too large")
    results = await asyncio.gather(*(group.put(number) for number in range(6)), return_exceptions=True)
    assert [type(result) for result in results] == [str, str, str, Invalid, str, str]
    assert sorted(writer.written) == [0, 1, 2, 4, 5]


async def test_a_thing_that_is_alone_in_its_group_is_tried_once(group: GroupCommit[int, str], writer: Writer) -> None:
    writer.refused[3] = Invalid("too large")
    with pytest.raises(Invalid):
        await group.put(3)
    assert writer.groups == [[3]]


async def test_what_passes_by_itself_is_told_to_all_and_not_tried_again(
    group: GroupCommit[int, str], writer: Writer
) -> None:
    writer.refused[3] = Exhausted("the disk is full")
    results = await asyncio.gather(*(group.put(number) for number in range(6)), return_exceptions=True)
    assert {type(result) for result in results} == {Exhausted}
    assert len(writer.groups) == 1
    writer.refused.clear()
    assert await group.put(7) == "wrote 7"


async def test_who_waits_is_told_when_writing_is_cut_off(writer: Writer) -> None:
    writer.free.clear()
    group: GroupCommit[int, str] = GroupCommit(writer.commit, 10)
    running = asyncio.create_task(group.run())
    waiting = asyncio.create_task(group.put(1))
    async with asyncio.timeout(10):
        while not writer.groups:
            await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(Unavailable, match="cut off"):
        await waiting
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_who_no_longer_waits_does_not_hold_up_the_others(group: GroupCommit[int, str], writer: Writer) -> None:
    for number, told in ((0, str), (10, Exhausted)):
        writer.free.clear()
        writer.groups.clear()
        tasks = [asyncio.create_task(group.put(thing)) for thing in range(number, number + 3)]
        while not writer.groups:
            await asyncio.sleep(0)
        tasks[1].cancel()
        writer.refused = {12: Exhausted("the disk is full")}
        writer.free.set()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(result) for result in results] == [told, asyncio.CancelledError, told]
    assert await group.put(20) == "wrote 20"
    assert writer.written == [0, 1, 2, 20]
