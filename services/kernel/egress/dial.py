"""The dial table: where a logical address and port really are.

A JSON document, written by whoever runs the network that stands in for the internet::

    {"version": 1,
     "entries": [{"network": "192.0.2.0/24", "transport": "tcp", "port": 443,
                  "address": "127.192.2.0", "to_port": 20443}, ...],
     "hosts": ["192.0.2.0/28", ...]}

``network`` is an address or a network, IPv4 or IPv6, without host bits; ``transport`` is tcp or udp. ``address`` is
the base: the offset of an address within ``network`` is added to it, so a network becomes as many distinct local
addresses. Of an IPv6 network wider than /112 only the low 16 bits are added. The longest matching network wins.

``hosts`` are the addresses that exist; without it, those that any entry covers do. A port that an existing address
does not have is `Refused`, any other address is `Unreachable`. IPv4-mapped addresses count as the IPv4 address.
"""

from collections.abc import Iterable
from ipaddress import IPv6Address, ip_network
from pathlib import Path
from typing import Final, Generic, Literal, TypeVar

import msgspec
from msgspec import Struct

from services.kernel.egress.errors import Refused, Unreachable
from services.kernel.egress.guard import Address, Network, parse

Transport = Literal["tcp", "udp"]

T = TypeVar("T")

WIDEST: Final = 1 << 16


class Entry(Struct, frozen=True, forbid_unknown_fields=True):
    network: str
    transport: Transport
    port: int
    address: str
    to_port: int


class Document(Struct, frozen=True, forbid_unknown_fields=True):
    version: Literal[1]
    entries: tuple[Entry, ...]
    hosts: tuple[str, ...] | None = None


class Networks(Generic[T]):
    """Values by network; the longest one that holds an address is found in as many steps as there are lengths."""

    def __init__(self) -> None:
        self._lengths: dict[tuple[int, int], dict[int, tuple[Network, T]]] = {}

    def __setitem__(self, network: Network, value: T) -> None:
        length = (network.version, network.max_prefixlen - network.prefixlen)
        self._lengths.setdefault(length, {})[int(network.network_address) >> length[1]] = network, value
        self._lengths = dict(sorted(self._lengths.items()))

    def find(self, address: Address) -> tuple[Network, T] | None:
        number = int(address)
        for (version, shift), networks in self._lengths.items():
            if version == address.version and (found := networks.get(number >> shift)):
                return found
        return None


class DialTable:
    """Maps (address, transport, port) to the (address, port) that is really dialled."""

    def __init__(self, entries: Iterable[Entry], hosts: Iterable[str] | None = None) -> None:
        """Raises ValueError when an entry makes no sense."""
        self._targets: dict[tuple[Transport, int], Networks[tuple[Address, int]]] = {}
        self._named: dict[tuple[Transport, int], list[tuple[int, int, int]]] = {}
        self._hosts: Networks[bool] = Networks()
        for entry in entries:
            network, base = ip_network(entry.network), parse(entry.address)
            size = min(network.num_addresses, WIDEST if network.version == 6 else 1 << 32)
            type(base)(int(base) + size - 1)  # raises when the last address would not exist
            for port in (entry.port, entry.to_port):
                if not 0 < port < 1 << 16:
                    raise ValueError(f"{port} is not a port")
            self._targets.setdefault((entry.transport, entry.port), Networks())[network] = base, entry.to_port
            self._named.setdefault((entry.transport, entry.to_port), []).append(
                (base.version, int(base), int(base) + size)
            )
            if hosts is None:
                self._hosts[network] = True
        for host in hosts or ():
            self._hosts[ip_network(host)] = True

    @classmethod
    def read(cls, path: str | Path) -> "DialTable":
        """Read the document at ``path``; raises OSError, or ValueError when it is not one."""
        return cls.decode(Path(path).read_bytes())

    @classmethod
    def decode(cls, document: bytes) -> "DialTable":
        read = msgspec.json.decode(document, type=Document)
        return cls(read.entries, read.hosts)

    def find(self, address: str, port: int, transport: Transport) -> tuple[str, int]:
        """Where ``address`` and ``port`` really are.

        Raises:
            Refused: the address exists and has no such port.
            Unreachable: the table does not know the address.
        """
        logical = unmapped(parse(address))
        if self._hosts.find(logical) is None:
            raise Unreachable(f"{address} is not in the dial table")
        found = self._targets.get((transport, port), NOWHERE).find(logical)
        if found is None:
            raise Refused(f"{address} has no {transport} port {port} in the dial table")
        network, (base, to_port) = found
        offset = int(logical) - int(network.network_address)
        return str(base + (offset % WIDEST if logical.version == 6 else offset)), to_port

    def leads_to(self, address: str, port: int, transport: Transport) -> bool:
        """Whether ``address`` and ``port`` are already what some entry maps to."""
        real = unmapped(parse(address))
        return any(
            real.version == version and first <= int(real) < end
            for version, first, end in self._named.get((transport, port), ())
        )


def unmapped(address: Address) -> Address:
    return address.ipv4_mapped or address if isinstance(address, IPv6Address) else address


NOWHERE: Final[Networks[tuple[Address, int]]] = Networks()
