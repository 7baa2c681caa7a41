"""Parts of a graph that nothing connects, side by side: the largest first, in rows."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.visualization.domain.network import Floats, Ints

GAP: Final = 1.0
#: How much wider than high the whole is, as screens are.
SHAPE: Final = 1.6


def packed(at: Floats, radius: Floats, part: Ints, stays: NDArray[np.bool_], *, turn: bool = True) -> Floats:
    """Move each part to a place of its own; those of nodes that stay are where they are, the others below them."""
    if not len(at):
        return at
    moving = np.unique(part[~stays])
    if turn and not stays.any():
        at = _turned(at, part)
    low, high = _boxes(at, radius, part)
    size = high - low + GAP
    order = moving[np.lexsort((moving, -size[moving, 0] * size[moving, 1]))]
    width = max(float(np.sqrt((size[order, 0] * size[order, 1]).sum() * SHAPE)), float(size[order, 0].max(initial=0.0)))
    corner = np.zeros((len(size), 2))
    x = y = row = 0.0
    for number in order[np.argsort(-size[order, 1], kind="stable")]:
        if x and x + size[number, 0] > width:
            x, y, row = 0.0, y + row, 0.0
        corner[number] = (x, y)
        x += size[number, 0]
        row = max(row, float(size[number, 1]))
    if stays.any():
        corner += (float((at - radius[:, None])[stays, 0].min()), float((at + radius[:, None])[stays, 1].max()) + GAP)
    shift = corner - low
    return np.where(stays[:, None], at, at + shift[part])


def _turned(at: Floats, part: Ints) -> Floats:
    """Turn each part round its middle until its longest side lies flat."""
    count = np.bincount(part)
    middle = np.stack([np.bincount(part, at[:, axis]) / count for axis in (0, 1)], axis=1)
    placed = at - middle[part]
    x, y = placed[:, 0], placed[:, 1]
    angle = 0.5 * np.arctan2(2 * np.bincount(part, x * y), np.bincount(part, x * x - y * y))
    across, up = np.cos(angle)[part], np.sin(angle)[part]
    return np.stack([x * across + y * up, y * across - x * up], axis=1)


def _boxes(at: Floats, radius: Floats, part: Ints) -> tuple[Floats, Floats]:
    parts = int(part.max()) + 1
    low, high = np.full((parts, 2), np.inf), np.full((parts, 2), -np.inf)
    np.minimum.at(low, part, at - radius[:, None])
    np.maximum.at(high, part, at + radius[:, None])
    return low, high
