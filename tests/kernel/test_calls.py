"""Questions to services of this process."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from uuid import UUID

import pytest
from msgspec import Struct

from services.kernel.calls import Caller, Endpoint, LocalCalls
from services.kernel.errors import Invalid, NotFound, Unavailable
from services.kernel.messages import EVERYWHERE

CALLER = Caller(workspace=UUID(int=7))


class Number(Struct, frozen=True):
    number: int


DOUBLE = Endpoint(
    service="sums", name="double", method="GET", path="/v1/doubles/{number}",
    takes=Number, answers=Number, summary="Twice as much.",
)  # fmt: skip
COUNT = Endpoint(
    service="sums", name="count", method="GET", path="/v1/counts/{number}",
    takes=Number, answers=Number, summary="Count from a number on, without end.", streams=True,
)  # fmt: skip


class Sums:
    """The ports of the service: it keeps what becomes of its streams."""

    def __init__(self) -> None:
        self.closed = 0


async def double(ports: Sums, caller: Caller, question: Number) -> Number:
    assert caller == CALLER
    return Number(2 * question.number)


async def count(ports: Sums, caller: Caller, question: Number) -> AsyncGenerator[Number, None]:
    number = question.number
    try:
        while True:
            yield Number(number)
            number += 1
    finally:
        ports.closed += 1


@pytest.fixture
def sums() -> Sums:
    return Sums()


@pytest.fixture
def calls(sums: Sums) -> LocalCalls:
    served = LocalCalls()
    served.serve(sums, {DOUBLE: double, COUNT: count})
    return served


async def test_a_question_is_answered_by_the_function_of_its_endpoint(calls: LocalCalls) -> None:
    assert await calls.ask(DOUBLE, Number(21), CALLER) == Number(42)


async def test_an_answer_has_a_deadline() -> None:
    ended = asyncio.Event()

    async def never(ports: None, caller: Caller, question: Number) -> Number:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        raise AssertionError

    calls = LocalCalls()
    calls.serve(None, {DOUBLE: never})
    with pytest.raises(Unavailable, match=r"sums did not answer double within 0\.01 s"):
        await calls.ask(DOUBLE, Number(1), CALLER, seconds=0.01)
    assert ended.is_set()


async def test_a_time_limit_inside_the_service_is_not_taken_for_the_callers() -> None:
    async def gives_up(ports: None, caller: Caller, question: Number) -> Number:
        raise TimeoutError("its own")

    calls = LocalCalls()
    calls.serve(None, {DOUBLE: gives_up})
    with pytest.raises(TimeoutError, match="its own"):
        await calls.ask(DOUBLE, Number(1), CALLER)


async def test_a_stream_that_nobody_follows_any_more_is_closed(calls: LocalCalls, sums: Sums) -> None:
    async with aclosing(calls.follow(COUNT, Number(3), CALLER)) as numbers:
        assert [(await anext(numbers)).number, (await anext(numbers)).number] == [3, 4]
        assert sums.closed == 0
    assert sums.closed == 1


async def test_a_question_is_asked_within_a_workspace(calls: LocalCalls) -> None:
    with pytest.raises(Invalid):
        await calls.ask(DOUBLE, Number(2), Caller(EVERYWHERE))
    with pytest.raises(Invalid):
        await anext(calls.follow(COUNT, Number(2), Caller(EVERYWHERE)))


async def test_a_service_that_does_not_run_here_is_unavailable() -> None:
    with pytest.raises(Unavailable, match="sums is not running here"):
        await LocalCalls().ask(DOUBLE, Number(1), CALLER)
    with pytest.raises(Unavailable):
        await anext(LocalCalls().follow(COUNT, Number(1), CALLER))


def test_an_endpoint_is_found_by_its_names(calls: LocalCalls) -> None:
    assert calls.endpoint("sums", "double") == DOUBLE
    with pytest.raises(NotFound, match=r"nobody here answers sums\.halve"):
        calls.endpoint("sums", "halve")
    assert set(calls.endpoints) == {DOUBLE, COUNT}


def test_the_fields_of_a_path_are_told_from_the_others() -> None:
    assert DOUBLE.path_fields == ("number",)
