"""Facts of a scan by hand: who said what when asked about what."""

from services.contracts import entities, relations
from services.contracts.claims import Entity, Value
from services.contracts.resources.storage import EntityFacts, Facts, RelationFacts, SaidBy, SaidValue
from services.contracts.scope import Role
from services.correlation.domain.spiderfoot.event_types import EVENT_TYPES
from services.correlation.domain.spiderfoot.events import Event, Events
from services.correlation.domain.spiderfoot.needs import Needs
from services.correlation.domain.spiderfoot.projection import Projection

DAY = 86_400_000_000
NOW = 20_000 * DAY
DOMAIN = entities.name("example.org")
EVERYTHING = Needs(types=frozenset(EVENT_TYPES))

Subject = Entity | bytes


class Scan:
    """A scan of example.org; what is said later is later, unless all is said ``at_once``."""

    def __init__(self, target: Entity = DOMAIN, *, at_once: bool = False) -> None:
        self.target = target
        self._step = 0 if at_once else 1
        self._at = 0
        self._roles: dict[Entity, Role | None] = {target: "target"}
        self._said: dict[Entity, list[SaidBy]] = {target: []}
        self._values: dict[Entity, dict[tuple[str, Value], list[SaidBy]]] = {}
        self._relations: dict[bytes, tuple[RelationFacts, list[SaidBy]]] = {}

    def say(self, module: str, subject: Subject, valid_to: int | None = None) -> SaidBy:
        self._at += self._step
        asked = subject if isinstance(subject, bytes) else subject.id
        return SaidBy(module, 1, self._at, 100, asked, (bytes(32),), None, valid_to)

    def place(self, entity: Entity, role: Role | None) -> Entity:
        """What role an entity has; one that is only named has that of the scope, or affiliate."""
        self._roles[entity] = role
        self._said.setdefault(entity, [])
        return entity

    def thing(
        self,
        entity: Entity,
        module: str = "test",
        asked: Subject | None = None,
        /,
        *,
        role: Role | None = "in_scope",
        valid_to: int | None = None,
        **values: Value | list[Value],
    ) -> Entity:
        """Somebody says that an entity exists, and what it is like."""
        said = self.say(module, self.target if asked is None else asked, valid_to)
        if entity != self.target:
            self.place(entity, role)
        self._said[entity].append(said)
        self.describe(entity, module, asked, **values)
        return entity

    def describe(
        self, entity: Entity, module: str = "test", asked: Subject | None = None, /, **values: Value | list[Value]
    ) -> None:
        for name, given in values.items():
            for value in given if isinstance(given, list) else [given]:
                said = self.say(module, self.target if asked is None else asked)
                self._values.setdefault(entity, {}).setdefault((name, value), []).append(said)

    def join(
        self,
        source: Entity,
        type: str,
        target: Entity,
        module: str = "test",
        subject: Subject | None = None,
        **more: str,
    ) -> bytes:
        """Somebody says how two things relate; asked about the first of them, where nothing else is said."""
        known = relations.relation(type, source, target, qualifiers=more)
        facts = RelationFacts(type=type, source=source, target=target, qualifiers=known.qualifiers)
        _, said = self._relations.setdefault(known.id, (facts, []))
        said.append(self.say(module, source if subject is None else subject))
        for end in (source, target):
            self._roles.setdefault(end, "affiliate")
            self._said.setdefault(end, [])
        return known.id

    @property
    def facts(self) -> Facts:
        return Facts(
            entities=tuple(
                EntityFacts(
                    entity=entity,
                    role=self._roles[entity],
                    distance=0,
                    first_seen=0,
                    last_seen=0,
                    said=tuple(said),
                    attributes=tuple(
                        SaidValue(name, value, tuple(by)) for (name, value), by in self._values.get(entity, {}).items()
                    ),
                )
                for entity, said in self._said.items()
            ),
            relations=tuple(
                RelationFacts(
                    type=facts.type,
                    source=facts.source,
                    target=facts.target,
                    qualifiers=facts.qualifiers,
                    said=tuple(said),
                )
                for facts, said in self._relations.values()
            ),
        )

    def events(self, needs: Needs = EVERYTHING, **more: object) -> Events:
        projection = Projection(needs, now=NOW, **more)  # type: ignore[arg-type]
        projection.add(self.facts)
        return projection.events()

    def lines(self, needs: Needs = EVERYTHING, **more: object) -> list[str]:
        """All events but those of the target, each with what it comes from, sorted."""
        made = self.events(needs, **more).all
        return sorted(line_of(event) for event in made if event.source.type != "ROOT")


def line_of(event: Event) -> str:
    return f"{event.source.type} {event.source.data} > {event.type} {event.data} by {event.module}"
