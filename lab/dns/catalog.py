"""Everything that DNS knows in the lab: zones, their records, and names made up on demand."""

from collections.abc import Callable, Iterable, Sequence
from ipaddress import IPv4Address, IPv6Address

from lab.dns import wire
from lab.providers import Provider
from lab.world import Record, World, Zone

Lookup = Callable[[World, str, str], Sequence[str] | None]


class ZoneData:
    """A zone's apex and what it does apart from listing records."""

    def __init__(self, name: str, zone: Zone | None = None, lookup: Lookup | None = None) -> None:
        self.name = name
        self.apex = wire.encode_name(name)
        self.lookup = lookup
        self.rotating = frozenset(map(wire.encode_name, zone.rotating)) if zone else frozenset()
        self.failing = frozenset(map(wire.encode_name, zone.failing)) if zone else frozenset()
        self.nsec = zone.nsec if zone else False
        self.records = zone.records if zone else ()
        soa = next((record.value for record in self.records if record.type == "SOA" and record.owner == name), None)
        soa = soa or f"ns1.{name or 'root'}. hostmaster.{name or 'root'}. 1 7200 3600 1209600 300"
        self.soa = wire.record(self.apex, wire.SOA, 300, wire.encode_value("SOA", soa))
        self.names: list[bytes] = []


class Catalog:
    """All zones: the world's, the providers', the reverse ones, and a root for everything else."""

    def __init__(self, world: World, providers: Iterable[Provider] = (), hosts: dict[str, str] | None = None) -> None:
        """`hosts` are the addresses of the providers' host names."""
        self.world = world
        self.zones: dict[bytes, ZoneData] = {}
        self.nodes: dict[bytes, dict[int, list[Record]]] = {}
        self._add_zone(ZoneData("", None))
        for zone in world.zones:
            self._add_zone(ZoneData(zone.name, zone))
        for provider in providers:
            for name in provider.zones:
                self._add_zone(ZoneData(name, None, provider.lookup))
        for name in ("in-addr.arpa", "ip6.arpa"):
            self._add_zone(ZoneData(name, None, reverse))
        for zone in world.zones:
            for record in zone.records:
                self._add(record, wire.encode_name(zone.name))
        for host, ip in (hosts or {}).items():
            self._add(Record(owner=host, type="A", value=ip), b"\0")
        for data in self.zones.values():
            if data.nsec:
                data.names = sorted(
                    (name for name in self.nodes if self.nodes[name] and self.zone_of(name) is data), key=canonical
                )

    def _add_zone(self, zone: ZoneData) -> None:
        self.zones[zone.apex] = zone
        self.nodes.setdefault(zone.apex, {})

    def _add(self, record: Record, apex: bytes) -> None:
        name = wire.encode_name(record.owner)
        self.nodes.setdefault(name, {}).setdefault(wire.type_number(record.type), []).append(record)
        while name not in (apex, b"\0"):
            name = wire.parent(name)
            self.nodes.setdefault(name, {})

    def zone_of(self, name: bytes) -> ZoneData:
        """The deepest zone that holds `name`."""
        while name not in self.zones:
            name = wire.parent(name)
        return self.zones[name]

    def zone_records(self, apex: bytes) -> list[bytes]:
        """Every record of a zone on the wire, the SOA first and last, as a transfer sends them (RFC 5936)."""
        records = [
            wire.record(
                wire.encode_name(record.owner),
                wire.type_number(record.type),
                record.ttl,
                wire.encode_value(record.type, record.value),
            )
            for record in self.zones[apex].records
        ]
        return [*records, records[0]]

    def records(self, name: str, kind: str) -> list[str]:
        """The values at `name`, aliases not followed."""
        found = self.nodes.get(wire.encode_name(name), {}).get(wire.type_number(kind), [])
        return [record.value for record in found]


def canonical(name: bytes) -> list[bytes]:
    """A key that sorts wire names as RFC 4034, section 6.1 does."""
    labels = []
    while name[0]:
        labels.append(name[1 : 1 + name[0]])
        name = wire.parent(name)
    return labels[::-1]


def reverse(world: World, name: str, kind: str) -> Sequence[str] | None:
    """The name of an address in in-addr.arpa or ip6.arpa."""
    labels = name.split(".")[:-2][::-1]
    if name.endswith("in-addr.arpa"):
        if len(labels) < 4:
            return []
        if len(labels) > 4 or not all(label.isdecimal() and int(label) < 256 for label in labels):
            return None
        ip = str(IPv4Address(".".join(str(int(label)) for label in labels)))
    else:
        if len(labels) < 32:
            return []
        if len(labels) > 32 or not all(len(label) == 1 and label in "0123456789abcdef" for label in labels):
            return None
        ip = str(IPv6Address(int("".join(labels), 16)))
    address = world.address(ip)
    if address is None or address.ptr is None:
        return None
    return [address.ptr + "."] if kind == "PTR" else []
