"""Several instances of the service at the same time, on one database: none undoes what another does."""

import asyncio
import random
from pathlib import Path

import msgspec
import pytest

from services.contracts.commands import Collect
from services.contracts.facts import Collected, Finished
from services.contracts.resources import Renew, ScanId
from services.kernel.messages import message_type
from services.kernel.sql import Sql
from services.scans import api
from services.scans.store import scans as scan_store
from services.scans.usecases import lease, tend
from tests.examples import seeds
from tests.services.scans.conftest import Clock, OpenDesk
from tests.services.scans.desk import CALLER, WORKSPACE, Desk, answers, module
from tests.services.scans.test_interleaving import check_books
from tests.services.scans.worlds import MODULES, SCOPE, World, end_of, in_parts

pytestmark = pytest.mark.parametrize("stores", [pytest.param("postgres", marks=pytest.mark.server)], indirect=True)
DNS = module("dns", "dns", "domain")


async def instances(open_desk: OpenDesk, folder: Path, count: int = 3) -> list[Desk]:
    return [await open_desk(*(*MODULES, DNS), path=folder / "shared.db") for _ in range(count)]


class Outgoing:
    """What the instances have said, each once, in whatever order it was committed."""

    def __init__(self, sql: Sql) -> None:
        self._sql = sql
        self._seen: set[bytes] = set()

    async def commands(self) -> list[Collect]:
        async with self._sql.read() as view:
            rows = await view.fetch("SELECT id, data FROM outbox WHERE type = :type", type=message_type(Collect))
        fresh = [data for identity, data in rows if identity not in self._seen]
        self._seen.update(identity for identity, _ in rows)
        return [msgspec.json.decode(data, type=Collect) for data in fresh]


@pytest.mark.parametrize("seed", seeds(4))
async def test_parts_that_come_to_several_at_once_are_counted_once_and_the_scan_ends_once(
    open_desk: OpenDesk, tmp_path: Path, seed: int
) -> None:
    world, rng = World(seed), random.Random(seed)
    alone = await open_desk(*(*MODULES, DNS))
    expected_scan = await alone.create("example.org", **SCOPE)
    await alone.run(world)
    expected = await end_of(alone, expected_scan)

    desks = await instances(open_desk, tmp_path)
    scan = await desks[0].create("example.org", **SCOPE)
    outgoing = Outgoing(desks[0].real)
    pending: list[Collected] = []
    while True:
        for command in await outgoing.commands():
            pending += [part for whole in answers(command, world) for part in in_parts(whole, rng)]
        if not pending:
            break
        rng.shuffle(pending)
        shares = [pending[place : 40 * len(desks) : len(desks)] for place in range(len(desks))]
        repeated = pending[:5]  # a message may come to two at once
        pending = pending[40 * len(desks) :]
        await asyncio.gather(
            *(
                desk.take(*share, *(each for each in repeated if each not in share))
                for desk, share in zip(desks, shares, strict=True)
            )
        )
        await check_books(desks[0])
    assert await end_of(desks[0], scan) == expected
    assert len(await desks[0].all_said(Finished)) == 1


async def test_a_batch_is_renewed_or_published_again_never_both(
    open_desk: OpenDesk, tmp_path: Path, clock: Clock
) -> None:
    one, other, *_ = await instances(open_desk, tmp_path)
    for turn in range(12):
        scan = await one.create(f"target{turn}.example")
        outgoing = [command for command in await one.all_said(Collect) if command.scan == scan]
        batches = tuple(command.batch for command in outgoing)
        assert not (await api.renew_leases(one.ports, CALLER, Renew(batches))).lost
        clock.forward(100)

        async def publish_again(desk: Desk = other, scan: object = scan) -> None:
            async with desk.unit() as unit:
                await lease.publish_expired(desk.ports, unit, WORKSPACE, scan)  # type: ignore[arg-type]

        renewed, *_ = await asyncio.gather(api.renew_leases(one.ports, CALLER, Renew(batches)), publish_again())
        async with one.real.read() as view:
            rows = await view.fetch(
                "SELECT batch.id FROM batch JOIN scan ON scan.number = batch.scan WHERE scan.id = :s", s=scan.bytes
            )
        in_flight = {row[0] for row in rows}
        assert {batch.bytes for batch in batches} & in_flight == {
            batch.bytes for batch in batches if batch not in renewed.lost
        }
        assert len(in_flight) == len(batches)


async def test_what_several_sweep_away_is_gone_when_they_say_so(
    open_desk: OpenDesk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tend, "_SWEPT_AT_A_TIME", 3)
    desks = await instances(open_desk, tmp_path)
    scan = await desks[0].create("example.org", **SCOPE)
    outgoing = Outgoing(desks[0].real)
    for _ in range(3):
        for command in await outgoing.commands():
            await desks[0].take(*answers(command, World(1)))
    await api.delete_scan(desks[0].ports, CALLER, ScanId(scan))
    left = True
    while left:
        left = any(await asyncio.gather(*(tend.sweep(desk.ports) for desk in desks)))
    async with desks[0].real.read() as view:
        counts = {table: (await view.fetch(f"SELECT COUNT(*) FROM {table}"))[0][0] for table in scan_store.TABLES}
    assert not any(counts.values()), counts


async def test_scans_that_are_made_at_once_have_numbers_of_their_own(open_desk: OpenDesk, tmp_path: Path) -> None:
    desks = await instances(open_desk, tmp_path)
    await asyncio.gather(*(desk.create(f"t{n}.example") for n, desk in enumerate(desks * 4)))
    async with desks[0].real.read() as view:
        assert sorted(await view.fetch("SELECT number FROM scan")) == [(n,) for n in range(1, 13)]
