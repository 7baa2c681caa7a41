"""How messages become rows: claims folded by what they are about. Pure."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple, TypeAlias
from uuid import UUID

import msgspec

from services.contracts.claims import Absence, Attribute, Claim, Entity, Relation, claim_key
from services.contracts.facts import MAX_CHANGED, Admitted, Collected
from services.contracts.plan import Plan
from services.contracts.resources import Retraction
from services.contracts.scope import ROLES, Role
from services.contracts.subjects import CarriedSubject, Level, NamesDigest
from services.kernel.errors import Invalid

ENTITY, RELATION, ATTRIBUTE, ABSENCE = range(4)
RECORD_ID: Final = 32

#: A turn of a work item by its workspace, scan and item.
Turn = tuple[bytes, bytes, bytes, int]
#: Rows of the tables of claims and records, in the order of their columns; for what has a number later, its place.
ClaimRow = tuple[
    bytes, bytes, Turn, bytes, bytes, bytes, int, str, str, int, int, int, int | None, int | None, str, str, bytes
]
RecordRow = tuple[bytes, bytes, Turn, bytes, bytes | None, bytes]

_RANKS: Final[dict[Role, int]] = {role: rank for rank, role in enumerate(ROLES)}

_encode = msgspec.json.Encoder(order="sorted").encode
_pack = msgspec.msgpack.Encoder().encode


class Seen(NamedTuple):
    """When an entity was seen, and what it is; in a scan also the rank of its role and its distance."""

    entity: Entity
    first: int
    last: int
    rank: int | None = None
    distance: int | None = None


#: Who was asked about what: a module and the id of a subject.
Question: TypeAlias = tuple[str, bytes]


class PartialResult(NamedTuple):
    """How far a result is: its parts that are here, how many there are once that is known, and what came of it.

    ``zone``: of which zone its subject is, where that is a set of names or a level.
    """

    module: str
    version: int
    subject: bytes
    seen: int
    parts: int
    outcome: str
    zone: str


#: Of what is said to have changed, as much as one message has: ids of entities, and of relations with their sources.
ChangedPiece: TypeAlias = tuple[tuple[bytes, ...], tuple[tuple[bytes, bytes], ...]]


class Changes:
    """Of which entities and relations a scan says something else than before, or knows of them: each once."""

    def __init__(self) -> None:
        self._places: dict[tuple[bytes, bytes], tuple[dict[bytes, None], dict[tuple[bytes, bytes], None]]] = {}

    def add(
        self, space: bytes, scan: bytes, entities: Iterable[bytes] = (), relations: Iterable[tuple[bytes, bytes]] = ()
    ) -> None:
        """Take in ids of entities, and of relations, each after that of its source."""
        known = self._places.setdefault((space, scan), ({}, {}))
        known[0].update(dict.fromkeys(entities))
        known[1].update(dict.fromkeys(relations))

    def pieces(self) -> Iterator[tuple[UUID, UUID, list[ChangedPiece]]]:
        """Workspace, scan and what is said of it in as few messages as may be, in the order of the first two."""
        for (space, scan), known in sorted(self._places.items()):
            entities, relations = tuple(known[0]), tuple(known[1])
            pieces: list[ChangedPiece] = [
                (entities[start : start + MAX_CHANGED], ()) for start in range(0, len(entities), MAX_CHANGED)
            ]
            # What is left of the last piece is filled before another one is begun.
            room = MAX_CHANGED - len(pieces[-1][0]) if pieces else 0
            if relations and room:
                pieces[-1] = (pieces[-1][0], relations[:room])
            pieces += [
                ((), relations[start : start + MAX_CHANGED]) for start in range(room, len(relations), MAX_CHANGED)
            ]
            if pieces:
                yield UUID(bytes=space), UUID(bytes=scan), pieces


class Rows:
    """What a batch of messages says, each thing once: rows of the tables, by their keys; numbers are still to be given.

    Whatever comes twice or in another order makes the same tables: times widen, roles only get stronger and distances
    smaller, and of what is said of one thing in the same words the first time and the least evidence count.
    """

    def __init__(self) -> None:
        self.entities: dict[tuple[bytes, bytes], Seen] = {}
        self.sightings: dict[tuple[bytes, bytes, bytes], Seen] = {}
        #: When entities were given which places, first and last: by workspace, entity, scan, rank and distance.
        self.admissions: dict[tuple[bytes, bytes, bytes, int, int], tuple[int, int]] = {}
        self.relations: dict[tuple[bytes, bytes], tuple[Relation, bytes, bytes]] = {}
        self.claims: list[ClaimRow] = []
        self.records: list[RecordRow] = []
        self.results: dict[Turn, PartialResult] = {}
        #: Workspaces and scans that anything is of.
        self.places: set[tuple[bytes, bytes]] = set()
        #: Of which entities and relations something is claimed in a scan, by workspace and scan.
        self.claimed: dict[tuple[bytes, bytes], tuple[dict[bytes, None], dict[bytes, None]]] = {}

    def add(self, workspace: UUID, message: Collected, recorded_at: int) -> None:
        """Take in one part of a result."""
        space, scan, item = workspace.bytes, message.scan.bytes, message.item.bytes
        self.places.add((space, scan))
        result = (space, scan, item, message.turn)
        self.results[result] = _join(self.results.get(result), message)
        of_entities, of_relations = self.claimed.setdefault((space, scan), ({}, {}))
        ids = [record.id for record in message.records]
        self.records += [(space, scan, result, record.id, record.blob, _pack(record)) for record in message.records]
        for said in message.said:
            claim = said.claim
            about, kind, name, value, details = self._about(space, scan, claim, message.at)
            (of_relations if kind == RELATION else of_entities)[about] = None
            key = claim_key(claim, message.module, message.version)
            stated = (claim.confidence, claim.valid_from, claim.valid_to, claim.where, details)
            self.claims.append(
                (
                    space,
                    about,
                    result,
                    hashlib.blake2b(key + item + _pack(stated), digest_size=16).digest(),
                    scan,
                    key,
                    kind,
                    name,
                    value,
                    message.at,
                    recorded_at,
                    *stated,
                    b"".join([ids[place] for place in said.cites]),
                )
            )

    def admit(self, workspace: UUID, message: Admitted, at: int) -> None:
        """Take in the places of entities in a scan."""
        space, scan = workspace.bytes, message.scan.bytes
        self.places.add((space, scan))
        for admission in message.admissions:
            place = (space, scan, self._see(space, scan, admission.entity, at))
            seen = self.sightings[place]
            rank, distance = rank_of(admission.role), admission.distance
            given = (space, place[2], scan, rank, distance)
            first, last = self.admissions.get(given, (at, at))
            self.admissions[given] = min(first, at), max(last, at)
            self.sightings[place] = seen._replace(
                rank=rank if seen.rank is None else min(rank, seen.rank),
                distance=distance if seen.distance is None else min(distance, seen.distance),
            )

    def _about(self, space: bytes, scan: bytes, claim: Claim, at: int) -> tuple[bytes, int, str, str, str]:
        match claim:
            case Entity():
                return self._see(space, scan, claim, at), ENTITY, "", "", ""
            case Relation(type=name, source=source, target=target):
                ends = self._see(space, scan, source, at), self._see(space, scan, target, at)
                identity = claim.id
                self.relations[space, identity] = (claim, *ends)
                details = _encode(claim.details).decode() if claim.details else ""
                return identity, RELATION, name, "", details
            case Attribute(about=about, name=name, value=value):
                return self._see(space, scan, about, at), ATTRIBUTE, name, _encode(value).decode(), ""
            case Absence(about=about, predicate=predicate):
                return self._see(space, scan, about, at), ABSENCE, predicate, "", ""

    def _see(self, space: bytes, scan: bytes, entity: Entity, at: int) -> bytes:
        identity = entity.id
        place = (space, identity)
        self.entities[place] = _widen(self.entities.get(place), entity, at)
        sighted = (space, scan, identity)
        self.sightings[sighted] = _widen(self.sightings.get(sighted), entity, at)
        return identity


def has_moved(rank: int | None, distance: int | None, seen: Seen) -> bool:
    """Whether an entity is in a stronger role than ``rank``, or nearer than ``distance``, by what is seen of it now."""
    return (seen.rank is not None and (rank is None or seen.rank < rank)) or (
        seen.distance is not None and (distance is None or seen.distance < distance)
    )


def _widen(seen: Seen | None, entity: Entity, at: int) -> Seen:
    if seen is None:
        return Seen(entity, at, at)
    if seen.first <= at <= seen.last:
        return seen
    return seen._replace(first=min(at, seen.first), last=max(at, seen.last))


def _join(known: PartialResult | None, message: Collected) -> PartialResult:
    if known is None:
        subject, zone = message.subject, getattr(message.subject, "zone", "")
        outcome = message.outcome or ""
        return PartialResult(message.module, message.version, subject_id(subject), 1, message.parts, outcome, zone)
    return known._replace(
        seen=known.seen + 1,
        parts=max(known.parts, message.parts),
        outcome=max(known.outcome, message.outcome or ""),
    )


def key_text(entity: Entity) -> str:
    """The key of an entity as the JSON array that is stored."""
    return _encode(entity.key).decode()


def qualifiers_text(relation: Relation) -> str:
    """The identifying qualifiers as stored: sorted JSON, nothing for none."""
    return _encode(relation.qualifiers).decode() if relation.qualifiers else ""


def subject_id(subject: CarriedSubject) -> bytes:
    """16 bytes that are the same for the same question in every scan."""
    match subject:
        case Entity() | Relation():
            return subject.id
        case NamesDigest(zone=zone, digest=digest):
            text = f"NamesDigest|{zone}|{digest}"
        case Level(zone=zone):
            text = f"Level|{zone}"
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def rank_of(role: Role) -> int:
    """How weak a role is: the strongest is 0."""
    return _RANKS[role]


def role_of(rank: int | None) -> Role | None:
    """The role of a rank, None for none."""
    return ROLES[rank] if rank is not None and rank < len(ROLES) else None


def record_id(text: str) -> bytes:
    """The id of a record that somebody names, in hexadecimal digits; nothing for none."""
    try:
        identity = bytes.fromhex(text)
    except ValueError:
        identity = b"?"
    if len(identity) not in {0, RECORD_ID}:
        raise Invalid(f"the id of a record is {2 * RECORD_ID} hexadecimal digits")
    return identity


def record_ids(evidence: bytes) -> list[bytes]:
    """The ids in a claim's evidence column, most often one."""
    if len(evidence) == RECORD_ID:
        return [evidence]
    return [evidence[start : start + RECORD_ID] for start in range(0, len(evidence), RECORD_ID)]


