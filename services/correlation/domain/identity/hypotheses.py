"""That two entities may be one: which pairs are compared, what speaks for it, what against it, and the score.

Each kind of trait that two share adds one term, the best of its kind: weight · how sure that is · rarity, where rarity
is 1 / log2(holders), since what two have says more than what twenty do. Names add a term by how alike they are. As in
`services.correlation.domain.confidence` what independent terms leave open is multiplied, and what speaks against it
takes its share of the rest:

    score = (1 - Π (1 - term)) · Π (1 - counter)

(Fellegi and Sunter, A Theory for Record Linkage, 1969, add logarithms of likelihoods, which need counted matches to
learn from; these weights are set by hand and stand in `traits.KINDS`, where anybody can see and doubt them.)
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from hashlib import blake2b
from itertools import combinations
from math import log2, prod
from typing import Final, NamedTuple
from uuid import UUID

from msgspec import Struct

from services.contracts.resources.identity import HypothesisEvidence
from services.contracts.resources.storage import EntityFacts, RelationFacts
from services.correlation.domain.identity.names import likeness
from services.correlation.domain.identity.traits import (
    KINDS,
    LINK,
    TYPES,
    Subject,
    Trait,
    traits_of_entity,
    traits_of_relation,
)

#: Less than this is not worth a person's time, and is not kept.
LEAST_SCORE: Final = 0.3
#: From how alike names say something, and what they say at most.
LEAST_LIKENESS: Final = 86.0
NAME_WEIGHT: Final[dict[str, float]] = {"organization": 0.7, "person": 0.5}
#: A name of one short word says less.
SHORT_NAME: Final = 0.6
#: What speaks against it: different countries, two accounts of one platform; two entries of one register.
OTHER_PLACE: Final = 0.5
OTHER_ENTRY: Final = 0.9

Pair = tuple[bytes, bytes]


class Hypothesis(Struct, frozen=True):
    """That two entities of a type may be one, or that one holds both (accounts, domains); ``one`` has the lesser id."""

    one: Subject
    other: Subject
    score: float
    evidence: tuple[HypothesisEvidence, ...]

    @property
    def pair(self) -> Pair:
        return self.one.id, self.other.id


class Traits(NamedTuple):
    """What is known of an entity when it is compared: sureness (of 100) by (kind, value)."""

    subject: Subject
    by: Mapping[tuple[str, str], int]

    def values(self, kind: str) -> list[str]:
        return sorted(value for name, value in self.by if name == kind)


def hypothesis_id(one: bytes, other: bytes) -> UUID:
    """The same for the same two entities in every scan, whichever comes first."""
    return UUID(bytes=blake2b(b"".join(sorted((one, other))), digest_size=16).digest(), version=5)


def pairs_of(members: Collection[tuple[str, bytes]], hub: int) -> Iterator[Pair]:
    """The pairs of a block, by type and id of who is in it; none of a type of which there are too many."""
    by_type: dict[str, set[bytes]] = {}
    for kind, identity in members:
        if kind in TYPES:
            by_type.setdefault(kind, set()).add(identity)
    for each in by_type.values():
        if 2 <= len(each) < hub:
            yield from combinations(sorted(each), 2)


def compare(one: Traits, other: Traits, holders: Mapping[tuple[str, str], int]) -> Hypothesis | None:
    """Weigh what two entities of one type share; ``holders``: how many of their type have a trait.

    None where that is too little.
    """
    if not any(holders[trait] < KINDS[trait[0]].hub for trait in one.by.keys() & other.by.keys() if trait[0] in KINDS):
        return None  # all that they share are hubs, and nobody would have found them
    if one.subject.id > other.subject.id:
        one, other = other, one
    terms = sorted(
        (*_shared(one, other, holders), *_named(one, other)), key=lambda each: (-each.term, each.kind, each.words)
    )
    if not terms:
        return None
    counter = list(_against(one, other)) if all(each.kind != "stated" for each in terms) else []
    score = (1 - prod(1 - each.term for each in terms)) * prod(1 - each.term for each in counter)
    if score < LEAST_SCORE:
        return None
    return Hypothesis(one.subject, other.subject, round(score, 6), (*terms, *counter))


def _shared(one: Traits, other: Traits, holders: Mapping[tuple[str, str], int]) -> Iterator[HypothesisEvidence]:
    found: dict[str, list[tuple[float, str, int]]] = {}
    for trait in one.by.keys() & other.by.keys():
        kind, value = trait
        known = KINDS.get(kind)
        if known is None or not known.weight or holders[trait] >= known.hub:
            continue
        sure = min(one.by[trait], other.by[trait]) / 100
        rarity = 1 / log2(holders[trait]) if known.fades else 1.0
        found.setdefault(kind, []).append((known.weight * sure * rarity, value, holders[trait]))
    for kind, terms in found.items():
        term, value, count = min(terms, key=lambda each: (-each[0], each[1]))
        words = KINDS[kind].words if kind == "stated" else f"{KINDS[kind].words} {value}"
        yield HypothesisEvidence(
            kind=kind, words=words, term=term, holders=count if KINDS[kind].fades else 0, more=len(terms) - 1
        )


def _named(one: Traits, other: Traits) -> Iterator[HypothesisEvidence]:
    best = max(
        ((likeness(mine, theirs), mine, theirs) for mine in one.values("name") for theirs in other.values("name")),
        default=None,
    )
    if best is None or best[0] < LEAST_LIKENESS:
        return
    alike, mine, theirs = best
    weight = NAME_WEIGHT[one.subject.type] * (0.4 + 0.6 * (alike - LEAST_LIKENESS) / (100 - LEAST_LIKENESS))
    if " " not in mine and len(mine) < 8:
        weight *= SHORT_NAME
    words = f"both are named {mine}" if mine == theirs else f"names are {alike:.0f} % alike: {mine} / {theirs}"
    yield HypothesisEvidence(kind="name", words=words, term=weight)


def _against(one: Traits, other: Traits) -> Iterator[HypothesisEvidence]:
    """What speaks against it, unless a source says outright that they are one."""
    mine, theirs = one.values("country"), other.values("country")
    if mine and theirs and not set(mine) & set(theirs):
        words = f"countries differ: {', '.join(mine)} / {', '.join(theirs)}"
        yield HypothesisEvidence(kind="country", words=words, term=OTHER_PLACE, against=True)
    kept = {value.partition(":")[0]: value for value in one.values("register")}
    for entry in other.values("register"):
        register = entry.partition(":")[0]
        if register in kept and kept[register] != entry:
            words = f"two entries of one register: {kept[register]} / {entry}"
            yield HypothesisEvidence(kind="register", words=words, term=OTHER_ENTRY, against=True)
    mine = one.values("platform")
    if mine and mine == other.values("platform"):
        yield HypothesisEvidence(kind="platform", words=f"two accounts at {mine[0]}", term=OTHER_PLACE, against=True)


def collect(entities: Iterable[EntityFacts], relations: Iterable[RelationFacts]) -> list[Trait]:
    """The traits of facts."""
    found = [trait for facts in entities for trait in traits_of_entity(facts)]
    found += [trait for facts in relations for trait in traits_of_relation(facts)]
    return found


def inherit(own: Mapping[bytes, Mapping[tuple[str, str], int]], entity: bytes) -> dict[tuple[str, str], int]:
    """The traits of an entity with those of the registrations that it is registered as."""
    found = dict(own.get(entity, {}))
    for kind, value in list(found):
        if kind == LINK:
            for trait, sure in own.get(bytes.fromhex(value), {}).items():
                found[trait] = max(found.get(trait, 0), sure)
    return found


def resolve(entities: Iterable[EntityFacts], relations: Iterable[RelationFacts]) -> dict[Pair, Hypothesis]:
    """All hypotheses of some facts, in one go: what is kept bit by bit (`usecases.identity.follow`) is the same."""
    own: dict[bytes, dict[tuple[str, str], int]] = {}
    subjects: dict[bytes, Subject] = {}
    for trait in collect(entities, relations):
        subjects[trait.subject.id] = trait.subject
        named = own.setdefault(trait.subject.id, {})
        named[trait.kind, trait.value] = max(named.get((trait.kind, trait.value), 0), trait.weight)
    whole = {entity: Traits(subject, inherit(own, entity)) for entity, subject in subjects.items()}
    members: dict[tuple[str, str], set[tuple[str, bytes]]] = {}
    for entity, traits in whole.items():
        for known in traits.by if traits.subject.type in TYPES else ():
            if known[0] in KINDS:
                members.setdefault(known, set()).add((traits.subject.type, entity))
    pairs = {pair for (kind, _), each in members.items() for pair in pairs_of(each, KINDS[kind].hub)}
    counts = {trait: Counter(kind for kind, _ in each) for trait, each in members.items()}
    found = (compare(whole[one], whole[other], _counted(counts, whole[one])) for one, other in sorted(pairs))
    return {each.pair: each for each in found if each is not None}


def _counted(counts: Mapping[tuple[str, str], Counter[str]], traits: Traits) -> dict[tuple[str, str], int]:
    """How many of the type of an entity have each of its traits."""
    return {trait: counts[trait][traits.subject.type] for trait in traits.by if trait in counts}
