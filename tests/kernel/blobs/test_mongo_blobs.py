"""What only blobs in MongoDB do: pack, put beside others, end what died, reclaim, survive a server that dies."""

import asyncio
import hashlib
import random
from collections.abc import AsyncIterator, Callable
from typing import Any
from uuid import UUID

import gridfs
import pytest
from pymongo import MongoClient

from services.kernel.blobs import Blob, mongo
from services.kernel.blobs.coding import encode
from services.kernel.blobs.mongo import MongoBlobs
from services.kernel.blobs.mongo_packs import Plan
from services.kernel.blobs.mongo_reclaim import DAY, STALE
from services.kernel.errors import Corrupt, NotFound, Unavailable
from services.kernel.messages import now
from services.kernel.server import Server
from tests.servers.running import Server as RealServer

pytestmark = pytest.mark.server

A, B = UUID(int=1), UUID(int=2)
OpenBlobs = Callable[[], MongoBlobs]


def blob(content: bytes) -> Blob:
    return Blob(hashlib.sha256(content).digest(), content)


def random_blobs(count: int, size: int, seed: int = 0) -> list[Blob]:
    source = random.Random(seed)
    return [blob(source.randbytes(size)) for _ in range(count)]


def digests(blobs: list[Blob]) -> list[bytes]:
    return [each.digest for each in blobs]


@pytest.fixture
async def open_blobs(mongo_database: Server) -> AsyncIterator[OpenBlobs]:
    opened: list[MongoBlobs] = []

    def open_one() -> MongoBlobs:
        opened.append(MongoBlobs(mongo_database))
        return opened[-1]

    yield open_one
    for blobs in opened:
        await blobs.close()


@pytest.fixture
def blobs(open_blobs: OpenBlobs) -> MongoBlobs:
    return open_blobs()


@pytest.fixture
def database(mongo_database: Server) -> Any:
    with MongoClient(mongo_database.address) as client:
        yield client[mongo_database.path]


def kept(database: Any) -> dict[str, int]:
    """How many documents there are of each kind, and how many copies of blobs."""
    packs = list(database["blobs.packs"].find())
    return {
        "notes": database["blobs.notes"].count_documents({}),
        "entries": database["blobs.entries"].count_documents({}),
        "puts": sum("digests" in pack for pack in packs),
        "dead": sum("dead" in pack for pack in packs),
        "packed": sum(len(pack.get("blobs", {})) for pack in packs),
        "files": database["blobs.files"].count_documents({}),
    }


NOTHING = {"notes": 0, "entries": 0, "puts": 0, "dead": 0, "packed": 0, "files": 0}


async def listed(blobs: MongoBlobs, workspace: UUID = A) -> list[bytes]:
    return [digest async for some in blobs.digests(workspace) for digest in some]


async def contents(blobs: MongoBlobs, wanted: list[Blob]) -> list[bytes]:
    return await asyncio.gather(*(blobs.get(A, each.digest) for each in wanted))


async def sweep(blobs: MongoBlobs, after: int) -> None:
    """Sweep as if so many microseconds had passed."""
    await blobs._reclaimer.settled()
    blobs._reclaimer._clock = lambda: now() + after
    async with blobs._mongo.call() as database:
        await blobs._reclaimer.sweep(database)


async def die_before_the_end(blobs: MongoBlobs, several: list[Blob], *, written: bool = True) -> Plan:
    """Do what a put does until the insert that makes it hold."""
    plan = Plan.of(A, {each.digest: encode(each.digest, each.content) for each in several})
    async with blobs._mongo.call() as database:
        await blobs._packs.begin(database, plan.put, "put", plan.listed(plan.coded))
        await blobs._packs.claim(database, plan, plan.coded.keys())
        if written:
            await blobs._packs.keep(database, plan, plan.coded)
            await database["blobs.packs"].delete_one({"_id": plan.put})
    blobs._packs._kept.clear()
    return plan


