"""A question over HTTPS by the guarded way out, limited in size and time: for what asks a host now and then.

Redirects are not followed and nothing is decoded: an answer that is not as it was asked for is none.
"""

import asyncio
import socket
import ssl
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final

from msgspec import Struct

from services.kernel.egress.connection import Broken, Connection
from services.kernel.egress.door import Egress
from services.kernel.egress.errors import EgressError, Refused, TimedOut, TooMuch, Unreachable
from services.kernel.egress.location import BadUrl, Location, is_address, locate

#: Addresses of a host that are tried, one after the other.
TRIED: Final = 3
HTTP: Final = "http/1.1"


class Answer(Struct, frozen=True):
    """What came; the names of ``headers`` in small letters."""

    status: int
    headers: Mapping[str, str]
    body: bytes


async def ask_https(
    egress: Egress,
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
    limit: int,
    seconds: float,
    exempt: bool = False,
    ca_file: str = "",
) -> Answer:
    """Ask ``url``; ``limit`` is in bytes of body, ``seconds`` for all of it, ``exempt`` as of `Egress`.

    The name of the host is looked up by this machine, and the addresses that were found are those that are judged and
    dialled. ``ca_file`` takes the place of the system's authorities.

    Raises:
        EgressError: there is no such host, no way to it, or no end of what it says.
        BadUrl: that is no https address. Broken: what came is no HTTP.
    """
    location = locate(url)
    if location.scheme != "https":
        raise BadUrl(f"{url[:200]!r} is not an https address")
    wire = _write(method, location, headers or {}, body)
    try:
        async with asyncio.timeout(seconds):
            connection = await _connect(egress, location, seconds, ca_file, exempt=exempt)
            try:
                received = await connection.ask(wire, limit)
            finally:
                connection.close()
    except TimeoutError:
        raise TimedOut(f"{location.authority} did not answer within {seconds:g} s") from None
    if received.truncated:
        raise TooMuch(f"{location.authority} answers with more than {limit:,} bytes")
    answer = Answer(received.status, {name.lower(): value for name, value in received.headers}, received.body)
    if answer.headers.get("content-encoding", "identity") != "identity":
        raise Broken("it encodes what nobody asked it to encode")
    return answer


async def _connect(egress: Egress, location: Location, seconds: float, ca_file: str, *, exempt: bool) -> Connection:
    host, failure = location.host, EgressError(f"{location.host} has no address")
    for address in (await _addresses(location))[:TRIED]:
        try:
            _, connection = await egress.connect(
                lambda address=address: Connection(address),  # type: ignore[misc]
                address, location.port, timeout=seconds, exempt=exempt, via_proxy=True, host=host,
                tls=_context(ca_file), server_hostname=host,
            )  # fmt: skip
        except (Unreachable, Refused, TimedOut) as error:
            failure = error
        else:
            return connection
    raise failure


async def _addresses(location: Location) -> Sequence[str]:
    if is_address(location.host):
        return [location.host]
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(location.host, location.port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise Unreachable(f"{location.host} has no address: {error.strerror}") from error
    return list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))


@lru_cache(maxsize=8)
def _context(ca_file: str) -> ssl.SSLContext:
    made = ssl.create_default_context(cafile=ca_file or None)
    made.set_alpn_protocols([HTTP])
    return made


def _write(method: str, location: Location, headers: Mapping[str, str], body: bytes) -> bytes:
    lines = [f"{method} {location.target} HTTP/1.1", f"Host: {location.authority}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in {"Accept-Encoding": "identity", **headers}.items()]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    if any(character in line for line in lines for character in "\r\n\0"):
        raise BadUrl("a header has a line break in it")
    return "\r\n".join(lines).encode("latin-1", "replace") + b"\r\n\r\n" + body
