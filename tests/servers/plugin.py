"""Fixtures for tests on real servers: a server that is absent skips its tests, or fails them where it is required."""

import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from uuid import uuid4

import pytest

from services.cli.rendering.jobs import job_name
from services.kernel import server as service
from services.kernel.errors import NotFound
from services.kernel.scheduler.nomad import Nomad
from services.kernel.sql import Migration
from tests.servers.databases import Databases, MakeDatabase
from tests.servers.running import REQUIRED, SHARED, Kind, Server, Stable, missing, required
from tests.stores import Stores

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
def own_server(stable: Stable) -> Iterator[Callable[[str | Kind], Server]]:
    """A server of a kind for this test alone: it may be killed, stopped and started again."""
    begun: list[Server] = []

    def begin(kind: str | Kind) -> Server:
        require(kind if isinstance(kind, str) else kind.name)
        begun.append(stable.own(kind))
        return begun[-1]

    yield begin
    for server in begun:
        stable.give_back(server)


@pytest.fixture(scope="session")
def databases(shared_server: Callable[[str], Server]) -> Callable[[], Databases]:
    """The databases on the PostgreSQL that the run shares."""

    @cache
    def find() -> Databases:
        return Databases(shared_server("postgresql"))

    return find


@pytest.fixture
async def make_database(databases: Callable[[], Databases]) -> AsyncIterator[MakeDatabase]:
    """Make a database on that PostgreSQL, at the steps that are given; it is dropped afterwards."""
    made: list[service.Server] = []

    async def make(migrations: Sequence[Migration] = ()) -> service.Server:
        made.append(await databases().make(migrations))
        return made[-1]

    yield make
    for each in made:
        await databases().give_back(each)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.server)])
async def stores(request: pytest.FixtureRequest, databases: Callable[[], Databases]) -> AsyncIterator[Stores]:
    """Let the services under test keep their tables in files, and again in databases on PostgreSQL."""
    kept = Stores(databases() if request.param == "postgres" else None)
    with kept.used():
        yield kept
    await kept.give_back()


@pytest.fixture
async def nomad(shared_server: Callable[[str], Server]) -> AsyncIterator[Nomad]:
    """The Nomad that the run shares: each test has jobs, paths and ports of its own."""
    opened = Nomad(service.Server.parse(shared_server("nomad").url))
    yield opened
    await opened.close()


@pytest.fixture
async def service_name(nomad: Nomad) -> AsyncIterator[str]:
    """The name of a service that no other test has; a job of it ends with the test."""
    made = f"test-{uuid4().hex[:8]}"
    yield made
    with suppress(NotFound):
        await nomad.stop(job_name(made), purge=True)


def require(name: str) -> None:
    """Skip the test, or fail it, unless there is such a server."""
    if name in missing():
        if name in required():
            pytest.fail(f"{REQUIRED} asks for {name}, which is not installed: see tests/servers/README.md")
        pytest.skip(f"{name} is not installed")
