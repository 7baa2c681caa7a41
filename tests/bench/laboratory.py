"""The lab in a process of its own, on the other core, and the truth it leaves."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from msgspec import Struct

from tests.bench import machine
from tests.bench.declaration import Unable
from tests.bench.processes import ROOT, pinned


class Laboratory(Struct, frozen=True):
    """A running lab: its target and resolver, and what Mirage needs in its environment."""

    target: str
    resolver: str
    environment: dict[str, str]
    words: Path
    truth: dict[str, Any]
    control: str = ""


@contextmanager
def laboratory(*, hosts: int, seed: int) -> Iterator[Laboratory]:
    """Start a lab of ``hosts`` names and stop it afterwards.

    Raises:
        Unable: it did not start.
    """
    _, core = machine.two_cores()
    with tempfile.TemporaryDirectory(prefix="bench-lab-") as name:
        folder = Path(name)
        command = [sys.executable, "-m", "lab", "--hosts", str(hosts), "--seed", str(seed), "--no-log"]
        command += ["--dir", str(folder), "--wordlist", str(folder / "words")]
        with (folder / "errors").open("wb") as errors:
            process = subprocess.Popen(pinned(command, core), cwd=ROOT, stdout=subprocess.PIPE, stderr=errors)
        assert process.stdout is not None
        try:
            if not process.stdout.readline().startswith(b"lab ready"):
                raise Unable(f"the lab did not start: {(folder / 'errors').read_text()[-300:]}")
            about = json.loads((folder / "lab.json").read_bytes())
            truth = json.loads((folder / "truth.json").read_bytes())
            yield Laboratory(
                about["target"], about["resolver"], about["environment"], folder / "words", truth, about["control"]
            )
        finally:
            process.terminate()
            process.wait()
            process.stdout.close()
