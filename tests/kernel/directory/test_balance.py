"""Which instance is called next."""

import asyncio
import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from services.kernel.directory import Instance
from services.kernel.directory.balance import FAILURES, LONGEST_SECONDS, SHORTEST_SECONDS, Balancer
from services.kernel.directory.local import LocalDirectory
from services.kernel.errors import Unavailable
from tests.kernel.conftest import Clock


def instances(count: int) -> list[Instance]:
    return [Instance("scans", f"{number:02}", f"127.0.0.1:{number + 1}", {}) for number in range(count)]


async def opened(count: int, clock: Clock, seed: int = 1) -> tuple[Balancer, list[Instance], LocalDirectory]:
    directory = LocalDirectory()
    known = instances(count)
    for instance in known:
        await directory.register(instance)
    return Balancer(directory, "scans", chance=random.Random(seed), clock=clock), known, directory


def fail(balancer: Balancer, instance: Instance, times: int = FAILURES) -> None:
    for _ in range(times):
        balancer.failed(instance)


async def picked(balancer: Balancer, times: int = 200) -> set[str]:
    return {(await balancer.pick()).id for _ in range(times)}


async def test_all_that_are_well_get_their_share(clock: Clock) -> None:
    balancer, known, _ = await opened(4, clock)
    taken = Counter([(await balancer.pick()).id for _ in range(4_000)])
    assert set(taken) == {instance.id for instance in known}
    assert min(taken.values()) > 800


async def test_of_two_the_less_busy_is_taken(clock: Clock) -> None:
    balancer, (a, b), _ = await opened(2, clock)
    with balancer.using(a):
        assert await picked(balancer) == {b.id}
        with balancer.using(b), balancer.using(b):
            assert await picked(balancer) == {a.id}
    assert await picked(balancer) == {a.id, b.id}


async def test_the_busiest_of_all_is_never_taken(clock: Clock) -> None:
    balancer, known, _ = await opened(3, clock)
    with balancer.using(known[1]):
        assert known[1].id not in await picked(balancer)


async def test_an_instance_that_fails_in_a_row_is_left_out_and_comes_back(clock: Clock) -> None:
    balancer, (a, b, c), _ = await opened(3, clock)
    fail(balancer, a, FAILURES - 1)
    balancer.succeeded(a)
    fail(balancer, a, FAILURES - 1)
    assert a.id in await picked(balancer)
    balancer.failed(a)
    assert await picked(balancer) == {b.id, c.id}
    clock.now += SHORTEST_SECONDS - 0.1
    assert await picked(balancer) == {b.id, c.id}
    clock.now += 0.1
    assert a.id in await picked(balancer)


async def test_one_that_fails_on_is_left_out_for_longer_until_it_has_answered(clock: Clock) -> None:
    balancer, (a, *_), _ = await opened(3, clock)
    fail(balancer, a)
    seconds = [balancer.standing(a).out_for]
    for _ in range(4):
        clock.now = balancer.standing(a).out_until
        balancer.failed(a)
        seconds.append(balancer.standing(a).out_for)
    assert seconds == [SHORTEST_SECONDS, 2 * SHORTEST_SECONDS, 4 * SHORTEST_SECONDS, LONGEST_SECONDS, LONGEST_SECONDS]
    balancer.succeeded(a)
    fail(balancer, a, FAILURES - 1)
    assert a.id in await picked(balancer)
    balancer.failed(a)
    assert balancer.standing(a).out_for == SHORTEST_SECONDS


async def test_calls_that_were_under_way_when_it_was_left_out_count_for_nothing(clock: Clock) -> None:
    balancer, (a, *_), _ = await opened(3, clock)
    fail(balancer, a, 20)
    assert balancer.standing(a).out_until == clock.now + SHORTEST_SECONDS


@pytest.mark.parametrize(("count", "stay"), [(1, 1), (2, 1), (3, 2), (4, 2), (5, 3)])
async def test_half_of_them_are_never_left_out(clock: Clock, count: int, stay: int) -> None:
    balancer, known, directory = await opened(count, clock)
    for instance in known:
        fail(balancer, instance)
        clock.now += 0.1
    # Those stay in that come back first.
    assert await picked(balancer) == {instance.id for instance in known[:stay]}
    for instance in known[1:]:
        await directory.deregister("scans", instance.id)
    assert await balancer.pick() == known[0]


async def test_what_was_tried_is_not_taken_again(clock: Clock) -> None:
    balancer, (a, b, c), directory = await opened(3, clock)
    assert {(await balancer.pick(exclude=[a, c])).id for _ in range(20)} == {b.id}
    fail(balancer, b)
    assert await balancer.pick(exclude=[a, c]) == b, "one that fails is better than none"
    with pytest.raises(Unavailable, match="no other instance of scans is well"):
        await balancer.pick(exclude=[a, b, c])
    await directory.close()
    with pytest.raises(Unavailable):
        await balancer.pick()


