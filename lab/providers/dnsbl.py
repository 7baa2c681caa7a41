"""DNS block lists (RFC 5782): the zones that Mirage asks, and others that the world's addresses are in.

The world says which lists have an address; names are in none. Each list has the test entry 127.0.0.2.
"""

from collections.abc import Sequence
from ipaddress import ip_address

from lab.providers import Provider
from lab.world import World

CODES = {
    "zen.spamhaus.org": ("127.0.0.4", "127.0.0.10"),
    "bl.spamcop.net": ("127.0.0.2",),
    "psbl.surriel.com": ("127.0.0.2",),
    "dnsbl-1.uceprotect.net": ("127.0.0.2",),
    "dnsbl.dronebl.org": ("127.0.0.13",),
    "bl.blocklist.de": ("127.0.0.15",),
    "b.barracudacentral.org": ("127.0.0.2",),
    "dbl.spamhaus.org": ("127.0.1.2",),
    "multi.surbl.org": ("127.0.0.8",),
    "multi.uribl.com": ("127.0.0.2",),
}


def lookup(world: World, name: str, kind: str) -> Sequence[str] | None:
    zone = next((zone for zone in CODES if name == zone or name.endswith(f".{zone}")), None)
    if zone is None:
        return None
    if name == zone:
        return []
    if not is_listed(world, address_of(name.removesuffix(f".{zone}")), zone):
        return None
    if kind == "A":
        return CODES[zone]
    return [f'"Listed by {zone}, see https://{zone}/query"'] if kind == "TXT" else []


def is_listed(world: World, ip: str, zone: str) -> bool:
    address = world.address(ip)
    return ip == "127.0.0.2" or (address is not None and zone in address.listed)


def address_of(labels: str) -> str:
    """The address that labels stand for in reverse; what stands for none is returned as it is."""
    parts = labels.split(".")[::-1]
    if len(parts) == 32:
        parts = ["".join(parts[start : start + 4]) for start in range(0, 32, 4)]
        text = ":".join(parts)
    else:
        text = ".".join(parts)
    try:
        return str(ip_address(text))
    except ValueError:
        return labels


PROVIDER = Provider(id="dnsbl", zones=tuple(CODES), lookup=lookup)
