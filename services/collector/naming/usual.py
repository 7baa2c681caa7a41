"""How usual the words of the vocabulary are in each place of a name, as far as anybody can know beforehand."""

from typing import Final

from msgspec import Struct

from services.collector.naming.habits import ABOVE, FRONT, MIDDLE, PLACES, TAIL
from services.collector.naming.vocabulary import ENVIRONMENTS, NUMBERS, REGIONS, ROLES

_WORDS = {"environment": ENVIRONMENTS, "region": REGIONS, "role": ROLES, "number": NUMBERS}

# Of all gaps in a place, the share in which a word of a class stands, by the join between word and name.
_RATES = {
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


class Usual(Struct, frozen=True):
    """A word of the vocabulary in a place: its class and share of it, its join, and its chance in a gap there."""

    where: int
    kind: str
    join: str
    word: str
    share: float
    chance: float


def _fillers(where: int) -> dict[str, Usual]:
    found: dict[str, Usual] = {}
    for kind, joins in _RATES[where].items():
        whole = sum(_WORDS[kind].values())
        for join, rate in joins.items():
            for word, weight in _WORDS[kind].items():
                share = weight / whole
                filler = word + join if where == FRONT else join + word
                if filler not in found or found[filler].chance < rate * share:
                    found[filler] = Usual(where, kind, join, word, share, rate * share)
    return found


#: By place, the fillers that the vocabulary makes.
USUAL: Final = tuple(_fillers(where) for where in PLACES)
