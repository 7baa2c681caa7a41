"""The data folder: one process owns it at a time, and it says of which format it is.

``format`` (a number), ``lock``, ``mirage.sock``, one SQLite file per service, ``bus.db``, ``evidence/``. Nobody but its
user may look into it.
"""

import errno
import fcntl
import os
from pathlib import Path
from typing import Final

from services.kernel.errors import Exhausted, Incompatible, Invalid, Unavailable

FORMAT: Final = 1
SOCKET: Final = "mirage.sock"
#: What a folder may hold that is to become a data folder: the beginnings of one that died, and what file systems put.
BEGINNINGS: Final = frozenset({"lock", "format.new", "mirage.log", "lost+found"})


class Owned(Unavailable):
    """Another process has the folder; ask it over its socket."""


class Folder:
    """An owned data folder; the ownership ends with `close` or with the process, however that ends."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = -1

    def acquire(self) -> None:
        """Make the folder if need be, and own it.

        Raises:
            Owned: another process has it.
            Incompatible: it was written by a newer Mirage.
            Invalid: it is something else, or cannot be written.
            Exhausted: its disk is full.
        """
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._refuse_others()
            self._lock = self._take_lock()
            self._check_format()
        except OSError as error:
            self.close()
            if error.errno in {errno.ENOSPC, errno.EDQUOT}:
                raise Exhausted(f"the disk of the data folder {self.path} is full") from error
            raise Invalid(f"the data folder {self.path} cannot be used: {error.strerror}") from error
        except BaseException:
            self.close()
            raise

    def _refuse_others(self) -> None:
        """Keep out of folders that are something else, and everybody else out of this one."""
        names = {entry.name for entry in os.scandir(self.path)}
        if "format" not in names and names - BEGINNINGS:
            raise Invalid(f"{self.path} is not empty and no data folder of Mirage: name another one with --data")
        if self.path.stat().st_mode & 0o077:
            self.path.chmod(0o700)

    def _take_lock(self) -> int:
        lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            raise Owned(f"the data folder {self.path} is in use by another process") from None
        except OSError:
            os.close(lock)
            raise
        return lock

    def _check_format(self) -> None:
        file = self.path / "format"
        try:
            found = int(file.read_text("ascii"))
        except FileNotFoundError:
            self._write_format(file)
            return
        except ValueError as error:
            raise Invalid(f"{file} does not say a format: is this a data folder of Mirage?") from error
        if found > FORMAT:
            raise Incompatible(
                f"the data folder {self.path} has format {found}, this Mirage knows up to {FORMAT}: use a newer one"
            )

    def _write_format(self, file: Path) -> None:
        """All of it or nothing, whatever happens to the machine meanwhile."""
        written = file.with_suffix(".new")
        descriptor = os.open(written, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as stream:
            stream.write(f"{FORMAT}\n")
            stream.flush()
            os.fsync(stream.fileno())
        written.rename(file)

    @property
    def socket(self) -> Path:
        return self.path / SOCKET

    def close(self) -> None:
        """Give the folder up."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1
