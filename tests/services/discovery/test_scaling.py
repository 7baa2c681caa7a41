"""More instances as soon as work waits for too long, fewer only after a while, and never beyond the bounds."""

from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis.strategies import booleans, builds, floats, integers, lists, none, tuples

from services.contracts.settings import DiscoverySettings
from services.discovery.domain.scaling import BUSY, RETURNS, Bounds, Load, Scaler, demand

PACE = DiscoverySettings()
BEHIND, SETTLES, LINGERS = PACE.behind, PACE.settles, PACE.lingers
EVERY = 5.0


def idle(count: int = 1) -> Load:
    return Load(running=count, count=count, waiting=0, rate=0.0, busy=0.0)


def behind(count: int, seconds: float) -> Load:
    """Work of so many seconds waits."""
    return Load(running=count, count=count, waiting=int(100 * seconds), rate=100.0, busy=0.1)


def scaler(least: int = 1, most: int = 16, settings: DiscoverySettings = PACE) -> Scaler:
    return Scaler(Bounds(least, most), settings)


def decide(scaler: Scaler, at: float, count: int, load: Load, *, room: bool = True) -> int:
    """Decide, and have it so."""
    after = scaler.decide(at, count, load, room=room)
    if after != count:
        scaler.change(at, after)
    return after


def watch(scaler: Scaler, count: int, since: float, seconds: float, load: Callable[[int], Load]) -> list[int]:
    """How many there are after each look, from the first that is later than ``since``."""
    counts = []
    for step in range(1, int(seconds / EVERY) + 1):
        count = decide(scaler, since + step * EVERY, count, load(count))
        counts.append(count)
    return counts


@pytest.mark.parametrize(
    ("load", "wanted"),
    [
        (idle(), 0.0),
        (Load(0, 0, 0, 0.0, 0.0), 1.0),
        (Load(2, 2, 0, 0.0, 2 * BUSY), 2.0),
        (Load(2, 2, None, 0.0, 2 * BUSY), 2.0),
        (Load(2, 2, int(100 * BEHIND), 100.0, 0.0), 2.0),
        (Load(2, 2, int(300 * BEHIND), 100.0, 0.0), 6.0),
        (Load(4, 2, int(300 * BEHIND), 100.0, 0.0), 6.0),
        (Load(3, 3, 1_000_000, 0.0, 0.0), 3.0),
    ],
)
def test_demand_is_what_would_have_the_work_done_in_time(load: Load, wanted: float) -> None:
    assert demand(load, BEHIND) == pytest.approx(wanted)


def test_work_that_waits_for_long_begins_more_at_once_but_twice_as_many_at_most() -> None:
    one = scaler()
    assert decide(one, 0.0, 1, behind(1, 10 * BEHIND)) == 2
    assert decide(one, SETTLES - 1, 2, behind(2, 10 * BEHIND)) == 2
    assert decide(one, SETTLES, 2, behind(2, 10 * BEHIND)) == 4
    assert decide(one, 2 * SETTLES, 4, behind(4, 1.5 * BEHIND)) == 6


def test_fewer_only_after_they_would_have_done_for_a_while_and_one_at_a_time() -> None:
    one = scaler()
    counts = watch(one, 4, 0.0, 5 * LINGERS, idle)
    ended = [step * EVERY for step, (before, after) in enumerate(pairwise([4, *counts]), 1) if after < before]
    assert counts[-1] == 1
    assert ended[0] >= LINGERS
    assert all(later - earlier >= LINGERS for earlier, later in pairwise(ended))


def test_a_wave_in_between_keeps_them() -> None:
    one = scaler()
    count = 4
    for step in range(100):
        wave = step % 20 == 0
        count = decide(one, step * EVERY, count, behind(4, BEHIND) if wave else idle(4))
    assert count == 4