def comparable(before: Plan, after: Plan) -> frozenset[str]:
    """The modules that two scans ask in the same way: the same code and options, the same key, words and resolvers.

    What any other one no longer says tells nothing: it may not have looked.
    """
    same_world = before.resolvers == after.resolvers and before.scope.excludes == after.scope.excludes
    old = {module.id: module for module in before.modules}
    found = set()
    for module in {module.id: module for module in after.modules}.values():
        was = old.get(module.id)
        if was is None or (was.version, was.options, was.missing_key) != (
            module.version,
            module.options,
            module.missing_key,
        ):
            continue
        if (module.activity == "passive" or same_world) and (module.activity != "guess" or before.words == after.words):
            found.add(module.id)
    return frozenset(found)


def direct(*plans: Plan) -> frozenset[str]:
    """The modules that ask targets themselves."""
    return frozenset(module.id for plan in plans for module in plan.modules if module.activity == "active")


class Told(NamedTuple):
    """The result that claims came with: by which module, for which scan."""

    number: int
    module: str
    version: int
    scan: bytes


def retraction_id(retraction: Retraction) -> bytes:
    """16 bytes that are the same for the same words, whenever and why they were said."""
    words: tuple[object, ...] = (retraction.module, retraction.version, retraction.scan, retraction.record)
    if retraction.source or retraction.since is not None:
        words += (retraction.source, retraction.since)
    return hashlib.blake2b(_encode(words), digest_size=16).digest()


