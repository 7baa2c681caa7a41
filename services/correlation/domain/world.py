"""What a scan says, as rules look at it: places (entities) and ties (relations), however they are kept."""

from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Sequence
from functools import cached_property
from typing import Final, Literal, Protocol

from msgspec import Struct

from services.contracts.attributes import ATTRIBUTES
from services.contracts.claims import Value, entity_id
from services.contracts.entities import ENTITY_TYPES
from services.contracts.resources.correlation import Named
from services.contracts.resources.storage import EntityFacts, RelationFacts, SaidBy
from services.correlation.domain.confidence import Judge
from services.correlation.domain.knowledge import known_values

Direction = Literal["out", "in", "both"]
#: A value of a property, and who said it.
Spoken = tuple[Value, tuple[SaidBy, ...]]

_PARTS: Final = {
    name: {part.rstrip("?"): place for place, part in enumerate(kind.parts)} for name, kind in ENTITY_TYPES.items()
}


#: Judges what was said as if it were said just now, by the usual reliability of sources.
UNDATED: Final = Judge(now=0)


class Place(Struct, frozen=True, dict=True):
    """An entity of a scan, with what the scan says of it, and who says how sure that is."""

    facts: EntityFacts
    judge: Judge = UNDATED

    @cached_property
    def id(self) -> bytes:
        return self.facts.entity.id

    @property
    def type(self) -> str:
        return self.facts.entity.type

    @cached_property
    def value(self) -> str:
        return self.facts.entity.value

    @property
    def named(self) -> Named:
        return Named(self.id.hex(), self.type, self.value)

    @cached_property
    def modules(self) -> frozenset[str]:
        """Who said that it exists, or anything of it."""
        spoken = [self.facts.said, *(each.said for each in self.facts.attributes)]
        return frozenset(said.module for each in spoken for said in each)

    def spoken(self, property: str) -> list[Spoken]:
        """The values of a property; of an attribute that has one at a time, the one that one can be surest of."""
        if property in ATTRIBUTES:
            return self._attributes.get(property, [])
        if property.startswith("key."):
            place = _PARTS[self.type].get(property[4:])
            key = self.facts.entity.key
            return [(key[place], self.facts.said)] if place is not None and place < len(key) and key[place] else []
        if property.startswith("known."):
            return [(value, self.facts.said) for value in known_values(self, property[6:])]
        return [(value, self.facts.said) for value in self._own(property)]

    def is_denied(self, predicate: str) -> bool:
        """Whether somebody answered that it has none of a predicate."""
        return any(absence.predicate == predicate for absence in self.facts.absences)

    def denied_by(self, predicate: str) -> tuple[SaidBy, ...]:
        return tuple(said for absence in self.facts.absences if absence.predicate == predicate for said in absence.said)

    @cached_property
    def _attributes(self) -> dict[str, list[Spoken]]:
        found: dict[str, list[Spoken]] = {}
        for each in self.facts.attributes:
            found.setdefault(each.name, []).append((each.value, each.said))
        for name, spoken in found.items():
            if len(spoken) > 1 and not ATTRIBUTES[name].many:
                winner = self.judge.winner(self.facts, name)
                found[name] = [] if winner is None else [(winner[0].value, winner[0].said)]
        return found

    def _own(self, property: str) -> Iterable[Value]:
        facts = self.facts
        match property:
            case "value":
                return (self.value,)
            case "distance":
                return () if facts.distance is None else (facts.distance,)
            case "first_seen":
                return (facts.first_seen,)
            case "last_seen":
                return (facts.last_seen,)
            case "modules":
                return sorted(self.modules)
            case "sources":
                return (len(self.modules),)
            case _:
                return (self.judge.exists(facts),)


class Tie(Struct, frozen=True, dict=True):
    """A relation of a scan."""

    facts: RelationFacts
    judge: Judge = UNDATED

    @cached_property
    def id(self) -> bytes:
        return self.facts.id

    @property
    def type(self) -> str:
        return self.facts.type

    @cached_property
    def source(self) -> bytes:
        return entity_id(self.facts.source.type, self.facts.source.key)

    @cached_property
    def target(self) -> bytes:
        return entity_id(self.facts.target.type, self.facts.target.key)

    def other(self, end: bytes) -> bytes:
        return self.target if end == self.source else self.source

    def spoken(self, property: str) -> list[Spoken]:
        said = self.facts.said
        if property in self.facts.qualifiers:
            return [(self.facts.qualifiers[property], said)]
        if property in self.facts.details:
            return [(self.facts.details[property], said)]
        match property:
            case "first_seen":
                return [(min((each.at for each in said), default=0), said)]
            case "last_seen":
                return [(max((each.at for each in said), default=0), said)]
            case "modules":
                return [(module, said) for module in sorted({each.module for each in said})]
            case "sources":
                return [(len({each.module for each in said}), said)]
            case "confidence":
                return [(self.judge.number_of(self.type, said), said)]
        return []

    def is_denied(self, predicate: str) -> bool:
        return False


class World(Protocol):
    """The facts of one scan; ids are of entities."""

    def of_types(self, types: Collection[str]) -> AsyncIterator[Sequence[Place]]:
        """All entities of these types, in lists."""
        ...

    async def places(self, ids: Collection[bytes]) -> dict[bytes, Place]:
        """Those that there are."""
        ...

    def ties(self, ids: Collection[bytes], types: Sequence[str], direction: Direction) -> AsyncIterator[Sequence[Tie]]:
        """The relations of these types (of any, where there are none) that lead out of entities or into them."""
        ...


class FactBook:
    """The facts of a scan in memory: what tests of rules are judged on."""

    def __init__(
        self, entities: Iterable[EntityFacts], relations: Iterable[RelationFacts], judge: Judge = UNDATED
    ) -> None:
        self._places = {place.id: place for place in (Place(each, judge) for each in entities)}
        self._ties = sorted((Tie(each, judge) for each in relations), key=lambda tie: tie.id)

    @property
    def all_places(self) -> list[Place]:
        return list(self._places.values())

    @property
    def all_ties(self) -> list[Tie]:
        return list(self._ties)

    async def of_types(self, types: Collection[str]) -> AsyncIterator[Sequence[Place]]:
        yield [place for _, place in sorted(self._places.items()) if place.type in types]

    async def places(self, ids: Collection[bytes]) -> dict[bytes, Place]:
        return {each: self._places[each] for each in ids if each in self._places}

    async def ties(
        self, ids: Collection[bytes], types: Sequence[str], direction: Direction
    ) -> AsyncIterator[Sequence[Tie]]:
        yield [tie for tie in self._ties if (not types or tie.type in types) and any(self._ends(tie, ids, direction))]

    @staticmethod
    def _ends(tie: Tie, ids: Collection[bytes], direction: Direction) -> Iterator[bool]:
        if direction != "in":
            yield tie.source in ids
        if direction != "out":
            yield tie.target in ids
