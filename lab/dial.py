"""The way from logical addresses to loopback: the dial table that Mirage reads.

The format belongs to `services/kernel/egress/dial.py`; only networks that nobody owns are used: 192.0.2.0/24,
198.51.100.0/24, 203.0.113.0/24 (RFC 5737), 198.18.0.0/15 (RFC 2544) and 2001:db8::/32 (RFC 3849).
"""

from collections.abc import Iterable, Mapping
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    collapse_addresses,
    ip_address,
    ip_network,
)
from pathlib import Path

import msgspec

PLACES: tuple[tuple[IPv4Network | IPv6Network, IPv4Address], ...] = (
    (ip_network("192.0.2.0/24"), IPv4Address("127.1.0.0")),
    (ip_network("198.51.100.0/24"), IPv4Address("127.2.0.0")),
    (ip_network("203.0.113.0/24"), IPv4Address("127.3.0.0")),
    (ip_network("198.18.0.0/15"), IPv4Address("127.18.0.0")),
    (ip_network("2001:db8:100::/112"), IPv4Address("127.100.0.0")),
)

Endpoint = tuple[str, str, int]
"""(logical address, transport, port)."""


def loopback(ip: str) -> str:
    """The address of 127.0.0.0/8 at which the logical address `ip` really is; ValueError when it has none."""
    wanted = ip_address(ip)
    for network, base in PLACES:
        if wanted in network:
            return str(base + (int(wanted) - int(network.network_address)))
    raise ValueError(f"{ip} is not an address of the lab")


def logical(local: str) -> str:
    """The logical address of a loopback address, or the address itself when it stands for none."""
    wanted = int(IPv4Address(local))
    for network, base in PLACES:
        if 0 <= wanted - int(base) < network.num_addresses:
            return str(type(network.network_address)(int(network.network_address) + wanted - int(base)))
    return local


def dial_table(endpoints: Iterable[Endpoint], hosts: Iterable[str], ports: Mapping[tuple[str, int], int]) -> bytes:
    """The table as JSON.

    endpoints: what is open; hosts: every address that exists; ports: (transport, port) -> the local port behind it.
    """
    open_at: dict[tuple[str, int], list[str]] = {}
    for ip, transport, port in endpoints:
        open_at.setdefault((transport, port), []).append(ip)
    return msgspec.json.encode(
        {
            "version": 1,
            "entries": [
                {
                    "network": network,
                    "transport": transport,
                    "port": port,
                    "address": loopback(network.split("/")[0]),
                    "to_port": ports[transport, port],
                }
                for (transport, port), ips in open_at.items()
                for network in _collapse(ips)
            ],
            "hosts": _collapse(hosts),
        }
    )


def write_dial_table(
    path: Path, endpoints: Iterable[Endpoint], hosts: Iterable[str], ports: Mapping[tuple[str, int], int]
) -> None:
    path.write_bytes(dial_table(endpoints, hosts, ports))


def _collapse(ips: Iterable[str]) -> list[str]:
    """As few networks as hold exactly `ips`."""
    parsed = [ip_address(ip) for ip in dict.fromkeys(ips)]
    four = collapse_addresses(IPv4Network(ip) for ip in parsed if isinstance(ip, IPv4Address))
    six = collapse_addresses(IPv6Network(ip) for ip in parsed if isinstance(ip, IPv6Address))
    return [str(network) for network in (*four, *six)]
