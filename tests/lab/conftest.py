from collections.abc import AsyncIterator

import pytest

from lab.generate import generate
from lab.running import Lab, running_lab
from lab.world import World


@pytest.fixture(scope="module")
def world() -> World:
    return generate(60, 1, transfer=True, nsec=True)


@pytest.fixture
async def lab(world: World) -> AsyncIterator[Lab]:
    async with running_lab(world) as running:
        yield running
