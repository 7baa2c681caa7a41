"""Who fails again and again is left alone for a moment, and tried once before all come again."""

from collections.abc import Callable

import pytest

from services.kernel.breaker import FAILURES, LONGEST, OPEN, Breaker
from services.kernel.errors import Unavailable
from tests.kernel.conftest import Clock


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    return Breaker("the service ear", clock)


def fail(breaker: Breaker, times: int) -> None:
    for _ in range(times):
        breaker.fail(breaker.enter())


def test_some_failures_in_a_row_open_it_and_a_success_begins_the_row_anew(breaker: Breaker) -> None:
    fail(breaker, FAILURES - 1)
    breaker.succeed(breaker.enter())
    fail(breaker, FAILURES - 1)
    assert not breaker.is_open
    fail(breaker, 1)
    with pytest.raises(Unavailable, match=f"the service ear failed {FAILURES} times in a row"):
        breaker.enter()


def test_after_a_while_one_may_try_and_no_other_beside_it(breaker: Breaker, clock: Clock) -> None:
    fail(breaker, FAILURES)
    clock.now += OPEN
    turn = breaker.enter()
    with pytest.raises(Unavailable):
        breaker.enter()
    breaker.succeed(turn)
    breaker.enter()
    assert not breaker.is_open


def test_a_trial_of_which_nobody_waited_for_the_end_leaves_room_for_another(breaker: Breaker, clock: Clock) -> None:
    fail(breaker, FAILURES)
    clock.now += OPEN
    breaker.leave(breaker.enter())
    breaker.enter()


def test_a_trial_that_fails_keeps_it_open_for_twice_as_long_up_to_a_limit(breaker: Breaker, clock: Clock) -> None:
    fail(breaker, FAILURES)
    waited = OPEN
    for _ in range(8):
        clock.now += waited
        fail(breaker, 1)
        waited = min(LONGEST, waited * 2)
        clock.now += waited - 0.001
        with pytest.raises(Unavailable):
            breaker.enter()
        clock.now -= waited - 0.001
    assert waited == LONGEST


@pytest.mark.parametrize("end", [Breaker.fail, Breaker.succeed, Breaker.leave])
def test_what_was_under_way_when_it_opened_changes_nothing_any_more(
    breaker: Breaker, clock: Clock, end: Callable[[Breaker, int], None]
) -> None:
    early = [breaker.enter() for _ in range(FAILURES + 2 * FAILURES)]
    for turn in early[:FAILURES]:
        breaker.fail(turn)
    for turn in early[FAILURES : 2 * FAILURES]:
        end(breaker, turn)
    with pytest.raises(Unavailable, match=f"failed {FAILURES} times"):
        breaker.enter()
    clock.now += OPEN
    trial = breaker.enter()
    end(breaker, early[-1])
    with pytest.raises(Unavailable):
        breaker.enter()
    breaker.succeed(trial)
    for turn in early[2 * FAILURES :]:
        end(breaker, turn)
    assert not breaker.is_open
