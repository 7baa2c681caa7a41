"""What every `locks` adapter promises."""

import asyncio
from collections.abc import Callable
from contextlib import nullcontext, suppress

import pytest

from services.kernel.errors import Invalid, Unavailable
from services.kernel.locks import Locks

OpenLocks = Callable[[], Locks]


async def hold_until(locks: Locks, name: str, entered: asyncio.Event, leave: asyncio.Event) -> int:
    async with locks.held(name) as token:
        entered.set()
        await leave.wait()
    return token


async def test_one_at_a_time_and_each_with_a_larger_token(open_locks: OpenLocks) -> None:
    inside = 0
    tokens: list[int] = []

    async def work(locks: Locks) -> None:
        nonlocal inside
        for _ in range(3):
            async with locks.held("work") as token:
                inside += 1
                assert inside == 1
                tokens.append(token)
                await asyncio.sleep(0.01)
                assert inside == 1
                inside -= 1

    async with asyncio.timeout(60):
        await asyncio.gather(*(work(open_locks()) for _ in range(4)))
    assert tokens == sorted(set(tokens))
    assert len(tokens) == 12
    assert tokens[0] > 0


async def test_who_waits_gets_it_when_the_holder_leaves_or_fails(open_locks: OpenLocks) -> None:
    here, there = open_locks(), open_locks()
    for how in (None, RuntimeError("as it comes"), asyncio.CancelledError("as it comes")):
        with pytest.raises(type(how), match="as it comes") if how else nullcontext():
            async with here.held("work") as first:
                entered, leave = asyncio.Event(), asyncio.Event()
                leave.set()
                waiting = asyncio.create_task(hold_until(there, "work", entered, leave))
                await asyncio.sleep(0.05)
                assert not entered.is_set()
                if how is not None:
                    raise how
        async with asyncio.timeout(20):
            assert await waiting > first


async def test_locks_of_other_names_are_others(locks: Locks) -> None:
    async with asyncio.timeout(20), locks.held("work"), locks.held("other-work"):
        pass


async def test_who_does_not_wait_any_more_does_not_get_it(open_locks: OpenLocks) -> None:
    here, there = open_locks(), open_locks()
    async with here.held("work"):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1), there.held("work"):
                pytest.fail("there are two")
    async with asyncio.timeout(20), here.held("work"):
        pass


async def test_a_block_may_be_cancelled_in_part_and_from_outside(locks: Locks) -> None:
    async with locks.held("work"):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await asyncio.Event().wait()
    entered = asyncio.Event()
    holding = asyncio.create_task(hold_until(locks, "work", entered, asyncio.Event()))
    await entered.wait()
    holding.cancel()
    await asyncio.wait({holding})
    assert holding.cancelled()


async def test_closing_takes_the_lock_from_its_holder_before_another_has_it(open_locks: OpenLocks) -> None:
    here = open_locks()
    entered, ended = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        async with here.held("work"):
            entered.set()
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(0.05)
                ended.set()

    holding = asyncio.create_task(work())
    await entered.wait()
    waiting = asyncio.create_task(hold_until(here, "work", asyncio.Event(), asyncio.Event()))
    await asyncio.sleep(0.05)
    async with asyncio.timeout(20):
        await here.close()
        assert ended.is_set()
        with pytest.raises(Unavailable, match="the lock work was lost: the locks were closed"):
            await holding
        with pytest.raises(Unavailable):
            await waiting
        await here.close()
    for call in (here.ping(), here.held("work").__aenter__()):
        with pytest.raises(Unavailable):
            await call


async def test_what_a_block_raises_while_it_is_lost_is_not_hidden(locks: Locks) -> None:
    entered = asyncio.Event()

    async def work() -> None:
        async with locks.held("work"):
            entered.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                raise ValueError from None

    holding = asyncio.create_task(work())
    await entered.wait()
    await locks.close()
    with pytest.raises(ValueError):  # noqa: PT011
        await holding


async def test_a_block_that_goes_on_when_it_is_lost_is_told_at_its_end(locks: Locks) -> None:
    entered = asyncio.Event()

    async def work() -> None:
        async with locks.held("work"):
            entered.set()
            with suppress(asyncio.CancelledError):
                await asyncio.Event().wait()

    holding = asyncio.create_task(work())
    await entered.wait()
    await locks.close()
    with pytest.raises(Unavailable):
        await holding
    assert holding.cancelling() == 0


async def test_who_is_cancelled_from_outside_as_well_stays_cancelled(locks: Locks) -> None:
    entered = asyncio.Event()
    holding = asyncio.create_task(hold_until(locks, "work", entered, asyncio.Event()))
    await entered.wait()
    holding.cancel()
    await locks.close()
    await asyncio.wait({holding})
    assert holding.cancelled()


@pytest.mark.parametrize("name", ["", "A", "a/b", "../a", "a b", "1a", "a" * 64])
async def test_what_is_no_name_is_refused(locks: Locks, name: str) -> None:
    with pytest.raises(Invalid):
        async with locks.held(name):
            pass
