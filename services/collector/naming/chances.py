"""How likely a filler is in a gap: from the habits seen, from how names are usually made, from what was found."""

from collections.abc import Iterable, Iterator
from heapq import nlargest
from operator import itemgetter
from typing import Final

from services.collector.naming.habits import Habits
from services.collector.naming.tally import Tally
from services.collector.naming.usual import USUAL
from services.collector.naming.vocabulary import CLASSES, ENVIRONMENTS, REGIONS, ROLES

STRONG: Final = 0.004
"""A chance from which a candidate is weighed by itself; below it, rules are followed one after the other."""

_MOST_RULES = 100
_SAME_CLASS = 0.03

# How many gaps of doubt stand against what was counted.
_DOUBT_ADDED = 30.0
_DOUBT_REPLACED = 2.0
_DOUBT_USUAL = 200.0
_DOUBT_WORD = 10.0
_SEEN_ELSEWHERE = 0.02


def either(one: float, other: float) -> float:
    """The chance that at least one of two independent reasons holds."""
    return one + other - one * other


def additions(habits: Habits, where: int, tally: Tally) -> dict[str, float]:
    """The chance of each filler where nothing is.

    A word of the vocabulary is held no less likely than it usually is, whatever the known names say: they are mostly
    the public ones, and tell little of the others. Only what was tried counts against it.
    """
    beside_nothing = habits.together[where].get("", {})
    gaps = habits.seen[where][""]
    chances = _by_class(beside_nothing, gaps, where)
    for filler, usual in USUAL[where].items():
        chances[filler] = max(chances[filler], tally.chance(usual))
    for filler, count in habits.seen[where].items():
        if filler:
            attested = beside_nothing.get(filler, 0.0)
            elsewhere = max(0.0, count - attested - 1)
            learnt = (attested + _SEEN_ELSEWHERE * elsewhere) / (gaps + _DOUBT_ADDED)
            chances[filler] = max(chances.get(filler, 0.0), learnt)
    return chances


def _by_class(beside_nothing: dict[str, float], gaps: int, where: int) -> dict[str, float]:
    """Chances of the vocabulary: how often any word of its class stands here, times how often it is this one."""
    hits: dict[tuple[str, str], float] = {}
    rates: dict[tuple[str, str], float] = {}
    for filler, usual in USUAL[where].items():
        group = (usual.kind, usual.join)
        hits[group] = hits.get(group, 0.0) + beside_nothing.get(filler, 0.0)
        rates[group] = usual.chance / usual.share
    chances: dict[str, float] = {}
    for filler, usual in USUAL[where].items():
        group = (usual.kind, usual.join)
        rate = (hits[group] + rates[group] * _DOUBT_USUAL) / (gaps + _DOUBT_USUAL)
        own = (beside_nothing.get(filler, 0.0) + _DOUBT_WORD * usual.share) / (hits[group] + _DOUBT_WORD)
        chances[filler] = rate * own
    return chances


def likely(chances: dict[str, float]) -> list[tuple[str, float]]:
    """The strong ones among fillers and their chances, the best first, no more than a hundred."""
    strong = ((filler, chance) for filler, chance in chances.items() if chance >= STRONG)
    return nlargest(_MOST_RULES, strong, key=itemgetter(1))


def replacements(habits: Habits, where: int) -> dict[str, list[tuple[str, float]]]:
    """For each filler what may stand in its place: what does elsewhere, and words of its class."""
    seen = habits.seen[where]
    together = habits.together[where]
    return {
        filler: likely(_joined((*_attested(together.get(filler, {}), seen[filler]), *_alike(filler))))
        for filler in seen
        if filler and (filler in together or filler.strip("._-") in CLASSES)
    }


def _attested(others: dict[str, float], seen: int) -> Iterator[tuple[str, float]]:
    for other, count in others.items():
        yield other, max(0.1, count - 0.5) / (seen + _DOUBT_REPLACED)


def _alike(filler: str) -> Iterator[tuple[str, float]]:
    text = filler.strip("._-")
    at = filler.find(text)
    before, after = filler[:at], filler[at + len(text) :]
    for words, share in ((ENVIRONMENTS, 1.0), (REGIONS, 0.6), (ROLES, 0.35)):
        if text in words:
            for word, weight in words.items():
                if word != text:
                    yield before + word + after, _SAME_CLASS * share * weight


def _joined(found: Iterable[tuple[str, float]]) -> dict[str, float]:
    chances: dict[str, float] = {}
    for other, chance in found:
        chances[other] = either(chances.get(other, 0.0), chance)
    return chances
