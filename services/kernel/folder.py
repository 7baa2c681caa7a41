"""The data folder: one process owns it at a time, and it says of which format it is.

``format`` (a number), ``lock``, ``mirage.sock``, one SQLite file per service, ``bus.db``, ``evidence/``. Nobody but its
user may look into it. What there is in it by which name is said here.
"""

import errno
import fcntl
import os
import re
from pathlib import Path
from typing import Final

from services.kernel.errors import Exhausted, Incompatible, Invalid, Unavailable

FORMAT: Final = 1
FORMAT_FILE: Final = "format"
LOCK: Final = "lock"
SOCKET: Final = "mirage.sock"
BUS: Final = "bus.db"
CACHE: Final = "cache.db"
EVIDENCE: Final = "evidence"
KEYS: Final = "keys.json"
MASTER_KEY: Final = "master.key"
LOG: Final = "mirage.log"
#: The end of a name until all of the file is written.
NEW: Final = ".new"
#: What a folder may hold that is to become a data folder: the beginnings of one that died, and what file systems put.
BEGINNINGS: Final = frozenset({LOCK, f"{FORMAT_FILE}{NEW}", LOG, "lost+found"})
#: What a data folder is made of; all else in it is secret, or belongs to the process that owns it.
_DATA: Final = re.compile(r"format|mirage\.log(\.1)?|[a-z][a-z0-9_-]*\.db|evidence/(index\.db|[0-9]{8}\.seg)")


class Owned(Unavailable):
    """Another process has the folder; ask it over its socket."""


def is_data(place: str) -> bool:
    """Whether a file, by its path in the folder, belongs to its data: what a backup takes and a restore brings."""
    return _DATA.fullmatch(place) is not None


def make_private(folder: Path) -> None:
    """Have a folder that its owner alone enters, whoever could before."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)


def write_private(path: Path, text: str) -> None:
    """Write a file for its user alone: all of it or nothing, whatever happens to the machine meanwhile."""
    written = path.with_suffix(NEW)
    descriptor = os.open(written, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        os.fchmod(descriptor, 0o600)  # one that was left behind may have had another mode
        stream.write(text)
        stream.flush()
        os.fsync(descriptor)
    written.rename(path)


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
        if FORMAT_FILE not in names and names - BEGINNINGS:
            raise Invalid(f"{self.path} is not empty and no data folder of Mirage: name another one with --data")
        if self.path.stat().st_mode & 0o077:
            self.path.chmod(0o700)

    def _take_lock(self) -> int:
        lock = os.open(self.path / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
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
        file = self.path / FORMAT_FILE
        try:
            found = int(file.read_text("ascii"))
        except FileNotFoundError:
            write_private(file, f"{FORMAT}\n")
            return
        except ValueError as error:
            raise Invalid(f"{file} does not say a format: is this a data folder of Mirage?") from error
        if found > FORMAT:
            raise Incompatible(
                f"the data folder {self.path} has format {found}, this Mirage knows up to {FORMAT}: use a newer one"
            )

    @property
    def socket(self) -> Path:
        return self.path / SOCKET

    def close(self) -> None:
        """Give the folder up."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1