def takes_in(retraction: Retraction, told: Told) -> bool:
    """Whether a retraction is about a result, of which it may still name one record alone, or what was asked later."""
    return (
        retraction.module in ("", told.module)
        and (not retraction.source or told.module in retraction.modules)
        and retraction.version in (None, told.version)
        and (retraction.scan is None or retraction.scan.bytes == told.scan)
    )


def is_withdrawn(retractions: Sequence[Retraction], told: Told, evidence: bytes, at: int) -> bool:
    """Whether any of ``retractions`` takes in a claim of a result, by its evidence and when it was observed."""
    cited = {identity.hex() for identity in record_ids(evidence)}
    return any(
        takes_in(each, told) and (not each.record or each.record in cited) and (each.since is None or at >= each.since)
        for each in retractions
    )


class Marks:
    """A set of numbers that were given one after the other, in a bit each: a million take some hundred kilobytes."""

    def __init__(self) -> None:
        self._pages: dict[int, bytearray] = {}

    def add(self, number: int) -> bool:
        """Mark a number; return whether it was not marked before."""
        page = self._pages.setdefault(number >> 16, bytearray(1 << 13))
        place, bit = number >> 3 & 0x1FFF, 1 << (number & 7)
        if page[place] & bit:
            return False
        page[place] |= bit
        return True

    def __contains__(self, number: int) -> bool:
        page = self._pages.get(number >> 16)
        return page is not None and bool(page[number >> 3 & 0x1FFF] & 1 << (number & 7))


def zones_above(name: str) -> Iterator[str]:
    """A host name, and every name above it."""
    while name:
        yield name
        name = name.partition(".")[2]


def gone_or_unknown(responsible: Sequence[tuple[str, bytes]], answered: set[tuple[str, bytes]]) -> str:
    """What became of a thing that is no longer said: ``gone`` only when all who said it were asked and answered."""
    return "gone" if responsible and all(asked in answered for asked in responsible) else "unknown"
