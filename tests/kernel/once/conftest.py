"""The consumer of these tests: on both databases, on a bus that delivers once, twice, and on JetStream."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.kernel import inbox
from services.kernel.once_store import MIGRATIONS
from services.kernel.sql import Sql
from tests.kernel.once.bench import TABLE, Bench, Watched, WatchedJetStreamBus, WatchedSqliteBus
from tests.stores import Stores


@pytest.fixture
async def sql(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stores: Stores) -> AsyncIterator[Sql]:
    monkeypatch.setattr(inbox, "RETRY_AFTER", 0.001)
    monkeypatch.setattr(inbox, "PAUSE", 0.01)
    monkeypatch.setattr(inbox, "LONGEST_REST", 0.01)
    sql = stores.open(tmp_path / "tester.db")
    await sql.migrate([*MIGRATIONS, TABLE])
    yield sql
    await sql.close()


@pytest.fixture(params=["once", "twice", pytest.param("jetstream", marks=pytest.mark.server)])
def watched(request: pytest.FixtureRequest, tmp_path: Path) -> Watched:
    if request.param == "jetstream":
        return WatchedJetStreamBus(next(request.getfixturevalue("nats_accounts")))
    return WatchedSqliteBus(tmp_path / "bus.db", duplicate=request.param == "twice")


@pytest.fixture
async def bench(sql: Sql, watched: Watched, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    yield Bench(sql, watched, tmp_path, twice=getattr(watched, "_duplicate", False))
    await watched.close()
