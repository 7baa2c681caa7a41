"""Zones, their records and the servers that answer for them."""

from msgspec import Struct

from lab.world.registries import Owner


class Record(Struct, frozen=True, kw_only=True):
    """A DNS record in presentation form."""

    owner: str
    type: str
    value: str
    ttl: int = 300


class NameServer(Struct, frozen=True, kw_only=True):
    """An authoritative server; it answers for `zones` and gives those in `transfers` away whole."""

    name: str
    address: str
    owner: Owner
    zones: tuple[str, ...]
    transfers: tuple[str, ...] = ()


class Zone(Struct, frozen=True, kw_only=True):
    """A zone with all its records, SOA and NS at the apex among them.

    rotating: owners that answer with one of their addresses at a time; failing: owners that answer SERVFAIL;
    nsec: whether denials carry NSEC records and NSEC can be asked for.
    """

    name: str
    owner: Owner
    records: tuple[Record, ...]
    rotating: frozenset[str] = frozenset()
    failing: frozenset[str] = frozenset()
    nsec: bool = False
