"""Names and addresses: which exist, how each is found, and what only looks like one."""

from datetime import datetime
from typing import Literal

from msgspec import Struct

from lab.world.registries import Owner
from lab.world.web import Site

Reveal = Literal[
    "target", "passive", "brute", "permutation", "certificate", "page", "header", "record", "deeper", "transfer", "nsec"
]


class Port(Struct, frozen=True, kw_only=True):
    """An open TCP port: `protocol` is http, https, ssh, smtp …; `banner` is what it says first."""

    number: int
    protocol: str
    banner: str = ""
    product: str = ""
    version: str = ""


class Address(Struct, frozen=True, kw_only=True):
    """An address that exists: what listens on it, and what third parties say of it.

    hosts: all names that resolve to it; known_hosts: those of them that third parties know, strangers included;
    listed: the DNS block list zones that list it.
    """

    ip: str
    owner: Owner
    asn: int
    country: str
    city: str
    ptr: str | None
    hosts: tuple[str, ...]
    known_hosts: tuple[str, ...]
    ports: tuple[Port, ...]
    cpes: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    vulnerabilities: tuple[str, ...] = ()
    listed: tuple[str, ...] = ()


class Way(Struct, frozen=True, kw_only=True):
    """One way to find a name.

    by: the source's id, the word, the name it was formed from, the host that shows it, the record's owner or the zone.
    detail: the path, the header, the record type or the naming form.
    """

    kind: Reveal
    by: str
    detail: str = ""


class Host(Struct, frozen=True, kw_only=True):
    """A name of the target that exists and resolves. `kind` is the only kind of way that finds it first.

    known_to: ids of the passive sources that list it; `site` is set where it serves web pages;
    below_wildcard: the wildcard owner (`*.apps.…`) above it, whose answer differs from its own.
    """

    name: str
    kind: Reveal
    addresses: tuple[str, ...]
    cname: str | None = None
    known_to: frozenset[str] = frozenset()
    ways: tuple[Way, ...] = ()
    site: Site | None = None
    below_wildcard: str | None = None


class StaleName(Struct, frozen=True, kw_only=True):
    """A name that sources still list and that no longer resolves; `answer` says what DNS says of it."""

    name: str
    known_to: frozenset[str]
    last_address: str
    last_seen: datetime
    answer: Literal["nxdomain", "nodata", "servfail", "dangling"] = "nxdomain"


class Wildcard(Struct, frozen=True, kw_only=True):
    """A wildcard: its owner (`*.apps.…`), its answer, and members that sources list though they are no hosts.

    `rotates`: each answer is another part of `addresses`.
    """

    owner: str
    addresses: tuple[str, ...]
    cname: str | None
    rotates: bool
    members: tuple[str, ...]
    known_to: frozenset[str]


class Dangling(Struct, frozen=True, kw_only=True):
    """A CNAME to a third party's resource that nobody holds any more."""

    name: str
    target: str
    provider: str
    known_to: frozenset[str]


class Affiliate(Struct, frozen=True, kw_only=True):
    """A supplier of the target: its domain, what it does for it, and the names the target points to."""

    name: str
    domain: str
    role: Literal["cdn", "mail", "hosting", "dns", "saas"]
    asn: int
    netblocks: tuple[str, ...]
    hosts: tuple[tuple[str, str], ...]


class Stranger(Struct, frozen=True, kw_only=True):
    """Somebody else's host on an address that the target uses too: never touched, never reported."""

    name: str
    address: str
