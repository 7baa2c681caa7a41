from collections.abc import Iterator

import pytest

from tests.attacks.hulls import KINDS, Hull, LocalHull, People


@pytest.fixture(scope="session", params=KINDS)
def hull(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hull]:
    """Each of the two, once for all tests of a process."""
    begun = LocalHull(request.param, tmp_path_factory.mktemp(request.param))
    yield begun
    begun.end()


@pytest.fixture(scope="session")
def people(hull: Hull) -> People:
    return People(hull)
