"""Names that may exist because of those that do, tried in rounds."""

import re
from collections.abc import Iterable, Iterator, Sequence

from services.collector.naming.habits import GAP, fillings, learn, place
from services.collector.naming.ranking import rank
from services.collector.naming.tally import Seen, Tally
from services.collector.naming.tokens import is_noise, split
from services.collector.naming.usual import USUAL

MAX_LEARNT = 5_000

_MAX_NAME = 253
# What no name may be, and what none is: one word twice in a row.
_malformed = re.compile(
    r"^$|\.$|(?:^|\.)[-._]|[-_](?:\.|$)|---|[a-z0-9_-]{64}|(?:^|[.-])([a-z]+)[.-]\1(?![a-z0-9])"
).search


class Guesser:
    """Candidates below ``zone`` that follow from ``names``, the most promising first; no name is given twice.

    Habits are learnt from all names; nothing is added to those that are ``dead``, and where ``fresh`` ones are given,
    only what follows from those is. What is given depends on what the guesser was told and on nothing else, so that
    a replay asks the same. Memory grows with the names learnt from, `MAX_LEARNT` at most, not with the candidates.
    """

    def __init__(
        self, names: Iterable[str], zone: str, *, dead: Iterable[str] = (), fresh: Iterable[str] | None = None
    ) -> None:
        self._suffix = f".{zone}"
        self._known = self._relative(names)
        self._fresh = self._known if fresh is None else self._relative(fresh)
        self._dead = self._relative(dead)
        self._seen = Seen()
        self._tally = Tally()
        for name in sorted(self._known):
            self._seen.add(name)

    def guess(self, count: int) -> Iterator[str]:
        """Up to ``count`` more names."""
        self._tally.begin()
        longest = _MAX_NAME - len(self._suffix)
        for _, name, reason, chance in rank(learn(self._telling()), self._tally, self._fresh, self._dead):
            if count <= 0:
                return
            if len(name) <= longest and self._seen.add(name) and not _malformed(name):
                self._tally.tried(name, reason, chance)
                count -= 1
                yield name + self._suffix

    def tell(self, found: Iterable[str]) -> None:
        """Take in which of the last round's names exist."""
        names = sorted(self._relative(found))
        self._tally.found(names)
        for name in names:
            words = [
                usual
                for context, filler in fillings(split(name))
                if (usual := USUAL[place(context)].get(filler)) and context.replace(GAP, "") in self._known
            ]
            for usual in words:
                self._tally.found_word(usual, 1 / len(words))
        self._known.update(names)
        self._fresh.update(names)

    def _relative(self, names: Iterable[str]) -> set[str]:
        return {name[: -len(self._suffix)] for name in names if name.endswith(self._suffix)}

    def _telling(self) -> Sequence[str]:
        """The names to learn from: those that people chose, in a fixed order, evenly thinned when too many."""
        telling = sorted(name for name in self._known if name and not is_noise(name))
        return telling[:: -(-len(telling) // MAX_LEARNT) or 1]
