"""How often a source may be asked: its rate, over all scans and collectors, and the pauses it asked for."""

from typing import Final

from services.collector.manifest import Manifest
from services.kernel.cache import Bucket, Cache

#: Up to this many seconds a request waits where it is; longer, its batch goes back and holds no slot.
PATIENCE: Final = 2.0
#: A source that wants to be left alone for longer is not waited for: what would ask it ends as rate limited, at once.
LONGEST_REST: Final = 600.0
#: Seconds of the pause that a source gets that does not say how long, and of the longest that it gets at all.
PAUSE: Final = 30.0
LONGEST_PAUSE: Final = 3600.0
#: After so many failures in a row a source is left alone for a while.
BREAKS_AFTER: Final = 5
BREAK: Final = 60.0


class Wait(Exception):
    """The source may be asked again in ``seconds``: give the work back until then."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"the source may be asked again in {seconds:.0f} s")
        self.seconds = seconds


class Budget:
    """The budgets of all sources, kept in the cache that all collectors share.

    ``world`` tells apart internets that have nothing to do with each other: what a lab was asked, its real namesake
    was not.
    """

    def __init__(self, cache: Cache, world: str = "") -> None:
        self._cache = cache
        self._world = f"@{world}" if world else ""
        self._failures: dict[str, int] = {}

    async def take(self, manifest: Manifest) -> float:
        """Take one request; return 0, or the seconds after which to try again."""
        if manifest.rate <= 0:
            return 0.0
        return await self._cache.take(f"rate/{manifest.id}{self._world}", _bucket(manifest))

    async def pause(self, manifest: Manifest, seconds: float | None) -> None:
        """Ask nothing of a source for as long as it said, or for a while when it did not say."""
        if manifest.rate > 0:
            wait = min(seconds or PAUSE, LONGEST_PAUSE)
            await self._cache.empty(f"rate/{manifest.id}{self._world}", _bucket(manifest), wait)

    async def failed(self, manifest: Manifest) -> None:
        """Count a failure to reach a source; several in a row make a pause."""
        if not manifest.hosts:
            return
        self._failures[manifest.id] = self._failures.get(manifest.id, 0) + 1
        if self._failures[manifest.id] >= BREAKS_AFTER:
            self._failures[manifest.id] = 0
            await self._cache.set(f"broken/{manifest.id}{self._world}", b"1", BREAK)

    async def broken(self, manifest: Manifest) -> bool:
        """Whether the source failed so often that it is not asked for now."""
        return bool(manifest.hosts) and await self._cache.get(f"broken/{manifest.id}{self._world}") is not None

    def answered(self, manifest: Manifest) -> None:
        self._failures.pop(manifest.id, None)


def _bucket(manifest: Manifest) -> Bucket:
    return Bucket(rate=manifest.rate, burst=float(max(1, manifest.burst)))
