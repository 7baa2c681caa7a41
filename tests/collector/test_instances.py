"""Several collectors at the same time, on one journal: what one drops is not what another is about to refer to."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import pytest
from msgspec.structs import replace

from services.collector import holds, store
from services.collector.holds import STALE, Holds
from services.collector.journal import Journal, digest
from services.contracts import entities
from services.contracts.evidence import EvidenceRecord, seal
from services.kernel.blobs.segments import SegmentBlobs
from services.kernel.messages import now
from services.kernel.sql import Sql
from services.kernel.sql.migrations import load
from tests.stores import Stores

pytestmark = pytest.mark.parametrize("stores", [pytest.param("postgres", marks=pytest.mark.server)], indirect=True)
HERE, BATCH = UUID(int=1), UUID(int=2)


@pytest.fixture
async def sql(tmp_path: Path, stores: Stores) -> AsyncIterator[Sql]:
    opened = stores.open(tmp_path / "collector.db")
    await opened.migrate(load("services.collector.migrations"))
    yield opened
    await opened.close()


def row(item: int, *, scan: int = 1, turn: int = 0, body: bytes = b"", error: str = "") -> store.JournalRow:
    record = EvidenceRecord(
        id=b"",
        protocol="http",
        request="GET /",
        key=bytes(16),
        at=turn,
        error=error,
        blob=digest(body) if body else None,
    )
    return store.JournalRow(HERE, UUID(int=item), UUID(int=scan), turn, seal(record))


def work(item: int, turn: int = 0) -> store.WorkRow:
    subject = entities.domain("example.org")
    return store.WorkRow(UUID(int=item), UUID(int=1), turn, "probe", 1, "found", subject, 1, b"")


async def test_a_result_is_said_by_one_of_those_who_have_it(sql: Sql) -> None:
    async def say(turn: int, items: range) -> set[tuple[UUID, int]]:
        async with sql.begin() as tx:
            taken = await store.take_work(tx, HERE, [work(item, turn) for item in items])
            await asyncio.sleep(0)
        return {(item, turn) for item in taken}

    for turn in (0, 0, 1, 2, 2):
        before = await asyncio.gather(*(say(turn, range(first, first + 20)) for first in (0, 10, 5, 0)))
        said = [each for some in before for each in some]
        assert len(said) == len(set(said))
    async with sql.read() as view:
        assert await store.published(view, HERE, [UUID(int=3), UUID(int=29)]) == {UUID(int=3): 2, UUID(int=29): 2}
    assert await say(1, range(30)) == set()


async def test_a_batch_is_held_by_one_of_those_who_are_given_it(sql: Sql) -> None:
    async def ask(holds: Holds, barrier: asyncio.Barrier) -> bool:
        async with holds.hold(HERE, BATCH) as held:
            await barrier.wait()
        return held

    for _ in range(5):
        barrier = asyncio.Barrier(4)
        assert sum(await asyncio.gather(*(ask(Holds(sql), barrier) for _ in range(4)))) == 1


async def test_a_batch_is_anybody_s_when_its_holder_says_nothing_any_more(
    sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = now()
    monkeypatch.setattr(holds, "now", lambda: at)
    monkeypatch.setattr(holds, "RENEW_EVERY", 0.01)
    one, other, third = Holds(sql), Holds(sql), Holds(sql)
    async with one.hold(HERE, BATCH) as by_one:
        assert by_one
        at += int(STALE * 1_000_000)
        assert not await is_held(third)
        following = asyncio.create_task(one.follow())
        while await said_at(sql) != at:
            await asyncio.sleep(0.01)
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        at += int(STALE * 1_000_000) + 1
        async with other.hold(HERE, BATCH) as by_other:
            assert by_other
            assert not await is_held(third)
            assert not await is_held(one)
        assert await is_held(third)
    async with sql.read() as view:
        assert await view.fetch("SELECT * FROM hold") == []


async def is_held(holds: Holds) -> bool:
    async with holds.hold(HERE, BATCH) as held:
        return held


async def said_at(sql: Sql) -> int:
    async with sql.read() as view:
        ((at,),) = await view.fetch("SELECT at FROM hold")
    return int(at)


async def test_what_a_later_turn_was_answered_is_not_lost_to_an_earlier_one(sql: Sql) -> None:
    async def write(turn: int) -> None:
        async with sql.begin() as tx:
            await store.write_exchanges(tx, [row(1, turn=turn, error="it hung up")])

    for _ in range(5):
        await write(0)
        await asyncio.gather(*(write(turn) for turn in (1, 3, 2, 4)))
        async with sql.begin() as tx:
            ((turn,),) = await tx.fetch("SELECT turn FROM exchange")
            await tx.execute("DELETE FROM exchange")
        assert turn == 4


async def test_a_body_that_somebody_is_about_to_refer_to_is_not_dropped(sql: Sql, tmp_path: Path) -> None:
    blobs = SegmentBlobs(tmp_path / "evidence")
    one, other = Journal(sql, blobs), Journal(sql, blobs)
    tasks = [asyncio.create_task(journal.run()) for journal in (one, other)]
    for turn in range(2, 20):
        body = f"the same {turn}".encode()
        old, new = row(turn * 2, scan=turn, body=body), row(turn * 2 + 1, scan=1, body=body)
        await one.write(old, body)

        async def forget(scan: UUID = old.scan) -> None:
            async with sql.begin() as tx:
                await other.forget(tx, HERE, scan)

        late = replace(old, item=UUID(int=5000 + turn))
        kept, *_ = await asyncio.gather(one.write(new, body), forget(), other.write(late, body))
        assert await one.body(HERE, kept) == body
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await blobs.close()
