"""Fixtures for tests on real servers: a server that is absent skips its tests, or fails them where it is required."""

import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path

import pytest

from services.kernel import server as service
from services.kernel.sql import Migration
from tests.servers.databases import Databases, MakeDatabase
from tests.servers.running import REQUIRED, SHARED, Server, Stable, missing, required

HELD = pytest.StashKey[tuple[Path, int]]()


def pytest_configure(config: pytest.Config) -> None:
    """In the process that ends last: make the folder that all workers share, and hold its servers' leash."""
    if SHARED in os.environ:
        return
    folder = Path(tempfile.mkdtemp(prefix="mirage-servers-"))
    folder.chmod(0o711)  # PostgreSQL runs as another user
    os.mkfifo(folder / "fifo")
    # Read and write, so that opening does not wait for a reader.
    config.stash[HELD] = (folder, os.open(folder / "fifo", os.O_RDWR | os.O_CLOEXEC))
    os.environ[SHARED] = str(folder)


def pytest_unconfigure(config: pytest.Config) -> None:
    held = config.stash.get(HELD, None)
    if held is not None:
        folder, leash = held
        os.close(leash)
        os.environ.pop(SHARED, None)
        shutil.rmtree(folder, ignore_errors=True)


def pytest_report_header() -> list[str]:
    absent = missing()
    return [f"servers: {', '.join(absent)} not installed; their tests are skipped"] if absent else []


@pytest.fixture(scope="session")
def stable() -> Iterator[Stable]:
    opened = Stable(Path(os.environ[SHARED]))
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def shared_server(stable: Stable) -> Callable[[str], Server]:
    """The server of a kind that the whole test run shares: leave nothing behind that another test would see."""

    def find(name: str) -> Server:
        require(name)
        return stable.shared(name)

    return find


@pytest.fixture
def own_server(stable: Stable) -> Iterator[Callable[[str], Server]]:
    """A server of a kind for this test alone: it may be killed, stopped and started again."""
    begun: list[Server] = []

    def begin(name: str) -> Server:
        require(name)
        begun.append(stable.own(name))
        return begun[-1]

    yield begin
    for server in begun:
        stable.give_back(server)


@pytest.fixture
async def make_database(shared_server: Callable[[str], Server]) -> AsyncIterator[MakeDatabase]:
    """Make a database on the PostgreSQL that the run shares, at the steps that are given; it is dropped afterwards."""
    databases: list[Databases] = []

    async def make(migrations: Sequence[Migration] = ()) -> service.Server:
        if not databases:
            databases.append(Databases(shared_server("postgresql")))
        return await databases[0].make(migrations)

    yield make
    for each in databases:
        await each.drop_all()


def require(name: str) -> None:
    """Skip the test, or fail it, unless there is such a server."""
    if name in missing():
        if name in required():
            pytest.fail(f"{REQUIRED} asks for {name}, which is not installed: see tests/servers/README.md")
        pytest.skip(f"{name} is not installed")
