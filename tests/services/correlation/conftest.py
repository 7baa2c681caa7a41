from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.services.correlation.observatory import Observatory, observatory
from tests.stores import Stores


@pytest.fixture
async def watch(tmp_path: Path, stores: Stores) -> AsyncIterator[Observatory]:
    async with observatory(tmp_path) as made:
        yield made
