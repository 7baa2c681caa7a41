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
    for piece in _PIECES.findall(version[:200].casefold().lstrip("v")):
        if piece.isdigit():
            order.append((2, int(piece[:18]), ""))
        else:
            order.append((-1 if piece in _BEFORE else 1, 0, piece))
    while order and order[-1] == (2, 0, ""):
        order.pop()
    return (*order, (0, 0, ""))
