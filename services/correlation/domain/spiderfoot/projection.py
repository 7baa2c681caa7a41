"""A scan as SpiderFoot would have it: events with a source each, from the facts that storage tells.

An event is what one module said when it was asked about one thing; it comes from the event of that thing. Where a
relation tells more exactly where it was seen (an e-mail address in a registration, a port at an address), it comes
from there. Whatever does not lead back to a target, or only over what a person called false, is left out.
"""

from collections.abc import Callable, Iterator

from services.contracts.claims import Entity
from services.contracts.resources.storage import EntityFacts, Facts, SaidBy, SaidValue
from services.correlation.domain.spiderfoot.descriptors import (
    CHAINED,
    DECIDING,
    DESCRIBING,
    HISTORIC,
    SHOWN,
    describe,
)
from services.correlation.domain.spiderfoot.event_types import ROOT
from services.correlation.domain.spiderfoot.events import Basis, Event, Events
from services.correlation.domain.spiderfoot.forms import beside, forms_of
from services.correlation.domain.spiderfoot.modules import TARGET, module_of
from services.correlation.domain.spiderfoot.needs import Needs
from services.correlation.domain.spiderfoot.things import Form, Link, Thing, Way
from services.correlation.domain.spiderfoot.ways import Book, lead

#: The base score (CVSS) of a weakness, where one is known.
Score = Callable[[str], float | None]


