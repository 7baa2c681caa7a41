"""What a scan may look at: the roles of entities, the activities each admits, and the names and networks in scope."""

import ipaddress
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from functools import cached_property
from socket import AF_INET, AF_INET6, inet_pton
from typing import Final, Literal, TypeAlias

from msgspec import Struct

from services.contracts.claims import Entity, Malformed
from services.contracts.entities import host_of
from services.contracts.entities.addresses import address, netblock_key
from services.contracts.names import host, shown

Role: TypeAlias = Literal["target", "in_scope", "affiliate", "co_hosted", "similar", "external"]
Activity: TypeAlias = Literal["passive", "dns", "guess", "active"]

#: From the strongest to the weakest.
ROLES: Final[tuple[Role, ...]] = ("target", "in_scope", "affiliate", "co_hosted", "similar", "external")
ACTIVITIES: Final[tuple[Activity, ...]] = ("passive", "dns", "guess", "active")

#: Which modules are asked about an entity of a role.
ADMITTED: Final[dict[Role, frozenset[Activity]]] = {
    "target": frozenset(ACTIVITIES),
    "in_scope": frozenset(ACTIVITIES),
    "affiliate": frozenset({"passive", "dns"}),
    "co_hosted": frozenset(),
    "similar": frozenset(),
    "external": frozenset(),
}


class Scope(Struct, frozen=True, dict=True, omit_defaults=True):
    """What was asked for and what was ruled out; `scope` builds one in normal form.

    A rule is a host name (it and everything below it), ``*.name`` (everything below it), an address or a network.
    ``excludes`` win over ``targets`` and ``includes``. ``networks`` are those that may be dialled although the guard
    refuses them otherwise.
    """

    targets: tuple[Entity, ...] = ()
    includes: tuple[str, ...] = ()
    excludes: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()

    def covers_name(self, name: str) -> bool:
        """Whether a host name in normal form is in scope."""
        return self._included.has_name(name) and not self._excluded.has_name(name)

    def covers_address(self, ip: str) -> bool:
        """Whether an address is in scope; raises `Malformed` when it is none."""
        return self._included.has_address(ip) and not self._excluded.has_address(ip)

    def covers(self, entity: Entity) -> bool:
        """Whether an entity is in scope by its name, address or network."""
        return _has(self._included, entity) and not _has(self._excluded, entity)

    def excludes_name(self, name: str) -> bool:
        """Whether a host name in normal form was ruled out."""
        return self._excluded.has_name(name)

    def excludes_address(self, ip: str) -> bool:
        """Whether an address was ruled out; raises `Malformed` when it is none."""
        return self._excluded.has_address(ip)

    def rules_out(self, entity: Entity) -> bool:
        """Whether an entity was ruled out by its name, its address, or a network that holds all of it."""
        return _has(self._excluded, entity)

    def role_of(self, entity: Entity) -> Literal["target", "in_scope"] | None:
        """The role that the scope itself gives; None when it says nothing of such an entity or rules it out."""
        if _has(self._excluded, entity):
            return None
        if (entity.type, entity.key) in self._asked_for:
            return "target"
        return "in_scope" if _has(self._included, entity) else None

    @cached_property
    def _asked_for(self) -> frozenset[tuple[str, tuple[str, ...]]]:
        return frozenset((entity.type, entity.key) for entity in self.targets)

    @cached_property
    def _included(self) -> "_Extent":
        return _Extent([*_rules_of(self.targets), *self.includes])

    @cached_property
    def _excluded(self) -> "_Extent":
        return _Extent(self.excludes)

    @cached_property
    def _allowed(self) -> "_Extent":
        return _Extent(self.networks)


def scope(
    targets: Iterable[Entity],
    *,
    includes: Iterable[str] = (),
    excludes: Iterable[str] = (),
    networks: Iterable[str] = (),
) -> Scope:
    """A scope with its rules in normal form, sorted and each once; raises `Malformed` for a rule that is none."""
    return Scope(
        targets=tuple(targets),
        includes=tuple(sorted({rule(text) for text in includes})),
        excludes=tuple(sorted({rule(text) for text in excludes})),
        networks=tuple(sorted({network(text) for text in networks})),
    )


def rule(text: str) -> str:
    """The normal form of a rule: ``name``, ``*.name`` or a network, which an address is too; raises `Malformed`."""
    plain = text.strip()
    if "://" in plain or _as_number(plain):
        raise Malformed(f"{shown(text)} is no rule of a scope: say a name, a wildcard like *.example.org, or a network")
    if "/" in plain:
        return netblock_key(plain)[0]
    if _is_address(plain):
        ip = address(plain)
        return f"{ip}/{128 if ':' in ip else 32}"
    below = plain.startswith("*.")
    name = host(plain[2:] if below else plain)
    if "." not in name:
        raise Malformed(f"{shown(text)} is a whole top-level domain, which no scope can be")
    return f"*.{name}" if below else name


