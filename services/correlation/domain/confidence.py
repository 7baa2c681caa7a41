"""How sure one can be of what was said, as a number that opens into its terms.

A *word* is one source saying one thing at one time. Its strength is

    reliability of the source · how sure the source says it is · freshness

where freshness halves with each half-life since it was asked, or since the end of what it says. Of the words of one
origin the strongest counts alone: who repeats another adds nothing. Independent origins are combined as Dempster's rule
combines simple support functions (Shafer, A Mathematical Theory of Evidence, 1976, chapters 4 and 5; the noisy-or of
Pearl, 1988): each leaves something open, and what all leave open is the product of that,

    support = 1 - Π (1 - strength of an origin)          weight = -Σ ln (1 - strength)          odds = e^weight - 1

Odds are support / (1 - support), without what is lost where that is small. Values that exclude one another, and the
word that there is none, are rivals. The same rule, over all of them, has a closed form:

    confidence = odds / (1 + its odds + the odds of all rivals)

So without a rival confidence is support, one more origin that agrees never lowers it, one that contradicts never raises
it, and neither order nor repetition matters. No origin's strength is above `STRONGEST`, so that no word is beyond doubt
and no number is 100. Everything is calculated anew from the words, so a source that is left out leaves no trace.

Where a source has been asked again since (in another scan) and says something else that excludes it, its older word is
*superseded* and counts no longer: a change is no contradiction.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from math import exp2, expm1, fsum, log1p
from typing import Final, Literal, Protocol, TypeVar

import msgspec
from msgspec import Struct

from services.contracts.attributes import ATTRIBUTES
from services.contracts.claims import Value
from services.contracts.resources.storage import EntityFacts, SaidAbsence, SaidBy, SaidValue
from services.correlation.domain.origins import source_of
from services.correlation.domain.policy import EXISTS, USUAL, Policy

STRONGEST: Final = 0.99
#: A weight above this counts as this: a hundred origins and more agree, and nothing is left to tell.
MOST_WEIGHT: Final = 700.0
_DAY: Final = 86_400_000_000

Omitted = Literal["", "same_origin", "superseded"]
_encode = msgspec.json.Encoder().encode


class Saying(Protocol):
    """What every form of a word has; times are UTC microseconds, ``confidence`` is the source's own, of 100."""

    @property
    def module(self) -> str: ...
    @property
    def version(self) -> int: ...
    @property
    def at(self) -> int: ...
    @property
    def confidence(self) -> int: ...
    @property
    def valid_to(self) -> int | None: ...


class Word(Struct, frozen=True, gc=False):
    """A word with the scan in which it was said."""

    module: str
    version: int
    at: int
    confidence: int = 100
    valid_to: int | None = None
    scan: bytes = b""
    evidence: tuple[str, ...] = ()


W = TypeVar("W", bound=Saying)


class Term(Struct, frozen=True):
    """What one word adds: ``strength`` is the product of the other three; ``omitted`` says why it does not count."""

    word: Word
    origin: str
    reliability: float
    freshness: float
    strength: float
    omitted: Omitted = ""


class Weighed(Struct, frozen=True):
    """One of the values that were said, or that there is none (``absent``), with what speaks for it and against it."""

    value: Value | None
    absent: bool
    confidence: float
    odds: float
    against: float
    wins: bool
    terms: tuple[Term, ...]

    @property
    def support(self) -> float:
        return self.odds / (1 + self.odds)


def number(confidence: float) -> int:
    """0 to 99."""
    return min(99, int(100 * confidence + 0.5))


def odds_of(weight: float) -> float:
    return expm1(min(weight, MOST_WEIGHT))


def confidence_of(odds: float, rivals: Iterable[float] = ()) -> float:
    """What is left of some odds beside those of rivals."""
    return odds / fsum((1.0, odds, *rivals))


class _Sources(dict[str, tuple[str, float]]):
    """Origin and reliability by module, looked up once."""

    def __init__(self, policy: Policy) -> None:
        super().__init__()
        self._policy = policy

    def __missing__(self, module: str) -> tuple[str, float]:
        self[module] = found = (source_of(module).origin, self._policy.reliability_of(module))
        return found


