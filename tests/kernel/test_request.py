"""What goes along with work: the time that is left for it, and the trace that it belongs to."""

import asyncio

import pytest

from services.kernel.request import continue_trace, current_trace, seconds_left, trace_id, work

GIVEN = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


async def test_without_a_deadline_there_is_as_much_time_as_is_asked_for() -> None:
    assert seconds_left(7.0) == 7.0


async def test_the_time_left_shrinks_and_never_grows() -> None:
    loop = asyncio.get_running_loop()
    with work(seconds=5.0):
        ends = loop.time() + seconds_left(60.0)
        with work(seconds=60.0):
            assert loop.time() + seconds_left(60.0) == pytest.approx(ends, abs=0.1)
        with work(seconds=1.0):
            assert seconds_left(60.0) <= 1.0
        assert seconds_left(2.0) == 2.0
    assert seconds_left(60.0) == 60.0


async def test_what_is_over_has_no_time_left() -> None:
    with work(seconds=-1.0):
        assert seconds_left(60.0) == 0.0


async def test_tasks_inherit_what_they_are_begun_in() -> None:
    with work(traceparent=GIVEN, seconds=5.0):
        task = asyncio.create_task(_look())
    assert await task == (GIVEN, True)
    assert await _look() == ("", False)


async def _look() -> tuple[str, bool]:
    return current_trace(), seconds_left(60.0) <= 5.0


def test_a_step_continues_its_trace_under_a_name_of_its_own() -> None:
    following = continue_trace(GIVEN)
    assert trace_id(following) == trace_id(GIVEN) == "0af7651916cd43dd8448eb211c80319c"
    assert following != GIVEN


@pytest.mark.parametrize(
    "given", ["", "nonsense", "00-" + "0" * 32 + "-b7ad6b7169203331-01", GIVEN.upper(), GIVEN + "0"]
)
def test_what_names_no_trace_begins_one(given: str) -> None:
    one, other = continue_trace(given), continue_trace(given)
    assert len(trace_id(one)) == 32
    assert trace_id(one) not in {trace_id(other), trace_id(given)}
