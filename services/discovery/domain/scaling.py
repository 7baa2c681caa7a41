"""How many instances a service needs: by the work that waits for it and by how busy its instances are.

Up at once and by twice at most, down by one and only after a while in which fewer would have done: work that comes in
waves keeps what the last wave needed. Who cannot be asked is no reason to have fewer: it may have too much to do.
"""

import math
from collections import deque
from typing import Final

from msgspec import Struct

from services.contracts.settings import DiscoverySettings

#: The part of a core that an instance may be busy with before more of them are begun.
BUSY: Final = 0.75
#: Seconds for which a number that was taken back is not asked for again.
RETURNS: Final = 600.0


class Bounds(Struct, frozen=True):
    """The fewest and the most instances that there may be."""

    least: int
    most: int

    def limit(self, count: int) -> int:
        return max(self.least, min(self.most, count))


class Load(Struct, frozen=True):
    """What was seen of a service's instances within the last seconds.

    ``running``: instances; ``count``: those of them that said what they did in these seconds. ``waiting``: messages or
    work items that nobody works on yet, None where nobody could say; ``rate``: how many of them are done a second by
    all that said so, ``busy``: cores that these use.
    """

    running: int
    count: int
    waiting: int | None
    rate: float
    busy: float

    @property
    def is_whole(self) -> bool:
        """Whether all was seen that there is; of what was not seen, nobody knows how few would do."""
        return self.waiting is not None and self.count >= self.running


def demand(load: Load, behind: float) -> float:
    """How many instances would have the work that waits done in ``behind`` seconds and not be too busy.

    It may be a fraction of one.
    """
    if load.count == 0:
        return 1.0
    by_busy = load.busy / BUSY
    if not load.waiting:
        return by_busy
    if load.rate <= 0:
        return max(by_busy, float(load.count))  # nothing is done at all: more of the same would not help
    return max(by_busy, load.count * load.waiting / load.rate / behind)


class Scaler:
    """Decides for one service; times are seconds of a clock that never goes back."""

    def __init__(self, bounds: Bounds, settings: DiscoverySettings) -> None:
        self._bounds = bounds
        self.settings = settings
        self._changed = -math.inf
        self._wanted: deque[tuple[float, int]] = deque()
        self._had = 0
        self._ceiling = (-math.inf, 0)

    @property
    def bounds(self) -> Bounds:
        return self._bounds

    @bounds.setter
    def bounds(self, bounds: Bounds) -> None:
        if bounds != self._bounds:
            self._bounds, self._had, self._ceiling = bounds, 0, (-math.inf, 0)

    def decide(self, at: float, count: int, load: Load, *, room: bool = True) -> int:
        """How many there are to be, where there are to be ``count`` now; without ``room`` some of these have no place.

        Whoever has as many begun or ended says so (`change`).
        """
        self._note_taken_back(at, count)
        inside = self._bounds.limit(count)
        if inside != count:
            return inside
        wanted = self._bounds.limit(math.ceil(min(demand(load, self.settings.behind), self._bounds.most) - 1e-9))
        lingered = self._linger(at, wanted, load)
        if wanted > count and room and at - self._changed >= self.settings.settles:
            return max(count, min(wanted, 2 * count, self._most(at)))
        if lingered and at - self._changed >= self.settings.lingers and max(each for _, each in self._wanted) < count:
            return count - 1
        return count

    def change(self, at: float, count: int) -> None:
        """Note that there are to be as many from now on."""
        self._changed, self._had = at, count

    def _linger(self, at: float, wanted: int, load: Load) -> bool:
        """Remember what was wanted; whether that goes back as far as has to be looked before one is ended."""
        if not load.is_whole:
            self._wanted.clear()
            return False
        self._wanted.append((at, wanted))
        since = at - self.settings.lingers
        while len(self._wanted) > 1 and self._wanted[1][0] <= since:
            self._wanted.popleft()
        return self._wanted[0][0] <= since

    def _note_taken_back(self, at: float, count: int) -> None:
        """Fewer than there were to be, though nobody here said so: there was no room for them, or they were no good."""
        if count < self._had:
            self._ceiling = (at + RETURNS, self._had - 1)
        self._had = count

    def _most(self, at: float) -> int:
        until, most = self._ceiling
        return most if at < until else self._bounds.most
