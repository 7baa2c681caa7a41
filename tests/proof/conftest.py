from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.proof.processes import Lab, Mirage, started_lab

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Proofs start whole processes: they are left out of the quick run."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def running_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with started_lab(tmp_path_factory.mktemp("lab")) as lab:
        yield lab


@pytest.fixture
def lab(running_lab: Lab) -> Lab:
    """The lab, in which all is well and nobody has asked anything."""
    running_lab.heal()
    running_lab.reset()
    return running_lab


@pytest.fixture
def mirage(tmp_path: Path, lab: Lab) -> Mirage:
    return Mirage(tmp_path / "data", lab)
