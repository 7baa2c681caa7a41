from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.services.storage.depot import Depot, depot
from tests.stores import Stores


@pytest.fixture
async def store(tmp_path: Path, stores: Stores) -> AsyncIterator[Depot]:
    async with depot(tmp_path) as made:
        yield made
