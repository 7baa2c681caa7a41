"""Several instances of the service at the same time, on one database: they write the same things, and forget others."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from uuid import UUID

import msgspec
import pytest

from services.contracts import endpoints as e
from services.contracts import entities, relations
from services.contracts.claims import claim_line
from services.contracts.facts import Changed, Collected, Deleted
from services.contracts.resources import ClaimsQuery, Retract
from services.kernel.messages import message_type
from services.storage.domain import Rows
from services.storage.store import intake
from tests.examples import seeds
from tests.services.storage.depot import LATER, SCAN, WORKSPACE, Depot, admitted, depot, result
from tests.services.storage.support_worlds import World, world

pytestmark = pytest.mark.parametrize("stores", [pytest.param("postgres", marks=pytest.mark.server)], indirect=True)
OTHER = UUID(int=7)
HOSTS = [entities.hostname(f"h{number}.example.org") for number in range(30)]
ADDRESSES = [entities.ip_address(f"192.0.2.{number}") for number in range(1, 20)]


@pytest.fixture
async def both(tmp_path: Path, stores: object) -> AsyncIterator[list[Depot]]:
    async with AsyncExitStack() as stack:
        made = []
        for name in ("one", "other"):
            instance = Depot(tmp_path)
            instance.search = type(instance.search)(tmp_path / f"{name}-search.db")
            instance.ports.search = instance.search
            made.append(await instance.open())
            stack.push_async_callback(instance.close)
        yield made


def found(rng: random.Random, number: int, of: UUID = SCAN) -> Collected:
    claims = [
        relations.resolves_to(rng.choice(HOSTS), rng.choice(ADDRESSES), record="A")
        if rng.random() < 0.5
        else rng.choice(HOSTS)
        for _ in range(12)
    ]
    return result(f"m{number}", *claims, of=of)


@pytest.mark.parametrize("seed", seeds(3))
async def test_what_several_take_in_at_once_is_what_one_would_have(
    both: list[Depot], tmp_path: Path, seed: int
) -> None:
    rng = random.Random(seed)
    results = [found(rng, number) for number in range(60)]
    admissions = [admitted((rng.choice(HOSTS), "in_scope", 0), ordinal=number) for number in range(40)]
    (tmp_path / "alone").mkdir()
    async with depot(tmp_path / "alone") as alone:
        await alone.take(*results, *admissions)
        expected = await alone.tables("recorded_at")
    batches = [(*results[n : n + 6], *admissions[n : n + 4]) for n in range(0, 60, 6)]

    async def work(instance: Depot, mine: list[tuple[Collected, ...]]) -> None:
        for batch in mine:
            await instance.take(*batch)

    left = admissions[58:]
    assert not left
    counted = {ordinal for n in range(0, 60, 6) for ordinal in range(n, n + 4)}
    rest = [each for number, each in enumerate(admissions) if number not in counted]
    await asyncio.gather(work(both[0], batches[::2]), work(both[1], batches[1::2]), both[0].take(*rest))  # type: ignore[arg-type]
    assert await both[0].tables("recorded_at") == expected


@pytest.mark.parametrize("seed", seeds(3))
async def test_what_several_say_of_a_scan_at_once_is_counted_without_a_gap(both: list[Depot], seed: int) -> None:
    rng = random.Random(seed)

    async def work(instance: Depot, first: int) -> None:
        for number in range(first, first + 40, 4):
            await instance.take(
                *(found(rng, each, of) for each in range(number, number + 4) for of in (SCAN, OTHER)),
                *(admitted((rng.choice(HOSTS), "in_scope", 0), of=of, ordinal=number) for of in (OTHER, SCAN)),
            )

    await asyncio.gather(work(both[0], 0), work(both[1], 40))
    async with both[0].sql.read() as view:
        rows = await view.fetch("SELECT data FROM outbox WHERE type = :type", type=message_type(Changed))
    said = [msgspec.json.decode(data, type=Changed) for (data,) in rows]
    for scan in (SCAN, OTHER):
        ordinals = sorted(each.ordinal for each in said if each.scan == scan)
        assert ordinals == list(range(1, len(ordinals) + 1))
        assert len(ordinals) >= 20


@pytest.mark.parametrize("seed", seeds(4))
async def test_what_comes_while_another_withdraws_and_restores_is_what_stands_in_the_end(
    both: list[Depot], seed: int
) -> None:
    rng, known = random.Random(seed), World()
    events = [each for _ in range(3) for each in world(rng)]
    for happened in events:
        known.add(happened)

    async def work(instance: Depot, *, retracts: bool) -> None:
        for happened in events:
            if isinstance(happened, Retract) and retracts:
                await instance.follow(e.RETRACT, happened)
            elif not (isinstance(happened, Retract) or retracts):
                await instance.take(happened)

    await asyncio.gather(work(both[0], retracts=False), work(both[1], retracts=True))
    await both[0].settle()
    for scan in (SCAN, LATER):
        shown = await both[0].follow(e.LIST_CLAIMS, ClaimsQuery(scan=scan))
        assert {(each.module, each.version, claim_line(each.claim)) for each in shown} == known.visible(scan)[0]


async def test_who_was_first_to_hear_of_a_scan_waits_for_nobody_who_waits_for_him(both: list[Depot]) -> None:
    host, rows = HOSTS[0], Rows()
    rows.add(WORKSPACE, result("crtsh", host), 2000)
    async with both[0].sql.begin() as tx:
        await intake.note_scans(tx, [(WORKSPACE, SCAN)])
        other = asyncio.create_task(both[1].take(admitted((host, "in_scope", 0), ordinal=0)))
        async with asyncio.timeout(30):
            while not await waiting(both[0]):
                assert not other.done()
        await intake.write_rows(tx, rows, 2000)
    await other


async def waiting(instance: Depot) -> int:
    """How many wait for what another transaction has done."""
    async with instance.sql.read() as view:
        row = await view.fetch_one("SELECT COUNT(*) FROM pg_locks WHERE NOT granted")
    return int(row[0]) if row else 0


@pytest.mark.parametrize("seed", seeds(3))
async def test_nothing_that_one_is_about_to_refer_to_is_removed_by_another(both: list[Depot], seed: int) -> None:
    rng = random.Random(seed)
    for turn in range(8):
        gone, kept = UUID(int=100 + turn), UUID(int=200)
        first = [found(rng, number, gone) for number in range(4)]
        await both[0].take(*first)
        await asyncio.gather(
            both[0].take(Deleted(scan=gone, words=None, made=0)),
            both[1].take(*(found(rng, number, kept) for number in range(turn * 10, turn * 10 + 6))),
            both[1].take(*(found(rng, number, gone) for number in range(4, 8))),
        )
        async with both[0].sql.read() as view:
            dangling = await view.fetch(
                "SELECT about FROM claim WHERE NOT EXISTS (SELECT 1 FROM entity WHERE entity.number = claim.about)"
                " AND NOT EXISTS (SELECT 1 FROM relation WHERE relation.number = claim.about)"
            )
            ends = await view.fetch(
                "SELECT number FROM relation WHERE NOT EXISTS (SELECT 1 FROM entity WHERE number = source)"
                " OR NOT EXISTS (SELECT 1 FROM entity WHERE number = target)"
            )
            late = await view.fetch("SELECT COUNT(*) FROM claim WHERE scan = :gone", gone=gone.bytes)
        assert (dangling, ends, late) == ([], [], [(0,)])
