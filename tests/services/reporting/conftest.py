from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.services.reporting.press import Press
from tests.services.storage.depot import Depot, depot
from tests.stores import Stores


@pytest.fixture
async def press(tmp_path: Path) -> AsyncIterator[Press]:
    """On files: what a report says is the same wherever it is kept."""
    made = await Press(tmp_path).open()
    yield made
    await made.close()


@pytest.fixture
async def keeping(tmp_path: Path, stores: Stores) -> AsyncIterator[Press]:
    made = await Press(tmp_path).open()
    yield made
    await made.close()


@pytest.fixture
async def store(tmp_path: Path, stores: Stores) -> AsyncIterator[Depot]:
    async with depot(tmp_path) as made:
        yield made