async def test_small_blobs_are_packed_and_large_ones_are_files(blobs: MongoBlobs, database: Any) -> None:
    small, large = random_blobs(200, 2_000), random_blobs(2, 600_000)
    await blobs.put(A, small + large)
    assert kept(database) == NOTHING | {"entries": 202, "puts": 1, "packed": 200, "files": 2}
    assert 3 <= database["blobs.packs"].count_documents({}) <= 5
    assert await contents(blobs, small + large) == [each.content for each in small + large]
    bucket = gridfs.GridFSBucket(database, "blobs")
    assert bucket.open_download_stream_by_name(large[0].digest.hex()).read() == large[0].content


@pytest.mark.parametrize("damage", ["flip", "remove"])
@pytest.mark.parametrize("content", [b"compressible " * 100, random.Random(2).randbytes(300_000)], ids=["pack", "file"])
async def test_damage_is_found_and_named(blobs: MongoBlobs, database: Any, content: bytes, damage: str) -> None:
    await blobs.put(A, [blob(content)])
    name = blob(content).digest.hex()
    if damage == "remove":
        database["blobs.packs" if len(content) < 10_000 else "blobs.chunks"].delete_many({})
    elif len(content) < 10_000:
        packed = bytearray(database["blobs.packs"].find_one()["blobs"][name])
        packed[-5] ^= 1
        database["blobs.packs"].update_many({}, {"$set": {f"blobs.{name}": bytes(packed)}})
    else:
        database["blobs.chunks"].update_many({}, {"$set": {"data": bytes(150_000)}})
    with pytest.raises(Corrupt, match=name):
        await blobs.get(A, blob(content).digest)


async def test_two_that_put_the_same_at_once_leave_one(open_blobs: OpenBlobs, database: Any) -> None:
    one, other = open_blobs(), open_blobs()
    for turn in range(10):
        several = random_blobs(60, 2_000, seed=turn)
        await asyncio.gather(one.put(A, several[:40]), other.put(A, several[20:]), one.put(A, several[10:50]))
        assert await contents(other, several) == [each.content for each in several]
    await sweep(one, DAY * 2)  # of those that gave way to another
    found = kept(database)
    assert (found["entries"], found["packed"], found["notes"]) == (600, 600, 0)


async def test_what_died_before_its_end_is_not_there(blobs: MongoBlobs) -> None:
    several = random_blobs(5, 1_000) + random_blobs(1, 300_000)
    await die_before_the_end(blobs, several)
    assert await listed(blobs) == []
    for each in several:
        with pytest.raises(NotFound):
            await blobs.get(A, each.digest)
    await blobs.drop(A, digests(several))
    assert await listed(blobs) == []


@pytest.mark.parametrize("written", [True, False])
async def test_a_put_after_one_that_died_completes_it_and_leaves_no_garbage(
    open_blobs: OpenBlobs, database: Any, written: bool
) -> None:
    several = random_blobs(100, 2_000) + random_blobs(1, 300_000)
    died = await die_before_the_end(open_blobs(), several, written=written)
    blobs = open_blobs()
    await blobs.put(A, several[:-5] + random_blobs(3, 500, seed=9))
    await blobs.put(A, several)
    assert await contents(blobs, several) == [each.content for each in several]
    async with blobs._mongo.call() as opened:  # should it live after all, it notices
        assert not await blobs._packs.keep(opened, died, died.coded)
    await sweep(blobs, STALE * 2)
    assert await contents(blobs, several) == [each.content for each in several]
    await sweep(blobs, DAY * 2)
    assert await contents(blobs, several) == [each.content for each in several]
    assert kept(database) == NOTHING | {"entries": 104, "puts": 2, "packed": 103, "files": 1}
    assert database["blobs.chunks"].count_documents({}) == 2


async def test_what_died_and_is_never_put_again_is_cleaned_up(blobs: MongoBlobs, database: Any) -> None:
    several = random_blobs(200, 2_000) + random_blobs(1, 300_000)
    await die_before_the_end(blobs, several)
    await sweep(blobs, 0)
    assert kept(database)["entries"] == 201
    await sweep(blobs, STALE * 2)
    assert kept(database) == NOTHING | {"notes": 1, "dead": 1}
    await sweep(blobs, DAY * 2)
    assert kept(database) == NOTHING
    assert database["blobs.chunks"].count_documents({}) == 0


