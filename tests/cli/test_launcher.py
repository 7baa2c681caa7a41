"""`./mirage` says in one sentence why it cannot begin."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.cli.commands.fleet import OF_OTHERS, OF_ROOT
from services.cli.fleet.secrets import FILE

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


@pytest.mark.parametrize("command", ["serve", "migrate", "fleet up"])
def test_those_that_begin_at_once_install_what_a_fleet_needs_once(ours: Path, command: str) -> None:
    environ = {"PATH": os.environ["PATH"], "MIRAGE_VENV": str(ours / "venv"), "NOTES": str(ours / "notes")}
    words = command.split()
    begun = [subprocess.Popen([ours / "mirage", *words], env=environ, stderr=subprocess.DEVNULL) for _ in range(4)]
    assert [process.wait(30) for process in begun] == [0] * 4
    installed = [line.rpartition("/")[2] for line in (ours / "notes").read_text().splitlines()]
    assert installed == ["requirements.lock", "requirements-fleet.lock"]


@pytest.mark.parametrize("said", [("--data", "FLEET"), ("--data=FLEET",)])
def test_what_a_fleet_needs_is_not_installed_to_say_that_there_is_none(ours: Path, said: tuple[str, ...]) -> None:
    environ = {
        "PATH": os.environ["PATH"], "MIRAGE_VENV": str(ours / "venv"), "NOTES": str(ours / "notes"), "HOME": str(ours),
    }  # fmt: skip
    words = [ours / "mirage", "fleet", "status", *(each.replace("FLEET", "~/fleet") for each in said)]
    for there in (False, True):
        if there:
            (ours / "fleet").mkdir()
            (ours / "fleet" / FILE).touch()
        subprocess.run(words, env=environ, stderr=subprocess.DEVNULL, check=True)
        assert ("requirements-fleet.lock" in (ours / "notes").read_text()) is there


def test_a_fleet_is_looked_for_where_it_is_brought_up() -> None:
    launcher = (ROOT / "mirage").read_text()
    assert f"folder={OF_ROOT}\n" in launcher
    assert f'folder="{OF_OTHERS.replace("~", "${HOME:-}")}"\n' in launcher


#: Packages that `requirements-fleet.lock` has and `requirements.lock` has not.
LACKING = """
import sys
class Lacking:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"asyncpg", "nats", "redis", "motor", "pymongo", "bson", "gridfs", "neo4j",
                                      "elasticsearch", "elastic_transport", "consul", "nomad", "requests",
                                      "prometheus_client"}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Lacking())
from services.cli.main import main
main(sys.argv[1:])
"""


@pytest.mark.parametrize(
    "words",
    ["status", "down", "scale scans 2", "restart scans", "logs scans", "reset jo@example.org", "settings auth",
     "key oidc_acme", "key oidc_acme --remove", "dead", "dead show 1a2b"],
)  # fmt: skip
def test_that_there_is_no_fleet_is_said_without_what_one_needs(tmp_path: Path, words: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LACKING, "fleet", *words.split(), "--data", str(tmp_path)], cwd=ROOT, input="a key\n",
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (
        2, f"mirage: there is no fleet in {tmp_path}: bring one up (mirage fleet up), or name its folder (--data)\n",
    )  # fmt: skip
