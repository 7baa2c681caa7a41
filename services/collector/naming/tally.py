"""What came of the candidates so far, by the reason they were tried for."""

from array import array
from collections import defaultdict
from collections.abc import Iterable
from zlib import crc32

from services.collector.naming.usual import Usual

# Hits of doubt against each reason, and against each word of a class.
_DOUBT = 1.0
_DOUBT_WORD = 15.0

Reason = tuple[str | int, ...]


class Tally:
    """Candidates tried and names found, by reason: a class of words with its join in a place, or a band of chances."""

    def __init__(self) -> None:
        self._expected: defaultdict[Reason, float] = defaultdict(float)
        self._hits: defaultdict[Reason, int] = defaultdict(int)
        self._words: defaultdict[tuple[str, str], float] = defaultdict(float)
        self._kinds: defaultdict[str, float] = defaultdict(float)
        self._reasons: dict[Reason, int] = {}
        self._tried = array("I")
        self._tried_for = array("H")

    def begin(self) -> None:
        """Forget which candidates were tried; what came of them is kept."""
        del self._tried[:], self._tried_for[:]

    def tried(self, name: str, reason: Reason, chance: float) -> None:
        self._expected[reason] += chance
        self._tried.append(crc32(name.encode()))
        self._tried_for.append(self._reasons.setdefault(reason, len(self._reasons)))

    def found(self, names: Iterable[str]) -> None:
        """Count hits for the reasons of those names that were tried since `begin`."""
        wanted = {crc32(name.encode()) for name in names}
        reasons = list(self._reasons)
        for at, key in enumerate(self._tried):
            if key in wanted:
                self._hits[reasons[self._tried_for[at]]] += 1

    def found_word(self, usual: Usual, share: float) -> None:
        """Count a hit of a word, or a share of one where several explain the name."""
        self._words[usual.kind, usual.word] += share
        self._kinds[usual.kind] += share

    def ratio(self, reason: Reason) -> float:
        """How much likelier than was expected candidates for this reason proved."""
        return (self._hits[reason] + _DOUBT) / (self._expected[reason] + _DOUBT)

    def chance(self, usual: Usual) -> float:
        """The chance of a word in its place: higher when the word had hits here, in whatever place."""
        hits = _DOUBT_WORD * usual.share + self._words[usual.kind, usual.word]
        return usual.chance * hits / ((_DOUBT_WORD + self._kinds[usual.kind]) * usual.share)


class Seen:
    """A set of names in 4 MB, however many are in it: of 400,000 it holds one in 1,600 to be in it that is not."""

    _BITS = 25

    def __init__(self) -> None:
        self._bits = bytearray(1 << self._BITS - 3)
        self._mask = (1 << self._BITS) - 1

    def add(self, name: str) -> bool:
        """Whether the name is new; it is none from then on. The same names are taken for seen in every process."""
        key = crc32(name.encode())
        first, second = key & self._mask, (key * 0x9E3779B1 >> 7) & self._mask
        bits = self._bits
        one, other = 1 << (first & 7), 1 << (second & 7)
        if bits[first >> 3] & one and bits[second >> 3] & other:
            return False
        bits[first >> 3] |= one
        bits[second >> 3] |= other
        return True
