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
