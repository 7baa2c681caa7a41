from collections.abc import AsyncIterator

import pytest

from lab.generate import generate
from lab.running import Lab, running_lab
from lab.world import World
from services.contracts import entities
from services.contracts.scope import scope
from tests.collector.modules.wired import Wire, wired


@pytest.fixture(scope="session")
def world() -> World:
    return generate(60, 1, transfer=True, nsec=True)


@pytest.fixture
async def lab(world: World) -> AsyncIterator[Lab]:
    async with running_lab(world, log=False) as running:
        yield running


@pytest.fixture
async def wire(lab: Lab) -> AsyncIterator[Wire]:
    """The scan of the target's domain and networks."""
    targets = [entities.domain(lab.target), *map(entities.netblock, lab.world.organisation.netblocks)]
    async with wired(lab, scope(targets)) as connected:
        yield connected
