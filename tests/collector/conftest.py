import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests.collector.fetch.authority import Signer
from tests.collector.fetch.webs import Net
from tests.collector.workshop import Workshop, workshop


@pytest.fixture(scope="session")
def signer(tmp_path_factory: pytest.TempPathFactory) -> Signer:
    return Signer(tmp_path_factory.mktemp("signer"))


@pytest.fixture
async def net(signer: Signer) -> AsyncIterator[Net]:
    net = Net(str(signer.file))
    yield net
    await net.close()


Certified = Callable[..., ssl.SSLContext]


@pytest.fixture
def certified(signer: Signer) -> Certified:
    return signer.context


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Workshop]:
    async with workshop(tmp_path) as made:
        yield made
