"""Names that a source lists: kept to the subject's domain, each once, with the period in which they were seen."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

import msgspec

from services.contracts import entities
from services.contracts.claims import Attribute, Entity, Malformed, Relation

MAX_NAMES = 15_000  # of one answer; a work item has several, and may make 100,000 claims
_MAX_TEXT = 300

Period = tuple[int | None, int | None]
C = TypeVar("C", Entity, Relation, Attribute)


def name_below(text: str, seen: Entity) -> Entity | None:
    """The domain or hostname that a text names, at or below the subject; a wildcard is its parent."""
    if len(text) > _MAX_TEXT:
        return None
    plain = entities.unwildcard(text).lower().removesuffix(".")
    apex = seen.key[0]
    if plain != apex and not plain.endswith("." + apex):
        return None
    return any_name(plain)


def any_name(text: str) -> Entity | None:
    """The domain or hostname that a text names, wherever it lies; None when it names none."""
    if len(text) > _MAX_TEXT:
        return None
    try:
        return entities.name(entities.unwildcard(text))
    except Malformed:
        return None


def names_below(texts: Iterable[str], seen: Entity, most: int = MAX_NAMES) -> Iterator[Entity]:
    """Each name at or below the subject once, in the order of the source."""
    yield from seen_names(((text, (None, None)) for text in texts), seen, most)


def seen_names(sightings: Iterable[tuple[str, Period]], seen: Entity, most: int = MAX_NAMES) -> Iterator[Entity]:
    """Each name at or below the subject once, valid from its first to its last sighting (UTC microseconds)."""
    found: dict[str, tuple[Entity, Period]] = {}
    for text, period in sightings:
        name = name_below(text, seen)
        if name is None:
            continue
        known = found.get(name.key[0])
        if known is None:
            if len(found) >= most:
                break
            found[name.key[0]] = (name, period)
        elif period != known[1]:
            found[name.key[0]] = (name, join(known[1], period))
    for name, period in found.values():
        yield during(name, period)


def join(one: Period, other: Period) -> Period:
    """From the earlier beginning to the later end; an unknown end of one is taken from the other."""
    begins = [begin for begin in (one[0], other[0]) if begin is not None]
    ends = [end for end in (one[1], other[1]) if end is not None]
    return (min(begins, default=None), max(ends, default=None))


def during(claim: C, period: Period) -> C:
    """The claim as one that the source vouches for over a period."""
    begin, end = period
    return claim if begin is None and end is None else msgspec.structs.replace(claim, valid_from=begin, valid_to=end)


def weighed(claim: C, confidence: int) -> C:
    """The claim with the confidence (0..100) that its nature allows."""
    return msgspec.structs.replace(claim, confidence=confidence)
