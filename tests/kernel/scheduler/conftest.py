"""A Nomad that the whole run shares: each test has jobs, paths and ports of its own."""

from collections.abc import Callable

import pytest

from services.cli.rendering.jobs import job_name
from tests.servers.running import Server


@pytest.fixture(scope="session")
def cluster(shared_server: Callable[[str], Server]) -> Server:
    return shared_server("nomad")


@pytest.fixture
def name(service_name: str) -> str:
    """The id of a job that this test alone has; it ends with it."""
    return job_name(service_name)
