"""How a server is reached: ``kind[+tls]://[user[:password]@]host[:port][,host[:port]…][/path]``, from one setting.

What it says of itself in logs and errors is its kind and its hosts, never its password.
"""

import ssl
from functools import lru_cache
from typing import Final, Self
from urllib.parse import unquote, urlsplit

from msgspec import Struct

from services.kernel.errors import Invalid
from services.kernel.tls import Renewed

#: The port of each kind of server where a URL says none.
PORTS: Final = {
    "postgresql": 5432,
    "nats": 4222,
    "mongodb": 27017,
    "elasticsearch": 9200,
    "redis": 6379,
    "neo4j": 7687,
    "consul": 8500,
    "nomad": 4646,
}


class Trust(Struct, frozen=True):
    """Whom TLS believes, and what we show: files of PEM. Without ``ca`` it is whom the system believes."""

    ca: str = ""
    cert: str = ""
    key: str = ""


#: Whom the system believes.
SYSTEM: Final = Trust()


class Host(Struct, frozen=True):
    name: str
    port: int

    def __str__(self) -> str:
        return f"[{self.name}]:{self.port}" if ":" in self.name else f"{self.name}:{self.port}"


class Server(Struct, frozen=True, kw_only=True):
    """One server, or the servers of a cluster; ``path`` without its slash: a database, or what the kind needs."""

    kind: str
    hosts: tuple[Host, ...]
    user: str = ""
    password: str = ""
    path: str = ""
    tls: bool = False
    trust: Trust = Trust()

    @classmethod
    def parse(cls, url: str, kinds: tuple[str, ...] = tuple(PORTS), trust: Trust = SYSTEM) -> Self:
        """Read a URL.

        Raises:
            Invalid: it is none, or of a server of another kind; the text quotes nothing of it, for where the password
                is in a URL that cannot be read nobody knows.
        """
        scheme, found, rest = url.partition("://")
        kind, plus, tls = scheme.partition("+")
        if not found or kind not in kinds or (plus and tls != "tls"):
            known = ", ".join(f"{each}://…" for each in kinds)
            raise Invalid(f"the URL does not say which server is meant ({known}; +tls before :// for TLS)")
        authority, _, path = rest.partition("/")
        if "@" in path:
            raise Invalid(f"the URL of {kind} has a / in its user or password: write it %2F, and an @ in its path %40")
        login, _, hosts = authority.rpartition("@")
        user, _, password = login.partition(":")
        return cls(
            kind=kind,
            hosts=tuple(_host(each, kind) for each in hosts.split(",")),
            user=unquote(user),
            password=unquote(password),
            path=unquote(path),
            tls=tls == "tls",
            trust=trust,
        )

    @property
    def address(self) -> str:
        """All hosts, separated by commas."""
        return ",".join(map(str, self.hosts))

    def context(self) -> ssl.SSLContext | None:
        """What TLS needs, also when its files are replaced, or None where there is none.

        Raises:
            Invalid: a file cannot be read.
        """
        return _context(self.trust) if self.tls else None

    def __str__(self) -> str:
        return f"{self.kind} at {self.address}"

    def __repr__(self) -> str:
        return f"Server({self})"


@lru_cache(maxsize=8)
def _context(trust: Trust) -> ssl.SSLContext:
    try:
        return Renewed(trust.ca, trust.cert, trust.key)
    except OSError as error:
        raise Invalid(
            f"TLS cannot be set up with {', '.join(filter(None, (trust.ca, trust.cert)))}: {error}"
        ) from error


def masked(url: str) -> str:
    """A URL without the password in it, which ends at the last @: a slash in it may not be escaped."""
    scheme, found, rest = url.partition("://") if "://" in url else ("", "", url)
    login, at, place = rest.rpartition("@")
    user, colon, _ = login.partition(":")
    return f"{scheme}{found}{user}{colon and ':***'}{at}{place}"


def _host(text: str, kind: str) -> Host:
    try:
        parts = urlsplit(f"//{text}")
        number = parts.port
    except ValueError:  # what it says quotes what stands for the port: a password, where the @ is missing
        raise Invalid(f"the URL of {kind} has a host or a port that cannot be read") from None
    if not parts.hostname:
        raise Invalid(f"the URL of {kind} names no host")
    return Host(parts.hostname, PORTS[kind] if number is None else number)
