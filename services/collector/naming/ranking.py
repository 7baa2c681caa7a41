"""Candidates by falling chance: those with reasons of their own, and the stream of what may be added to any name."""

import math
from collections.abc import Container, Iterator
from heapq import merge, nlargest
from operator import itemgetter

from services.collector.naming.chances import additions, either, likely, replacements
from services.collector.naming.habits import GAP, PLACES, Habits, place
from services.collector.naming.rearrangements import rearrange
from services.collector.naming.sequences import continue_sequences
from services.collector.naming.tally import Reason, Tally
from services.collector.naming.usual import USUAL

_MOST_WEIGHED = 20_000
_SUREST = 0.95
_CROWDED = 150
_BANDS = 8

#: Minus the chance as it is held now, the name, the reason, the chance before anything was tried.
Ranked = tuple[float, str, Reason, float]


def rank(habits: Habits, tally: Tally, fresh: Container[str], dead: Container[str]) -> Iterator[Ranked]:
    """All candidates that follow from ``fresh`` names, the most promising first, some more than once.

    Nothing is added to ``dead`` names.
    """
    added = [additions(habits, where, tally) for where in PLACES]
    supported = _supported(_weighed(habits, added, fresh), tally)
    return merge(supported, _general(habits, added, tally, fresh, dead), key=itemgetter(0))


def _supported(weighed: dict[str, float], tally: Tally) -> Iterator[Ranked]:
    """What habits speak for; each band of chances is as likely as its like proved to be."""
    reasons: list[Reason] = [("weighed", band) for band in range(_BANDS)]
    ratios = [tally.ratio(reason) for reason in reasons]
    held = {}
    for name, chance in weighed.items():
        band = min(_BANDS - 1, int(-math.log(chance, 3)))
        held[name] = (-chance * ratios[band], band)
    ranked = sorted(weighed)
    ranked.sort(key=held.__getitem__)
    for name in ranked:
        chance, band = held[name]
        yield chance, name, reasons[band], weighed[name]


def _weighed(habits: Habits, added: list[dict[str, float]], fresh: Container[str]) -> dict[str, float]:
    """Chances of the candidates that habits speak for; independent reasons add up."""
    chances: dict[str, float] = {}
    rules = [{**replacements(habits, where), "": likely(added[where])} for where in PLACES]
    for context, fillers in habits.contexts.items():
        if not any(context.replace(GAP, filler) in fresh for filler in fillers):
            continue
        found: dict[str, float] = {}
        by_filler = rules[place(context)]
        family = _family(len(fillers))
        for filler in fillers:
            for other, chance in by_filler.get(filler, ()):
                if other not in fillers:
                    found[other] = either(found.get(other, 0.0), min(_SUREST, chance * family))
        left, _, right = context.partition(GAP)
        for other, chance in found.items():
            if _fits(left, other):
                name = left + other + right
                chances[name] = either(chances.get(name, 0.0), chance)
        if len(chances) > 2 * _MOST_WEIGHED:
            chances = dict(nlargest(_MOST_WEIGHED, chances.items(), key=itemgetter(1)))
    for name, chance in (*continue_sequences(habits, fresh), *rearrange(habits, fresh)):
        chances[name] = either(chances.get(name, 0.0), chance)
    return chances


def _general(
    habits: Habits, added: list[dict[str, float]], tally: Tally, fresh: Container[str], dead: Container[str]
) -> Iterator[Ranked]:
    """Every addition to every name, by falling chance: one rule and one kind of context after the other."""
    kinds: dict[tuple[int, float], list[str]] = {}
    for context, fillers in habits.contexts.items():
        name = context.replace(GAP, "")
        if "" in fillers and name in fresh and name not in dead:
            kinds.setdefault((place(context), _promise(context, len(fillers))), []).append(context)
    rules = [_rules(added[where], where, tally) for where in PLACES]
    ordered = merge(*(_promised(rules[where], where, promise) for where, promise in kinds))
    for held, filler, where, promise, chance, reason in ordered:
        for context in kinds[where, promise]:
            left, _, right = context.partition(GAP)
            if _fits(left, filler):
                yield held, left + filler + right, reason, chance


def _rules(chances: dict[str, float], where: int, tally: Tally) -> list[tuple[float, str, float, Reason]]:
    """The fillers of a place by what is held of them now."""
    rules = []
    for filler, chance in chances.items():
        usual = USUAL[where].get(filler)
        reason: Reason = (where, usual.kind, usual.join) if usual else (where,)
        rules.append((-chance * tally.ratio(reason), filler, chance, reason))
    rules.sort()
    return rules


def _promised(
    rules: list[tuple[float, str, float, Reason]], where: int, promise: float
) -> Iterator[tuple[float, str, int, float, float, Reason]]:
    for held, filler, chance, reason in rules:
        yield held * promise, filler, where, promise, chance * promise, reason


def _promise(context: str, fillers: int) -> float:
    """How much likelier than usual something fits here: more where names have variants, less where they are long.

    In lists of real names, a name of one word has 0.7 variants by the vocabulary, one of two words 0.4, one with a
    number 0.15; a level deeper it is less than half of that.
    """
    promise = _family(fillers) * 0.55 ** min(context.count("-"), 3) * (1.0, 0.4, 0.15)[min(context.count("."), 2)]
    return promise * 0.35 if any(digit in context for digit in "0123456789") else promise


def _family(fillers: int) -> float:
    if fillers <= 1 or fillers > _CROWDED:
        return 1.0
    return 1.5 if fillers == 2 else 2.2 if fillers <= 4 else 3.0


def _fits(left: str, filler: str) -> bool:
    """A number put behind a number would be another number."""
    return not (left and filler and left[-1].isdigit() and filler[0].isdigit())
