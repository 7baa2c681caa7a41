"""Questions to services of this process."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from uuid import UUID

import pytest
from msgspec import Struct

from services.kernel.calls import Caller, CallsOf, Endpoint, LocalCalls, operator
from services.kernel.errors import Denied, Invalid, NotFound, Unauthenticated, Unavailable
from services.kernel.messages import EVERYWHERE

CALLER = operator(UUID(int=7))
#: Somebody who may count, and nothing else.
JO = Caller(UUID(int=7), "jo", permissions=frozenset({"sums.count"}), account=UUID(int=1))


class Number(Struct, frozen=True):
    number: int


DOUBLE = Endpoint(
    service="sums", name="double", method="GET", path="/v1/doubles/{number}",
    takes=Number, answers=Number, summary="Twice as much.",
)  # fmt: skip
COUNT = Endpoint(
    service="sums", name="count", method="GET", path="/v1/counts/{number}",
    takes=Number, answers=Number, summary="Count from a number on, without end.", streams=True, needs="sums.count",
)  # fmt: skip


class Sums:
    """The ports of the service: it keeps who asked, and what becomes of its streams."""

    def __init__(self) -> None:
        self.closed = 0
        self.callers: list[Caller] = []


async def double(ports: Sums, caller: Caller, question: Number) -> Number:
    ports.callers.append(caller)
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


async def test_a_question_is_answered_by_the_function_of_its_endpoint(calls: LocalCalls, sums: Sums) -> None:
    assert await calls.ask(DOUBLE, Number(21), CALLER) == Number(42)
    assert sums.callers == [CALLER]


async def test_who_was_given_a_permission_may_ask_what_needs_it_and_nothing_else(calls: LocalCalls) -> None:
    async with aclosing(calls.follow(COUNT, Number(3), JO)) as numbers:
        assert await anext(numbers) == Number(3)
    with pytest.raises(Denied, match="double is for services and operators"):
        await calls.ask(DOUBLE, Number(1), JO)
    for permissions in ((), ("sums", "", "*")):
        caller = Caller(UUID(int=7), "mo", permissions=frozenset(permissions), account=UUID(int=2))
        with pytest.raises(Denied, match=r"count needs the permission sums\.count"):
            await anext(calls.follow(COUNT, Number(1), caller))
        with pytest.raises(Denied):
            await calls.ask(DOUBLE, Number(1), caller)


async def test_who_is_in_no_workspace_is_told_so_and_not_that_he_may_not(calls: LocalCalls) -> None:
    somebody = Caller(EVERYWHERE, "mo", account=UUID(int=2))
    with pytest.raises(Denied, match="asked within a workspace, and you are in none here"):
        await anext(calls.follow(COUNT, Number(1), somebody))


async def test_who_is_not_known_is_told_that_he_is_to_say_who_he_is(calls: LocalCalls) -> None:
    for permissions in ((), ("sums", "")):
        nobody = Caller(UUID(int=7), "nobody", permissions=frozenset(permissions))
        with pytest.raises(Unauthenticated, match="this needs a token"):
            await anext(calls.follow(COUNT, Number(1), nobody))
        with pytest.raises(Unauthenticated):
            await calls.ask(DOUBLE, Number(1), nobody)


async def test_a_service_may_ask_what_it_declares_whoever_it_asks_for(sums: Sums) -> None:
    calls = LocalCalls({"shop": (DOUBLE,)})
    calls.serve(sums, {DOUBLE: double, COUNT: count})
    shop, thief = CallsOf("shop", calls), CallsOf("thief", calls)
    assert await shop.ask(DOUBLE, Number(4), JO) == Number(8)
    (asked,) = sums.callers
    assert (asked.kind, asked.service, asked.name, asked.workspace) == ("service", "shop", "jo", UUID(int=7))
    for caller in (JO, CALLER):
        with pytest.raises(Denied, match="the service shop does not declare that it asks count"):
            await anext(shop.follow(COUNT, Number(1), caller))
        with pytest.raises(Denied, match="the service thief does not declare that it asks double"):
            await thief.ask(DOUBLE, Number(1), caller)
    assert len(sums.callers) == 1


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
        await calls.ask(DOUBLE, Number(2), operator(EVERYWHERE))
    with pytest.raises(Invalid):
        await anext(calls.follow(COUNT, Number(2), operator(EVERYWHERE)))


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