class Projection:
    """Takes facts in any order and pieces, and gives the events that ``needs`` asks for.

    ``now`` is the instant at which is judged (UTC microseconds). ``score`` knows base scores of weaknesses of which no
    fact says one.
    """

    def __init__(self, needs: Needs, *, now: int, score: Score = lambda _: None) -> None:
        self._needs = needs
        self._now = now
        self._score = score
        self._book = Book()
        # Whoever looks at modules, texts or children may see any.
        is_open = bool(needs.modules or needs.data or needs.parents)
        self._kept = DECIDING | {name for name, types in DESCRIBING.items() if is_open or types & needs.types}
        self._root = Event(ROOT, "", "")
        self._root.place = 0
        self._events: dict[tuple[int, str, str, str], Event] = {}

    def add(self, facts: Facts) -> None:
        for each in facts.entities:
            self._add_entity(each)
        for relation in facts.relations:
            self._book.join(Link(relation, self._book.thing(relation.source), self._book.thing(relation.target)))

    def events(self) -> Events:
        """All events that are needed, and those that they come from; asked for once, when all facts were added."""
        lead(self._book)
        found: dict[int, Event] = {id(self._root): self._root}
        for thing in self._book.things.values():
            if thing.first is None:
                continue
            for event in self._made_of(thing):
                above = event
                while id(above) not in found:
                    found[id(above)] = above
                    above = above.source
        return Events(found.values())

    def _add_entity(self, facts: EntityFacts) -> None:
        thing = self._book.thing(facts.entity)
        thing.role = facts.role
        thing.said = facts.said
        thing.take(each for each in facts.attributes if each.name in self._kept)
        if facts.entity.type == "vulnerability" and "cvss" not in thing.values:
            points = self._score(facts.entity.key[0])
            if points is not None:
                thing.take((SaidValue("cvss", points, ()),))

    def _made_of(self, thing: Thing) -> Iterator[Event]:
        for way in thing.ways:
            if way.parent is None or way.parent.first is not None:
                yield from self._events_by(thing, way)
        # What there is no event for is described by none.
        for name in thing.values if thing.types else ():
            if name in DESCRIBING:
                for value in thing.spoken(name):
                    yield from self._events_of(thing, value)

    def _events_by(self, thing: Thing, way: Way) -> Iterator[Event]:
        """What a thing is by one way to it."""
        above = self._type_above(way)
        forms = forms_of(thing, way)
        if any(self._is_wanted(form, way.said, above) for form in forms) or (
            forms and forms[0][0] in self._needs.parents
        ):
            yield self._chain(thing, way)
        for form in beside(thing, way):
            if self._is_wanted(form, way.said, above):
                yield self._event(thing, form, way, self._source(way))

    def _events_of(self, thing: Thing, value: SaidValue) -> Iterator[Event]:
        """What an attribute says, once for each module."""
        modules: set[str] = set()
        for said in value.said:
            if said.module in modules:
                continue
            modules.add(said.module)
            forms = tuple(describe(thing, value.name, value.value, said.module, self._now))
            for way in _ways_of(thing, said, value.name) if forms else ():
                yield from self._described(thing, way, forms, value, said)

    def _described(
        self, thing: Thing, way: Way, forms: tuple[Form, ...], value: SaidValue, said: SaidBy
    ) -> Iterator[Event]:
        is_shown = thing.entity.type == "certificate" and value.name in SHOWN
        above = self._type_above(way) if is_shown else thing.types[-1]
        if not any(self._is_wanted(form, said, above) for form in forms):
            return
        _, server = self._book.subject(said.subject)
        if server is not None:
            source = self._server(server)
        else:
            source = self._source(way) if is_shown else self._chain(thing, way)
        for form in forms:
            basis = Basis(thing.entity, value.name, value=value.value, said=said)
            event = self._made(form, said, said.module, source, basis)
            yield event
            if value.name in CHAINED:
                source = event

    def _is_wanted(self, form: Form, said: SaidBy | None, above: str) -> bool:
        name, data = form
        needs = self._needs
        if name in needs.types or above in needs.parents or data in needs.data:
            return True
        if name in HISTORIC and f"{name}_HISTORIC" in needs.types:
            return True
        return bool(needs.modules) and (module_of(said.module, name) if said else TARGET) in needs.modules

    def _type_above(self, way: Way) -> str:
        """The type of the event that what was found by a way comes from."""
        if way.server is not None:
            return "PROVIDER_DNS"
        parent = way.parent
        while parent is not None:
            if parent.types:
                return parent.types[-1]
            parent = parent.first.parent if parent.first else None
        return ROOT

    def _source(self, way: Way) -> Event:
        if way.server is not None:
            return self._server(way.server)
        return self._root if way.parent is None else self._event_of(way.parent)

    def _event_of(self, thing: Thing) -> Event:
        """The event that others come from: of the first way to a thing, or where it has none, to what led to it."""
        path: list[Thing] = []
        at: Thing | None = thing
        while at is not None and at.event is None:
            path.append(at)
            at = at.first.parent if at.first else None
        event = at.event if at is not None and at.event is not None else self._root
        for each in reversed(path):
            if each.first is not None and each.types:
                event = self._chain(each, each.first)
            each.event = event
        return event

    def _chain(self, thing: Thing, way: Way) -> Event:
        """The last of the events that a thing is by a way; without any, what it was seen at."""
        source = self._source(way)
        for form in forms_of(thing, way):
            source = self._event(thing, form, way, source)
        return source

    def _server(self, link: Link) -> Event:
        """The event of a name server of a zone."""
        ways = (way for way in link.target.ways if way.link is not None and way.link.source is link.source)
        way = next(ways, None) or Way(link.source, link.facts.said[0] if link.facts.said else None, link)
        return self._event(link.target, ("PROVIDER_DNS", link.target.entity.value), way, self._event_of(link.source))

    def _event(self, thing: Thing, form: Form, way: Way, source: Event) -> Event:
        # The target itself is said by the user.
        module = way.said.module if way.said is not None and way.parent is not None else ""
        if way.link is None:
            return self._made(form, way.said, module, source, Basis(thing.entity, said=way.said))
        ends = way.link.source.entity, way.link.target.entity
        basis = Basis(ends[0], way.link.facts.type, target=ends[1], said=way.said)
        return self._made(form, way.said, module, source, basis, about=thing.entity)

    def _made(
        self, form: Form, said: SaidBy | None, module: str, source: Event, basis: Basis, about: Entity | None = None
    ) -> Event:
        """One event for what is the same, whoever of Mirage's modules said it that are one module there."""
        name = form[0]
        if name in HISTORIC and said is not None and said.valid_to is not None and said.valid_to < self._now:
            name = f"{name}_HISTORIC"
        called = module_of(module, name) if module else TARGET
        key = (source.place, name, form[1], called)
        event = self._events.get(key)
        if event is None:
            event = Event(name, form[1], called, source, about=about or basis.entity, basis=basis)
            event.place = len(self._events) + 1
            self._events[key] = event
        return event


def _ways_of(thing: Thing, said: SaidBy, name: str) -> list[Way]:
    """The ways to a thing by which an attribute was seen: that of the same answer, else the first."""
    ways = [way for way in thing.ways if way.parent is None or way.parent.first is not None]
    if name == "not_after":
        # What is over matters where it is shown, not where it was ever issued.
        return [way for way in ways if way.relation == "presents"]
    for way in ways:
        if way.said is not None and (way.said.module, way.said.subject) == (said.module, said.subject):
            return [way]
    return [thing.first] if thing.first is not None else []
