"""Entities of a scan on their way to events: what is said of each, and how it was come by."""

from collections.abc import Iterable

from services.contracts.attributes import ATTRIBUTES
from services.contracts.claims import Entity, Value
from services.contracts.resources.storage import RelationFacts, SaidBy, SaidValue
from services.contracts.scope import Role
from services.correlation.domain.spiderfoot.events import Event

#: A type of event and its text.
Form = tuple[str, str]


class Link:
    """A relation between two things, and who said it."""

    __slots__ = ("facts", "source", "target")

    def __init__(self, facts: RelationFacts, source: "Thing", target: "Thing") -> None:
        self.facts = facts
        self.source = source
        self.target = target


class Way:
    """How a thing was come by: a module said it when it looked at ``parent``, over a relation or not.

    ``server``: the parent was looked at as the name server of a zone, by that relation. ``forms`` are the events that
    the thing is by this way, once they were asked for.
    """

    __slots__ = ("forms", "link", "parent", "said", "server")

    def __init__(
        self, parent: "Thing | None", said: SaidBy | None, link: Link | None = None, server: Link | None = None
    ) -> None:
        self.parent = parent
        self.said = said
        self.link = link
        self.server = server
        self.forms: tuple[Form, ...] | None = None

    @property
    def relation(self) -> str:
        return self.link.facts.type if self.link else ""


class Thing:
    """An entity: its role, the attributes that matter, the ways to it, and the event that others come from.

    ``first`` is the way by which it was found first; None until it is known to lead back to a target. ``types`` are
    those of its events by that way, the last of them what others come from; without any it is passed over.
    """

    __slots__ = (
        "entity",
        "event",
        "first",
        "is_false",
        "is_inside",
        "role",
        "said",
        "types",
        "values",
        "ways",
    )

    def __init__(self, entity: Entity) -> None:
        self.entity = entity
        self.role: Role | None = None
        self.said: tuple[SaidBy, ...] = ()
        self.values: dict[str, list[SaidValue]] = {}
        self.ways: list[Way] = []
        self.first: Way | None = None
        self.types: tuple[str, ...] = ()
        self.is_inside = False
        self.is_false = False
        self.event: Event | None = None

    def take(self, values: Iterable[SaidValue]) -> None:
        for each in values:
            self.values.setdefault(each.name, []).append(each)

    def spoken(self, name: str) -> list[SaidValue]:
        """The values of an attribute: of one that has one at a time, that which was said last."""
        found = self.values.get(name, [])
        if len(found) > 1 and not ATTRIBUTES[name].many:
            return [max(found, key=lambda each: (max((said.at for said in each.said), default=0), str(each.value)))]
        return found

    def value(self, name: str) -> Value | None:
        found = self.spoken(name)
        return found[0].value if found else None

    def text(self, *names: str) -> str:
        """The first of some attributes that has a text."""
        return next((str(value) for name in names if (value := self.value(name)) not in (None, "")), "")
