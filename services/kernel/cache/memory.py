"""`cache` in memory: for one process, bounded, forgotten when it ends.

A token bucket is kept as the moment at which it will be full (the generic cell rate algorithm, ITU-T I.371 annex A):
one number that nothing has to refresh.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, TypeVar

from msgspec import Struct

from services.kernel.cache import Bucket, Cache
from services.kernel.errors import Invalid, Unavailable

T = TypeVar("T")

MAX_VALUES: Final = 100_000
MAX_BYTES: Final = 32 << 20
MAX_COUNTS: Final = 100_000
HAIR: Final = 1e-9  # what adding up seconds as floats may be off


class Value(Struct, frozen=True):
    content: bytes
    until: float


class Counter(Struct, frozen=True):
    value: int
    until: float


class Level(Struct, frozen=True):
    """A bucket: when it will be full, and until when it gives nothing at all."""

    full_at: float
    paused_until: float


class MemoryCache(Cache):
    """Values least recently used go first when there are too many; ``clock`` counts seconds and never goes back."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._closed = False
        self._values: OrderedDict[str, Value] = OrderedDict()
        self._bytes = 0
        self._counters: dict[str, Counter] = {}
        self._levels: dict[str, Level] = {}

    async def get(self, key: str) -> bytes | None:
        self._check_open()
        found = self._values.get(key)
        if found is None:
            return None
        if found.until <= self._clock():
            self._remove(key)
            return None
        self._values.move_to_end(key)
        return found.content

    async def set(self, key: str, value: bytes, seconds: float) -> None:
        self._check_open()
        self._remove(key)
        self._values[key] = Value(value, self._clock() + seconds)
        self._bytes += len(value)
        while len(self._values) > MAX_VALUES or self._bytes > MAX_BYTES:
            self._remove(next(iter(self._values)))

    async def delete(self, key: str) -> None:
        self._check_open()
        self._remove(key)
        self._counters.pop(key, None)

    async def add(self, key: str, amount: int, seconds: float) -> int:
        self._check_open()
        now = self._clock()
        counter = self._counters.get(key)
        if counter is None or counter.until <= now:
            counter = Counter(0, now + seconds)
        self._counters[key] = counter = Counter(counter.value + amount, counter.until)
        if len(self._counters) > MAX_COUNTS:
            self._counters = keep_latest(self._counters, lambda each: each.until, now)
        return counter.value

    async def take(self, key: str, bucket: Bucket, tokens: float = 1.0) -> float:
        self._check_open()
        if bucket.rate <= 0 or not 0 < tokens <= bucket.burst:
            raise Invalid(f"a bucket of {bucket.burst} at {bucket.rate}/s never holds {tokens} tokens")
        now = self._clock()
        level = self._levels.get(key) or Level(now, now)
        full_at = max(now, level.full_at) + tokens / bucket.rate
        wait = max(full_at - now - bucket.burst / bucket.rate, level.paused_until - now)
        if wait > HAIR:
            return wait
        self._level(key, Level(full_at, level.paused_until))
        return 0.0

    async def empty(self, key: str, bucket: Bucket, seconds: float) -> None:
        self._check_open()
        now = self._clock()
        level = self._levels.get(key) or Level(now, now)
        until = max(level.paused_until, now + seconds)
        self._level(key, Level(max(level.full_at, until + (bucket.burst - 1) / bucket.rate), until))

    async def ping(self) -> None:
        self._check_open()

    async def close(self) -> None:
        self._closed = True

    def _check_open(self) -> None:
        if self._closed:
            raise Unavailable("the cache is closed")

    def _remove(self, key: str) -> None:
        removed = self._values.pop(key, None)
        if removed is not None:
            self._bytes -= len(removed.content)

    def _level(self, key: str, level: Level) -> None:
        self._levels[key] = level
        if len(self._levels) > MAX_COUNTS:
            self._levels = keep_latest(self._levels, lambda each: max(each.full_at, each.paused_until), self._clock())


def keep_latest(entries: dict[str, T], until: Callable[[T], float], now: float) -> dict[str, T]:
    """Leave out what is over, and what is nearest to it if that is not enough; a full bucket is as good as none."""
    kept = sorted(((key, each) for key, each in entries.items() if until(each) > now), key=lambda item: until(item[1]))
    return dict(kept[-(MAX_COUNTS * 3 // 4) :])
