"""Names that may exist because of those that do, the most promising first."""

import re
from collections.abc import Iterable, Iterator, Sequence
from heapq import merge, nlargest
from operator import itemgetter

from services.collector.naming.chances import additions, either, likely, replacements
from services.collector.naming.habits import GAP, PLACES, Habits, learn, place
from services.collector.naming.rearrangements import rearrange
from services.collector.naming.sequences import continue_sequences
from services.collector.naming.tokens import is_noise

MAX_LEARNT = 5_000
_MOST_WEIGHED = 40_000
_SUREST = 0.95
_CROWDED = 150

_MAX_NAME = 253
# What no name may be, and what none is: one word twice in a row.
_malformed = re.compile(r"(?:^|\.)[-._]|[-_](?:\.|$)|---|[a-z0-9_-]{64}|(?:^|[.-])([a-z]+)[.-]\1(?![a-z0-9])").search


def candidates(names: Iterable[str], zone: str, limit: int, asked: set[int]) -> Iterator[str]:
    """Up to ``limit`` names below ``zone`` that follow from ``names``.

    ``asked`` are the hashes of names that are not to be yielded, in which every yielded one is noted; hand it on to get
    the next ones. Order and selection depend on the names and on what was asked alone. What is held in memory grows
    with the names learnt from, `MAX_LEARNT` at most, and with ``asked``.
    """
    suffix = f".{zone}"
    known = {name[: -len(suffix)] for name in names if name.endswith(suffix)}
    asked.update(map(hash, known))
    longest = _MAX_NAME - len(suffix)
    left = limit
    for name in _ranked(learn(_telling(known))):
        key = hash(name)
        if key in asked or len(name) > longest or _malformed(name):
            continue
        if left <= 0:
            return
        asked.add(key)
        left -= 1
        yield name + suffix


def _telling(known: set[str]) -> Sequence[str]:
    """The names to learn from: those that people chose, in a fixed order, evenly thinned when there are too many."""
    telling = sorted(name for name in known if name and not is_noise(name))
    return telling[:: -(-len(telling) // MAX_LEARNT) or 1]


def _ranked(habits: Habits) -> Iterator[str]:
    """Candidates by falling chance: those with reasons of their own, merged with the stream of general additions."""
    added = [additions(habits, where) for where in PLACES]
    weighed = _weighed(habits, added)
    ranked = sorted(weighed)
    ranked.sort(key=weighed.__getitem__, reverse=True)
    supported = ((-weighed[name], name) for name in ranked)
    return map(itemgetter(1), merge(supported, _general(habits, added), key=itemgetter(0)))


def _weighed(habits: Habits, added: list[dict[str, float]]) -> dict[str, float]:
    """Chances of the candidates that habits speak for; independent reasons add up."""
    chances: dict[str, float] = {}
    rules = [{**replacements(habits, where), "": likely(added[where])} for where in PLACES]
    for context, fillers in habits.contexts.items():
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
    for name, chance in (*continue_sequences(habits), *rearrange(habits)):
        chances[name] = either(chances.get(name, 0.0), chance)
    return chances


def _general(habits: Habits, added: list[dict[str, float]]) -> Iterator[tuple[float, str]]:
    """Every addition to every name, by falling chance: one rule and one kind of context after the other."""
    kinds: dict[tuple[int, float], list[str]] = {}
    for context, fillers in habits.contexts.items():
        if "" in fillers:
            kinds.setdefault((place(context), _promise(context, len(fillers))), []).append(context)
    fillers_of = [sorted(chances, key=chances.__getitem__, reverse=True) for chances in added]
    rules = merge(*(_rules(fillers_of[where], added[where], where, promise) for where, promise in kinds))
    for rank, filler, where, promise in rules:
        for context in kinds[where, promise]:
            left, _, right = context.partition(GAP)
            if _fits(left, filler):
                yield rank, left + filler + right


def _rules(
    fillers: list[str], chances: dict[str, float], where: int, promise: float
) -> Iterator[tuple[float, str, int, float]]:
    for filler in fillers:
        yield -chances[filler] * promise, filler, where, promise


def _promise(context: str, fillers: int) -> float:
    """How much likelier than usual something fits here: more where names have variants, less where they are long."""
    joints = context.count("-") + context.count(".")
    return _family(fillers) * (1.0, 0.8, 0.5, 0.25)[min(joints, 3)]


def _family(fillers: int) -> float:
    if fillers <= 1 or fillers > _CROWDED:
        return 1.0
    return 1.5 if fillers == 2 else 2.2 if fillers <= 4 else 3.0


def _fits(left: str, filler: str) -> bool:
    """A number put behind a number would be another number."""
    return not (left and filler and left[-1].isdigit() and filler[0].isdigit())
