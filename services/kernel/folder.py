"""The data folder: one process owns it at a time, and it says of which format it is.

``format`` (a number), ``lock``, ``mirage.sock``, one SQLite file per service, ``bus.db``, ``evidence/``.
"""

import fcntl
import os
from pathlib import Path
from typing import Final

from services.kernel.errors import Exhausted, Incompatible, Invalid, Unavailable

FORMAT: Final = 1
SOCKET: Final = "mirage.sock"


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
            Invalid: it is not a folder that can be written.
        """
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            if error.errno == 28:
                raise Exhausted(f"the disk of the data folder {self.path} is full") from error
            raise Invalid(f"the data folder {self.path} cannot be used: {error.strerror}") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(lock)
            raise Owned(f"the data folder {self.path} is in use by another process") from error
        self._lock = lock
        try:
            self._check_format()
        except BaseException:
            self.close()
            raise

    def _check_format(self) -> None:
        file = self.path / "format"
        try:
            found = int(file.read_text("ascii"))
        except FileNotFoundError:
            written = file.with_suffix(".new")
            written.write_text(f"{FORMAT}\n", "ascii")
            written.chmod(0o600)
            written.rename(file)
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
