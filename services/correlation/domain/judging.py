"""What follows from matches: findings, each with its title and what it rests on."""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final
from uuid import UUID, uuid5

import msgspec
from msgspec import Struct

from services.contracts.findings import Severity
from services.contracts.resources.correlation import Ground, Named
from services.contracts.resources.storage import SaidBy
from services.correlation.domain.conditions import grounds_of
from services.correlation.domain.confidence import Judge
from services.correlation.domain.matching import Match
from services.correlation.domain.rule import IN_BRACES, Condition, Part, Rule, Value
from services.correlation.domain.world import Place, Tie

NAMESPACE: Final = UUID("5a2f6e0c-4f3b-5d53-9d0a-3f7a1c0b8e11")
#: How many matches of a finding have their grounds kept, and how many grounds there are at most.
SHOWN: Final = 20
MAX_GROUNDS: Final = 200
MAX_ENTITIES: Final = 20
#: What nobody says of a thing: what it is called, and where a scan has it.
_OF_ITSELF: Final = frozenset({"value", "distance"})
#: How many values of one attribute are grounds.
MAX_VALUES: Final = 5
MAX_TITLE: Final = 300
#: A finding of each pair of things has the ids of up to eight of them.
MAX_KEY: Final = 300
#: What stands in a title for a value that there is not.
UNKNOWN: Final = "?"

_encode = msgspec.json.Encoder().encode


class Hit(Struct, frozen=True):
    """A match as it is kept: the first thing, all entities in the order of the rule, what is counted and shown of them.

    ``values``: what groups, counts and headlines need, by how the rule writes it. ``strength``: how sure the weakest
    of its ``grounds`` is, 0 to 100.
    """

    first: bytes
    entities: tuple[Named, ...]
    values: dict[str, tuple[Value, ...]]
    grounds: tuple[Ground, ...]
    strength: int


class Found(Struct, frozen=True):
    """A finding of a rule in one scan. ``id`` is the same wherever the rule finds the same things.

    ``first``: the first thing, of a finding that is about one.
    """

    id: UUID
    rule: str
    version: int
    category: str
    severity: Severity
    confidence: int
    title: str
    entities: tuple[Named, ...]
    matches: int
    grounds: tuple[Ground, ...]
    first: bytes | None = None


def take_down(rule: Rule, match: Match, now: int) -> Hit:
    """What is kept of a match."""
    grounds, strength = _grounds(rule, match, now)
    return Hit(
        first=match.places[rule.first.name].id,
        entities=tuple(match.places[name].named for name in rule.bound),
        values={text: _values(part, match) for text, part in _parts(rule).items()},
        grounds=grounds,
        strength=strength,
    )


def judge(rule: Rule, hits: Sequence[Hit]) -> list[Found]:
    """The findings of all hits of a rule: of one first thing, or, of a rule that gathers, of the whole scan.

    Hits come in the order of their entities.
    """
    if rule.unusual is not None:
        return _judge_unusual(rule, hits)
    groups: dict[str, list[Hit]] = {}
    for hit in hits:
        for key in group_keys(rule, hit):
            groups.setdefault(key, []).append(hit)
    found = (judge_group(rule, key, members) for key, members in groups.items())
    return [each for each in found if each is not None]


def group_keys(rule: Rule, hit: Hit) -> tuple[str, ...]:
    """Which groups a hit belongs to, in at most `MAX_KEY` characters: one for each finding that it can be part of."""
    return tuple(map(_shortened, _group_keys(rule, hit)))


def _shortened(key: str) -> str:
    """A key as it is kept; of what strangers wrote at length the beginning, and what tells it from others."""
    if len(key) <= MAX_KEY:
        return key
    return f"{key[:100]}… {hashlib.blake2b(key.encode(), digest_size=16).hexdigest()}"


