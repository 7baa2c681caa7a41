"""A folder for a fleet; whatever runs in it ends with the test, and with the test run."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from services.cli.fleet import leftovers
from tests.servers.cluster import keep
from tests.servers.plugin import require
from tests.servers.running import Stable


@pytest.fixture
def folder(stable: Stable) -> Iterator[Path]:
    """Others may pass through to it, as PostgreSQL's user has to: pytest's own folders let nobody in."""
    require("nomad")
    made = stable.folder / f"fleet-{uuid4().hex[:8]}"
    made.mkdir()
    keep(stable.folder / "fifo", made, made.with_suffix(".log"))
    yield made
    leftovers.end(made, grace=0)
    shutil.rmtree(made, ignore_errors=True)
