"""Processes that run on without us: a file has the id of each and when it began, so that no other is taken for it."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import msgspec

from services.kernel.folder import write_private

#: Bytes of a log with which no new start goes on.
LONG = 50_000_000
#: Seconds between looks at a process that is to end.
LOOK = 0.05


class Process(msgspec.Struct, frozen=True):
    """A process and when it began, in ticks since the machine did (``boot``): ids are given again."""

    pid: int
    began: int
    boot: str

    @classmethod
    def of(cls, pid: int) -> "Process | None":
        """What runs under this id now; one that has ended and was not waited for does not."""
        with suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
            if fields[0] not in {"Z", "X"}:
                return cls(pid, int(fields[19]), Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip())
        return None

    def runs(self) -> bool:
        return Process.of(self.pid) == self

    def signal(self, number: int) -> None:
        if self.runs():
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)


class Daemon:
    """One program that runs on: where it notes its process, and where what it says goes."""

    def __init__(self, name: str, note: Path, log: Path) -> None:
        self.name = name
        self.note = note
        self.log = log

    @property
    def process(self) -> Process | None:
        """The process that runs, or None."""
        with suppress(OSError, msgspec.DecodeError):
            noted = msgspec.json.decode(self.note.read_bytes(), type=Process)
            return noted if noted.runs() else None
        return None

    def start(self, command: Sequence[str | Path], environ: Mapping[str, str]) -> None:
        """Start it in a session of its own, unless it runs."""
        if self.process is not None:
            return
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with _opened(self.log) as log:
            child = subprocess.Popen(  # noqa: S603  the agents, and what a test has run
                list(map(str, command)),
                cwd=self.note.parent,
                env=dict(environ),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        began = Process.of(child.pid)
        # It is ours to wait for no longer: whoever ends us is to find it at work.
        child.returncode = 0
        if began is not None:
            write_private(self.note, msgspec.json.encode(began).decode())

    def stop(self, seconds: float) -> None:
        """End it in order, or after ``seconds`` at once."""
        if (process := self.process) is not None:
            process.signal(signal.SIGTERM)
            if not until(lambda: not process.runs(), seconds):
                self.kill()
            reap(process.pid)
        self.note.unlink(missing_ok=True)

    def kill(self) -> None:
        """End it at once (-9)."""
        if (process := self.process) is not None:
            process.signal(signal.SIGKILL)
            until(lambda: not process.runs(), 10)
            reap(process.pid)

    def last_words(self, lines: int = 3) -> str:
        """The end of what it said."""
        with suppress(OSError):
            return "\n".join(self.log.read_text("utf-8", "replace").splitlines()[-lines:])
        return ""


def _opened(log: Path) -> BinaryIO:
    """A log to write on, for its user alone; one that is long by now is put aside, in place of the one before."""
    with suppress(FileNotFoundError):
        if log.stat().st_size > LONG:
            log.replace(log.with_name(f"{log.name}.1"))
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    os.fchmod(descriptor, 0o600)  # one of an earlier version may have had another mode
    return os.fdopen(descriptor, "ab")


def until(holds: Callable[[], bool], seconds: float) -> bool:
    """Wait until something holds; say whether it did in time."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(LOOK)
    return True


def reap(pid: int) -> None:
    """Let go of a child of ours that has ended."""
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
