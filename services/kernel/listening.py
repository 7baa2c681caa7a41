"""Sockets that listen: had before anything else is started, so that a port that is taken is told at once."""

import errno
import socket
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from services.kernel.errors import Invalid

BACKLOG: Final = 1024
LAST_PORT: Final = 65_535


def parse_address(address: str) -> tuple[IPv4Address | IPv6Address, int]:
    """Read ``address:port``, of which ``localhost`` is 127.0.0.1.

    Raises:
        Invalid: that is no address and port.
    """
    host, _, port = address.rpartition(":")
    try:
        where, number = ip_address("127.0.0.1" if host == "localhost" else host.strip("[]")), int(port)
    except ValueError:
        raise Invalid(f"{address} is not ADDRESS:PORT") from None
    if not 0 <= number <= LAST_PORT:
        raise Invalid(f"nobody can listen at {address}: ports go up to {LAST_PORT}")
    return where, number


def open_listener(address: str, *, shared: bool = False) -> socket.socket:
    """A socket that listens at ``address:port``; ``shared`` with other processes that say so too.

    Raises:
        Invalid: that is no address and port, or they cannot be had.
    """
    host = address.rpartition(":")[0]
    where, number = parse_address(address)
    family = socket.AF_INET if where.version == 4 else socket.AF_INET6
    # Only where a socket says its protocol does asyncio send at once what is written (TCP_NODELAY); the second part of
    # an answer would wait 40 ms for the acknowledgement of the first.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind((str(where), number))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        if getattr(error, "errno", None) == errno.EADDRINUSE:
            other = f"{host}:{number + 1 if number < LAST_PORT else 0}"
            raise Invalid(f"port {number} is taken at {host}: choose another one with --listen {other}") from error
        raise Invalid(f"nobody can listen at {address}: {getattr(error, 'strerror', None) or error}") from error
    return listener
