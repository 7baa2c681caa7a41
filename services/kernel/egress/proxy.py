import asyncio
import base64
import socket
from urllib.parse import unquote, urlsplit

from msgspec import Struct

from services.kernel.egress.errors import EgressError, TooMuch, Unreachable

LONGEST_HEAD = 16_384


class Proxy(Struct, frozen=True):
    """An HTTP proxy that takes CONNECT (RFC 9110 9.3.6). ``host`` may be a name: the operator's, not a scan's."""

    host: str
    port: int
    authorization: str | None = None

    def __repr__(self) -> str:
        return f"Proxy({self.host!r}, {self.port})"

    @classmethod
    def parse(cls, url: str) -> "Proxy":
        """Read ``http://[user:password@]host[:port]``; raises ValueError."""
        parts = urlsplit(url)
        if parts.scheme != "http" or not parts.hostname:
            raise ValueError("a proxy is written http://host:port")
        authorization = None
        if parts.username is not None:
            pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            authorization = "Basic " + base64.b64encode(pair.encode()).decode()
        return cls(parts.hostname, parts.port or 80, authorization)


async def tunnel(connection: socket.socket, proxy: Proxy, address: str, port: int) -> bytes:
    """Ask ``proxy``, at the other end of ``connection``, for a way to ``address``; return what came after its answer.

    Raises:
        Unreachable: the proxy cannot or will not connect there.
        TooMuch: its answer does not end.
    """
    loop = asyncio.get_running_loop()
    authority = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
    head = [f"CONNECT {authority} HTTP/1.1", f"Host: {authority}"]
    if proxy.authorization:
        head.append(f"Proxy-Authorization: {proxy.authorization}")
    await loop.sock_sendall(connection, "\r\n".join([*head, "", ""]).encode())
    answer = b""
    while b"\r\n\r\n" not in answer:
        if len(answer) > LONGEST_HEAD:
            raise TooMuch("the proxy's answer does not end")
        received = await loop.sock_recv(connection, 4096)
        if not received:
            raise Unreachable("the proxy hung up")
        answer += received
    status, _, rest = answer.partition(b"\r\n")
    _, _, early = rest.partition(b"\r\n\r\n") if rest[:2] != b"\r\n" else (b"", b"", rest[2:])
    code = status.split(b" ", 2)[1:2]
    if code == [b"407"]:
        raise EgressError("the proxy wants other credentials")
    if not code or not code[0].startswith(b"2"):
        raise Unreachable(f"the proxy answered {status[:80].decode('latin-1')!r}")
    return early
