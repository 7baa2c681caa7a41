"""Which of two versions of a product is the later one."""

import re
from typing import Final

_PIECES: Final = re.compile(r"\d+|[a-z]+", re.IGNORECASE)
#: What stands before a release of the same numbers.
_BEFORE: Final = frozenset({"a", "alpha", "b", "beta", "dev", "pre", "preview", "rc", "snapshot"})

Order = tuple[tuple[int, int, str], ...]


def version_order(version: str) -> Order:
    """What versions are ordered by: ``1.0rc1`` is before ``1.0``, that before ``1.0p1``, and all before ``1.0.1``."""
    order: list[tuple[int, int, str]] = []
    pieces = _PIECES.findall(version[:200].casefold().lstrip("v"))
    release = next((place for place, piece in enumerate(pieces) if not piece.isdigit()), len(pieces))
    numbers = [(2, int(piece[:18]), "") for piece in pieces[:release]]
    while numbers and numbers[-1][1] == 0:
        numbers.pop()
    for piece in pieces[release:]:
        if piece.isdigit():
            order.append((2, int(piece[:18]), ""))
        else:
            order.append((-1 if piece in _BEFORE else 1, 0, piece))
    return (*numbers, *order, (0, 0, ""))
