"""What results name: entities, the ways between them, and relations that modules work on."""

from services.contracts.claims import Attribute, Entity, Relation
from services.contracts.facts import Said
from services.contracts.subjects import CarriedSubject
from services.scans.domain.items import Wants, judge_of
from services.scans.domain.reach import Way, way_found, ways_over


class Candidates:
    """Gathered from any number of results, each thing once."""

    def __init__(self, wants: Wants) -> None:
        self.entities: dict[bytes, Entity] = {}
        self.ways: dict[tuple[bytes, bytes, Way], None] = {}
        self.relations: dict[bytes, tuple[Relation, bytes]] = {}
        self._wants = wants
        self._ids: dict[tuple[str, tuple[str, ...]], bytes] = {}

    def add(self, entity: Entity) -> bytes:
        """Take in an entity; return its id."""
        name = (entity.type, entity.key)
        found = self._ids.get(name)
        if found is None:
            bare = Entity(*name)
            found = self._ids[name] = bare.id
            self.entities[found] = bare
        return found

    def gather(self, subject: CarriedSubject, said: tuple[Said, ...]) -> None:
        """Take in what the result of work on ``subject`` claims; that a thing is absent names nothing."""
        origin: bytes | None = None
        if isinstance(subject, Entity):
            origin = self.add(subject)
        elif isinstance(subject, Relation):
            origin = self.add(judge_of(subject))
        for each in said:
            claim = each.claim
            if isinstance(claim, Entity):
                self._found(origin, claim)
            elif isinstance(claim, Relation):
                self._related(claim)
            elif isinstance(claim, Attribute):
                self._found(origin, claim.about)

    def _found(self, origin: bytes | None, entity: Entity) -> None:
        heir = self.add(entity)
        if origin is not None and heir != origin:
            self.ways[origin, heir, way_found(entity.type)] = None

    def _related(self, relation: Relation) -> None:
        source, target = self.add(relation.source), self.add(relation.target)
        to_target, to_source = ways_over(relation)
        if to_target is not None:
            self.ways[source, target, to_target] = None
        if to_source is not None:
            self.ways[target, source, to_source] = None
        if self._wants.consumed(relation.type):
            bare = Relation(relation.type, *_bare_ends(relation), qualifiers=relation.qualifiers)
            self.relations[bare.id] = (bare, target if judge_of(relation) is relation.target else source)


def _bare_ends(relation: Relation) -> tuple[Entity, Entity]:
    source, target = relation.source, relation.target
    return Entity(source.type, source.key), Entity(target.type, target.key)