async def test_a_put_that_was_taken_for_dead_begins_again(open_blobs: OpenBlobs, database: Any) -> None:
    blobs, other = open_blobs(), open_blobs()
    several = random_blobs(20, 1_000)
    keep, fenced = blobs._packs.keep, []

    async def fence_first(opened: Any, plan: Plan, mine: Any) -> bool:
        if not fenced:
            fenced.append(plan.put)
            assert await other._packs.fence(opened, plan.put) == "dead"
            await other.put(A, several[:10])
        return await keep(opened, plan, mine)

    blobs._packs.keep = fence_first  # type: ignore[method-assign]
    await blobs.put(A, several)
    assert await contents(other, several) == [each.content for each in several]
    await sweep(blobs, DAY * 2)
    assert kept(database) == NOTHING | {"entries": 20, "puts": 2, "packed": 20}


async def test_a_put_that_died_after_its_end_stays(blobs: MongoBlobs, database: Any) -> None:
    several = random_blobs(5, 1_000)
    plan = Plan.of(A, {each.digest: encode(each.digest, each.content) for each in several})
    async with blobs._mongo.call() as opened:
        await blobs._packs.begin(opened, plan.put, "put", plan.listed(plan.coded))
        await blobs._packs.claim(opened, plan, plan.coded.keys())
        assert await blobs._packs.keep(opened, plan, plan.coded)
    assert await listed(blobs) == sorted(digests(several))
    await sweep(blobs, STALE * 2)
    assert await contents(blobs, several) == [each.content for each in several]
    assert kept(database) == NOTHING | {"entries": 5, "puts": 1, "packed": 5}


async def test_room_is_reclaimed_when_more_than_half_is_dropped(blobs: MongoBlobs, database: Any) -> None:
    several = random_blobs(200, 2_000) + random_blobs(2, 100_000)
    await blobs.put(A, several)
    await blobs.drop(A, digests(several[:50]))
    await blobs._reclaimer.settled()
    assert kept(database)["packed"] == 200
    await blobs.drop(A, digests(several[50:180] + several[200:201]))
    await blobs._reclaimer.settled()
    assert kept(database) == NOTHING | {"entries": 21, "puts": 1, "packed": 20, "files": 1}
    assert await contents(blobs, several[180:200] + several[201:]) == [
        each.content for each in several[180:200] + several[201:]
    ]
    await blobs.drop(A, digests(several))
    await blobs._reclaimer.settled()
    assert kept(database) == NOTHING
    assert blobs.measures()["blobs_moved_total"] == 21
    await blobs.put(A, several)
    assert await listed(blobs) == sorted(digests(several))


async def test_a_drop_that_died_is_ended_by_a_sweep(blobs: MongoBlobs, database: Any) -> None:
    several = random_blobs(20, 1_000)
    await blobs.put(A, several)
    blobs._reclaimer._closed = True
    await blobs.drop(A, digests(several[:15]))
    assert kept(database) == NOTHING | {"notes": 1, "entries": 5, "puts": 1, "packed": 20}
    await sweep(blobs, STALE * 2)
    assert kept(database) == NOTHING | {"entries": 5, "puts": 1, "packed": 5}
    assert await contents(blobs, several[15:]) == [each.content for each in several[15:]]


async def test_a_move_that_died_leaves_nothing(blobs: MongoBlobs, database: Any) -> None:
    several = random_blobs(20, 1_000)
    await blobs.put(A, several)
    plan = Plan.of(A, {each.digest: encode(each.digest, each.content) for each in several[:5]})
    async with blobs._mongo.call() as opened:
        await blobs._packs.begin(opened, plan.put, "move", plan.listed(plan.coded))
        assert await blobs._packs.keep(opened, plan, plan.coded)
    await sweep(blobs, STALE * 2)
    assert kept(database)["packed"] == 25  # it may still be going on
    await sweep(blobs, DAY * 2)
    assert kept(database) == NOTHING | {"entries": 20, "puts": 1, "packed": 20}
    assert await contents(blobs, several) == [each.content for each in several]


