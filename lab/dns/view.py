"""What a server answers to a question: found once in the catalog, then kept as bytes."""

from collections.abc import Iterable, Sequence
from itertools import cycle
from struct import Struct as Layout
from typing import NamedTuple

from lab.dns import wire
from lab.dns.catalog import Catalog, ZoneData, canonical
from lab.world import Record

AA, TC, RD, RA, QR = 0x0400, 0x0200, 0x0100, 0x0080, 0x8000
CHAIN = 8
"""How many aliases are followed."""

header = Layout("!HHHHH").pack


class Answer(NamedTuple):
    """A reply without its identifier: a header (one for EDNS, one without) and a tail go around the question.

    The headers have the RD bit set, as nearly every query has.
    """

    plain: bytes
    extended: bytes
    tail: bytes


def make_answer(rcode: int, flags: int, answers: Sequence[bytes] = (), authority: Sequence[bytes] = ()) -> Answer:
    flags |= QR | RD | rcode
    counts = (1, len(answers), len(authority))
    return Answer(header(flags, *counts, 0), header(flags, *counts, 1), b"".join((*answers, *authority)))


class View:
    """What one server answers: the resolver sees every zone and follows aliases, others see the zones they serve."""

    def __init__(self, catalog: Catalog, zones: Iterable[str] | None = None) -> None:
        self.catalog = catalog
        self.recursive = zones is None
        self._served = None if zones is None else frozenset(map(wire.encode_name, zones))
        self._kept: dict[bytes, Answer] = {}
        self._rotating: dict[tuple[bytes, int], cycle[Answer]] = {}
        self._synthesised: dict[tuple[bytes, int], Answer] = {}
        self._denials: dict[bytes, Answer] = {}
        self._flags = RA if self.recursive else AA
        self.refusal = make_answer(wire.REFUSED, self._flags & RA)
        self.failure = make_answer(wire.SERVFAIL, self._flags & RA)

    def answer(self, question: bytes, *, secure: bool = False) -> Answer:
        """The answer to a question (name, type, class on the wire); `secure` is the DO bit."""
        kept = self._kept.get(question)
        if kept is not None and not secure:
            return kept
        name, kind = question[:-4].lower(), int.from_bytes(question[-4:-2])
        if question[-2:] != wire.IN:
            return self.refusal
        zone = self.catalog.zone_of(name)
        if self._served is not None and zone.apex not in self._served:
            return self._refer(name, zone)
        if name in zone.failing:
            return self.failure
        if zone.lookup:
            return self._computed(question, name, kind, zone)
        if name not in self.catalog.nodes:
            return self._absent(name, kind, zone, secure=secure)
        if (rotation := self._rotation(name, name, kind, zone)) is not None:
            return rotation
        answer = self._stored(name, kind, zone, secure=secure)
        if not secure:
            self._kept[question] = answer
        return answer

    def _stored(self, name: bytes, kind: int, zone: ZoneData, *, secure: bool, source: bytes = b"") -> Answer:
        """The answer from the records at `source` (the name itself, or the wildcard above it)."""
        answers: list[bytes] = []
        owner = wire.OWNER
        at, here = source or name, zone
        for _ in range(CHAIN):
            node = self.catalog.nodes.get(at)
            if node is None:
                break
            if kind == wire.NSEC and here.nsec and node:
                answers.append(wire.record(owner, wire.NSEC, 300, self._next_secure(at, here)))
                return make_answer(wire.NOERROR, self._flags, answers)
            if found := node.get(kind):
                answers += [_encode(owner, record) for record in found]
                return make_answer(wire.NOERROR, self._flags, answers)
            alias = node.get(wire.CNAME)
            if alias is None:
                return self._no_data(at, here, answers, secure=secure)
            answers.append(_encode(owner, alias[0]))
            at = owner = wire.encode_name(alias[0].value)
            here = self.catalog.zone_of(at)
            if self._served is not None and here.apex not in self._served:
                return make_answer(wire.NOERROR, self._flags, answers)
        return make_answer(wire.NXDOMAIN, self._flags, answers, (here.soa,))

    def _no_data(self, name: bytes, zone: ZoneData, answers: list[bytes], *, secure: bool) -> Answer:
        authority = [zone.soa]
        if secure and zone.nsec and self.catalog.nodes.get(name):
            authority.append(wire.record(name, wire.NSEC, 300, self._next_secure(name, zone)))
        return make_answer(wire.NOERROR, self._flags, answers, authority)

    def _absent(self, name: bytes, kind: int, zone: ZoneData, *, secure: bool) -> Answer:
        """A name that is in no zone: made from a wildcard (RFC 4592), or denied."""
        closest = wire.parent(name)
        while closest not in self.catalog.nodes:
            closest = wire.parent(closest)
        wildcard = b"\x01*" + closest
        if wildcard in self.catalog.nodes:
            if (rotation := self._rotation(name, wildcard, kind, zone)) is not None:
                return rotation
            if (made := self._synthesised.get((wildcard, kind))) is None:
                made = self._synthesised[wildcard, kind] = self._stored(name, kind, zone, secure=False, source=wildcard)
            return made
        if secure and zone.nsec:
            before = max((known for known in zone.names if canonical(known) < canonical(name)), key=canonical)
            proof = wire.record(before, wire.NSEC, 300, self._next_secure(before, zone))
            return make_answer(wire.NXDOMAIN, self._flags, (), (zone.soa, proof))
        if (denial := self._denials.get(zone.apex)) is None:
            denial = self._denials[zone.apex] = make_answer(wire.NXDOMAIN, self._flags, (), (zone.soa,))
        return denial

    def _rotation(self, name: bytes, source: bytes, kind: int, zone: ZoneData) -> Answer | None:
        """The next of the answers of an owner that gives one address at a time."""
        if source not in zone.rotating or kind != wire.A:
            return None
        if (rotation := self._rotating.get((source, kind))) is None:
            records = self.catalog.nodes[source].get(kind, [])
            rotation = cycle(
                make_answer(wire.NOERROR, self._flags, (_encode(wire.OWNER, record),)) for record in records
            )
            self._rotating[source, kind] = rotation
        return next(rotation)

    def _computed(self, question: bytes, name: bytes, kind: int, zone: ZoneData) -> Answer:
        """The answer of a zone that is a function; it is asked once for each question."""
        assert zone.lookup is not None
        text = wire.type_name(kind)
        values = zone.lookup(self.catalog.world, wire.decode_name(name), text)
        if values is None:
            answer = make_answer(wire.NXDOMAIN, self._flags, (), (zone.soa,))
        elif not values:
            answer = make_answer(wire.NOERROR, self._flags, (), (zone.soa,))
        else:
            records = [wire.record(wire.OWNER, kind, 300, wire.encode_value(text, value)) for value in values]
            answer = make_answer(wire.NOERROR, self._flags, records)
        self._kept[question] = answer
        return answer

    def _refer(self, name: bytes, zone: ZoneData) -> Answer:
        """A referral when the zone above is served here, a refusal otherwise."""
        assert self._served is not None
        above = wire.parent(zone.apex) if len(zone.apex) > 1 else b""
        while above and above not in self._served:
            above = wire.parent(above) if len(above) > 1 else b""
        delegation = self.catalog.nodes.get(zone.apex, {}).get(wire.NS) if above else None
        if not delegation:
            return self.refusal
        return make_answer(wire.NOERROR, 0, (), [_encode(zone.apex, record) for record in delegation])

    def _next_secure(self, name: bytes, zone: ZoneData) -> bytes:
        """The data of the NSEC record at `name` (RFC 4034, section 4)."""
        following = zone.names[(zone.names.index(name) + 1) % len(zone.names)]
        kinds = " ".join(wire.type_name(kind) for kind in sorted({*self.catalog.nodes[name], wire.NSEC}))
        return wire.encode_value("NSEC", f"{wire.decode_name(following)}. {kinds}")


def _encode(owner: bytes, record: Record) -> bytes:
    return wire.record(owner, wire.type_number(record.type), record.ttl, wire.encode_value(record.type, record.value))
