"""The journal on disk: what it knows of other items' answers."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import pytest

from services.collector.budget import Budget
from services.collector.context import SourceError, Unreachable
from services.collector.exchange import Exchanges, Owner, Performed
from services.collector.journal import Journal
from services.collector.manifest import MODULES, read_manifest
from services.kernel.blobs.segments import SegmentBlobs
from services.kernel.cache.memory import MemoryCache
from services.kernel.messages import now
from services.kernel.sql import migrations
from services.kernel.sql.sqlite import SqliteSql

HERE, SCAN, OTHER = UUID(int=1), UUID(int=2), UUID(int=3)
MANIFEST = read_manifest(MODULES / "web.py").manifest
REQUEST = "GET https://www.example.org/"


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[Journal]:
    sql, blobs = SqliteSql(tmp_path / "collector.db"), SegmentBlobs(tmp_path / "evidence")
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
    return Exchanges(journal, Budget(MemoryCache()), MANIFEST, owner, {}, offline=False)


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
