"""Runs a command and watches what it uses: time, processor time, and the memory of all its processes together."""

import os
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec import Struct

ROOT = Path(__file__).parents[2]
#: Seconds between two looks at the memory.
INTERVAL = 0.1


class Run(Struct, frozen=True, kw_only=True):
    """``wall``, ``user``, ``system`` in seconds; ``peak``: MB of all processes at once, shared pages counted once;
    ``largest``: MB of the largest one, as the kernel counted it.
    """

    code: int
    wall: float
    user: float
    system: float
    peak: float
    largest: float
    out: bytes
    errors: bytes

    @property
    def cpu(self) -> float:
        return self.user + self.system


def run(
    command: Sequence[str],
    *,
    environment: Mapping[str, str] | None = None,
    core: int | None = None,
    watch: bool = True,
    folder: Path,
) -> Run:
    """Run ``command`` to its end, on one core if ``core`` is given; its output goes through files in ``folder``."""
    out, errors = folder / "out", folder / "errors"
    with out.open("wb") as writing, errors.open("wb") as complaining:
        started = time.perf_counter()
        process = subprocess.Popen(
            pinned(command, core),
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})},
            stdout=writing,
            stderr=complaining,
        )
        watching = Watch(process.pid)
        if watch:
            watching.start()
        _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        watching.stop()
    return Run(
        code=process.returncode,
        wall=wall,
        user=used.ru_utime,
        system=used.ru_stime,
        peak=watching.peak / 1024,
        largest=used.ru_maxrss / 1024,
        out=out.read_bytes(),
        errors=errors.read_bytes(),
    )


def pinned(command: Sequence[str], core: int | None) -> list[str]:
    return [*command] if core is None else ["taskset", "-c", str(core), *command]


class Watch(threading.Thread):
    """Looks at the memory of a process and of all below it until it is stopped; ``peak`` in KiB."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.pid = pid
        self.peak = 0
        self._stopped = threading.Event()

    def run(self) -> None:
        while not self._stopped.wait(INTERVAL):
            self.peak = max(self.peak, sum(map(proportional, family(self.pid))))

    def stop(self) -> None:
        self._stopped.set()
        if self.is_alive():
            self.join()


def family(pid: int) -> list[int]:
    """A process and all that descend from it."""
    found, at = [pid], 0
    while at < len(found):
        try:
            for task in Path(f"/proc/{found[at]}/task").iterdir():
                found += map(int, (task / "children").read_text().split())
        except OSError:
            pass
        at += 1
    return found


def proportional(pid: int) -> int:
    """The resident KiB of a process, of shared pages its part; 0 when it is gone."""
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    except OSError:
        pass
    return 0
