"""How often sources are asked: their rate over all scans, the pauses they ask for, and being left alone."""

import pytest

from services.collector.budget import BREAK, BREAKS_AFTER, Budget
from services.kernel.cache.memory import MemoryCache
from tests.collector.workshop import manifest


class Clock:
    def __init__(self) -> None:
        self.at = 1000.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def cache(clock: Clock) -> MemoryCache:
    return MemoryCache(clock=clock)


async def test_a_source_is_asked_by_its_rate_over_all_collectors(cache: MemoryCache, clock: Clock) -> None:
    one, other, source = Budget(cache), Budget(cache), manifest(rate=0.5, burst=3)
    assert [await budget.take(source) for budget in (one, other, one)] == [0, 0, 0]
    assert await other.take(source) == pytest.approx(2.0)
    clock.at += 2.0
    assert await other.take(source) == 0
    assert await one.take(source) > 0


async def test_each_source_has_a_budget_of_its_own(cache: MemoryCache) -> None:
    budget = Budget(cache)
    assert await budget.take(manifest("one", rate=0.1)) == 0
    assert await budget.take(manifest("two", rate=0.1)) == 0
    assert await budget.take(manifest("one", rate=0.1)) > 0


async def test_a_source_without_a_rate_is_never_waited_for(cache: MemoryCache) -> None:
    budget, source = Budget(cache), manifest(rate=0.0)
    await budget.pause(source, 100.0)
    assert [await budget.take(source) for _ in range(100)] == [0] * 100


async def test_a_source_that_asks_for_a_pause_gets_it_in_every_collector(cache: MemoryCache, clock: Clock) -> None:
    source = manifest(rate=10.0, burst=10)
    await Budget(cache).pause(source, 30.0)
    assert await Budget(cache).take(source) == pytest.approx(30.0)
    clock.at += 30.0
    assert await Budget(cache).take(source) == 0


async def test_a_source_that_fails_in_a_row_is_left_alone_for_a_while(cache: MemoryCache, clock: Clock) -> None:
    budget, source = Budget(cache), manifest()
    for number in range(BREAKS_AFTER):
        assert not await budget.broken(source), number
        await budget.failed(source)
    assert await budget.broken(source)
    assert await Budget(cache).broken(source)
    assert not await budget.broken(manifest("other"))
    clock.at += BREAK + 1
    assert not await budget.broken(source)


async def test_an_answer_begins_the_row_anew(cache: MemoryCache) -> None:
    budget, source = Budget(cache), manifest()
    for _ in range(3):
        for _ in range(BREAKS_AFTER - 1):
            await budget.failed(source)
        budget.answered(source)
    assert not await budget.broken(source)


async def test_targets_are_not_left_alone_for_each_other(cache: MemoryCache) -> None:
    budget, looks = Budget(cache), manifest("look", "active")
    for _ in range(20):
        await budget.failed(looks)
    assert not await budget.broken(looks)
