"""URLs taken apart: what to connect to, and what to ask for there."""

import ipaddress
from typing import Final
from urllib.parse import quote, urlsplit

from msgspec import Struct

DEFAULT_PORTS: Final = {"http": 80, "https": 443}


class BadUrl(Exception):
    """Not an http or https URL that could be asked for."""


class Location(Struct, frozen=True):
    """A URL taken apart: what to connect to and what to ask for. ``host`` is an A-label name or an address."""

    scheme: str
    host: str
    port: int
    target: str

    @property
    def literal(self) -> bool:
        """Whether the host is an address."""
        return is_address(self.host)

    @property
    def authority(self) -> str:
        """The value of the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"


def locate(url: str) -> Location:
    """Take a URL apart; `BadUrl` unless it is http or https with a host and nothing odd in it."""
    if any(ord(character) <= 0x20 or ord(character) == 0x7F for character in url):
        raise BadUrl(f"{url[:200]!r} has blanks or control characters")
    try:
        parts = urlsplit(url)
        if parts.scheme not in DEFAULT_PORTS:
            raise BadUrl(f"{url[:200]!r} is not an http or https URL")
        port = DEFAULT_PORTS[parts.scheme] if parts.port is None else parts.port
        host = _host((parts.hostname or "").rstrip("."))
        target = quote(parts.path or "/", safe="/%:@!$&'()*+,;=-._~")
        if parts.query:
            target += "?" + quote(parts.query, safe="/?%:@!$&'()*+,;=-._~[]")
    except ValueError as error:
        raise BadUrl(f"{url[:200]!r}: {error}") from error
    if not host or not port:
        raise BadUrl(f"{url[:200]!r} has no host or no port")
    return Location(parts.scheme, host, port, target)


def is_address(host: str) -> bool:
    """Whether the host of a `Location` is an address."""
    return ":" in host or host.replace(".", "").isdigit()


def _host(host: str) -> str:
    """A host as an A-label name or a plain address; raises ValueError."""
    if ":" in host:
        address = ipaddress.IPv6Address(host)
        if address.scope_id is not None:
            raise ValueError("an address with a zone")
        return str(address)
    if host.replace(".", "").isdecimal():
        return str(ipaddress.IPv4Address(host))
    if not host.isascii():
        import idna

        host = idna.encode(host, uts46=True).decode("ascii")
    return host