class _Decays(dict[str, float]):
    """Half-lives by what is said, as the reciprocal in microseconds; 0 where it does not fade."""

    def __init__(self, policy: Policy) -> None:
        super().__init__()
        self._policy = policy

    def __missing__(self, predicate: str) -> float:
        days = self._policy.half_life_of(predicate)
        self[predicate] = found = 1 / (days * _DAY) if days else 0.0
        return found


class Judge:
    """Judges words by a policy, at an instant (UTC microseconds).

    `number_of`, `exists` and `winner` are for millions of claims; `weigh` also gives the terms.
    """

    def __init__(self, policy: Policy = USUAL, *, now: int) -> None:
        self.policy = policy
        self.now = now
        self._sources = _Sources(policy)
        self._decays = _Decays(policy)

    def weight_of(self, predicate: str, said: Collection[Saying]) -> float:
        """The weight of what independent origins say of ``predicate``: 0 where nobody says it."""
        decay, now, sources = self._decays[predicate], self.now, self._sources
        best: dict[str, float] = {}
        for word in said:
            origin, strength = sources[word.module]
            strength *= word.confidence / 100
            if decay:
                at, end = word.at, word.valid_to
                age = now - (end if end is not None and end < at else at)
                if age > 0:
                    strength *= exp2(-age * decay)
            if strength > best.get(origin, 0.0):
                best[origin] = min(STRONGEST, strength)
        if len(best) < 2:
            return -log1p(-next(iter(best.values()), 0.0))
        return -fsum([log1p(-strength) for strength in best.values()])

    def number_of(self, predicate: str, said: Collection[Saying], absent: Collection[Saying] = ()) -> int:
        """How sure one can be of a relation, an existence or one of many values: 0 to 99."""
        odds = odds_of(self.weight_of(predicate, said))
        if not absent:
            return min(99, int(100 * (odds / (1 + odds)) + 0.5))
        return number(confidence_of(odds, [odds_of(self.weight_of(predicate, absent))]))

    def exists(self, facts: EntityFacts, related: Collection[Saying] = ()) -> int:
        """How sure one can be that an entity exists: who names it says so, as does who says what it is like.

        ``related``: who says how it relates to others.
        """
        absent = absences(facts, EXISTS)
        if facts.attributes or related:
            words = [*facts.said, *related, *(word for value in facts.attributes for word in value.said)]
            return self.number_of(EXISTS, words, absent)
        return self.number_of(EXISTS, facts.said, absent)

    def winner(self, facts: EntityFacts, name: str) -> tuple[SaidValue, int] | None:
        """The value of an attribute that one can be surest of, and how sure; None where nobody gives one."""
        values = [value for value in facts.attributes if value.name == name]
        if not values:
            return None
        absent = absences(facts, name)
        if len(values) == 1:
            (only,) = values
            return only, self.number_of(name, only.said, absent)
        weights = [self.weight_of(name, value.said) for value in values]
        place = weights.index(max(weights))
        best = values[place]
        if weights.count(weights[place]) > 1:
            ranked = self.weigh(name, {value.value: _words(value.said) for value in values}, _words(absent))
            first = next(each.value for each in ranked if not each.absent)
            best = next(value for value in values if value.value == first)
        if ATTRIBUTES[name].many:
            return best, self.number_of(name, best.said, absent)
        rivals = [*weights[:place], *weights[place + 1 :], self.weight_of(name, absent)]
        return best, number(confidence_of(odds_of(weights[place]), map(odds_of, rivals)))

    def weigh(
        self, predicate: str, values: Mapping[Value, Sequence[Word]], absent: Sequence[Word] = ()
    ) -> list[Weighed]:
        """All that was said of one predicate, the surest first, each with its terms.

        Values of an attribute of which there is one exclude one another; others are excluded by an absence alone.
        """
        known = ATTRIBUTES.get(predicate)
        if known is None or known.many:
            every = [
                self._weigh(predicate, [(value, False, words), (None, True, absent)])[0]
                for value, words in values.items()
            ]
            if absent:
                told = [word for words in values.values() for word in words]
                every.append(self._weigh(predicate, [(None, True, absent), (None, False, told)])[0])
        else:
            every = self._weigh(
                predicate, [*((value, False, words) for value, words in values.items()), (None, True, absent)]
            )
        return sorted((each for each in every if each.terms), key=_rank)

    def _weigh(self, predicate: str, rivals: Sequence[tuple[Value | None, bool, Sequence[Word]]]) -> list[Weighed]:
        """Weigh what excludes one another."""
        current = _current_scans([word for _, _, words in rivals for word in words])
        terms = [self._terms(predicate, words, current) for _, _, words in rivals]
        odds = [odds_of(-fsum(log1p(-term.strength) for term in each if not term.omitted)) for each in terms]
        best = min(
            (_standing(odds[place], terms[place], value, absent) for place, (value, absent, _) in enumerate(rivals)),
        )
        weighed = []
        for place, (value, absent, _) in enumerate(rivals):
            against = fsum(sorted(odds[:place] + odds[place + 1 :]))
            weighed.append(
                Weighed(
                    value=value,
                    absent=absent,
                    confidence=confidence_of(odds[place], sorted(odds[:place] + odds[place + 1 :])),
                    odds=odds[place],
                    against=against,
                    wins=_standing(odds[place], terms[place], value, absent) == best and odds[place] > 0,
                    terms=tuple(terms[place]),
                )
            )
        return weighed

    def _terms(self, predicate: str, words: Sequence[Word], current: Mapping[str, bytes]) -> list[Term]:
        """The terms of one statement, those that count first, then by strength."""
        repeated = {word.module for word in words if current[word.module] == word.scan}
        terms = sorted(
            (
                self._term(
                    predicate,
                    word,
                    ""
                    if current[word.module] == word.scan
                    else ("same_origin" if word.module in repeated else "superseded"),
                )
                for word in words
            ),
            key=lambda term: (bool(term.omitted), -term.strength, -term.word.at, term.word.module, _encode(term.word)),
        )
        heard: set[str] = set()
        for place, term in enumerate(terms):
            if not term.omitted and term.origin in heard:
                terms[place] = msgspec.structs.replace(term, omitted="same_origin")
            heard.add(term.origin)
        return sorted(terms, key=lambda term: bool(term.omitted))

    def _term(self, predicate: str, word: Word, omitted: Omitted) -> Term:
        origin, reliability = self._sources[word.module]
        since = word.at if word.valid_to is None else min(word.at, word.valid_to)
        age, decay = self.now - since, self._decays[predicate]
        freshness = exp2(-age * decay) if age > 0 and decay else 1.0
        return Term(
            word=word,
            origin=origin,
            reliability=reliability,
            freshness=freshness,
            strength=min(reliability * (word.confidence / 100) * freshness, STRONGEST),
            omitted=omitted,
        )