_as_number = re.compile(r"[aA][sS][0-9]+").fullmatch


def network(text: str) -> str:
    """The normal form of a network or an address; raises `Malformed` for anything else, be it a sound name."""
    plain = text.strip()
    if not ("/" in plain or _is_address(plain)):
        raise Malformed(f"{shown(text)} is not a network, which is written like 10.0.0.0/8 or 2001:db8::/32")
    return rule(plain)


def _is_address(text: str) -> bool:
    """Whether a text has the form of an address, sound or not: no name has colons or numbers alone."""
    return ":" in text or text.replace(".", "").isdecimal()


def _rules_of(targets: Iterable[Entity]) -> Iterator[str]:
    for target in targets:
        match target.type:
            case "domain" | "hostname" | "ip_address" | "netblock":
                yield rule(target.key[0])
            case "url":
                yield _rule_of_host(host_of(target.key[0]))
            case "service":
                yield rule(target.key[0])


def _rule_of_host(named: str) -> str:
    return rule(named) if "." in named or ":" in named else named


class _Extent:
    """Names and networks, asked by suffix and by bisection, so that thousands of rules cost what one does."""

    __slots__ = ("_below", "_exact", "_ipv4", "_ipv6")

    def __init__(self, rules: Iterable[str]) -> None:
        self._exact: set[str] = set()
        self._below: set[str] = set()
        networks: list[ipaddress.IPv4Network | ipaddress.IPv6Network] = []
        for text in rules:
            if "/" in text:
                networks.append(ipaddress.ip_network(text))
            elif text.startswith("*."):
                self._below.add(text[2:])
            else:
                self._exact.add(text)
                self._below.add(text)
        self._ipv4 = _ranges(network for network in networks if network.version == 4)
        self._ipv6 = _ranges(network for network in networks if network.version == 6)

    def has_name(self, name: str) -> bool:
        if not self._below:
            return False
        if name in self._exact:
            return True
        dot = name.find(".")
        while dot >= 0:
            if name[dot + 1 :] in self._below:
                return True
            dot = name.find(".", dot + 1)
        return False

    def has_address(self, ip: str) -> bool:
        ip = address(ip)
        family, ranges = (AF_INET6, self._ipv6) if ":" in ip else (AF_INET, self._ipv4)
        if not ranges[0]:
            return False
        number = int.from_bytes(inet_pton(family, ip), "big")
        return _within(ranges, number, number)

    def has_network(self, cidr: str) -> bool:
        network = ipaddress.ip_network(cidr)
        ranges = self._ipv4 if network.version == 4 else self._ipv6
        return _within(ranges, int(network.network_address), int(network.broadcast_address))


_Ranges: TypeAlias = tuple[list[int], list[int]]


def _ranges(networks: Iterable[ipaddress.IPv4Network | ipaddress.IPv6Network]) -> _Ranges:
    """First and last addresses of networks, sorted, merged where they touch."""
    firsts: list[int] = []
    lasts: list[int] = []
    for first, last in sorted((int(network.network_address), int(network.broadcast_address)) for network in networks):
        if lasts and first <= lasts[-1] + 1:
            lasts[-1] = max(lasts[-1], last)
        else:
            firsts.append(first)
            lasts.append(last)
    return firsts, lasts


def _within(ranges: _Ranges, first: int, last: int) -> bool:
    firsts, lasts = ranges
    at = bisect_right(firsts, first) - 1
    return at >= 0 and last <= lasts[at]


def _has(extent: _Extent, entity: Entity) -> bool:
    match entity.type:
        case "domain" | "hostname":
            return extent.has_name(entity.key[0])
        case "ip_address" | "service":
            return extent.has_address(entity.key[0])
        case "netblock":
            return extent.has_network(entity.key[0])
        case "url":
            return _has_host(extent, host_of(entity.key[0]))
        case "email_address":
            return extent.has_name(entity.key[0].rpartition("@")[2])
        case "dns_record":
            return extent.has_name(entity.key[0].removeprefix("*."))
    return False


def _has_host(extent: _Extent, named: str) -> bool:
    # The last label of a name is never a number, so a final digit tells an IPv4 address.
    return extent.has_address(named) if ":" in named or named[-1:].isdecimal() else extent.has_name(named)