async def test_only_entries_that_still_say_so_are_redirected(blobs: MongoBlobs) -> None:
    several = random_blobs(5, 1_000)
    await blobs.put(A, several)
    plan = Plan.of(A, {each.digest: encode(each.digest, each.content) for each in several})
    async with blobs._mongo.call() as opened:
        there = await blobs._packs.places(opened, A, digests(several))
        await blobs.drop(A, digests(several[:1]))
        assert await blobs._packs.redirect(opened, plan, digests(several), {"elsewhere:0"}) == 0
        assert await blobs._packs.redirect(opened, plan, digests(several), set(there.values())) == 4
        assert await blobs._packs.places(opened, A, digests(several)) == {
            each.digest: plan.places[each.digest] for each in several[1:]
        }


async def test_a_drop_leaves_what_is_being_put(blobs: MongoBlobs) -> None:
    several = random_blobs(20, 1_000)
    keep = blobs._packs.keep

    async def drop_first(opened: Any, plan: Plan, mine: Any) -> bool:
        await blobs.drop(A, digests(several))
        return await keep(opened, plan, mine)

    blobs._packs.keep = drop_first  # type: ignore[method-assign]
    await blobs.put(A, several)
    assert await contents(blobs, several) == [each.content for each in several]


async def test_what_was_put_is_there_whatever_others_drop_and_reclaim(open_blobs: OpenBlobs, database: Any) -> None:
    one, other = open_blobs(), open_blobs()
    shared, stays = random_blobs(40, 1_000), random_blobs(10, 1_000, seed=5)

    async def churn(blobs: MongoBlobs, mine: list[Blob], seed: int) -> None:
        source = random.Random(seed)
        for _ in range(15):
            several = source.sample(mine, 12)
            await blobs.put(A, several + source.sample(stays, 3))
            assert await contents(blobs, several) == [each.content for each in several]
            await blobs.drop(A, digests(several[:10]))

    await one.put(A, stays)
    await asyncio.gather(churn(one, shared[:20], 1), churn(other, shared[20:], 2))
    assert await contents(one, stays) == [each.content for each in stays]
    for blobs in (one, other):
        await blobs._reclaimer.settled()
        await sweep(blobs, DAY * 2)
        await blobs.drop(A, digests(shared + stays))
    async with asyncio.timeout(60):
        days = 2
        while kept(database) != NOTHING:  # what one left while the other was at it, the next sweep takes
            days += 2
            for blobs in (one, other):
                await blobs._reclaimer.settled()
                await sweep(blobs, DAY * days)


async def test_what_is_dropped_of_a_move_that_goes_on_takes_nothing_else_with_it(
    open_blobs: OpenBlobs, database: Any
) -> None:
    one, other = open_blobs(), open_blobs()
    several = random_blobs(300, 2_000)
    redirect, moved = one._packs.redirect, list[str]()

    async def drop_between(opened: Any, plan: Plan, moving: Any, places: Any) -> int:
        """Direct the entries of one pack, drop most of them, and direct the rest."""
        first = [digest for digest in moving if plan.places[digest].endswith(":0")]
        moved.append(plan.put)
        changed = await redirect(opened, plan, first, places)
        await other.drop(A, first[1:])
        await other._reclaimer.settled()
        gone.update(first[1:])
        return changed + await redirect(opened, plan, [digest for digest in moving if digest not in first], places)

    await one.put(A, several)
    gone = set(digests(several[:180]))
    one._packs.redirect = drop_between  # type: ignore[method-assign]
    await one.drop(A, sorted(gone))
    await one._reclaimer.settled()
    assert moved
    there = [each for each in several if each.digest not in gone]
    assert 0 < len(there) < 100
    assert await contents(other, there) == [each.content for each in there]
    await other.drop(A, digests(there))
    await other._reclaimer.settled()
    await sweep(other, STALE * 2)
    assert kept(database) == NOTHING


