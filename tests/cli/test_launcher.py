"""`./mirage` says in one sentence why it cannot begin."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NOBODY = 65534


@pytest.fixture
def checkout() -> Iterator[Path]:
    """A checkout that everybody can read and only its owner write, with an environment in it."""
    folder = Path(tempfile.mkdtemp(prefix="mirage-checkout-"))
    for name in ("mirage", "requirements.lock"):
        shutil.copy(ROOT / name, folder)
    (folder / ".venv" / "bin").mkdir(parents=True)
    for place in (folder / ".venv" / "bin", folder / ".venv", folder):
        place.chmod(0o555)
    yield folder
    for place in (folder, folder / ".venv", folder / ".venv" / "bin"):
        place.chmod(0o755)
    shutil.rmtree(folder)


def launch(folder: Path, **variables: str) -> str:
    """What the launcher says on stderr to somebody else."""
    done = subprocess.run(
        [folder / "mirage", "--help"], env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", **variables},
        user=NOBODY if os.geteuid() == 0 else None, cwd="/", capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    (sentence,) = done.stderr.splitlines()
    return sentence


def test_an_environment_of_somebody_else_is_left_alone_and_a_way_around_it_is_said(checkout: Path) -> None:
    assert launch(checkout) == (
        f"mirage: there is no Python that you can run at {checkout}/.venv, where you cannot write:"
        " name a folder of your own, as in MIRAGE_VENV=~/.cache/mirage ./mirage"
    )
    for elsewhere in (checkout / "new", Path("/dev/null/venv")):
        assert f"at {elsewhere}, where you cannot write" in launch(checkout, MIRAGE_VENV=str(elsewhere))


def test_what_is_missing_in_an_environment_of_somebody_else_is_said_so(checkout: Path) -> None:
    binaries = checkout / ".venv" / "bin"
    binaries.chmod(0o755)
    (binaries / "python").symlink_to(shutil.which("true") or "/bin/true")
    binaries.chmod(0o555)
    assert "requirements.lock is not installed at" in launch(checkout)


#: Stands in for the Python of an environment: notes what it is to install, and takes a while for it.
PYTHON = """#!/bin/sh
case "$*" in
    *"pip install"*) echo "$*" >>"$NOTES"; sleep 0.3 ;;
    *services*) test -f "$MIRAGE_VENV/.requirements-fleet.lock.installed" || echo "began too soon" >>"$NOTES" ;;
esac
"""


@pytest.fixture
def ours(tmp_path: Path) -> Path:
    """A checkout with an environment of the user's own, in which nothing is installed yet."""
    for name in ("mirage", "requirements.lock", "requirements-fleet.lock"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "venv/bin").mkdir(parents=True)
    (tmp_path / "venv/bin/python").write_text(PYTHON)
    (tmp_path / "venv/bin/python").chmod(0o755)
    return tmp_path


@pytest.mark.parametrize("command", ["serve", "migrate", "fleet"])
def test_those_that_begin_at_once_install_what_a_fleet_needs_once(ours: Path, command: str) -> None:
    environ = {"PATH": os.environ["PATH"], "MIRAGE_VENV": str(ours / "venv"), "NOTES": str(ours / "notes")}
    begun = [subprocess.Popen([ours / "mirage", command], env=environ, stderr=subprocess.DEVNULL) for _ in range(4)]
    assert [process.wait(30) for process in begun] == [0] * 4
    installed = [line.rpartition("/")[2] for line in (ours / "notes").read_text().splitlines()]
    assert installed == ["requirements.lock", "requirements-fleet.lock"]
