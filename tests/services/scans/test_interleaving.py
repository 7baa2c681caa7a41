"""Whatever happens in between, the books are right after every step and the end is the same."""

import random
from uuid import UUID

import pytest

from services.contracts.commands import Collect, WorkItem
from services.contracts.facts import OUTCOMES, Collected, Finished
from services.contracts.resources import Renew, ScanId
from services.contracts.states import ENDED
from services.scans import api
from services.scans.usecases import tend
from tests.examples import seeds
from tests.services.scans.conftest import Clock, OpenDesk
from tests.services.scans.desk import CALLER, Desk, answer
from tests.services.scans.worlds import MODULES, SCOPE, World, end_of, in_parts


async def check_books(desk: Desk) -> None:
    """What is counted in rows is what counting would give."""
    async with desk.real.read() as view:
        items = await view.fetch("SELECT module, state, outcome, COUNT(*) FROM item GROUP BY module, state, outcome")
        columns = ", ".join(OUTCOMES)
        sources = await view.fetch(f"SELECT module, waiting, leased, {columns} FROM source")
        leased = await view.fetch("SELECT batch, COUNT(*) FROM item WHERE state = 1 GROUP BY batch ORDER BY batch")
        batches = await view.fetch("SELECT number, open FROM batch ORDER BY number")
        loose = await view.fetch("SELECT COUNT(*) FROM item WHERE state <> 1 AND batch <> 0")
        (scan,) = await view.fetch("SELECT items, entities, state FROM scan")
        members = await view.fetch("SELECT COUNT(*) FROM member WHERE rank > 0")
    counted = {(module, state, outcome): number for module, state, outcome, number in items}
    booked = {}
    for module, waiting, still, *outcomes in sources:
        rows = [(0, None, waiting), (1, None, still), *((2, o, n) for o, n in zip(OUTCOMES, outcomes, strict=True))]
        booked.update({(module, state, outcome): number for state, outcome, number in rows if number})
    assert booked == counted
    assert batches == leased
    assert loose == [(0,)]
    assert scan[:2] == (sum(counted.values()), members[0][0])
    assert scan[2] == "running" or not batches


class Collectors:
    """They answer some time, sometimes with a rate limit, twice, in parts, or not at all."""

    def __init__(self, world: World, rng: random.Random) -> None:
        self.world = world
        self.rng = rng
        self.results: list[Collected] = []
        self.old: list[Collected] = []

    def work(self, command: Collect) -> None:
        if self.rng.random() < 0.1:
            return  # it died, and its lease will run out
        for item in command.items:
            cut = random.Random(item.id.bytes)
            self.results += in_parts(self._answer(command, item), cut)

    def _answer(self, command: Collect, item: WorkItem) -> Collected:
        if item.turn < 2 and random.Random(f"{item.id} {item.turn}").random() < 0.15:
            return answer(command, item, "rate_limited", retry_after=5.0)
        return answer(command, item, self.world(command.module, item))

    def some(self) -> list[Collected]:
        self.rng.shuffle(self.results)
        size = self.rng.randrange(1, 30)
        now, self.results = self.results[:size], self.results[size:]
        self.old += now
        return now + self.rng.sample(self.old, min(len(self.old), self.rng.randrange(3)))


@pytest.mark.parametrize("seed", seeds(8))
async def test_the_books_are_right_and_the_end_is_the_same(open_desk: OpenDesk, clock: Clock, seed: int) -> None:
    world, rng = World(seed), random.Random(seed)
    plain = await open_desk(*MODULES)
    expected = await end_of(plain, await _run_plainly(plain, world))

    desk = await open_desk(*MODULES)
    scan = await desk.create("example.org", **SCOPE)
    collectors = Collectors(world, rng)
    ended_runs = 0
    for _ in range(3000):
        for command in await desk.commands():
            lost = (await api.renew_leases(desk.ports, CALLER, Renew((command.batch,)))).lost
            if not lost:
                collectors.work(command)
        await check_books(desk)
        state = (await desk.scan(scan)).state
        if state == "finished":
            break
        step = rng.random()
        if state in ("paused", "stopped"):
            ended_runs += state == "stopped"
            if step < 0.5:
                await api.resume_scan(desk.ports, CALLER, ScanId(scan))
                continue
        elif step < 0.06:
            await api.pause_scan(desk.ports, CALLER, ScanId(scan))
            continue
        elif step < 0.1:
            await api.stop_scan(desk.ports, CALLER, ScanId(scan))
            continue
        elif step < 0.3 or not collectors.results:
            clock.forward(rng.choice([1, 6, 70]))
            await tend.tend(desk.ports)
            continue
        await desk.take(*collectors.some())
    else:
        raise AssertionError("the scan does not come to an end")
    found = await end_of(desk, scan)
    for what in ("members", "subjects", "names", "left", "state"):
        assert found[what] == expected[what], what
    assert [row[:4] for row in found["items"]] == [row[:4] for row in expected["items"]]
    said = await desk.all_said(Finished)
    assert len({one.run for one in said}) == len(said)
    assert [one.state for one in said][-1] == "finished"


async def _run_plainly(desk: Desk, world: World) -> UUID:
    scan = await desk.create("example.org", **SCOPE)
    await desk.run(world)
    assert (await desk.scan(scan)).state in ENDED
    return scan
