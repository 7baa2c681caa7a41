import asyncio
import base64
import socket
from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from urllib.parse import unquote, urlsplit

from msgspec import Struct

from services.kernel.egress.errors import EgressError, TooMuch, Unreachable
from services.kernel.hostport import join_host_port

LONGEST_HEAD = 16_384
#: Kinds of proxies that are not spoken to.
OTHERS = frozenset({"https", "socks", "socks4", "socks4a", "socks5", "socks5h"})


class Proxy(Struct, frozen=True):
    """An HTTP proxy that takes CONNECT (RFC 9110 9.3.6). ``host`` may be a name: the operator's, not a scan's."""

    host: str
    port: int
    authorization: str | None = None

    def __repr__(self) -> str:
        return f"Proxy({self.host!r}, {self.port})"

    @classmethod
    def parse(cls, url: str) -> "Proxy":
        """Read ``[http://][user:password@]host[:port]``; raises ValueError, which shows nothing of it: it is secret."""
        try:
            parts = urlsplit(url if "://" in url else f"http://{url}")
            host, port = parts.hostname, parts.port
        except ValueError:
            parts, host, port = urlsplit(""), None, None
        if parts.scheme in OTHERS:
            raise ValueError(f"a proxy is written http://host:port, and of {parts.scheme!a} there are none here")
        if not host or parts.scheme != "http":
            raise ValueError("a proxy is written http://host:port")
        authorization = None
        if parts.username is not None:
            pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            authorization = "Basic " + base64.b64encode(pair.encode()).decode()
        return cls(host, port or 80, authorization)


class Direct(Struct, frozen=True):
    """The hosts that are reached directly although a proxy is set; `parse` reads them as NO_PROXY names them.

    A name stands for itself and all names below it, with a dot before it or without; ``*`` for every host. An address
    or a network counts for hosts that are given by address, since nothing is looked up to choose a way.
    """

    names: frozenset[str] = frozenset()
    networks: tuple[IPv4Network | IPv6Network, ...] = ()
    everything: bool = False

    @classmethod
    def parse(cls, entries: Iterable[str]) -> "Direct":
        """Read entries; what is no network is a name."""
        names: set[str] = set()
        networks: list[IPv4Network | IPv6Network] = []
        read = [entry.strip().lower() for entry in entries]
        for entry in read:
            try:
                networks.append(ip_network(entry.strip("[]"), strict=False))
            except ValueError:
                names.add(entry.removeprefix("*").strip("."))
        return cls(frozenset(names - {""}), tuple(networks), "*" in read)

    def has(self, host: str) -> bool:
        """Whether ``host``, a name or an address, is reached directly."""
        if self.everything:
            return True
        try:
            address = ip_address(host.strip("[]"))
        except ValueError:
            labels = host.lower().rstrip(".").split(".")
            return any(".".join(labels[start:]) in self.names for start in range(len(labels)))
        return any(address in network for network in self.networks)


async def tunnel(connection: socket.socket, proxy: Proxy, address: str, port: int) -> bytes:
    """Ask ``proxy``, at the other end of ``connection``, for a way to ``address``; return what came after its answer.

    Raises:
        Unreachable: the proxy cannot or will not connect there.
        TooMuch: its answer does not end.
    """
    loop = asyncio.get_running_loop()
    authority = join_host_port(address, port)
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
