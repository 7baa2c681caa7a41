"""How much an upstream is asked at once, and when it is left out."""

import pytest

from services.collector.resolve.upstream import (
    CUT_EVERY,
    DEAD,
    FIRST_WINDOW,
    LEAST_WINDOW,
    LONGEST_EJECTION,
    MOST_WINDOW,
    SHORTEST_EJECTION,
    Upstream,
)


def outcome(
    upstream: Upstream, now: float, answered: int, lost: int = 0, fastest: float = 0.001, lag: float = 0
) -> None:
    upstream.answered, upstream.lost, upstream.fastest = answered, lost, fastest
    upstream.judge(now, lag)


def test_the_window_doubles_while_it_is_used_and_all_goes_well() -> None:
    upstream = Upstream("192.0.2.53", 53)
    assert upstream.room == FIRST_WINDOW
    outcome(upstream, 1, answered=FIRST_WINDOW)
    assert upstream.room == 2 * FIRST_WINDOW
    outcome(upstream, 2, answered=3)
    assert upstream.room == 2 * FIRST_WINDOW
    for turn in range(20):
        outcome(upstream, 3 + turn, answered=5000)
    assert upstream.room == MOST_WINDOW


def test_losses_shrink_it_once_for_each_second_and_growth_is_slow_then() -> None:
    upstream = Upstream("192.0.2.53", 53)
    for turn in range(4):
        outcome(upstream, turn, answered=5000)
    before = upstream.room
    for now in (10.0, 10.1, 10.2):
        outcome(upstream, now, answered=50, lost=50)
    assert upstream.room == pytest.approx(before * 0.7, abs=1)
    outcome(upstream, 11, answered=5000)
    assert upstream.room < before * 0.8
    for turn in range(30):
        outcome(upstream, 20 + turn * (CUT_EVERY + 0.1), answered=1, lost=1)
    assert upstream.room == LEAST_WINDOW


def test_a_few_losses_do_not_matter() -> None:
    upstream = Upstream("192.0.2.53", 53)
    outcome(upstream, 1, answered=990, lost=10)
    assert upstream.room == 2 * FIRST_WINDOW


def test_a_queue_stops_its_growth_unless_the_delay_is_our_own() -> None:
    upstream = Upstream("192.0.2.53", 53)
    outcome(upstream, 1, answered=5000, fastest=0.001)
    held = upstream.room
    outcome(upstream, 2, answered=5000, fastest=0.1)
    assert upstream.room == held
    outcome(upstream, 3, answered=5000, fastest=0.1, lag=0.1)
    assert upstream.room > held


def test_it_fails_by_losing_most_or_several_in_a_row() -> None:
    upstream = Upstream("192.0.2.53", 53)
    assert not upstream.is_failing
    outcome(upstream, 1, answered=0, lost=2)
    assert not upstream.is_failing
    assert not upstream.is_healthy
    outcome(upstream, 2, answered=0, lost=1)
    assert upstream.is_failing
    other = Upstream("192.0.2.54", 53)
    outcome(other, 1, answered=40, lost=60)
    assert other.is_failing
    for turn in range(3):
        outcome(other, 2 + turn, answered=100)
    assert other.is_healthy


def test_an_ejection_lasts_longer_each_time_and_ends_on_probation() -> None:
    upstream = Upstream("192.0.2.53", 53)
    lengths = []
    for turn in range(8):
        upstream.eject(100.0 * turn)
        lengths.append(upstream.ejected_until - 100.0 * turn)
    assert lengths[:3] == [SHORTEST_EJECTION, 2 * SHORTEST_EJECTION, 4 * SHORTEST_EJECTION]
    assert lengths[-1] == LONGEST_EJECTION
    assert not upstream.is_failing
    outcome(upstream, 1000, answered=0, lost=1)
    assert upstream.is_failing


def test_one_that_never_answers_is_dead_after_a_while_and_alive_with_its_next_answer() -> None:
    upstream = Upstream("192.0.2.53", 53)
    assert not upstream.is_dead(1e9)
    outcome(upstream, 100, answered=0, lost=5)
    outcome(upstream, 100 + DEAD, answered=0, lost=5)
    assert not upstream.is_dead(100 + DEAD)
    assert upstream.is_dead(100.1 + DEAD)
    outcome(upstream, 101 + DEAD, answered=1, lost=5)
    assert not upstream.is_dead(102 + DEAD)


def test_addresses_are_labelled_with_their_port() -> None:
    assert Upstream("192.0.2.53", 53).label == "192.0.2.53:53"
    assert Upstream("2001:db8::53", 5353).label == "[2001:db8::53]:5353"
