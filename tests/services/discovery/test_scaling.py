"""More instances as soon as work waits for too long, fewer only after a while, and never beyond the bounds."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis.strategies import builds, floats, integers, lists

from services.discovery.domain.scaling import BEHIND, BUSY, LINGERS, SETTLES, Bounds, Load, Scaler, demand

IDLE = Load(count=1, waiting=0, rate=0.0, busy=0.0)


def behind(count: int, seconds: float) -> Load:
    """Work of so many seconds waits."""
    return Load(count=count, waiting=int(100 * seconds), rate=100.0, busy=0.1)


@pytest.mark.parametrize(
    ("load", "wanted"),
    [
        (IDLE, 0.0),
        (Load(0, 0, 0.0, 0.0), 1.0),
        (Load(2, 0, 0.0, 2 * BUSY), 2.0),
        (Load(2, int(100 * BEHIND), 100.0, 0.0), 2.0),
        (Load(2, int(300 * BEHIND), 100.0, 0.0), 6.0),
        (Load(3, 1_000_000, 0.0, 0.0), 3.0),
    ],
)
def test_demand_is_what_would_have_the_work_done_in_time(load: Load, wanted: float) -> None:
    assert demand(load) == pytest.approx(wanted)


def test_work_that_waits_for_long_begins_more_at_once_but_twice_as_many_at_most() -> None:
    scaler = Scaler(Bounds(1, 16))
    assert scaler.decide(0.0, 1, behind(1, 10 * BEHIND)) == 2
    assert scaler.decide(SETTLES - 1, 2, behind(2, 10 * BEHIND)) == 2
    assert scaler.decide(SETTLES, 2, behind(2, 10 * BEHIND)) == 4
    assert scaler.decide(2 * SETTLES, 4, behind(4, 1.5 * BEHIND)) == 6


def test_fewer_only_after_they_would_have_done_for_a_while_and_one_at_a_time() -> None:
    scaler = Scaler(Bounds(1, 16))
    scaler.decide(0.0, 1, behind(1, 4 * BEHIND))
    count, at, ended = 4, 0.0, []
    while at < 5 * LINGERS and count > 1:
        at += 5.0
        after = scaler.decide(at, count, Load(count, 0, 0.0, 0.0))
        if after != count:
            ended.append(at)
        count = after
    assert count == 1
    assert ended[0] >= LINGERS
    assert all(later - earlier >= LINGERS for earlier, later in pairwise(ended))


def test_a_wave_in_between_keeps_them() -> None:
    scaler = Scaler(Bounds(1, 16))
    count = 4
    for step in range(100):
        wave = step % 20 == 0
        count = scaler.decide(step * 5.0, count, behind(4, BEHIND) if wave else Load(4, 0, 0.0, 0.0))
    assert count == 4


def test_bounds_that_were_changed_hold_at_once() -> None:
    scaler = Scaler(Bounds(1, 8))
    scaler.bounds = Bounds(3, 4)
    assert scaler.decide(0.0, 1, IDLE) == 3
    assert scaler.decide(1.0, 9, IDLE) == 4


@given(
    lists(builds(Load, integers(0, 20), integers(0, 10**7), floats(0, 10**5), floats(0, 64)), max_size=60),
    builds(lambda least, more: Bounds(least, least + more), integers(0, 5), integers(0, 10)),
)
def test_there_are_never_more_or_fewer_than_may_be(loads: list[Load], bounds: Bounds) -> None:
    scaler, count = Scaler(bounds), bounds.least
    for step, load in enumerate(loads):
        count = scaler.decide(step * 5.0, count, load)
        assert bounds.least <= count <= bounds.most
