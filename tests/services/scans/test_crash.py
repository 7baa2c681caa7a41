"""A transaction that dies at any of its statements leaves nothing behind, and what is done again comes to the same."""

from typing import Any

import pytest

from services.contracts.facts import Collected, Finished
from services.kernel.errors import Unavailable
from tests.services.scans.conftest import OpenDesk
from tests.services.scans.desk import CALLER, Desk, answers
from tests.services.scans.failing import FailingSql
from tests.services.scans.worlds import MODULES, SCOPE, World, end_of

TABLES = (
    *("scan", "source", "tally", "member", "way", "known_name", "name_set", "subject", "item", "part", "batch", "late"),
    *("dropped", "outbox"),
)


async def everything(desk: Desk) -> list[Any]:
    async with desk.real.read() as view:
        return [await view.fetch(f"SELECT * FROM {table}") for table in TABLES]


async def failing_at_each(desk: Desk, sql: FailingSql, work: Any) -> None:
    """Let ``work`` die at its first statement, its second, and so on, until it gets through."""
    before = await everything(desk)
    for statement in range(1, 500):
        sql.fails_at = statement
        try:
            await work()
        except Unavailable:
            assert await everything(desk) == before
        else:
            assert sql.statements < statement
            assert statement > 5, "it did something"
            sql.fails_at = None
            return
    raise AssertionError("it never gets through")


@pytest.mark.parametrize("seed", [1, 2])
async def test_results_that_die_on_the_way_in_leave_nothing_behind(open_desk: OpenDesk, seed: int) -> None:
    world = World(seed)
    plain = await open_desk(*MODULES)
    scan = await plain.create("example.org", **SCOPE)
    await plain.run(world, at_once=20)
    expected = await end_of(plain, scan)

    desk = await open_desk(*MODULES, wrap=FailingSql)
    sql = desk.sql
    assert isinstance(sql, FailingSql)
    other = await desk.create("example.org", **SCOPE)
    waiting: list[Collected] = []
    while True:
        for command in await desk.commands():
            waiting += answers(command, world)
        if not waiting:
            break
        batch, waiting = waiting[:20], waiting[20:]
        await failing_at_each(desk, sql, lambda: desk.take(*batch))  # noqa: B023 - awaited at once
    assert await end_of(desk, other) == expected
    assert len(await desk.all_said(Finished)) == 1


async def test_what_a_person_does_happens_whole_or_not_at_all(open_desk: OpenDesk) -> None:
    from services.scans.usecases import lifecycle

    desk = await open_desk(*MODULES, wrap=FailingSql)
    sql = desk.sql
    assert isinstance(sql, FailingSql)
    scan = await desk.create("example.org", **SCOPE)
    world = World(3)
    first = [result for command in await desk.commands() for result in answers(command, world)]
    await desk.take(*first[:4])
    await failing_at_each(desk, sql, lambda: lifecycle.pause(desk.ports, CALLER, scan))
    await desk.take(*first[4:])
    for verb in (lifecycle.resume, lifecycle.stop, lifecycle.retry, lifecycle.delete):
        await failing_at_each(desk, sql, lambda: verb(desk.ports, CALLER, scan))  # noqa: B023 - awaited at once
