"""Small random worlds of claims and retractions, and what of them is to be seen, worked out the slow way."""

import random
from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple
from uuid import UUID, uuid5

import msgspec

from services.contracts import attributes, entities, relations
from services.contracts.claims import Absence, Claim, Entity, Relation, claim_line
from services.contracts.facts import Admitted, Collected
from services.contracts.resources import Retract
from services.contracts.subjects import CarriedSubject, Level, NamesDigest
from tests.services.storage.depot import LATER, SCAN, TARGET, admitted, record, result

NAMES: Final = [
    TARGET,
    *(entities.hostname(f"{name}.example.org") for name in ("a", "b", "c", "x.a", "y.a", "z.x.a")),
    entities.hostname("a.example.net"),
]
ADDRESSES: Final = [entities.ip_address(f"192.0.2.{number}") for number in range(1, 4)]
LINKS: Final = [relations.resolves_to(name, ADDRESSES[place % 3], record="A") for place, name in enumerate(NAMES)]
ZONES: Final[list[CarriedSubject]] = [
    Level("a.example.org"),
    Level("x.a.example.org"),
    Level("c.example.org"),
    NamesDigest("example.org", "aa", 3),
    NamesDigest("a.example.org", "bb", 3),
]
THINGS: Final[list[CarriedSubject]] = [*NAMES, *ADDRESSES]
MODULES: Final = ("crtsh", "dns_records", "web", "brute")
RECORDS: Final = [record(f"GET /{number}") for number in range(3)]

#: Something that happens: a message, or a question to withdraw or restore.
Event = Collected | Admitted | Retract


def claim(rng: random.Random) -> Claim:
    match rng.randrange(8):
        case 0 | 1 | 2:
            return rng.choice([*NAMES, *ADDRESSES])
        case 3:
            return attributes.attribute(rng.choice(NAMES), "tag", rng.choice(["mail", "vpn"]))
        case 4:
            return Absence(rng.choice(NAMES), "runs")
        case _:
            return rng.choice(LINKS)


def event(rng: random.Random, turn: int) -> Event:
    of = SCAN if rng.random() < 0.8 else LATER
    kind = rng.randrange(12)
    if kind < 7:
        subject = rng.choice(rng.choice([THINGS, THINGS, LINKS, ZONES]))
        claims = [claim(rng) for _ in range(rng.randrange(1, 4))]
        module, version, at = rng.choice(MODULES), rng.choice((1, 1, 2)), 1000 + 10 * rng.randrange(5)
        records = [rng.choice(RECORDS)]
        # The same item comes in another turn, or in another part of the same one.
        part = {"part": turn, "parts": 99} if rng.random() < 0.3 else {"turn": turn}
        made = result(module, *claims, of=of, subject=subject, version=version, at=at, records=records, **part)
        return msgspec.structs.replace(made, item=uuid5(made.item, str(version)))
    if kind < 8:
        return admitted((rng.choice(NAMES), rng.choice(("target", "in_scope")), 0), of=of, ordinal=turn)
    words: dict[str, Any] = rng.choice(
        [
            {"module": rng.choice(MODULES)},
            {"module": rng.choice(MODULES), "version": 1},
            {"module": rng.choice(MODULES), "scan": of},
            {"module": rng.choice(MODULES), "since": 1020},
            {"record": rng.choice(RECORDS).id.hex()},
            {"since": 1040},
        ]
    )
    return Retract(**words, reason="wrong", undo=rng.random() < 0.4)


def world(rng: random.Random) -> list[Event]:
    """Events, most often of a scan that begins with its target."""
    begin: list[Event] = [admitted((TARGET, "target", 0), of=of, ordinal=1000) for of in (SCAN, LATER)]
    events = [event(rng, turn) for turn in range(rng.randrange(4, 16))]
    return [*begin, *events] if rng.random() < 0.9 else events


class Said(NamedTuple):
    """A claim as it came; ``result`` is what it came with."""

    scan: UUID
    result: tuple[Any, ...]
    module: str
    version: int
    subject: CarriedSubject
    claim: Claim
    record: str
    at: int


