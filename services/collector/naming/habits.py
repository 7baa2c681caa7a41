"""What the known names say about how names are made here.

A name is cut at every piece into what is left of it, a *filler* and what is right of it; left and right are a
*context*. ``api-dev.eu`` has the filler ``-dev`` in the context ``api`` … ``.eu``, ``api-`` in nothing … ``dev.eu``,
and no filler in ``api`` … ``-dev.eu``. Fillers that share contexts replace each other: where ``-dev`` was seen,
``-prod`` is likely; where nothing was, ``-dev`` may be added. That one idea covers affixes, environments, regions,
levels and parts left out, in the words and with the joins that are used here.
"""

from collections import Counter
from collections.abc import Iterator, Sequence

from msgspec import Struct

from services.collector.naming.tokens import count_words, cut, split, text_of

FRONT, TAIL, MIDDLE, ABOVE = range(4)
PLACES = (FRONT, TAIL, MIDDLE, ABOVE)

GAP = "\0"
"""Stands for the filler in a context, which is one text: ``left + GAP + right``."""

# In a context that nearly everything fits into, two fillers side by side say little of each other.
_TELLING = 16
_CROWDED = 60


class Habits(Struct, frozen=True):
    """What `learn` has counted.

    ``contexts``: the fillers seen in each. By place: ``seen``, in how many contexts a filler occurs (the empty one
    counts the gaps that can be filled), and ``together``, in how many two occur, less for crowded contexts.
    """

    names: list[list[str]]
    contexts: dict[str, list[str]]
    seen: tuple[Counter[str], ...]
    together: tuple[dict[str, dict[str, float]], ...]


def learn(names: Sequence[str]) -> Habits:
    """The habits in names relative to their zone."""
    pieces = [split(name) for name in names]
    words = count_words(pieces)
    pieces = [cut(parts, words) for parts in pieces]
    contexts: dict[str, list[str]] = {}
    shared: dict[str, str] = {}
    for parts in pieces:
        for context, filler in fillings(parts):
            contexts.setdefault(context, []).append(shared.setdefault(filler, filler))
    seen = tuple(Counter[str]() for _ in PLACES)
    together: tuple[dict[str, dict[str, float]], ...] = tuple({} for _ in PLACES)
    for context, fillers in contexts.items():
        where = place(context)
        seen[where].update(fillers)
        if 1 < len(fillers) <= _CROWDED:
            _count_pairs(together[where], fillers)
    return Habits(pieces, contexts, seen, together)


def place(context: str) -> int:
    """Where in a name a context has its gap: before it, at the end of its first label, inside that, or in a parent."""
    gap = context.index(GAP)
    if not gap:
        return FRONT
    if context.find(".", 0, gap) >= 0:
        return ABOVE
    return TAIL if gap == len(context) - 1 or context[gap + 1] == "." else MIDDLE


def fillings(parts: list[str]) -> Iterator[tuple[str, str]]:
    """Every (context, filler) of a name: with nothing, one piece, two pieces, or the first label taken out."""
    name = "".join(parts)
    count = len(parts)
    yield GAP + name, ""
    ends = [0]
    for piece in parts:
        end = ends[-1] + len(piece)
        ends.append(end)
        yield name[:end] + GAP + name[end:], ""
    for width in (1, 2):
        for start in range(1, count - width + 1):
            begin, end = ends[start], ends[start + width]
            yield name[:begin] + GAP + name[end:], name[begin:end]
    if count == 1:
        yield GAP, name
    first_label = next((at for at, piece in enumerate(parts) if at and piece[0] == "."), count)
    for width in sorted({1, 2, first_label}):
        if width < count:
            end = ends[width] + len(parts[width]) - len(text_of(parts[width]))
            yield GAP + name[end:], name[:end]


def _count_pairs(together: dict[str, dict[str, float]], fillers: list[str]) -> None:
    weight = min(1.0, _TELLING / len(fillers))
    for one in fillers:
        others = together.setdefault(one, {})
        for other in fillers:
            if other is not one:
                others[other] = others.get(other, 0.0) + weight
