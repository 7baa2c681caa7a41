"""Sockets that listen: had before anything else is started, so that a port that is taken is told at once."""

import errno
import socket
from ipaddress import ip_address
from typing import Final

from services.kernel.errors import Invalid

BACKLOG: Final = 1024
LAST_PORT: Final = 65_535


def open_listener(address: str, *, shared: bool = False) -> socket.socket:
    """A socket that listens at ``address:port``; ``shared`` with other processes that say so too.

    Raises:
        Invalid: that is no address and port, or they cannot be had.
    """
    host, _, port = address.rpartition(":")
    try:
        where = ip_address("127.0.0.1" if host == "localhost" else host.strip("[]"))
        number = int(port)
    except ValueError:
        raise Invalid(f"{address} is not ADDRESS:PORT") from None
    listener = socket.socket(socket.AF_INET if where.version == 4 else socket.AF_INET6)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind((str(where), number))
        listener.listen(BACKLOG)
    except (OSError, OverflowError) as error:
        listener.close()
        if getattr(error, "errno", None) == errno.EADDRINUSE:
            other = f"{host}:{number + 1 if number < LAST_PORT else 0}"
            raise Invalid(f"port {number} is taken at {host}: choose another one with --listen {other}") from error
        raise Invalid(f"nobody can listen at {address}: {getattr(error, 'strerror', None) or error}") from error
    return listener
