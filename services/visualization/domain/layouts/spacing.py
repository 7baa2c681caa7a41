"""Room between nodes: places that are evenly apart to begin with, and discs that are pushed apart in the end."""

from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from services.visualization.domain.layouts.repulsion import squared, summed
from services.visualization.domain.network import Floats, ranges

#: The golden angle, by which each place of a spiral is turned on from the one before.
TURN: Final = np.pi * (3 - np.sqrt(5.0))
STEPS: Final = 25
#: Of what is crowded into one cell each looks at so many.
CROWD: Final = 24
#: A disc this many times larger than the middle one is compared with every other.
LARGE: Final = 4.0


def golden(number: NDArray[Any]) -> Floats:
    """The place with a number on a spiral on which all are about equally far apart; 0 is the middle."""
    distance = np.sqrt(number.astype(np.float64))
    angle = number * TURN
    return np.stack([distance * np.cos(angle), distance * np.sin(angle)], axis=1)


def spread(at: Floats, radius: Floats, check: Callable[[], None], *, move: Floats | None = None) -> Floats:
    """Push discs apart that overlap, as far as some steps bring it; ``move``: how readily each one goes."""
    if len(at) < 2:
        return at
    willing = (1.0 if move is None else move) / radius
    small = radius <= LARGE * float(np.median(radius))
    large = np.flatnonzero(~small)
    one, other = np.triu_indices(len(large), 1)
    for _ in range(STEPS):
        check()
        pairs = (_near(at, small, float(radius[small].max())), _reached(at, radius, small, large))
        first = np.concatenate([pairs[0][0], pairs[1][0], large[one]])
        second = np.concatenate([pairs[0][1], pairs[1][1], large[other]])
        apart = at[second] - at[first]
        length = np.sqrt(squared(apart))
        over = radius[first] + radius[second] - length
        hit = over > 1e-3
        if not hit.any():
            break
        first, second, apart, length, over = first[hit], second[hit], apart[hit], length[hit], over[hit]
        same = length < 1e-6
        apart[same] = golden(second[same] % 97 + 1)
        length[same] = np.sqrt(squared(apart[same]))
        share = willing[first] / (willing[first] + willing[second])
        push = apart * (over / length)[:, None]
        at = at - summed(first, push * share[:, None], len(at)) + summed(second, push * (1 - share)[:, None], len(at))
    return at


def _reached(
    at: Floats, radius: Floats, small: NDArray[np.bool_], large: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs of a large disc and a small one that are not further apart across than they reach."""
    nodes = np.flatnonzero(small)
    nodes = nodes[np.argsort(at[nodes, 0], kind="stable")]
    across, reach = at[nodes, 0], radius[large] + float(radius[small].max())
    begin = np.searchsorted(across, at[large, 0] - reach)
    count = np.searchsorted(across, at[large, 0] + reach) - begin
    return np.repeat(large, count), nodes[ranges(begin, count)]


def _near(at: Floats, small: NDArray[np.bool_], radius: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs of small discs in the same or neighbouring squares, each once."""
    nodes = np.flatnonzero(small)
    cell = np.floor((at[nodes] - at[nodes].min(axis=0)) / (2 * radius)).astype(np.int64)
    rows = int(cell[:, 1].max()) + 3
    key = cell[:, 0] * rows + cell[:, 1]
    order = np.argsort(key, kind="stable")
    nodes, key = nodes[order], key[order]
    firsts, seconds = [], []
    for step in (0, 1, rows - 1, rows, rows + 1):
        begin = np.searchsorted(key, key + step, "left")
        end = np.searchsorted(key, key + step, "right")
        if step == 0:
            begin = np.arange(1, len(nodes) + 1)
        count = np.minimum(end - begin, CROWD)
        firsts.append(np.repeat(nodes, count))
        seconds.append(nodes[ranges(begin, count)])
    return np.concatenate(firsts), np.concatenate(seconds)
