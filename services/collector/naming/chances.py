"""How likely a filler is in a gap: from the habits seen, and from how names are usually made."""

from collections.abc import Iterable, Iterator
from heapq import nlargest
from operator import itemgetter
from typing import Final

from services.collector.naming.habits import ABOVE, FRONT, MIDDLE, TAIL, Habits
from services.collector.naming.vocabulary import CLASSES, ENVIRONMENTS, NUMBERS, REGIONS, ROLES

STRONG: Final = 0.004
"""A chance from which a candidate is weighed by itself; below it, rules are followed one after the other."""

_MOST_RULES = 100
_SAME_CLASS = 0.03

# Pseudo-counts: how many gaps of doubt stand against what was counted.
_DOUBT_ADDED = 30.0
_DOUBT_REPLACED = 2.0
_DOUBT_USUAL = 200.0
_DOUBT_WORD = 10.0
_SEEN_ELSEWHERE = 0.02

_WORDS = {"environment": ENVIRONMENTS, "region": REGIONS, "role": ROLES, "number": NUMBERS}

# Of all gaps in a place, the share in which a word of a class stands, by the join between word and name.
_USUAL = {
    FRONT: {
        "environment": {"-": 0.026, ".": 0.024, "": 0.008},
        "role": {".": 0.012, "-": 0.009, "": 0.0015},
        "region": {"-": 0.006, ".": 0.006, "": 0.0004},
    },
    TAIL: {
        "environment": {"-": 0.032, ".": 0.026, "": 0.011},
        "role": {"-": 0.012, ".": 0.004, "": 0.003},
        "region": {"-": 0.009, ".": 0.006, "": 0.0008},
        "number": {"": 0.016, "-": 0.008},
    },
    MIDDLE: {
        "environment": {"-": 0.008, "": 0.002, ".": 0.0004},
        "role": {"-": 0.005, "": 0.0005, ".": 0.001},
        "region": {"-": 0.002},
        "number": {"": 0.004, "-": 0.0005},
    },
    ABOVE: {
        "environment": {"-": 0.003, "": 0.001, ".": 0.0015},
        "role": {"-": 0.0009, "": 0.0005},
        "region": {"-": 0.0015},
        "number": {"": 0.004},
    },
}


def either(one: float, other: float) -> float:
    """The chance that at least one of two independent reasons holds."""
    return one + other - one * other


def additions(habits: Habits, where: int) -> dict[str, float]:
    """The chance of each filler where nothing is.

    A filler of the vocabulary is never held less likely than it usually is: names that are known are mostly the
    public ones, and tell little of those that are not.
    """
    beside_nothing = habits.together[where].get("", {})
    gaps = habits.seen[where][""]
    chances: dict[str, float] = {}
    for kind, joins in _USUAL[where].items():
        for join, usual in joins.items():
            words = {word + join if where == FRONT else join + word: weight for word, weight in _WORDS[kind].items()}
            whole = sum(words.values())
            hits = sum(beside_nothing.get(filler, 0.0) for filler in words)
            rate = (hits + usual * _DOUBT_USUAL) / (gaps + _DOUBT_USUAL)
            for filler, weight in words.items():
                own = (beside_nothing.get(filler, 0.0) + _DOUBT_WORD * weight / whole) / (hits + _DOUBT_WORD)
                chances[filler] = max(chances.get(filler, 0.0), rate * own, usual * weight / whole)
    for filler, count in habits.seen[where].items():
        if filler:
            attested = beside_nothing.get(filler, 0.0)
            elsewhere = max(0.0, count - attested - 1)
            learnt = (attested + _SEEN_ELSEWHERE * elsewhere) / (gaps + _DOUBT_ADDED)
            chances[filler] = max(chances.get(filler, 0.0), learnt)
    return chances


def likely(chances: dict[str, float]) -> list[tuple[str, float]]:
    """The strong ones among fillers and their chances, the best first, no more than a hundred."""
    return nlargest(_MOST_RULES, ((one, chance) for one, chance in chances.items() if chance >= STRONG), itemgetter(1))


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
