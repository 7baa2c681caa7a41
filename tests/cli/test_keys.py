"""Keys are read from standard input, never from the command line."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("given", ["", "\n", "  \n"])
def test_a_key_that_is_not_there_is_said_so_before_the_data_folder_is_made(tmp_path: Path, given: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "services", "keys", "set", "shodan", "--data", str(tmp_path / "data")],
        input=given, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("mirage: there is no key on standard input")
    assert not (tmp_path / "data").exists()