def _group_keys(rule: Rule, hit: Hit) -> tuple[str, ...]:
    if rule.unusual is not None:
        return tuple(_text(value) for value in hit.values[_written(rule.unusual.of)])
    if rule.group is not None:
        if rule.group.by is None:
            return ("",)
        if rule.group.by.property:
            return tuple(_text(value) for value in hit.values[_written(rule.group.by)])
        return (hit.entities[rule.bound.index(rule.group.by.thing)].id,)
    named = dict(zip(rule.bound, hit.entities, strict=True))
    return (" ".join(named[name].id for name in rule.each or (rule.first.name,)),)


def judge_group(rule: Rule, key: str, hits: Sequence[Hit], firsts: int = 0) -> Found | None:
    """The finding of one group, if it is one; ``firsts`` is how many first things it has, where ``hits`` lack some."""
    count = len(hits)
    if rule.group is not None:
        count = _count(rule, hits)
        if rule.group.count == Part(rule.first.name) and rule.within is None:
            count = max(count, firsts)
        if count < rule.group.least or (rule.group.most is not None and count > rule.group.most):
            return None
    return _found(rule, key, hits, count)


def finding_id(rule: str, group: str) -> UUID:
    """The same for the same group of a rule, wherever it is found."""
    return uuid5(NAMESPACE, _encode([rule, group]).decode())


def _judge_unusual(rule: Rule, hits: Sequence[Hit]) -> list[Found]:
    assert rule.unusual is not None
    by_value: dict[str, list[Hit]] = {}
    for hit in hits:
        for key in group_keys(rule, hit):
            by_value.setdefault(key, []).append(hit)
    tally = {key: len({hit.first for hit in members}) for key, members in by_value.items()}
    return [_found(rule, key, by_value[key], tally[key]) for key in unusual_values(rule, tally)]


def unusual_values(rule: Rule, tally: Mapping[str, int]) -> list[str]:
    """The values that few first things have, of a tally of how many have each."""
    assert rule.unusual is not None
    total = sum(tally.values())
    if total < rule.unusual.least or max(tally.values()) < rule.unusual.usual * total:
        return []
    return sorted(key for key, count in tally.items() if count <= rule.unusual.most * total)


def _found(rule: Rule, key: str, hits: Sequence[Hit], count: int) -> Found:
    entities: dict[Named, None] = {}
    # What it is about comes first, then the rest, each once.
    for place in _order(rule):
        for hit in hits:
            if len(entities) < MAX_ENTITIES:
                entities.setdefault(hit.entities[place])
    grounds: dict[bytes, Ground] = {}
    for hit in hits[:SHOWN]:
        for ground in hit.grounds:
            if len(grounds) < MAX_GROUNDS:
                grounds.setdefault(hashlib.blake2b(_encode(ground)).digest(), ground)
    return Found(
        id=finding_id(rule.id, key),
        rule=rule.id,
        version=rule.version,
        category=rule.category,
        severity=rule.severity,
        confidence=rule.confidence * max(hit.strength for hit in hits) // 100,
        title=_title(rule, hits[0], count),
        entities=tuple(entities),
        matches=len(hits),
        grounds=tuple(grounds.values()),
        first=None if rule.is_gathered else hits[0].first,
    )


def _order(rule: Rule) -> list[int]:
    leading = rule.group.by.thing if rule.group and rule.group.by else rule.first.name
    order = sorted(rule.bound, key=lambda name: (name != leading, rule.bound.index(name)))
    return [rule.bound.index(name) for name in order]


def _count(rule: Rule, hits: Sequence[Hit]) -> int:
    """How many different things or values a group has, within the span that has most of them."""
    assert rule.group is not None
    part = rule.group.count
    counted = [(hit, _text(value)) for hit in hits for value in _counted(rule, part, hit)]
    if rule.within is None:
        return len({value for _, value in counted})
    instants = sorted((int(at), value) for hit, value in counted for at in hit.values[_written(rule.within.of)])
    most, begin, there = 0, 0, dict[str, int]()
    for at, value in instants:
        there[value] = there.get(value, 0) + 1
        while instants[begin][0] < at - rule.within.span:
            gone = instants[begin][1]
            there[gone] -= 1
            if not there[gone]:
                del there[gone]
            begin += 1
        most = max(most, len(there))
    return most


