from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.correlation.api import DOORS
from services.correlation.service import service
from services.kernel.calls import CallsOf, LocalCalls
from services.kernel.once_store import MIGRATIONS
from services.kernel.outbox import Outbox
from services.kernel.service import Ports
from services.kernel.sql import migrations
from tests.services.correlation.identity.keeper import Keeper
from tests.stores import Stores, open_store


@pytest.fixture
async def keeper(tmp_path: Path, stores: Stores) -> AsyncIterator[Keeper]:
    """The service alone, on a real store."""
    sql = open_store(tmp_path / "correlation.db")
    await sql.migrate([*MIGRATIONS, *migrations.load("services.correlation.migrations")])
    calls = LocalCalls({"correlation": service.asks})
    ports = Ports("correlation", sql=sql, calls=CallsOf("correlation", calls))
    ports.outbox = Outbox(sql, None, "correlation")  # type: ignore[arg-type]
    calls.serve(ports, DOORS)
    yield Keeper(ports, calls)
    await sql.close()
