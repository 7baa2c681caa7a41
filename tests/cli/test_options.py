"""The options about the data folder are taken before a command's name and after it; the last one counts."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    "words",
    [
        "--data DATA --workspace ours scans list",
        "scans --data DATA --workspace ours list",
        "scans list --data DATA --workspace ours",
        "--workspace theirs --data nowhere scans --workspace ours list --data DATA",
    ],
)
def test_data_and_workspace_are_taken_before_the_command_and_after_it(tmp_path: Path, words: str) -> None:
    (tmp_path / "data").mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "services", *words.replace("DATA", str(tmp_path / "data")).split()],
        capture_output=True, text=True, check=False, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert f"./mirage scan example.org --data {tmp_path / 'data'} --workspace ours" in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["data"]