class World:
    """All that was ever said, and what is withdrawn."""

    def __init__(self) -> None:
        self.said: list[Said] = []
        self.places: dict[tuple[UUID, Entity], set[str]] = {}
        self.retractions: dict[tuple[Any, ...], Retract] = {}

    def add(self, happened: Event) -> None:
        match happened:
            case Collected(scan=scan, item=item, turn=turn, module=module, version=version, subject=subject, at=at):
                for said in happened.said:
                    place = (scan, item, turn)
                    cited = happened.records[0].id.hex()
                    self.said.append(Said(scan, place, module, version, subject, said.claim, cited, at))
            case Admitted(scan=scan, admissions=admissions):
                for each in admissions:
                    self.places.setdefault((scan, each.entity), set()).add(each.role)
            case Retract(undo=True):
                self.retractions.pop(_words(happened), None)
            case Retract():
                self.retractions[_words(happened)] = happened

    def visible(self, scan: UUID) -> tuple[set[tuple[str, int, str]], set[Entity]]:
        """The claims of a scan that count, with who says them, and the entities that it knows of."""
        said = self._kept(scan)
        stands = [one for one in said if not any(_takes_in(each, one) for each in self.retractions.values())]
        supported = self._supported(scan, said, stands)
        counted = [one for one in stands if one.result in supported]
        targets = self._targets(scan)
        named, ever = _named(counted), _named(said)
        admissions = {entity for of, entity in self.places if of == scan}
        known = targets | named | (admissions - ever)
        return {(one.module, one.version, claim_line(one.claim)) for one in counted}, known

    def _kept(self, scan: UUID) -> list[Said]:
        """What one item says in several turns or parts is kept once: with its least record and its first time."""
        kept: dict[tuple[Any, ...], Said] = {}
        for one in self.said:
            if one.scan == scan:
                key = (one.result[:2], one.module, one.version, claim_line(one.claim))
                was = kept.get(key, one)
                kept[key] = was._replace(record=min(was.record, one.record), at=min(was.at, one.at))
        return list(kept.values())

    def _targets(self, scan: UUID) -> set[Entity]:
        return {entity for (of, entity), roles in self.places.items() if of == scan and "target" in roles}

    def _supported(self, scan: UUID, said: list[Said], stands: list[Said]) -> set[tuple[Any, ...]]:
        """The results that are: by what stands, from the targets and from where no claim at all leads to."""
        everything = {one.result: one.subject for one in said}
        led_to = self._reach(scan, said, said, set())
        return self._reach(scan, said, stands, everything.keys() - led_to)

    def _reach(
        self, scan: UUID, said: list[Said], through: list[Said], roots: Iterable[tuple[Any, ...]]
    ) -> set[tuple[Any, ...]]:
        reached, before = set(roots), -1
        while len(reached) > before:
            before = len(reached)
            counted = [one for one in through if one.result in reached]
            named = self._targets(scan) | _named(counted)
            linked = {one.claim.id for one in counted if isinstance(one.claim, Relation)}
            reached |= {one.result for one in said if _holds(one.subject, named, linked)}
        return reached


def _words(question: Retract) -> tuple[Any, ...]:
    return question.module, question.version, question.scan, question.record, question.since


def _takes_in(question: Retract, one: Said) -> bool:
    conditions: list[Callable[[], bool]] = [
        lambda: question.module in ("", one.module),
        lambda: question.version in (None, one.version),
        lambda: question.scan in (None, one.scan),
        lambda: question.record in ("", one.record),
        lambda: question.since is None or one.at >= question.since,
    ]
    return all(each() for each in conditions)


def _named(said: Iterable[Said]) -> set[Entity]:
    found: set[Entity] = set()
    for one in said:
        match one.claim:
            case Entity():
                found.add(one.claim)
            case Relation(source=source, target=target):
                found |= {source, target}
            case other:
                found.add(other.about)
    return found


def _holds(subject: CarriedSubject, named: set[Entity], linked: set[bytes]) -> bool:
    match subject:
        case Entity():
            return subject in named
        case Relation():
            return subject.id in linked
        case Level(zone=zone) | NamesDigest(zone=zone):
            values = [each.value for each in named if each.type in ("domain", "hostname")]
            return any(value == zone or value.endswith(f".{zone}") for value in values)
