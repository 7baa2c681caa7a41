"""How many instances a service needs: by the work that waits for it and by how busy its instances are.

Up at once and by twice at most, down by one and only after a while in which fewer would have done: work that comes in
waves keeps what the last wave needed.
"""

import math
from collections import deque
from typing import Final

from msgspec import Struct

#: Seconds of work that may wait for consumers before more of them are begun.
BEHIND: Final = 20.0
#: The part of a core that an instance may be busy with before more of them are begun.
BUSY: Final = 0.75
#: Seconds after a change in which nothing more is begun, and for which fewer must have done before one is ended.
SETTLES: Final = 20.0
LINGERS: Final = 120.0


class Bounds(Struct, frozen=True):
    """The fewest and the most instances that there may be."""

    least: int
    most: int

    def limit(self, count: int) -> int:
        return max(self.least, min(self.most, count))


class Load(Struct, frozen=True):
    """What was seen of a service's instances within the last seconds.

    ``count``: instances that are well. ``waiting``: messages not handed out yet, ``rate``: messages that all of them
    handle a second, ``busy``: cores that all of them use.
    """

    count: int
    waiting: int
    rate: float
    busy: float


def demand(load: Load) -> float:
    """How many instances would have the work that waits done in time and not be too busy; a fraction of one, too."""
    if load.count == 0:
        return 1.0
    by_busy = load.busy / BUSY
    if not load.waiting:
        return by_busy
    if load.rate <= 0:
        return max(by_busy, float(load.count))  # nothing is done at all: more of the same would not help
    return max(by_busy, load.count * load.waiting / load.rate / BEHIND)


class Scaler:
    """Decides for one service; times are seconds of a clock that never goes back."""

    def __init__(self, bounds: Bounds) -> None:
        self.bounds = bounds
        self._changed = -math.inf
        self._wanted: deque[tuple[float, int]] = deque()

    def decide(self, at: float, count: int, load: Load) -> int:
        """How many there are to be, where there are to be ``count`` now."""
        wanted = self.bounds.limit(math.ceil(min(demand(load), self.bounds.most) - 1e-9))
        while self._wanted and self._wanted[0][0] <= at - LINGERS:
            self._wanted.popleft()
        full = bool(self._wanted)
        self._wanted.append((at, wanted))
        inside = self.bounds.limit(count)
        if inside != count:
            return self._change(at, inside)
        if wanted > count and at - self._changed >= SETTLES:
            return self._change(at, self.bounds.limit(min(wanted, 2 * count)))
        lingered = full and at - self._changed >= LINGERS
        if wanted < count and lingered and max(each for _, each in self._wanted) < count:
            return self._change(at, count - 1)
        return count

    def _change(self, at: float, count: int) -> int:
        self._changed = at
        return count
