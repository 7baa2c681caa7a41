"""Who was seen where: the ways from the targets of a scan to each of its things."""

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Final

from services.contracts.claims import Entity
from services.contracts.resources.storage import SaidBy, SaidValue
from services.correlation.domain.spiderfoot.forms import forms_of
from services.correlation.domain.spiderfoot.things import Link, Thing, Way

#: What is at the target of these was seen at their source, whatever was asked about.
_SEEN_AT_SOURCE: Final = frozenset(
    {
        *("resolves_to", "alias_of", "uses_nameserver", "uses_mailserver", "reverse_resolves_to", "announced_by"),
        *("exposes", "issued_by", "runs", "links_to", "registered_as", "has_contact", "operated_by", "controls"),
        *("member_of", "located_at", "leaked_in", "affected_by", "mentions", "uses"),
    }
)
_INSIDE: Final = frozenset({"target", "in_scope"})
_NAMES: Final = frozenset({"domain", "hostname"})
_RESOLVED: Final = SaidValue("resolution", "resolved", ())

Subject = tuple[Thing | None, Link | None]


class Book:
    """All things of a scan by their names and ids, and the links between them."""

    def __init__(self) -> None:
        self.things: dict[tuple[str, tuple[str, ...]], Thing] = {}
        self.links: list[Link] = []
        self._by_id: dict[bytes, Thing] = {}
        self._asked: dict[bytes, Link] = {}

    def thing(self, entity: Entity) -> Thing:
        name = (entity.type, entity.key)
        found = self.things.get(name)
        if found is None:
            found = self.things[name] = Thing(entity)
            self._by_id[entity.id] = found
        return found

    def join(self, link: Link) -> None:
        self.links.append(link)
        if link.facts.type in {"exposes", "serves", "alias_of", "uses_nameserver"}:
            # Modules are asked about these.
            self._asked[link.facts.id] = link

    def subject(self, id: bytes) -> Subject:
        """What was asked about, and when it was a name server of a zone, as which; neither where it is not known."""
        found = self._by_id.get(id)
        link = None if found is not None else self._asked.get(id)
        if link is None:
            return found, None
        if link.facts.type == "uses_nameserver":
            return link.source, link
        return (link.target if link.facts.type == "serves" else link.source), None

    def host(self, name: str) -> Thing | None:
        return self.things.get(("hostname", (name,))) or self.things.get(("domain", (name,)))


def lead(book: Book) -> None:
    """Find the ways to each thing, and the first of them back to a target."""
    _mark(book)
    trails = _Trails(book)
    trails.find()
    roots = _roots(book)
    for root in roots:
        # The target is the user's word before it is anybody's.
        root.ways.insert(0, Way(None, root.said[0] if root.said else None))
        _reach(root, root.ways[0])
    below = _below(book.things.values())
    _spread(deque(roots), below)
    _reach_the_rest(trails.spare, below)
    for thing, said in sorted(trails.unplaced, key=_placing) if roots else ():
        if any(way.said is not None and way.said.module == said.module for way in thing.ways):
            continue
        # Whoever was asked about a set or a level of names was asked for the sake of the name above, or the target.
        way = Way(_above(thing, book) or roots[0], said)
        thing.ways.append(way)
        if thing.first is None and not thing.is_false:
            _reach(thing, way)
            _spread(deque((thing,)), below)
    _reach_the_rest(trails.spare, below)


def _mark(book: Book) -> None:
    """Say of each thing whether it is the target's own: an address also when a name of the target's leads to it."""
    for thing in book.things.values():
        thing.is_inside = thing.role in _INSIDE
        thing.is_false = thing.value("false_positive") is True
    for link in book.links:
        if link.facts.type == "resolves_to" and not link.source.is_false:
            link.target.is_inside |= link.source.role in _INSIDE
            link.source.values.setdefault("resolution", [_RESOLVED])


