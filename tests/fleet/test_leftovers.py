"""What is taken for a part of a fleet, and ended with it, and what is left alone."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from services.cli.fleet import leftovers
from services.cli.fleet.daemons import until

SLEEP = ["/bin/sleep", "600"]
Begin = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("logs", "data/postgresql"):
        (tmp_path / "the fleet" / name).mkdir(parents=True)
    return tmp_path / "the fleet"


@pytest.fixture
def task(folder: Path) -> Path:
    """The folder of a task that Nomad ran."""
    made = folder / leftovers.ALLOCATIONS / str(uuid4()) / "server"
    made.mkdir(parents=True)
    return made


@pytest.fixture
def begin() -> Iterator[Begin]:
    begun: list[subprocess.Popen[bytes]] = []

    def start(cwd: Path, **environment: str) -> subprocess.Popen[bytes]:
        begun.append(subprocess.Popen(SLEEP, cwd=cwd, env=environment))
        return begun[-1]

    yield start
    for each in begun:
        each.kill()
        each.wait()


def test_what_runs_in_an_allocation_or_says_so_is_ended_and_who_looks_into_the_folder_is_not(
    folder: Path, task: Path, begin: Begin, tmp_path: Path
) -> None:
    ours = [begin(task), begin(tmp_path, **{leftovers.MARK: str(folder)})]
    others = [begin(folder), begin(folder / "logs"), begin(folder / "data/postgresql")]
    others.append(begin(tmp_path, **{leftovers.MARK: f"{folder}-of-others"}))
    assert until(lambda: leftovers.processes(folder) == {each.pid for each in ours}, 10)
    assert leftovers.end(folder, grace=0) == len(ours)
    assert [each.wait(10) for each in ours] == [-9, -9]
    assert [each.poll() for each in others] == [None] * len(others)


def test_who_asks_is_not_ended_nor_who_had_it_asked(folder: Path, task: Path) -> None:
    script = f"""
from pathlib import Path
from services.cli.fleet import leftovers
print(leftovers.processes(Path({str(folder)!r})))
"""
    root = Path(__file__).parents[2]
    asked = subprocess.run(
        ["/bin/sh", "-c", '"$0" -c "$1"; true', sys.executable, script],
        cwd=task,
        env={**os.environ, "PYTHONPATH": str(root), leftovers.MARK: str(folder)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert asked.stdout == "set()\n", asked.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts")
def test_what_nomad_mounted_is_let_go_and_a_disk_of_the_operator_is_not(folder: Path, task: Path) -> None:
    places = [task / "secrets", folder / "data"]
    places[0].mkdir()
    for place in places:
        done = subprocess.run(["mount", "-t", "tmpfs", "none", place], check=False, capture_output=True)
        if done.returncode:
            pytest.skip("mounting is not allowed here")
    try:
        leftovers.unmount(folder)
        assert [os.path.ismount(place) for place in places] == [False, True]
    finally:
        for place in places:
            subprocess.run(["umount", "--lazy", place], check=False, capture_output=True)
