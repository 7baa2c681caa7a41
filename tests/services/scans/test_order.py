"""Whatever the order in which results come, and however often, a scan comes to the same end."""

import random

import pytest

from services.contracts.facts import Admitted, Finished
from tests.examples import seeds
from tests.services.scans.conftest import OpenDesk
from tests.services.scans.desk import Desk, answers
from tests.services.scans.worlds import MODULES, SCOPE, World, end_of, in_parts


async def in_any_order(desk: Desk, world: World, rng: random.Random) -> None:
    """Deliver results in a random order, in batches of random sizes, some of them twice, some in parts."""
    waiting = []
    old = []
    for _ in range(5000):
        for command in await desk.commands():
            for result in answers(command, world):
                waiting += in_parts(result, rng)
        if not waiting:
            return
        rng.shuffle(waiting)
        size = rng.randrange(1, 40)
        batch, waiting = waiting[:size], waiting[size:]
        again = rng.sample(old, min(len(old), rng.randrange(3)))
        await desk.take(*batch, *again)
        old += batch
    raise AssertionError("the scan does not come to an end")


@pytest.mark.parametrize("seed", seeds(12))
async def test_order_and_repetition_make_no_difference(open_desk: OpenDesk, seed: int) -> None:
    world = World(seed)
    plain = await open_desk(*MODULES)
    scan = await plain.create("example.org", **SCOPE)
    await plain.run(world)
    expected = await end_of(plain, scan)
    assert expected["state"] == "finished"
    for order in range(2):
        desk = await open_desk(*MODULES)
        other = await desk.create("example.org", **SCOPE)
        await in_any_order(desk, world, random.Random(f"{seed} {order}"))
        assert await end_of(desk, other) == expected
        assert len(await desk.all_said(Finished)) == 1
        last = {}
        for each in await desk.all_said(Admitted):
            for admission in each.admissions:
                before = last.get(admission.entity)
                assert before != admission, "nothing is said twice"
                last[admission.entity] = admission
        placed = {row[0] for row in expected["members"] if row[3] > 0}
        assert {entity.id for entity in last} == placed


async def test_nothing_ruled_out_is_admitted_and_no_active_work_is_done_outside(open_desk: OpenDesk) -> None:
    from services.contracts.commands import Collect
    from services.contracts.entities import ip_address, name

    ruled_out = {name("secret.example.org"), name("x.secret.example.org"), ip_address("203.0.113.9")}
    for seed in range(4):
        desk = await open_desk(*MODULES)
        await desk.create("example.org", **SCOPE)
        await desk.run(World(seed))
        for each in await desk.all_said(Admitted):
            assert not ruled_out & {admission.entity for admission in each.admissions}
        for command in await desk.all_said(Collect):
            for item in command.items:
                if command.module in ("web", "tls", "ports", "brute", "permutations"):
                    assert item.role in ("target", "in_scope"), (command.module, item)
                else:
                    assert item.role in ("target", "in_scope", "affiliate")