def absences(facts: EntityFacts, predicate: str) -> tuple[SaidBy, ...]:
    """Who said of an entity that there is none of ``predicate``."""
    found: SaidAbsence | None = next((each for each in facts.absences if each.predicate == predicate), None)
    return () if found is None else found.said


def _words(said: Iterable[SaidBy]) -> list[Word]:
    return [Word(word.module, word.version, word.at, word.confidence, word.valid_to) for word in said]


def _current_scans(words: Iterable[Word]) -> dict[str, bytes]:
    """By module the scan in which it was last asked: only what it said there is its word of today."""
    last: dict[str, tuple[int, bytes]] = {}
    for word in words:
        last[word.module] = max(last.get(word.module, (word.at, word.scan)), (word.at, word.scan))
    return {module: scan for module, (_, scan) in last.items()}


def _standing(odds: float, terms: Sequence[Term], value: Value | None, absent: bool) -> tuple[object, ...]:
    """What the best of has the least of: odds, then independent origins, then the newest word, then the value."""
    counting = [term for term in terms if not term.omitted]
    newest = max((term.word.at for term in counting), default=0)
    return -odds, -len(counting), -newest, absent, _encode(value)


def _rank(weighed: Weighed) -> tuple[object, ...]:
    return (-weighed.confidence, *_standing(weighed.odds, weighed.terms, weighed.value, weighed.absent))
