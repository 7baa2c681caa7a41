"""What Nomad's allocations leave behind: they outlive its agent, in sessions of their own, with mounted folders.

A process belongs to a fleet when its environment says so, or the cgroup that Nomad made for its allocation, or its
working folder, which is that of an allocation; the three, because PostgreSQL and Redis write over their environment.
Whoever merely looks into the fleet's folder does not, nor does who has this process run.
"""

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from services.cli.fleet.daemons import until

#: In the environment of the agents, and so of all that they start: the fleet's folder.
MARK: Final = "MIRAGE_FLEET_FOLDER"
_GROUP: Final = re.compile(r"/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.")
CGROUPS: Final = Path("/sys/fs/cgroup")
#: Where, in a fleet's folder, Nomad's client keeps a folder for each allocation.
ALLOCATIONS: Final = "agents/nomad-client/alloc"


def processes(folder: Path) -> set[int]:
    """The ids of all processes that belong to the fleet in ``folder``, its agents too."""
    allocations, callers = _allocations(folder), _callers()
    found = {int(entry.name): entry for entry in Path("/proc").iterdir() if entry.name.isdecimal()}
    return {pid for pid, entry in found.items() if pid not in callers and _belongs(entry, folder, allocations)}


def end(folder: Path, *, grace: float = 10.0) -> int:
    """End all processes of a fleet, in order and after ``grace`` seconds at once, and unmount; say how many they were.

    Its agents end as well; one of another user stays.
    """
    ended = processes(folder)
    _thaw(folder)
    if grace:
        _send(ended, signal.SIGTERM)
        until(lambda: not processes(folder), grace)

    def none_left() -> bool:
        found = processes(folder)
        _send(found, signal.SIGKILL)
        ended.update(found)
        return not found

    until(none_left, 10)
    unmount(folder)
    return len(ended)


def unmount(folder: Path) -> None:
    """Let go of what Nomad has mounted in the folders of tasks, and of the cgroups of its allocations."""
    mounts = [_unescaped(line.split()[1]) for line in Path("/proc/self/mounts").read_text("utf-8").splitlines()]
    for place in sorted(mounts, reverse=True):
        if place.startswith(f"{folder / ALLOCATIONS}/"):
            subprocess.run(["umount", "--lazy", place], check=False, stderr=subprocess.DEVNULL)  # noqa: S603, S607
    for group in _groups(folder):
        with suppress(OSError):
            group.rmdir()


def _belongs(process: Path, folder: Path, allocations: set[str]) -> bool:
    with suppress(OSError):  # it has ended meanwhile, or is another user's
        if allocations.intersection(_GROUP.findall((process / "cgroup").read_text("utf-8"))):
            return True
        environ = (process / "environ").read_bytes().split(b"\0")
        if b"=".join((MARK.encode(), bytes(folder))) in environ:
            return True
        return f"{(process / 'cwd').readlink()}".startswith(f"{folder / ALLOCATIONS}/")
    return False


def _callers() -> set[int]:
    """Who asks this, and all that it was begun by."""
    found: set[int] = set()
    pid = os.getpid()
    while pid and pid not in found:
        found.add(pid)
        with suppress(OSError):
            # The name of the program, in brackets, may have any character.
            pid = int(Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()[1])
    return found


def _unescaped(place: str) -> str:
    """A path of /proc/mounts, where blanks are octal numbers (proc_pid_mounts(5), getmntent(3))."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), place)


def _allocations(folder: Path) -> set[str]:
    return {path.name for path in (folder / ALLOCATIONS).glob("*-*-*-*-*")}


def _groups(folder: Path) -> Iterator[Path]:
    for allocation in _allocations(folder):
        yield from CGROUPS.glob(f"*/nomad/{allocation}.*")
        yield from CGROUPS.glob(f"nomad.slice/*/{allocation}.*")


def _thaw(folder: Path) -> None:
    """One that Nomad froze to kill it, and was killed itself, would not even die."""
    for group in _groups(folder):
        with suppress(OSError):
            (group / "freezer.state").write_text("THAWED", "ascii")


def _send(pids: set[int], number: int) -> None:
    for pid in pids:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)
