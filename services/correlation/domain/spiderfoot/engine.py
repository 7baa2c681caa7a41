"""What follows from a rule of SpiderFoot 4 and the events of a scan, and why nothing does."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Final

from msgspec import Struct

from services.contracts.claims import Entity
from services.contracts.findings import Severity
from services.contracts.resources.correlation import Ground
from services.correlation.domain.spiderfoot.analysis import ANALYSES
from services.correlation.domain.spiderfoot.buckets import Buckets, Item
from services.correlation.domain.spiderfoot.events import Event, Events, nearest
from services.correlation.domain.spiderfoot.needs import Needs, needed_types, needs
from services.correlation.domain.spiderfoot.rule import PLACE, Block, Field, Part, SpiderFootRule, read_rule

__all__ = ["Explanation", "Needs", "Result", "Step", "evaluate", "explain", "needed_types", "needs", "read_rule"]

#: Events and entities of one result beyond these are counted, not named.
MAX_GROUNDS: Final = 20
MAX_HEADLINE: Final = 2_000


class Result(Struct, frozen=True, kw_only=True):
    """What a rule has found: one bucket that was left. ``value`` is what the bucket is of, empty where there is one."""

    rule: str
    value: str
    headline: str
    risk: str
    severity: Severity
    events: tuple[Event, ...]
    about: Entity | None

    @property
    def entities(self) -> tuple[Entity, ...]:
        """The entity that it is about, then those of its first events."""
        found = dict.fromkeys([self.about] if self.about else [])
        for event in self.events[:MAX_GROUNDS]:
            if event.about is not None:
                found[event.about] = None
        return tuple(found)

    @property
    def grounds(self) -> tuple[Ground, ...]:
        """What its first events rest on, each with the type of the event as its role."""
        found = {event.place: event for event in self.events[:MAX_GROUNDS]}
        return tuple(event.basis.ground(event.type) for event in found.values() if event.basis is not None)


class Step(Struct, frozen=True, kw_only=True):
    """One condition of a rule, and how many events it left, and how many of those that were asked for."""

    where: str
    what: str
    left: int
    asked: int


class Explanation(Struct, frozen=True, kw_only=True):
    """``stopped`` is the first condition that left nothing of what was asked for; None where the rule has found it."""

    steps: tuple[Step, ...]
    stopped: Step | None


def evaluate(rule: SpiderFootRule, events: Events) -> list[Result]:
    """The results of a rule, in the order in which SpiderFoot has them."""
    return _results(rule, _left(rule, events, _unnoted))


def explain(rule: SpiderFootRule, events: Events, about: bytes | None = None) -> Explanation:
    """How a rule came to what it says: of everything, or of the entity with the id ``about``."""
    steps: list[Step] = []
    part = rule.aggregation.part if rule.aggregation else ""

    def note(where: str, what: str, items: Iterable[Event | Item]) -> None:
        left = asked = 0
        for item in items:
            left += 1
            asked += about is None or _touches(item if isinstance(item, Event) else item.event, part, about)
        steps.append(Step(where=where, what=what, left=left, asked=asked))

    _left(rule, events, note)
    if steps[-1].asked:
        return Explanation(steps=tuple(steps), stopped=None)
    gathered = [place for place, step in enumerate(steps) if step.where == "collections"]
    if gathered and steps[gathered[0]].asked:
        stopped = next(step for step in steps[gathered[0] :] if not step.asked)
    else:
        stopped = next(step for step in steps if not step.asked)
    return Explanation(steps=tuple(steps), stopped=stopped)


Note = Callable[[str, str, Iterable[Event | Item]], None]


def _unnoted(*_: object) -> None:
    """Nobody asks how it came about."""


def _left(rule: SpiderFootRule, events: Events, note: Note) -> Buckets:
    """The buckets that are left when all of a rule was done."""
    items: list[Item] = []
    for place, blocks in enumerate(rule.collections):
        items += _collect(rule, place, blocks, events, note)
    note("collections", "what they have together", items)
    if rule.aggregation is None:
        buckets = {"": items} if items else {}
    else:
        buckets = _aggregate(rule.aggregation, items)
        note("aggregation", f"has a {rule.aggregation}", _all(buckets))
    for place, step in enumerate(rule.analysis):
        ANALYSES[step.method](step, buckets)
        note(f"analysis[{place}]", step.method, _all(buckets))
    if rule.published is not None:
        for value, bucket in list(buckets.items()):
            buckets[value] = [item for item in bucket if item.collection in rule.published]
            if not buckets[value]:
                del buckets[value]
        note("headline.publish_collections", ", ".join(map(str, sorted(rule.published))), _all(buckets))
    return buckets


def _collect(rule: SpiderFootRule, place: int, blocks: Sequence[Block], events: Events, note: Note) -> list[Item]:
    first = blocks[0]
    match first.field.name:
        case "type":
            found = events.of_types(first.types)
        case "module":
            found = events.of_modules(first.values)
        case "data":
            found = events.of_data(first.values)
    note(f"collections[{place}].collect[0]", str(first), found)
    above = nearest(found) if rule.uses("entity") else {}
    for number, block in enumerate(blocks[1:], start=1):
        found = _refined(block, found, above)
        note(f"collections[{place}].collect[{number}]", str(block), found)
    return [Item(event, place, above.get(event.place, ())) for event in found]


def _refined(block: Block, events: list[Event], above: Mapping[int, Sequence[Event]]) -> list[Event]:
    """Those of which the field passes, or that of one of their parts; each value is tried once."""
    value_of: Callable[[Event], str] = attrgetter(block.field.name)
    keeps = block.keeps
    tried: dict[str, bool] = {}

    def passes(event: Event) -> bool:
        value = value_of(event)
        known = tried.get(value)
        if known is None:
            known = tried[value] = keeps(value)
        return known

    match block.field.part:
        case "":
            return [event for event in events if passes(event)]
        case "source":
            return [event for event in events if passes(event.source)]
        case "child":
            return [event for event in events if any(map(passes, event.children))]
        case "entity":
            return [event for event in events if any(map(passes, above.get(event.place, ())))]


def _aggregate(field: Field, items: Iterable[Item]) -> Buckets:
    """Items by what the field has; one with parts goes to a bucket for each, with the parts of that bucket alone."""
    buckets: defaultdict[str, list[Item]] = defaultdict(list)
    if not field.part:
        value_of: Callable[[Event], str] = attrgetter(field.name)
        for item in items:
            buckets[value_of(item.event)].append(item)
        return dict(buckets)
    for item in items:
        for value in item.values(field):
            buckets[value].append(item.stripped(field, value))
    return dict(buckets)


def _all(buckets: Buckets) -> Iterable[Item]:
    return (item for bucket in buckets.values() for item in bucket)


def _results(rule: SpiderFootRule, buckets: Buckets) -> list[Result]:
    return [
        Result(
            rule=rule.id,
            value=value,
            headline=_headline(rule.headline, bucket[0]),
            risk=rule.risk,
            severity=rule.severity,
            events=tuple(item.event for item in bucket),
            about=_about(rule.aggregation.part if rule.aggregation else "", bucket[0]),
        )
        for value, bucket in buckets.items()
    ]


def _headline(text: str, first: Item) -> str:
    """The text with what its places name of the first event: the first line of it."""
    fields = {place: first.values(_field(place)) for place in set(PLACE.findall(text))}
    return PLACE.sub(lambda found: _line(fields[found[1]]), text)[:MAX_HEADLINE]


def _line(values: Sequence[str]) -> str:
    return values[0].replace("\r", "").split("\n", 1)[0] if values else ""


def _field(text: str) -> Field:
    part, _, name = text.rpartition(".")
    return Field(part, name)  # type: ignore[arg-type]


def _about(part: Part, first: Item) -> Entity | None:
    """The entity that a result is about: that of the part by which it was aggregated, where it has one."""
    parts = first.parts(part) if part else ()
    return next((event.about for event in (*parts, first.event) if event.about is not None), None)


def _touches(event: Event, part: Part, id: bytes) -> bool:
    """Whether an entity is what an event is about, or the part of it by which a rule aggregates."""
    basis = event.basis
    if basis is not None and (basis.entity.id == id or (basis.target is not None and basis.target.id == id)):
        return True
    parts = [event]
    if part == "child":
        parts += event.children
    elif part:
        above = event.source
        while part == "entity" and not above.is_stop and above.source is not above:
            above = above.source
        parts.append(above)
    return any(each.about is not None and each.about.id == id for each in parts)
