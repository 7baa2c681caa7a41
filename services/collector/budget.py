"""How often a source may be asked: its rate, its quotas, and the pauses that it asked for."""

import hashlib
from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final, Literal, get_args
from uuid import UUID

from msgspec import Struct

from services.collector import store
from services.collector.manifest import Manifest, Period
from services.collector.store import Window
from services.contracts.facts import LONGEST_WAIT
from services.kernel import metrics
from services.kernel.cache import Bucket, Cache
from services.kernel.messages import now
from services.kernel.sql import Sql

#: Up to this many seconds a request waits where it is; longer, its batch goes back and holds no slot.
PATIENCE: Final = 2.0
#: A source that may be asked more rarely than once in this many seconds is not waited for at all when what it gives at
#: once is used up.
SLOWEST: Final = 30.0
#: Seconds of the pause that a source gets that does not say how long, and of the longest that it gets at all.
PAUSE: Final = 30.0
LONGEST_PAUSE: Final = 3600.0
#: After so many failures in a row a source is left alone for a while.
BREAKS_AFTER: Final = 5
BREAK: Final = 60.0
_REASON: Final = 300

#: What budgets say of requests, as it is measured; `may` and `waits` are of the rate, and one may wait several times.
Outcome = Literal["may", "waits", "used_up", "paused", "left_alone"]


