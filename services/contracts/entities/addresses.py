"""Addresses, networks, autonomous systems, services and radios."""

import ipaddress
import re
from functools import lru_cache

from services.contracts.claims import Entity, Malformed
from services.contracts.entities.text import hexadecimal, line
from services.contracts.names import shown

_octet = r"(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_ipv4 = re.compile(rf"{_octet}\.{_octet}\.{_octet}\.{_octet}").fullmatch
_prefix = re.compile(r"[0-9]{1,3}").fullmatch
_asn = re.compile(r"(?:[Aa][Ss][Nn]? ?)?([0-9]{1,10})").fullmatch
_digits = re.compile(r"[0-9]{1,10}").fullmatch
_geohash = re.compile(r"[0-9b-hjkmnp-z]{1,12}").fullmatch
_TRANSPORTS = frozenset({"tcp", "udp", "sctp"})


@lru_cache(maxsize=16384)
def ip_address(text: str) -> Entity:
    """An IPv4 or IPv6 address; see `address` for the normal form."""
    return Entity("ip_address", (address(text),))


@lru_cache(maxsize=4096)
def netblock(text: str) -> Entity:
    """A network in CIDR form; host bits are cleared."""
    return Entity("netblock", netblock_key(text))


@lru_cache(maxsize=4096)
def asn(number: int | str) -> Entity:
    """An autonomous system, from 64496, ``"64496"`` or ``"AS64496"``."""
    return Entity("asn", asn_key(str(number)))


def service(ip: str, transport: str, port: int | str) -> Entity:
    """A transport port on an address; the name asked for is a qualifier of the relation that shows it."""
    return Entity("service", service_key(ip, transport, str(port)))


def mac_address(text: str) -> Entity:
    """An EUI-48 in any of its usual writings."""
    return Entity("mac_address", mac_address_key(text))


def wifi_network(bssid: str = "", *, ssid: str = "", position: str = "") -> Entity:
    """A wireless network by the address of its access point, or by name and the geohash of where it was seen."""
    return Entity(
        "wifi_network", wifi_network_key("bssid", bssid) if bssid else wifi_network_key("ssid", ssid, position)
    )


def address(text: str) -> str:
    """Dotted decimal without leading zeros, or RFC 5952; an IPv4-mapped IPv6 address is the IPv4 address.

    Zone identifiers are refused: they mean something on one host only.
    """
    if _ipv4(text):
        return text
    text = text.strip()
    if _ipv4(text):
        return text
    if ":" not in text or "%" in text or len(text) > 45:
        raise Malformed(f"{shown(text)} is not an IP address")
    try:
        found = ipaddress.IPv6Address(text)
    except ValueError:
        raise Malformed(f"{shown(text)} is not an IP address") from None
    return str(found.ipv4_mapped or found)


def netblock_key(text: str) -> tuple[str]:
    base, slash, prefix = text.strip().partition("/")
    if not slash or not _prefix(prefix) or "%" in base:
        raise Malformed(f"{shown(text)} is not a network in CIDR form")
    try:
        network = ipaddress.ip_network((base, int(prefix)), strict=False)
    except ValueError:
        raise Malformed(f"{shown(text)} is not a network in CIDR form") from None
    if isinstance(network, ipaddress.IPv6Network) and network.prefixlen >= 96:
        mapped = network.network_address.ipv4_mapped
        if mapped is not None:
            return (f"{mapped}/{network.prefixlen - 96}",)
    return (str(network),)


def asn_key(number: str) -> tuple[str]:
    found = _asn(number.strip())
    if not found or not 0 < int(found[1]) < 2**32:
        raise Malformed(f"{shown(number)} is not the number of an autonomous system")
    return (str(int(found[1])),)


def service_key(ip: str, transport: str, port: str) -> tuple[str, str, str]:
    protocol = transport.strip().lower()
    if protocol not in _TRANSPORTS:
        raise Malformed(f"{shown(transport)} is not a transport; there are {', '.join(sorted(_TRANSPORTS))}")
    return (address(ip), protocol, port_number(port))


def port_number(text: str) -> str:
    digits = text.strip()
    if not _digits(digits) or not 0 < int(digits) < 65536:
        raise Malformed(f"{shown(text)} is not a port")
    return str(int(digits))


def mac_address_key(text: str) -> tuple[str]:
    digits = hexadecimal(text.strip().replace("-", "").replace(".", ""), "a hardware address", 12)
    return (":".join(digits[at : at + 2] for at in range(0, 12, 2)),)


def wifi_network_key(scheme: str, identifier: str, position: str = "") -> tuple[str, ...]:
    if scheme == "bssid" and not position:
        return ("bssid", *mac_address_key(identifier))
    if scheme == "ssid":
        return ("ssid", line(identifier, "the name of a wireless network", limit=128), geohash(position))
    raise Malformed(f"{shown(scheme)} does not name a wireless network; bssid and ssid do")


def geohash(text: str) -> str:
    """A geohash of up to 12 characters (https://en.wikipedia.org/wiki/Geohash)."""
    found = text.strip().lower()
    if not _geohash(found):
        raise Malformed(f"{shown(text)} is not a geohash")
    return found
