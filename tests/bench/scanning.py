"""Mirage's own command line on the lab: scans, and what they say afterwards."""

import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from msgspec import Struct

from tests.bench.declaration import Unable
from tests.bench.laboratory import Laboratory
from tests.bench.processes import Run, run

MIRAGE = (sys.executable, "-P", "-m", "services")
INCOMPLETE = 3


class Scanned(Struct, frozen=True):
    """A scan that ended, its data folder still there. ``seconds``: from its start to its end, as it says itself."""

    lab: Laboratory
    folder: Path
    used: Run
    scan: dict[str, Any]

    @property
    def seconds(self) -> float:
        return float(self.scan["ended"] - self.scan["started"]) / 1e6

    def export(self, form: str) -> str:
        return self._ask("export", "last", "--format", form).decode()

    def _ask(self, *arguments: str) -> bytes:
        return mirage(arguments, self.lab, self.folder).out


@contextmanager
def scan(lab: Laboratory, *arguments: str, core: int | None = None) -> Iterator[Scanned]:
    """Scan in a fresh data folder, which is there until the block ends.

    Raises:
        Unable: the scan did not end well.
    """
    with tempfile.TemporaryDirectory(prefix="bench-data-") as name:
        folder = Path(name)
        used = mirage(["scan", *arguments, "--resolver", lab.resolver, "--quiet"], lab, folder, core=core, watch=True)
        shown = mirage(["scans", "show", "last", "--format", "json"], lab, folder)
        yield Scanned(lab, folder, used, json.loads(shown.out))


def mirage(
    arguments: Sequence[str], lab: Laboratory, folder: Path, *, core: int | None = None, watch: bool = False
) -> Run:
    command = [*MIRAGE, *arguments, "--data", str(folder / "data")]
    done = run(command, environment=lab.environment, core=core, watch=watch, folder=folder)
    if done.code not in {0, INCOMPLETE}:
        raise Unable(f"mirage {' '.join(arguments)} ended with {done.code}: {done.errors.decode()[-300:]}")
    return done
