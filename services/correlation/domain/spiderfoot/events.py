"""Events as SpiderFoot has them: a type and a text, who said it, and the event that it came from."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import cached_property
from operator import attrgetter

from services.contracts.claims import Entity
from services.contracts.resources.correlation import Ground, Named
from services.contracts.resources.storage import SaidBy
from services.correlation.domain.spiderfoot.event_types import STOPS


class Basis:
    """What of Mirage's own an event stands for: ``predicate`` of ``entity``, as one module said it."""

    __slots__ = ("entity", "predicate", "said", "target", "value")

    def __init__(
        self,
        entity: Entity,
        predicate: str = "exists",
        *,
        value: str | float | bool | None = None,
        target: Entity | None = None,
        said: SaidBy | None = None,
    ) -> None:
        self.entity = entity
        self.predicate = predicate
        self.value = value
        self.target = target
        self.said = said

    def ground(self, role: str) -> Ground:
        said = self.said
        return Ground(
            role=role,
            entity=_named(self.entity),
            predicate=self.predicate,
            value=self.value,
            target=_named(self.target) if self.target else None,
            modules=(f"{said.module}@{said.version}",) if said else (),
            evidence=tuple(record.hex() for record in said.evidence) if said else (),
            at=said.at if said else 0,
        )


class Event:
    """``source`` is the event that it came from (the root comes from itself), ``about`` the entity that it names."""

    __slots__ = ("about", "basis", "children", "data", "module", "place", "source", "type")

    def __init__(
        self,
        type: str,
        data: str,
        module: str,
        source: "Event | None" = None,
        *,
        about: Entity | None = None,
        basis: Basis | None = None,
    ) -> None:
        self.type = type
        self.data = data
        self.module = module
        self.source = source or self
        self.about = about
        self.basis = basis
        self.children: list[Event] = []
        self.place = -1

    def __repr__(self) -> str:
        return f"<{self.type} {self.data!r} by {self.module}>"

    @property
    def is_stop(self) -> bool:
        return self.type in STOPS


class Events:
    """All events of a scan that rules look at, in the order of their texts as SpiderFoot reads them."""

    def __init__(self, events: Iterable[Event]) -> None:
        self.all: list[Event] = list(events)
        for place, event in enumerate(self.all):
            event.place = place
        self._by_type: defaultdict[str, list[Event]] = defaultdict(list)
        self._by_module: defaultdict[str, list[Event]] = defaultdict(list)
        ordered = sorted(self.all, key=attrgetter("data"))
        for event in ordered:
            event.children = []
        for event in ordered:
            self._by_type[event.type].append(event)
            self._by_module[event.module].append(event)
            event.source.children.append(event)

    def of_types(self, types: Iterable[str]) -> list[Event]:
        return _merged([self._by_type[name] for name in sorted(types) if name in self._by_type])

    def of_modules(self, modules: Iterable[str]) -> list[Event]:
        return _merged([self._by_module[name] for name in sorted(set(modules)) if name in self._by_module])

    def of_data(self, values: Iterable[str]) -> list[Event]:
        return _merged([self._by_data[value] for value in sorted(set(values)) if value in self._by_data])

    @cached_property
    def _by_data(self) -> dict[str, list[Event]]:
        found: defaultdict[str, list[Event]] = defaultdict(list)
        for event in self.all:
            found[event.data].append(event)
        return dict(found)


def nearest(events: Sequence[Event]) -> dict[int, list[Event]]:
    """The nearest ancestor of each event (by its place) that is an entity or the root.

    As SpiderFoot finds them: of events that come from one and the same event that is neither, only the last gets one.
    """
    found: dict[int, list[Event]] = {}
    missing: dict[int, tuple[Event, Event]] = {}
    for event in events:
        if event.source.is_stop:
            found[event.place] = [event.source]
        else:
            missing[event.source.place] = (event.source, event)
    while missing:
        further: dict[int, tuple[Event, Event]] = {}
        for _, (at, event) in sorted(missing.items()):
            if at.source.is_stop:
                found.setdefault(event.place, []).append(at.source)
            elif at.source is not at:
                further[at.source.place] = (at.source, event)
        missing = further
    return found


def _merged(groups: list[list[Event]]) -> list[Event]:
    if len(groups) == 1:
        return groups[0].copy()
    return sorted((event for group in groups for event in group), key=attrgetter("data"))


def _named(entity: Entity) -> Named:
    return Named(entity.id.hex(), entity.type, entity.value)