async def test_without_instances_nobody_is_taken(clock: Clock) -> None:
    balancer, _, _ = await opened(0, clock)
    with pytest.raises(Unavailable, match="no instance of scans is well"):
        await balancer.pick()


async def test_a_call_that_fails_is_no_longer_under_way(clock: Clock) -> None:
    balancer, (a,), _ = await opened(1, clock)
    with pytest.raises(RuntimeError), balancer.using(a):
        assert balancer.measures() == {"in_flight": 1, "failing": 0}
        fail(balancer, a)
        raise RuntimeError
    assert balancer.measures() == {"in_flight": 0, "failing": 1}


async def test_instances_that_are_gone_are_forgotten(clock: Clock) -> None:
    balancer, (a,), _ = await opened(1, clock)
    gone = instances(500)
    with balancer.using(gone[-1]):
        for instance in gone[1:]:
            balancer.failed(instance)
        await balancer.pick()
        assert set(balancer._standings) <= {a.id, gone[-1].id}


@given(seed=st.integers(), count=st.integers(2, 9), calls=st.integers(1, 60))
async def test_calls_of_equal_length_are_spread_evenly(seed: int, count: int, calls: int) -> None:
    balancer, known, _ = await opened(count, Clock(), seed)
    using = []
    for _ in range(calls):
        using.append(balancer.using(await balancer.pick()))
        using[-1].__enter__()
    loads = [balancer.standing(instance).in_flight for instance in known]
    assert sum(loads) == calls
    assert max(loads) <= calls / count + 6
    for each in using:
        each.__exit__(None, None, None)
    assert balancer.measures()["in_flight"] == 0


@given(seed=st.integers(), failing=st.lists(st.integers(0, 4), max_size=30))
async def test_the_same_chance_and_time_lead_to_the_same_choices(seed: int, failing: list[int]) -> None:
    async def choices() -> list[str]:
        balancer, known, _ = await opened(5, Clock(), seed)
        taken = []
        for number in failing:
            balancer.failed(known[number])
            taken.append((await balancer.pick()).id)
        return taken

    assert await choices() == await choices()


class Balancing(RuleBasedStateMachine):
    """Whatever happens, somebody who is there is picked, and who is well if anybody is."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.clock = Clock()
        self.directory = LocalDirectory()
        self.balancer = Balancer(self.directory, "scans", chance=random.Random(1), clock=self.clock)
        self.all = instances(6)
        self.known: set[str] = set()
        self.using: list = []

    @rule(number=st.integers(0, 5))
    def comes(self, number: int) -> None:
        self.runner.run(self.directory.register(self.all[number]))
        self.known.add(self.all[number].id)

    @rule(number=st.integers(0, 5))
    def goes(self, number: int) -> None:
        self.runner.run(self.directory.deregister("scans", self.all[number].id))
        self.known.discard(self.all[number].id)

    @rule(number=st.integers(0, 5), times=st.integers(1, 4))
    def fails(self, number: int, times: int) -> None:
        fail(self.balancer, self.all[number], times)

    @rule(number=st.integers(0, 5))
    def succeeds(self, number: int) -> None:
        self.balancer.succeeded(self.all[number])

    @rule(seconds=st.floats(0, 40))
    def passes(self, seconds: float) -> None:
        self.clock.now += seconds

    @precondition(lambda self: self.known)
    @rule()
    def calls(self) -> None:
        self.using.append(self.balancer.using(self.runner.run(self.balancer.pick())))
        self.using[-1].__enter__()

    @precondition(lambda self: self.using)
    @rule()
    def ends(self) -> None:
        self.using.pop().__exit__(None, None, None)

    def teardown(self) -> None:
        self.runner.close()

    @invariant()
    def one_that_is_there_is_picked(self) -> None:
        if not self.known:
            return
        out = {each.id for each in self.all if self.clock.now < self.balancer.standing(each).out_until} & self.known
        picked = self.runner.run(self.balancer.pick())
        assert picked.id in self.known
        if len(out) <= len(self.known) // 2:
            assert picked.id not in out

    @invariant()
    def counts_hold(self) -> None:
        assert self.balancer.measures()["in_flight"] == len(self.using)
        for each in self.all:
            standing = self.balancer.standing(each)
            assert standing.out_for in {0, 5, 10, 20, 30}
            assert standing.out_until - self.clock.now <= LONGEST_SECONDS


TestBalancing = Balancing.TestCase