async def test_reading_while_room_is_reclaimed_finds_everything(blobs: MongoBlobs) -> None:
    several = random_blobs(300, 2_000)
    await blobs.put(A, several)
    stays = several[::4]
    await blobs.drop(A, digests([each for each in several if each not in stays]))
    assert blobs._reclaimer._task is not None
    while not blobs._reclaimer._task.done():
        assert await contents(blobs, stays) == [each.content for each in stays]
    assert blobs.measures()["puts_reclaimed_total"] == 1
    assert await contents(blobs, stays) == [each.content for each in stays]


async def test_a_put_that_nobody_waits_for_ends(blobs: MongoBlobs, database: Any) -> None:
    several = random_blobs(20, 1_000)
    claim, claimed = blobs._packs.claim, asyncio.Event()

    async def tell(*values: Any) -> set[bytes]:
        claimed.set()
        return await claim(*values)

    blobs._packs.claim = tell  # type: ignore[method-assign]
    task = asyncio.create_task(blobs.put(A, several))
    await claimed.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await blobs.close()
    assert kept(database) == NOTHING | {"entries": 20, "puts": 1, "packed": 20}


async def test_what_is_moved_while_it_is_dropped_is_dropped(blobs: MongoBlobs, database: Any) -> None:
    several = random_blobs(5, 1_000)
    await blobs.put(A, several)
    begin = blobs._packs.begin

    async def move_first(opened: Any, put: str, kind: Any, said: Any) -> None:
        if kind == "drop":
            blobs._packs.begin = begin  # type: ignore[method-assign]
            places = await blobs._packs.places(opened, A, digests(several))
            await blobs._reclaimer._move(opened, A, places)
        await begin(opened, put, kind, said)

    blobs._packs.begin = move_first  # type: ignore[method-assign]
    await blobs.drop(A, digests(several))
    assert await listed(blobs) == []
    await blobs._reclaimer.settled()
    assert kept(database) == NOTHING


@pytest.mark.parametrize("patience", [0.0, mongo.PATIENCE])
async def test_a_server_that_is_killed_keeps_what_it_acknowledged(
    own_server: Callable[[str], RealServer], monkeypatch: pytest.MonkeyPatch, patience: float
) -> None:
    monkeypatch.setattr(mongo, "PATIENCE", patience)
    server = own_server("mongodb")
    blobs = MongoBlobs(Server.parse(f"{server.url}/test"))
    batches = [random_blobs(10, 2_000, seed) + random_blobs(1, 70_000, seed) for seed in range(60)]
    acknowledged: list[int] = []

    async def put_all(numbers: range) -> None:
        for number in numbers:
            await blobs.put(A, batches[number])
            acknowledged.append(number)

    for turn in range(2):
        writers = [asyncio.create_task(put_all(range(start, 60, 4))) for start in range(4)]
        seen = len(acknowledged)
        while len(acknowledged) < seen + 5:
            await asyncio.sleep(0)
        server.kill()
        outcomes = await asyncio.gather(*writers, return_exceptions=True)
        assert Unavailable in {type(outcome) for outcome in outcomes}, turn
        server.start()
        async with asyncio.timeout(60):
            while True:
                try:
                    found = set(await listed(blobs))
                    break
                except Unavailable:
                    await asyncio.sleep(0.05)
        for number, batch in enumerate(batches):
            there = found & set(digests(batch))
            assert len(there) == (11 if number in acknowledged else len(there))
            assert len(there) in {0, 11}
    await put_all(range(60))
    await sweep(blobs, DAY * 2)
    for batch in batches:
        assert await contents(blobs, batch) == [each.content for each in batch]
    with MongoClient(server.url) as client:
        assert kept(client["test"]) == NOTHING | {"entries": 660, "puts": 60, "packed": 600, "files": 60}
    await blobs.close()