@pytest.mark.parametrize(
    "load",
    [
        Load(running=4, count=3, waiting=0, rate=0.0, busy=0.0),
        Load(running=4, count=0, waiting=None, rate=0.0, busy=0.0),
        Load(running=4, count=4, waiting=None, rate=0.0, busy=0.0),
    ],
)
def test_while_not_all_is_seen_there_are_not_fewer_nor_is_that_time_counted(load: Load) -> None:
    one = scaler()
    assert set(watch(one, 4, 0.0, 10 * LINGERS, lambda count: load)) == {4}
    since = 10 * LINGERS
    assert set(watch(one, 4, since, LINGERS, idle)) == {4}
    assert watch(one, 4, since + LINGERS, EVERY, idle) == [3]


def test_more_are_begun_though_some_of_those_that_run_say_nothing() -> None:
    drowning = Load(running=4, count=2, waiting=int(600 * BEHIND), rate=100.0, busy=2.0)
    assert decide(scaler(), 0.0, 4, drowning) == 8


def test_those_that_could_not_be_placed_are_not_waited_for_before_one_is_ended() -> None:
    one = scaler()
    three_of_four = Load(running=3, count=3, waiting=0, rate=0.0, busy=0.0)
    assert min(watch(one, 4, 0.0, 2 * LINGERS, lambda count: three_of_four)) == 3


def test_nothing_more_is_begun_while_there_is_no_room_for_what_was() -> None:
    one = scaler()
    assert decide(one, 0.0, 2, behind(2, 10 * BEHIND), room=False) == 2
    assert decide(one, 1.0, 2, behind(2, 10 * BEHIND)) == 4


def test_what_was_taken_back_is_not_asked_for_again_for_a_while() -> None:
    one = scaler()
    assert decide(one, 0.0, 2, behind(2, 10 * BEHIND)) == 4
    assert decide(one, 300.0, 2, behind(2, 10 * BEHIND)) == 3  # it could not be placed, and the job went back to two
    assert decide(one, 300.0 + SETTLES, 3, behind(3, 10 * BEHIND)) == 3
    assert decide(one, 300.0 + RETURNS, 3, behind(3, 10 * BEHIND)) == 6


def test_what_an_operator_sets_forgets_what_was_taken_back() -> None:
    one = scaler()
    decide(one, 0.0, 2, behind(2, 10 * BEHIND))
    one.bounds = Bounds(2, 2)
    assert decide(one, 60.0, 2, behind(2, 10 * BEHIND)) == 2
    one.bounds = Bounds(1, 16)
    assert decide(one, 120.0, 2, behind(2, 10 * BEHIND)) == 4


def test_what_could_not_be_had_is_decided_again_at_once() -> None:
    one = scaler()
    assert [one.decide(at, 1, behind(1, 10 * BEHIND)) for at in (0.0, EVERY)] == [2, 2]


def test_how_soon_it_is_done_is_what_is_set() -> None:
    one = scaler(settings=DiscoverySettings(behind=5.0, settles=2.0, lingers=10.0))
    assert decide(one, 0.0, 1, behind(1, 9.0)) == 2
    assert decide(one, 2.0, 2, behind(2, 10.0)) == 4
    assert watch(one, 4, 2.0, 15.0, idle) == [4, 4, 3]


def test_bounds_that_were_changed_hold_at_once_whatever_is_seen() -> None:
    one = scaler(1, 8)
    one.bounds = Bounds(3, 4)
    assert decide(one, 0.0, 1, idle()) == 3
    assert decide(one, 1.0, 9, Load(9, 0, None, 0.0, 0.0)) == 4


@given(
    lists(
        tuples(
            builds(
                Load, integers(0, 20), integers(0, 20), integers(0, 10**7) | none(), floats(0, 10**5), floats(0, 64)
            ),
            booleans(),
        ),
        max_size=60,
    ),
    builds(lambda least, more: Bounds(least, least + more), integers(0, 5), integers(0, 10)),
)
def test_there_are_never_more_or_fewer_than_may_be(loads: list[tuple[Load, bool]], bounds: Bounds) -> None:
    one, count = Scaler(bounds, PACE), bounds.least
    for step, (load, room) in enumerate(loads):
        count = decide(one, step * EVERY, count, load, room=room)
        assert bounds.least <= count <= bounds.most