def _counted(rule: Rule, part: Part, hit: Hit) -> tuple[Value, ...]:
    return hit.values[_written(part)] if part.property else (hit.entities[rule.bound.index(part.thing)].id,)


def _parts(rule: Rule) -> dict[str, Part]:
    """What of a match has to be kept for groups, counts and the headline."""
    parts = [part for part in (rule.group and rule.group.by, rule.group and rule.group.count) if part]
    parts += [each.of for each in (rule.within, rule.unusual) if each]
    parts += [Part(thing, asked) for thing, asked in rule.places_in_headline if thing in rule.bound]
    return {_written(part): part for part in parts if part.property}


def _written(part: Part) -> str:
    return f"{part.thing}.{part.property}" if part.property else part.thing


def _values(part: Part, match: Match) -> tuple[Value, ...]:
    return tuple(dict.fromkeys(value for value, _ in match.places[part.thing].spoken(part.property)))[:100]


def _title(rule: Rule, hit: Hit, count: int) -> str:
    named = dict(zip(rule.bound, hit.entities, strict=True))

    def fill(place: re.Match[str]) -> str:
        thing, _, asked = place[1].partition(".")
        if asked:
            return ", ".join(map(_text, hit.values[place[1]][:5])) or UNKNOWN
        return named[thing].value if thing in named else f"{count:,}"

    title = IN_BRACES.sub(fill, rule.headline)
    return title if len(title) <= MAX_TITLE else title[: MAX_TITLE - 1] + "…"


def _text(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _grounds(rule: Rule, match: Match, now: int) -> tuple[tuple[Ground, ...], int]:
    """What a match rests on, and how sure the weakest of it is."""
    judge = match.places[rule.first.name].judge
    spoken: list[tuple[Ground, Sequence[SaidBy]]] = []
    for step, ties in zip(rule.steps, match.ties, strict=True):
        spoken += [(_tie_ground(step[1], tie), tie.facts.said) for tie in ties]
    for name, place in match.places.items():
        if place.facts.said or not match.ties:
            spoken.append((Ground(role=name, entity=place.named), place.facts.said))
        for condition in rule.thing(name).where:
            spoken += _condition_grounds(name, place, condition, now)
    for link in rule.absences:
        near = link.source if link.source in rule.bound else link.target
        for kind in link.types or ("any",):
            place = match.places[near]
            ground = Ground(role=near, entity=place.named, predicate=kind, absent=True)
            spoken.append((ground, place.denied_by(kind)))
    grounds = (msgspec.structs.replace(ground, **_spoken_by(said)) for ground, said in spoken[:MAX_GROUNDS])
    return tuple(grounds), min((_strength(judge, ground, said) for ground, said in spoken), default=100)


def _condition_grounds(
    name: str, place: Place, condition: Condition, now: int
) -> Iterator[tuple[Ground, Sequence[SaidBy]]]:
    asked = condition.property
    if condition.presence in {"absent", "unsaid"}:
        yield Ground(role=name, entity=place.named, predicate=asked, absent=True), place.denied_by(asked)
    elif asked not in _OF_ITSELF and not asked.startswith("key."):
        for value, said in grounds_of(condition, place, now)[:MAX_VALUES]:
            yield Ground(role=name, entity=place.named, predicate=asked, value=value), said


def _tie_ground(near: str, tie: Tie) -> Ground:
    source, target = tie.facts.source, tie.facts.target
    return Ground(
        role=near,
        entity=Named(tie.source.hex(), source.type, source.value),
        predicate=tie.type,
        target=Named(tie.target.hex(), target.type, target.value),
    )


def _spoken_by(said: Iterable[SaidBy]) -> dict[str, object]:
    there = [*said]
    return {
        "modules": tuple(sorted({f"{each.module}@{each.version}" for each in there})),
        "evidence": tuple(sorted({record.hex() for each in there for record in each.evidence})[:10]),
        "at": max((each.at for each in there), default=0),
    }


def _strength(judge: Judge, ground: Ground, said: Sequence[SaidBy]) -> int:
    """How sure what was said is by itself; what nobody says, such as that nobody was asked, is sure."""
    return judge.number_of(ground.predicate, said) if said else 100
