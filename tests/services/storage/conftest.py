from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.services.storage.depot import Depot, depot


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Depot]:
    async with depot(tmp_path) as made:
        yield made
