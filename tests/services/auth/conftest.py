from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lab.web.certificates import Authority
from tests.services.auth.home import Clock, Home, patched
from tests.services.auth.openid_provider import Provider, authority_in, serve
from tests.stores import Stores


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return patched(monkeypatch)


@pytest.fixture
async def home(tmp_path: Path, stores: Stores, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Home]:
    opened = await Home(tmp_path, stores, clock).open(monkeypatch)
    yield opened
    await opened.close()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return authority_in(tmp_path / "authority")


@pytest.fixture
async def provider(authority: Authority, clock: Clock) -> AsyncIterator[Provider]:
    made = Provider()
    made.clock = lambda: clock.at / 1_000_000
    async with serve(made, authority) as served:
        yield served


@pytest.fixture
async def linked(home: Home, provider: Provider, authority: Authority) -> Home:
    """A home that knows the provider ``acme``, which gives out the addresses of example.org."""
    await home.know(provider, authority.file, domains=("example.org",))
    return home
