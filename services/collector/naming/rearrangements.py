"""The same words in another order, or joined in another way."""

from collections import Counter
from collections.abc import Container, Iterator

from services.collector.naming.habits import Habits
from services.collector.naming.tokens import text_of

_JOINS = ("-", ".", "")
_HITS = 0.5
_DOUBT = 25
_SUREST = 0.9

Way = tuple[str, str, bool]


def rearrange(habits: Habits, fresh: Container[str]) -> Iterator[tuple[str, float]]:
    """Fresh names with the first two words swapped or joined otherwise, as likely as each way of it is seen here."""
    names = {"".join(parts) for parts in habits.names}
    tried: Counter[Way] = Counter()
    hits: Counter[Way] = Counter()
    found: list[tuple[str, Way]] = []
    for parts in habits.names:
        for name, way in _ways(parts):
            tried[way] += 1
            if name in names:
                hits[way] += 1
            elif "".join(parts) in fresh:
                found.append((name, way))
    for name, way in found:
        yield name, min(_SUREST, (hits[way] + _HITS) / (tried[way] + _DOUBT))


def _ways(parts: list[str]) -> Iterator[tuple[str, Way]]:
    if len(parts) < 2 or parts[0].isdigit() or text_of(parts[1]).isdigit():
        return
    first, second, rest = parts[0], text_of(parts[1]), "".join(parts[2:])
    join = parts[1][: len(parts[1]) - len(second)]
    for other in _JOINS:
        if other != join:
            yield first + other + second + rest, (join, other, False)
        yield second + other + first + rest, (join, other, True)
