"""A question that is followed: what is published, and what is not believed yet."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from services.kernel.errors import Unavailable
from services.kernel.long_poll import Answer, LongPoll


class Asked:
    """Answers when a test says so; knows what it was asked."""

    def __init__(self) -> None:
        self.questions: asyncio.Queue[tuple[int, asyncio.Future[tuple[int, Answer[str]]]]] = asyncio.Queue()
        self.waits: list[float] = []

    async def __call__(self, index: int, wait: float) -> tuple[int, Answer[str]]:
        self.waits.append(wait)
        answer: asyncio.Future[tuple[int, Answer[str]]] = asyncio.get_running_loop().create_future()
        self.questions.put_nowait((index, answer))
        return await answer

    async def next(self) -> tuple[int, asyncio.Future[tuple[int, Answer[str]]]]:
        async with asyncio.timeout(10):
            while True:
                index, answer = await self.questions.get()
                if not answer.cancelled():
                    return index, answer

    async def answers(self, index: int, found: str, unwell: str = "") -> int:
        """Answer the next question; return the index that it had."""
        asked, answer = await self.next()
        answer.set_result((index, named(found, unwell)))
        return asked

    async def fails(self) -> int:
        asked, answer = await self.next()
        answer.set_exception(Unavailable("away"))
        return asked


def named(found: str, unwell: str = "") -> Answer[str]:
    return Answer({name: name.upper() for name in found}, frozenset(unwell))


async def found(poll: LongPoll[str]) -> str:
    """The names of what there is."""
    latest = await poll.latest()
    assert latest == {name: name.upper() for name in latest}
    return "".join(latest)


@pytest.fixture
def asked() -> Asked:
    return Asked()


@pytest.fixture
async def poll(asked: Asked) -> AsyncIterator[LongPoll[str]]:
    opened = LongPoll(asked, wait=30.0, patience=3_600.0)
    yield opened
    await opened.close()


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_each_question_asks_for_what_is_newer_than_the_answer_before(poll: LongPoll, asked: Asked) -> None:
    assert await asked.answers(7, "a") == 0
    assert await asked.answers(9, "b") == 7
    assert (await asked.next())[0] == 9
    assert await found(poll) == "b"


async def test_an_index_of_nothing_counts_as_one(poll: LongPoll, asked: Asked) -> None:
    await asked.answers(0, "a")
    assert (await asked.next())[0] == 1


async def test_an_index_that_goes_back_is_asked_anew_and_that_answer_is_not_published(
    poll: LongPoll, asked: Asked
) -> None:
    await asked.answers(9, "a")
    assert await asked.answers(3, "b") == 9
    assert (await asked.next())[0] == 0
    assert await found(poll) == "a"


async def test_after_a_failure_it_is_asked_anew_and_the_last_good_answer_stays(poll: LongPoll, asked: Asked) -> None:
    await asked.answers(9, "a")
    await asked.fails()
    await settled()
    assert await found(poll) == "a"
    assert poll.away > 0
    assert await asked.answers(9, "a") == 0
    assert (await asked.next())[0] == 9
    assert poll.away == 0


async def test_without_any_answer_the_failure_is_raised(poll: LongPoll, asked: Asked) -> None:
    waiting = asyncio.create_task(poll.latest())
    await asked.fails()
    with pytest.raises(Unavailable, match="away"):
        await waiting
    await asked.answers(1, "a")
    await settled()
    assert await found(poll) == "a"


async def test_a_fault_in_asking_is_told_and_asked_after_again(poll: LongPoll, asked: Asked) -> None:
    waiting = asyncio.create_task(poll.latest())
    _, answer = await asked.next()
    answer.set_exception(KeyError("a fault"))
    with pytest.raises(Unavailable, match="a fault"):
        await waiting
    waiting = asyncio.create_task(poll.latest())
    _, answer = await asked.next()
    answer.set_result((1, None))  # type: ignore[arg-type]
    with pytest.raises(Unavailable):
        await waiting
    await asked.answers(1, "a")
    await settled()
    assert await found(poll) == "a"


async def test_while_there_is_none_whoever_wants_one_has_it_asked_for(poll: LongPoll[str], asked: Asked) -> None:
    for _ in range(20):
        await asked.fails()
        await settled()
        waiting = asyncio.create_task(poll.latest())
    await asked.answers(1, "a")
    assert await waiting == named("a").found


async def test_a_server_that_forgot_is_not_believed_before_it_has_named_it_again(
    poll: LongPoll[str], asked: Asked
) -> None:
    await asked.answers(9, "ab")
    await asked.fails()
    await asked.answers(3, "")
    assert await asked.answers(4, "bc") == 3
    await asked.next()
    assert await found(poll) == "abc"


async def test_what_it_has_named_again_may_go(poll: LongPoll[str], asked: Asked) -> None:
    await asked.answers(9, "abc")
    await asked.fails()
    await asked.answers(3, "")
    await asked.answers(4, "a", "b")
    await asked.answers(5, "")
    await asked.next()
    assert await found(poll) == "c"


async def test_what_is_unwell_soon_after_is_not_believed_to_be(poll: LongPoll[str], asked: Asked) -> None:
    await asked.answers(9, "a")
    await asked.fails()
    await asked.answers(9, "a")
    await asked.answers(10, "", "ab")
    await asked.next()
    assert await found(poll) == "a"


async def test_what_is_unwell_at_any_other_time_is_believed_to_be(poll: LongPoll[str], asked: Asked) -> None:
    await asked.answers(9, "a")
    await asked.answers(10, "", "a")
    await asked.next()
    assert await found(poll) == ""


async def test_what_a_server_does_not_know_after_all_is_gone_in_the_end(asked: Asked) -> None:
    poll = LongPoll(asked, wait=30.0, patience=0.5)
    await asked.answers(9, "ab")
    await asked.fails()
    await asked.answers(3, "")
    async with asyncio.timeout(10):
        while await found(poll):
            await asked.answers(3, "", "b")
    assert min(asked.waits) < 1, "what is doubted is asked for again when the doubt ends"
    await poll.close()


async def test_readers_get_the_latest_answer_and_only_what_has_changed(poll: LongPoll, asked: Asked) -> None:
    changes = poll.changes()
    await asked.answers(1, "a")
    assert await anext(changes) == named("a").found
    await asked.answers(2, "b")
    await asked.answers(3, "c")
    await asked.answers(4, "c")
    await asked.next()
    assert await anext(changes) == named("c").found
    following = asyncio.ensure_future(anext(changes))
    await settled()
    assert not following.done()
    await poll.close()
    with pytest.raises(Unavailable):
        await following


async def test_a_refresh_asks_at_once_and_returns_when_that_is_answered(poll: LongPoll, asked: Asked) -> None:
    await asked.answers(5, "a")
    _, answer = await asked.next()
    refreshed = asyncio.create_task(poll.refresh())
    await settled()
    assert answer.cancelled()
    assert not refreshed.done()
    assert await asked.answers(6, "b") == 0
    await refreshed
    assert await found(poll) == "b"


async def test_a_refresh_that_crosses_an_answer_is_asked_itself(poll: LongPoll, asked: Asked) -> None:
    await asked.answers(5, "a")
    _, answer = await asked.next()
    answer.set_result((6, named("o")))
    refreshed = asyncio.create_task(poll.refresh())
    assert await asked.answers(7, "n") == 0
    await refreshed
    assert await found(poll) == "n"


async def test_one_refresh_does_not_lose_the_other(poll: LongPoll, asked: Asked) -> None:
    await asked.answers(5, "a")
    await asked.next()
    first = asyncio.create_task(poll.refresh())
    await asked.next()
    second = asyncio.create_task(poll.refresh())
    await settled()
    await asked.answers(6, "b")
    async with asyncio.timeout(10):
        await asyncio.gather(first, second)


async def test_answers_that_come_soon_and_say_nothing_new_are_not_asked_for_without_end(
    poll: LongPoll, asked: Asked
) -> None:
    await asked.answers(5, "a")
    started = asyncio.get_running_loop().time()
    for _ in range(6):
        await asked.answers(5, "a")
    assert asyncio.get_running_loop().time() - started > 0.2


async def test_whoever_waits_is_told_when_it_is_closed(poll: LongPoll, asked: Asked) -> None:
    waiting = [asyncio.ensure_future(poll.latest()), asyncio.ensure_future(poll.refresh())]
    await settled()
    await poll.close()
    with pytest.raises(Unavailable):
        await waiting[0]
    await waiting[1]
    with pytest.raises(Unavailable):
        await poll.refresh()
