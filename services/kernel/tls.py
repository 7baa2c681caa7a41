"""What TLS needs of files that are replaced while a process runs: a certificate of a fleet lasts for days."""

import ssl
from pathlib import Path
from typing import Any, Final, Self

import structlog

#: What differs when a file was replaced or written: its number, its time and its size.
Stamp = tuple[int, int, int]

_CLIENT: Final = ssl.PROTOCOL_TLS_CLIENT
_log = structlog.get_logger(__name__)


class Renewed(ssl.SSLContext):
    """What a client needs, whose files are read again before a handshake when they have changed.

    The files are whom it believes (empty: whom the system believes), what it shows (empty: nothing) and the key of that
    (empty: it is in the same file). While they do not go together, those stay that were read before. What is set beside
    them, in this one, counts for nothing.

    Raises:
        OSError: a file cannot be read (`ssl.SSLError`: or is none of PEM).
    """

    def __new__(cls, *_: str) -> Self:
        return super().__new__(cls, _CLIENT)

    def __init__(self, *files: str) -> None:
        self._files = files
        self._read = self._stamps()
        self._current = _made(*files)

    def wrap_bio(self, *args: Any, **kwargs: Any) -> ssl.SSLObject:
        return self._latest().wrap_bio(*args, **kwargs)

    def wrap_socket(self, *args: Any, **kwargs: Any) -> ssl.SSLSocket:
        return self._latest().wrap_socket(*args, **kwargs)

    def _latest(self) -> ssl.SSLContext:
        try:
            stamps = self._stamps()
            if stamps != self._read:
                self._current, self._read = _made(*self._files), stamps
        except OSError as error:
            _log.warning("certificates that have changed cannot be read", reason=str(error))
        return self._current

    def _stamps(self) -> list[Stamp]:
        found = [Path(file).stat() for file in self._files if file]
        return [(each.st_ino, each.st_mtime_ns, each.st_size) for each in found]


def _made(ca: str, cert: str, key: str) -> ssl.SSLContext:
    context = ssl.SSLContext(_CLIENT)
    if ca:
        context.load_verify_locations(ca)
    else:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    if cert:
        context.load_cert_chain(cert, key or None)
    return context
