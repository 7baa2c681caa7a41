"""Judges all of a scan's facts by rules, and tells of each rule that fails why, while the others go on."""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from typing import Final

from msgspec import Struct

from services.correlation.domain.judging import Found, Hit, judge, take_down
from services.correlation.domain.matching import match
from services.correlation.domain.rule import Rule
from services.correlation.domain.world import Place, World
from services.kernel.errors import MirageError, NotFound, Unavailable

#: First things that are matched at once.
BATCH: Final = 2_000


class Hits(Struct, frozen=True):
    """The hits of a rule at some first things that were looked at: at those that are not here there are none."""

    rule: Rule
    firsts: tuple[bytes, ...]
    hits: dict[bytes, list[Hit]]


async def find_hits(rule: Rule, world: World, places: Sequence[Place], now: int) -> dict[bytes, list[Hit]]:
    """What a rule finds at first things, in the order of what it matches."""
    found = await match(rule, world, places, now)
    return {first: [take_down(rule, each, now) for each in matches] for first, matches in found.items()}


async def hits_everywhere(
    rules: Iterable[Rule], world: World, now: int, failed: Callable[[Rule, Exception], None]
) -> AsyncIterator[Hits]:
    """Every hit of ``rules``, batch by batch; a rule that raises is told of to ``failed`` and left out from then on."""
    by_type: dict[str, list[Rule]] = {}
    for rule in rules:
        for kind in rule.first.types:
            by_type.setdefault(kind, []).append(rule)
    broken: set[str] = set()

    def fail(rule: Rule, error: Exception) -> None:
        broken.add(rule.id)
        failed(rule, error)

    for kind in sorted(by_type):
        async for places in world.of_types([kind]):
            for start in range(0, len(places), BATCH):
                batch = places[start : start + BATCH]
                for rule in by_type[kind]:
                    if rule.id not in broken and (hits := await _try(rule, world, batch, now, fail)):
                        yield Hits(rule, tuple(place.id for place in batch), hits)


async def _try(
    rule: Rule, world: World, batch: Sequence[Place], now: int, failed: Callable[[Rule, Exception], None]
) -> dict[bytes, list[Hit]]:
    try:
        return await find_hits(rule, world, batch, now)
    except (Unavailable, NotFound):  # no fault of the rule
        raise
    except (MirageError, ValueError, ArithmeticError, LookupError, TypeError, RecursionError) as error:
        failed(rule, error)
        return {}


async def judge_everything(rule: Rule, world: World, now: int) -> list[Found]:
    """All findings of one rule, in memory: for its tests, and to see what it would have said."""

    def raise_it(_: Rule, error: Exception) -> None:
        raise error

    found: dict[bytes, list[Hit]] = {}
    async for each in hits_everywhere([rule], world, now, raise_it):
        found |= each.hits
    return judge(rule, in_order(found))


def in_order(hits: Mapping[bytes, Sequence[Hit]]) -> list[Hit]:
    """Hits in the order in which they are judged, whatever the order in which they were found."""
    return [hit for _, members in sorted(hits.items()) for hit in members]
