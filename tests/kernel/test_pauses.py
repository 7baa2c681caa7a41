"""Tries are further and further apart, and never all at once."""

from itertools import islice

from services.kernel.pauses import pauses


def test_each_pause_is_between_half_of_its_step_and_all_of_it_and_steps_double_up_to_the_longest() -> None:
    steps = [0.1, 0.2, 0.4, 0.8, 1.0, 1.0]
    for pause, step in zip(pauses(0.1, 1.0), steps, strict=False):
        assert step / 2 <= pause <= step


def test_two_that_begin_together_do_not_try_together() -> None:
    assert list(islice(pauses(), 8)) != list(islice(pauses(), 8))