class Wait(Exception):
    """The source may be asked again in ``seconds``: give the work back until then."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"the source may be asked again in {seconds:.0f} s")
        self.seconds = seconds


class Account(Struct, frozen=True):
    """What a request is counted under: an allowance of a source, and whose it is.

    ``holder`` is the fingerprint of a key, empty for who asks without one. ``bucket`` is None where there is no rate.
    """

    source: str
    holder: str = ""
    bucket: Bucket | None = None
    quota: Mapping[Period, int] = {}

    @property
    def name(self) -> str:
        return f"{self.source}#{self.holder}" if self.holder else self.source

    def note(self, outcome: Outcome) -> None:
        """Measure what became of a request; what leads to many hosts is one source."""
        metrics.budget(_without_host(self.source), outcome)

    def too_long(self, wait: float) -> tuple[str, float] | None:
        """Why nothing waits so many seconds for the next request, and after how many to ask again; None when it may."""
        if self.bucket is not None and wait > PATIENCE and self.bucket.rate * SLOWEST < 1.0:
            full = max(wait, self.bucket.burst / self.bucket.rate)
            often = f"{self.bucket.burst:.0f} at once and then one in {1 / self.bucket.rate:.0f} s"
            return f"the source gives {often}; as many again in {full / 60:.0f} min", full
        if wait > LONGEST_WAIT:
            return f"the source wants to be left alone for another {wait / 60:.0f} min", wait
        return None


class UsedUp(Struct, frozen=True):
    """A quota from which no more is to be had until ``window`` ends.

    ``shared``: not all of it is used, but the rest is for the other workspaces that ask the source.
    """

    window: Window
    shared: bool

    @property
    def seconds(self) -> float:
        return max(1.0, (self.window.ends - now()) / 1_000_000)

    @property
    def reason(self) -> str:
        """One sentence for a person."""
        until = datetime.fromtimestamp(self.window.ends / 1_000_000, UTC)
        whose = "this workspace's share of its quota" if self.shared else "its quota"
        return f"{whose} of {self.window.most:,} per {self.window.period} is used up until {until:%Y-%m-%d %H:%M} UTC"


class Budget:
    """The budgets of all sources: rates and pauses in the cache that all collectors share, quotas in their database.

    ``world`` tells apart internets that have nothing to do with each other: what a lab was asked, its real namesake
    was not.
    """

    def __init__(self, cache: Cache, sql: Sql, world: str = "") -> None:
        self._cache = cache
        self._sql = sql
        self._world = f"@{world}" if world else ""
        self._failures: dict[str, int] = {}

    def account(self, manifest: Manifest, host: str = "", secret: str = "") -> Account:
        """What a request of a module to ``host`` is counted under; a directory that leads anywhere counts by host."""
        name = manifest.budget or manifest.id
        source = f"{name}/{host}" if "*" in manifest.hosts else name
        rate = (manifest.key_rate if secret else 0.0) or manifest.rate
        bucket = Bucket(rate=rate, burst=float(max(1, manifest.burst))) if rate > 0 else None
        quota = manifest.key_quota if secret else manifest.quota
        return Account(f"{source}{self._world}", fingerprint(secret), bucket, quota)

    async def take(self, account: Account) -> float:
        """Take one request by the rate; return 0, or the seconds after which to try again."""
        wait = 0.0 if account.bucket is None else await self._cache.take(f"rate/{account.name}", account.bucket)
        account.note("waits" if wait > 0 else "may")
        return wait

    async def spend(self, account: Account, workspace: UUID) -> UsedUp | None:
        """Count one request against the quotas, all or none; return the one that has no more to give."""
        if not account.quota:
            return None
        windows = windows_at(account.quota, now())
        async with self._sql.begin() as tx:
            await tx.lock(f"quota/{account.name}")
            used = await store.read_quota(tx, account.source, account.holder, windows)
            for window, counts in zip(windows, used, strict=True):
                left = left_for(workspace, window, counts)
                if left <= 0:
                    account.note("used_up")
                    return UsedUp(window, shared=sum(counts.values()) < window.most)
            await store.count_request(tx, account.source, account.holder, workspace, windows)
        return None

    async def standing(self, account: Account, workspace: UUID) -> list[tuple[Window, int, int]]:
        """The quotas of an account with what is used of each, by all, and what is left for a workspace."""
        windows = windows_at(account.quota, now())
        async with self._sql.read() as view:
            used = await store.read_quota(view, account.source, account.holder, windows)
        return [
            (window, sum(counts.values()), left_for(workspace, window, counts))
            for window, counts in zip(windows, used, strict=True)
        ]

    async def measure(self) -> list[metrics.Sample]:
        """How much of each quota was used in the stretch of time that is now."""
        begun = {window.period: window.begun for window in windows_at(dict.fromkeys(get_args(Period), 0), now())}
        async with self._sql.read() as view:
            rows = await store.read_quotas(view)
        used: defaultdict[tuple[str, str], int] = defaultdict(int)
        for source, period, since, count in rows:
            if begun[period] == since:
                used[_without_host(source), period] += count
        return [
            metrics.Sample("quota_used", count, {"source": source, "period": period})
            for (source, period), count in used.items()
        ]

    async def pause(self, account: Account, seconds: float | None) -> None:
        """Ask nothing of a source for as long as it said, or for a while when it did not say."""
        account.note("paused")
        if account.bucket is not None:
            await self._cache.empty(f"rate/{account.name}", account.bucket, min(seconds or PAUSE, LONGEST_PAUSE))

    async def failed(self, account: Account, reason: str = "") -> None:
        """Count a failure to reach a source; several in a row make a pause, for which the last ``reason`` is kept."""
        self._failures[account.source] = self._failures.get(account.source, 0) + 1
        if self._failures[account.source] >= BREAKS_AFTER:
            del self._failures[account.source]
            await self._cache.set(f"broken/{account.source}", reason[:_REASON].encode(), BREAK)

    async def broken(self, account: Account) -> str | None:
        """Why the source is not asked for now, where it failed so often; None when it may be asked."""
        reason = await self._cache.get(f"broken/{account.source}")
        if reason is None:
            return None
        account.note("left_alone")
        last = f", the last: {reason.decode(errors='replace')}" if reason else ""
        return f"left alone for a minute after several failures in a row{last}"

    def answered(self, account: Account) -> None:
        self._failures.pop(account.source, None)


def _without_host(source: str) -> str:
    return source.partition("/")[0]


def fingerprint(secret: str) -> str:
    """What tells keys apart without saying anything of them; empty for none."""
    return hashlib.sha256(secret.encode()).hexdigest()[:16] if secret else ""


def windows_at(quota: Mapping[Period, int], at: int) -> list[Window]:
    """The windows of UTC hours, days and months that ``at`` (microseconds) lies in."""
    moment = datetime.fromtimestamp(at / 1_000_000, UTC)
    hour = moment.replace(minute=0, second=0, microsecond=0)
    day = hour.replace(hour=0)
    month = day.replace(day=1)
    spans: dict[Period, tuple[datetime, datetime]] = {
        "hour": (hour, hour + timedelta(hours=1)),
        "day": (day, day + timedelta(days=1)),
        "month": (month, (month + timedelta(days=32)).replace(day=1)),
    }
    return [
        Window(period, begun=_microseconds(spans[period][0]), ends=_microseconds(spans[period][1]), most=most)
        for period, most in sorted(quota.items())
    ]


def _microseconds(moment: datetime) -> int:
    return int(moment.timestamp()) * 1_000_000


def left_for(workspace: UUID, window: Window, counts: Mapping[UUID, int]) -> int:
    """What a workspace may still ask in a window: what is left, and of several that ask, no more than its share."""
    left = window.most - sum(counts.values())
    sharers = len(counts.keys() | {workspace})
    share = -(-window.most // sharers)
    return max(0, min(left, share - counts.get(workspace, 0)) if sharers > 1 else left)
