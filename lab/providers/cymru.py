"""Team Cymru's mapping of addresses and systems by DNS (https://www.team-cymru.com/ip-asn-mapping)."""

from collections.abc import Sequence
from ipaddress import ip_address

from lab.providers import Provider
from lab.world import World

REGISTRIES = {"ripe": "ripencc"}


def lookup(world: World, name: str, kind: str) -> Sequence[str] | None:
    line = origin(world, name) if ".origin" in f".{name}" else system(world, name)
    if line is None:
        return None if name.count(".") > 2 else []
    return [f'"{line}"'] if kind == "TXT" else []


def origin(world: World, name: str) -> str | None:
    """``64500 | 203.0.113.0/24 | GB | ripencc | 2012-05-14``."""
    labels, _, zone = name.partition(".origin")
    parts = labels.split(".")[::-1]
    text = (
        ".".join(parts)
        if not zone.startswith("6")
        else ":".join("".join(parts[place : place + 4]) for place in range(0, 32, 4))
    )
    try:
        block = world.netblock(str(ip_address(text)))
    except ValueError:
        return None
    if block is None:
        return None
    registry = REGISTRIES.get(block.registry, block.registry)
    return f"{block.asn} | {block.network} | {block.country} | {registry} | {block.registered:%Y-%m-%d}"


def system(world: World, name: str) -> str | None:
    """``64500 | GB | ripencc | 2012-05-14 | HALYARD-AS Halyard Freight Limited, GB``."""
    digits = name.partition(".")[0].removeprefix("as")
    found = world.system(int(digits)) if digits.isascii() and digits.isdecimal() else None
    if found is None:
        return None
    registry = REGISTRIES.get(found.registry, found.registry)
    said = f"{found.name} {found.description}, {found.country}"
    return f"{found.number} | {found.country} | {registry} | {found.registered:%Y-%m-%d} | {said}"


PROVIDER = Provider(id="cymru", zones=("origin.asn.cymru.com", "origin6.asn.cymru.com", "asn.cymru.com"), lookup=lookup)
