"""The journal on disk: what it keeps, what it knows of other items' answers, and what it forgets."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import pytest

from services.collector import journal as journals
from services.collector import store
from services.collector.budget import Budget
from services.collector.context import SourceError, Unreachable
from services.collector.item.exchange import Exchanges, Owner, Performed
from services.collector.journal import Journal, digest
from services.collector.manifest import MODULES, read_manifest
from services.contracts.evidence import EvidenceRecord, seal
from services.kernel.blobs.segments import SegmentBlobs
from services.kernel.cache.memory import MemoryCache
from services.kernel.errors import NotFound
from services.kernel.messages import now
from services.kernel.sql import migrations
from tests.collector.workshop import ELSEWHERE, SCAN, WORKSPACE, Workshop, workshop
from tests.stores import Stores

T = TypeVar("T")

HERE, OTHER = UUID(int=1), UUID(int=3)
MANIFEST = read_manifest(MODULES / "web.py").manifest
REQUEST = "GET https://www.example.org/"


@pytest.fixture
async def journal(tmp_path: Path, stores: Stores) -> AsyncIterator[Journal]:
    sql, blobs = stores.open(tmp_path / "collector.db"), SegmentBlobs(tmp_path / "evidence")
    await sql.migrate(migrations.load("services.collector.migrations"))
    journal = Journal(sql, blobs)
    writing = asyncio.create_task(journal.run())
    yield journal
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)
    await blobs.close()
    await sql.close()


def exchanges(journal: Journal, item: int, scan: UUID = SCAN) -> Exchanges:
    owner = Owner(HERE, scan, UUID(int=item), 0)
    return Exchanges(journal, Budget(MemoryCache(), journal._sql), MANIFEST, owner, {}, offline=False)


async def ask(journal: Journal, performed: Performed) -> None:
    async def perform() -> Performed:
        return performed

    try:
        await exchanges(journal, 10).make("http", REQUEST, perform)
    except SourceError:
        assert performed.failure is not None


async def test_an_answer_is_found_by_other_items_of_the_scan_for_a_while(journal: Journal) -> None:
    await ask(journal, Performed(at=now() - 30_000_000, status="200", head="HTTP/1.1 200 OK", body=b"a page"))
    found = await exchanges(journal, 11).find_answer("http", REQUEST, b"", 60)
    assert found is not None
    assert (found.status, found.head, found.body) == ("200", "HTTP/1.1 200 OK", b"a page")
    assert await exchanges(journal, 11).find_answer("http", REQUEST, b"", 20) is None
    assert await exchanges(journal, 11).find_answer("http", REQUEST + "other", b"", 60) is None
    assert await exchanges(journal, 11, OTHER).find_answer("http", REQUEST, b"", 60) is None


async def test_a_failure_is_no_answer_for_others(journal: Journal) -> None:
    await ask(journal, Performed(at=now(), failure=Unreachable("it hung up")))
    assert await exchanges(journal, 11).find_answer("http", REQUEST, b"", 60) is None


async def test_of_a_scan_with_more_answers_than_a_process_keeps_in_mind_each_is_found_all_the_same(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journals, "ANSWERS_KNOWN", 3)
    asking = exchanges(journal, 10)
    requests = [f"{REQUEST}{number}" for number in range(6)]
    for request in requests:
        assert await asking.find_answer("http", request, b"", 60) is None
        await asking.make("http", request, answering(request.encode(), now()), shared=True)
        assert sum(len(keys or ()) for keys in journal._answers.values()) <= 3
    found = [await exchanges(journal, 11).find_answer("http", request, b"", 60) for request in requests]
    assert [each and each.body for each in found] == [request.encode() for request in requests]


async def test_a_process_keeps_in_mind_the_answers_of_so_many_scans_at_most(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journals, "SCANS_KNOWN", 2)
    scans = [UUID(int=number) for number in range(20, 25)]
    for scan in scans:
        asking = exchanges(journal, scan.int, scan)
        assert await asking.find_answer("http", REQUEST, b"", 60) is None
        await asking.make("http", REQUEST, answering(scan.bytes, now()), shared=True)
        assert len(journal._answers) <= 2
    found = [await exchanges(journal, 11, scan).find_answer("http", REQUEST, b"", 60) for scan in scans]
    assert [each and each.body for each in found] == [scan.bytes for scan in scans]


# What is kept, and until when


async def test_what_was_written_is_there_for_the_next_process(tmp_path: Path) -> None:
    async with workshop(tmp_path) as shop:
        exchanges = await shop.exchanges(MANIFEST)
        record, _ = await exchanges.make("http", REQUEST, answering(b"a page"))
    async with workshop(tmp_path) as shop:
        assert (await shop.recorded())[record.key] == (0, record)
        assert await shop.journal.body(WORKSPACE, record) == b"a page"


async def test_many_exchanges_are_written_together_each_with_its_own_record(tmp_path: Path) -> None:
    async with workshop(tmp_path) as shop:
        items = [await shop.exchanges(MANIFEST, number) for number in range(300)]
        made = [each.make("http", REQUEST, answering(b"%d" % n, at=n + 1)) for n, each in enumerate(items)]
        records = await asyncio.gather(*made)
        assert [body for _, body in records] == [b"%d" % number for number in range(300)]
        assert [record.at for record, _ in records] == list(range(1, 301))
        for number in (0, 150, 299):
            assert await shop.records(number) == [records[number][0]]


async def test_an_exchange_of_another_workspace_is_not_seen(tmp_path: Path) -> None:
    async with workshop(tmp_path) as shop:
        record, _ = await (await shop.exchanges(MANIFEST)).make("http", REQUEST, answering(b"ours"))
        theirs = await shop.exchanges(MANIFEST, workspace=ELSEWHERE)
        assert (await theirs.make("http", REQUEST, answering(b"theirs")))[1] == b"theirs"
        assert await theirs.find_answer("http", REQUEST + "x", b"", 60) is None
        with pytest.raises(NotFound):
            await shop.journal.body(ELSEWHERE, record)


async def forget(shop: Workshop, scan: UUID) -> None:
    async with shop.sql.begin() as tx:
        await shop.journal.forget(tx, WORKSPACE, scan)


async def test_a_deleted_scan_leaves_its_shared_bodies_and_nothing_else(tmp_path: Path) -> None:
    async with workshop(tmp_path) as shop:
        for item, scan, body in ((1, SCAN, b"own"), (2, SCAN, b"both"), (3, OTHER, b"both"), (4, SCAN, b"uploaded")):
            await (await shop.exchanges(MANIFEST, item, scan=scan)).make("http", REQUEST, answering(body))
        async with shop.sql.begin() as tx:
            await store.write_upload(tx, WORKSPACE, digest(b"uploaded"), 8, 1)
        await forget(shop, SCAN)
        kept = [each async for some in shop.blobs.digests(WORKSPACE) for each in some]
        assert sorted(kept) == sorted([digest(b"both"), digest(b"uploaded")])
        assert [len(await shop.records(item)) for item in (1, 2, 3, 4)] == [0, 0, 1, 0]
        await forget(shop, OTHER)
        assert [each async for some in shop.blobs.digests(WORKSPACE) for each in some] == [digest(b"uploaded")]


async def kept(shop: Workshop) -> int:
    async with shop.sql.read() as view:
        return await store.bytes_kept(view, WORKSPACE)


async def test_what_is_kept_of_a_workspace_is_counted_as_it_comes_and_goes(tmp_path: Path) -> None:
    async with workshop(tmp_path) as shop:
        assert await kept(shop) == 0
        await (await shop.exchanges(MANIFEST, 1)).make("http", REQUEST, answering(b"a" * 1000))
        one = await kept(shop)
        assert 1000 < one < 1500
        await (await shop.exchanges(MANIFEST, 2, scan=OTHER)).make("http", REQUEST, answering(b"a" * 2000))
        assert 3000 < await kept(shop) < 4000
        await (await shop.exchanges(MANIFEST, workspace=ELSEWHERE)).make("http", REQUEST, answering(b"theirs"))
        assert 3000 < await kept(shop) < 4000, "each workspace has its own"
        await shop.journal.keep(WORKSPACE, b"w" * 500, shop.outbox)
        await shop.journal.keep(WORKSPACE, b"w" * 500, shop.outbox)
        await forget(shop, OTHER)
        await forget(shop, OTHER)
        assert await kept(shop) == one + 500
        await forget(shop, SCAN)
        assert await kept(shop) == 500


async def test_an_answer_in_place_of_another_counts_instead_of_it(tmp_path: Path) -> None:
    async with workshop(tmp_path) as shop:
        for turn, size in enumerate((900, 400)):
            said = {"protocol": "http", "request": "r", "key": bytes(32), "status": "503", "blob": b"b", "size": size}
            record = seal(EvidenceRecord(id=b"", at=1, **said))
            async with shop.sql.begin() as tx:
                row = store.JournalRow(WORKSPACE, UUID(int=1), SCAN, turn, record)
                await store.write_exchanges(tx, [row, row])
            assert size < await kept(shop) < size + 400


async def test_what_comes_for_a_scan_after_its_end_leaves_nothing(tmp_path: Path) -> None:
    async with workshop(tmp_path) as shop:
        await (await shop.exchanges(MANIFEST, 1, scan=OTHER)).make("http", REQUEST, answering(b"both"))
        await forget(shop, SCAN)
        for item, body in ((2, b"late"), (3, b"both")):
            _, seen = await (await shop.exchanges(MANIFEST, item)).make("http", REQUEST, answering(body))
            assert seen == body
            assert not await shop.records(item)
        assert [each async for some in shop.blobs.digests(WORKSPACE) for each in some] == [digest(b"both")]


async def test_a_body_that_is_written_while_it_is_dropped_stays(tmp_path: Path) -> None:
    async with workshop(tmp_path) as shop:
        await (await shop.exchanges(MANIFEST, 1)).make("http", REQUEST, answering(b"body"))
        other = await shop.exchanges(MANIFEST, 2, scan=OTHER)
        record, _ = await forgetting_meanwhile(shop, other.make("http", REQUEST, answering(b"body")))
        assert await shop.journal.body(WORKSPACE, record) == b"body"


async def test_what_is_uploaded_while_it_is_dropped_stays(tmp_path: Path) -> None:
    async with workshop(tmp_path) as shop:
        await (await shop.exchanges(MANIFEST, 1)).make("http", REQUEST, answering(b"body"))
        name = await forgetting_meanwhile(shop, shop.journal.keep(WORKSPACE, b"body", shop.outbox))
        assert await shop.blobs.get(WORKSPACE, name) == b"body"


async def forgetting_meanwhile(shop: Workshop, writes: Coroutine[Any, Any, T]) -> T:
    """Delete the scan that has a body between the moments when `writes` finds it there and when it notes its own."""
    async with shop.sql.begin() as tx:
        writing = asyncio.create_task(writes)
        put = asyncio.Event()
        real = shop.blobs.put

        async def watched(*given) -> None:
            await real(*given)
            put.set()

        shop.blobs.put = watched
        await put.wait()  # the body was there already, and what refers to it waits for this transaction to end
        await shop.journal.forget(tx, WORKSPACE, SCAN)
    return await writing


def answering(body: bytes, at: int = 1):
    async def perform() -> Performed:
        return Performed(at=at, status="200", body=body)

    return perform
