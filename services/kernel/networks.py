"""Addresses as they come with a connection, and the networks that they are of."""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from services.kernel.errors import Invalid

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


def parse_ip(text: str) -> Address | None:
    """The address that a text is, without its zone, one of IPv4 that is written as one of IPv6 as what it is."""
    try:
        found = ip_address(text)
    except ValueError:
        return None
    if isinstance(found, IPv4Address):
        return found
    return found.ipv4_mapped or IPv6Address(found.packed)


def network_of(address: str, *, v4: int, v6: int) -> str:
    """The network that an address is of, by the bits of its prefix; nothing for what is no address."""
    found = parse_ip(address)
    if found is None:
        return ""
    return str(ip_network((found.packed, v4 if isinstance(found, IPv4Address) else v6), strict=False))


def site_of(address: str) -> str:
    """The /48 of an address of IPv6, which one and the same customer may have all of; nothing for others."""
    return network_of(address, v4=32, v6=48) if isinstance(parse_ip(address), IPv6Address) else ""


def parse_networks(said: Iterable[str]) -> tuple[Network, ...]:
    """Networks and single addresses.

    Raises:
        Invalid: one is neither.
    """
    found: list[Network] = []
    for each in said:
        try:
            found.append(ip_network(each))
        except ValueError as error:
            raise Invalid(f"{each[:64]!r} is no network: {error}") from error
    return tuple(found)