class _Trails:
    """Gives each thing the ways to it, one for each module, parent and type of relation.

    ``unplaced``: who said things when asked about what is not known here. ``spare``: ways to take for want of others.
    """

    def __init__(self, book: Book) -> None:
        self._book = book
        self._known: set[tuple[object, ...]] = set()
        self._over_relations: set[tuple[int, str, bytes]] = set()
        self.unplaced: list[tuple[Thing, SaidBy]] = []
        self.spare: list[tuple[Thing, Way]] = []

    def find(self) -> None:
        alone: list[tuple[Thing, SaidBy]] = []
        for link in self._book.links:
            for said in link.facts.said:
                child, parent = _ends(link, self._book.subject(said.subject)[0], self._book)
                if child is not None and parent is not None:
                    self._add(child, Way(parent, said, link))
                    self._over_relations.add((id(child), said.module, said.subject))
                elif link.facts.type == "serves":
                    self.spare.append((link.target, Way(link.source, said, link)))
                alone += ((end, said) for end in (link.source, link.target) if end is not child)
        for thing in self._book.things.values():
            alone += ((thing, said) for said in thing.said)
        for thing, said in alone:
            self._place(thing, said)
        for thing in self._book.things.values():
            thing.ways.sort(key=_order)

    def _place(self, thing: Thing, said: SaidBy) -> None:
        """Put a thing that was named without a relation to where it was seen below what was asked about."""
        subject, server = self._book.subject(said.subject)
        if (id(thing), said.module, said.subject) in self._over_relations:
            if subject is not None:
                self.spare.append((thing, Way(subject, said)))
        elif subject is not None:
            self._add(thing, Way(subject, said, server=server))
        else:
            self.unplaced.append((thing, said))

    def _add(self, thing: Thing, way: Way) -> None:
        key = (id(thing), way.said.module if way.said else "", id(way.parent), way.relation)
        if thing is not way.parent and key not in self._known:
            self._known.add(key)
            thing.ways.append(way)


def _ends(link: Link, subject: Thing | None, book: Book) -> tuple[Thing | None, Thing | None]:
    """Which end of a relation was seen at which other; neither, where both were seen at what was asked about."""
    kind = link.facts.type
    if kind == "serves":
        return None, None
    if kind == "presents":
        return link.target, _shown_by(link, subject, book)
    if subject is link.target:
        return link.source, link.target
    if subject is link.source or kind in _SEEN_AT_SOURCE or (subject is None and kind == "has_record"):
        return link.target, link.source
    if subject is None and kind == "part_of":
        return link.source, link.target
    return None, None


def _shown_by(link: Link, subject: Thing | None, book: Book) -> Thing:
    """Who showed a certificate: the name that was asked for, else what was asked about, else the port."""
    named = book.host(link.facts.qualifiers.get("sni", ""))
    if named is not None:
        return named
    return subject if subject is not None and subject.entity.type in _NAMES else link.source


def _roots(book: Book) -> list[Thing]:
    for role in ("target", "in_scope"):
        found = [thing for thing in book.things.values() if thing.role == role and not thing.is_false]
        if found:
            return sorted(found, key=_name)
    return []


Below = Mapping[int, list[tuple[Thing, Way]]]


def _below(things: Iterable[Thing]) -> Below:
    """What was seen at each thing, in the order in which it was."""
    found: dict[int, list[tuple[Thing, Way]]] = {}
    for thing in things:
        for way in thing.ways:
            found.setdefault(id(way.parent), []).append((thing, way))
    for each in found.values():
        each.sort(key=lambda pair: (_order(pair[1]), _name(pair[0])))
    return found


def _spread(waiting: deque[Thing], below: Below) -> None:
    while waiting:
        for thing, way in below.get(id(waiting.popleft()), ()):
            if thing.first is None and not thing.is_false:
                _reach(thing, way)
                waiting.append(thing)


def _above(thing: Thing, book: Book) -> Thing | None:
    """The nearest name above a name that leads back to a target."""
    name = thing.entity.key[0] if thing.entity.type in _NAMES else ""
    while name:
        name = name.partition(".")[2]
        found = book.host(name)
        if found is not None and found.first is not None:
            return found
    return None


def _reach_the_rest(spare: list[tuple[Thing, Way]], below: Below) -> None:
    """Take second-best ways to what none of the others leads to, until that helps no further."""
    while True:
        reached: deque[Thing] = deque()
        for thing, way in spare:
            if thing.first is None and not thing.is_false and way.parent is not None and way.parent.first is not None:
                thing.ways.append(way)
                _reach(thing, way)
                reached.append(thing)
        if not reached:
            return
        _spread(reached, below)


def _reach(thing: Thing, way: Way) -> None:
    thing.first = way
    thing.types = tuple(name for name, _ in forms_of(thing, way))


def _placing(pair: tuple[Thing, SaidBy]) -> tuple[object, ...]:
    thing, said = pair
    return (said.at, said.module, _name(thing))


def _order(way: Way) -> tuple[int, str, str]:
    return (way.said.at, way.said.module, way.relation) if way.said else (0, "", "")


def _name(thing: Thing) -> tuple[str, tuple[str, ...]]:
    return (thing.entity.type, thing.entity.key)
