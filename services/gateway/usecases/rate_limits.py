"""How often somebody may ask: a bucket of tokens for each session, script and address, which a fleet's gateways share.

No request waits for that. A gateway counts by itself what it lets in, and tells the fleet's cache of it in portions;
where less is left in the fleet's bucket than that, it refuses until there will be enough. While the cache is away each
gateway counts alone, and what it let in then is owed to nobody. So a fleet lets in no more than the limit, two portions
of each gateway, and what comes while the cache is asked.
"""

import asyncio
import time
from collections.abc import Callable
from math import ceil
from typing import Final, Literal

import structlog
from msgspec import Struct

from services.contracts.settings import GatewaySettings, Quota
from services.kernel.cache import Bucket, Cache
from services.kernel.errors import Limited, MirageError
from services.kernel.networks import network_of, site_of

#: Of a quota, how much is let in before the cache is told, and seconds after which it is told of less.
PORTION: Final = 1 / 64
TELLING_EVERY: Final = 1.0
#: Portions of which a gateway lets in no more while it owes them to a bucket that was empty when it told of them.
DEBT: Final = 2
#: Seconds for which a cache that was away is not asked, and how many buckets are told of at a time.
AWAY: Final = 1.0
AT_ONCE: Final = 32
#: Those that are counted; a bucket that is full is forgotten before others.
COUNTED: Final = 20_000
#: How many networks of IPv6 (/64) of one site (/48) may use up their quotas at a time.
NETWORKS_OF_SITE: Final = 8
HAIR: Final = 1e-9  # what adding up seconds as floats may be off

Kind = Literal["person", "token", "address", "site"]

_log = structlog.get_logger(__name__)


class Policy:
    """A quota as buckets and headers have it."""

    def __init__(self, kind: Kind, quota: Quota, times: int = 1) -> None:
        self.kind = kind
        self.name = "address" if kind == "site" else kind
        self.window = float(quota.seconds)
        self.interval = quota.seconds / (quota.requests * times)
        self.bucket = Bucket(rate=1 / self.interval, burst=quota.requests * times)
        self.portion = max(1, int(self.bucket.burst * PORTION))
        #: Seconds until there is one more.
        self.next = max(1, ceil(self.interval))
        #: In the fleet's cache: another quota has buckets of its own, since what was used of one says nothing of it.
        self.key = f"rate:{kind}:{quota.requests}/{quota.seconds}"
        self.said = f'"{self.name}";q={quota.requests};w={quota.seconds}'.encode()


class Count:
    """What is known here of one bucket.

    ``full_at``: when it will be full by what was let in here (see `services.kernel.cache.memory`). ``untold``: tokens
    of which the cache does not know. ``refused_until``: there are fewer in the fleet's, to which this ``owes`` them.
    """

    __slots__ = ("full_at", "owes", "refused_until", "telling", "told_at", "untold")

    def __init__(self, now: float) -> None:
        self.full_at = now
        self.refused_until = now
        self.untold = 0
        self.told_at = now
        self.telling = self.owes = False


class Taken(Struct):
    """What is told of a bucket after a request: how much is ``left``, and seconds until there is ``more``.

    ``also`` was taken of another one.
    """

    policy: Policy
    count: Count
    left: int
    more: int
    also: "Taken | None" = None

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """As draft-ietf-httpapi-ratelimit-headers-10 has it."""
        said = b'"%b";r=%d;t=%d' % (self.policy.name.encode(), self.left, self.more)
        return [(b"ratelimit-policy", self.policy.said), (b"ratelimit", said)]


class TooOften(Limited):
    """A limit was met; ``taken`` is what is told of it."""

    def __init__(self, taken: Taken, seconds: float) -> None:
        super().__init__(f"too many requests: the next one is taken in {max(1, ceil(seconds))} s", seconds)
        self.taken = taken


class RateLimiter:
    """``settings`` says what holds now; ``clock`` counts seconds and never goes back."""

    def __init__(
        self, cache: Cache, settings: Callable[[], GatewaySettings], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._cache = cache
        self._settings = settings
        self._clock = clock
        self._seen: GatewaySettings | None = None
        self._policies: dict[Kind, Policy] = {}
        self._counts: dict[Kind, dict[str, Count]] = {"person": {}, "token": {}, "address": {}, "site": {}}
        self._telling: set[asyncio.Task[None]] = set()
        self._away_until: float | None = None

    def take(self, kind: Kind, who: str) -> Taken:
        """Let one request in.

        Raises:
            TooOften: it is not let in.
        """
        now = self._clock()
        policy = self._policy(kind)
        counts = self._counts[kind]
        count = counts.get(who)
        if count is None:
            count = self._begin(counts, who, now)
        full_at = max(now, count.full_at) + policy.interval
        used = full_at - now
        wait = max(used - policy.window, count.refused_until - now)
        if wait <= HAIR and count.owes and count.untold >= DEBT * policy.portion:
            self._tell(policy, who, count, now)
            wait = policy.portion * policy.interval
        if wait > HAIR:
            raise TooOften(Taken(policy, count, 0, max(1, ceil(wait))), wait)
        count.full_at = full_at
        count.untold += 1
        if count.owes or count.untold >= policy.portion or now - count.told_at >= TELLING_EVERY:
            self._tell(policy, who, count, now)
        return Taken(policy, count, int((policy.window - used) / policy.interval + HAIR), policy.next)

    def take_of_address(self, address: str) -> Taken:
        """Let in one request of somebody who is known by nothing else: of IPv4 by his address, of IPv6 by his network.

        Raises:
            TooOften: it is not let in.
        """
        if ":" not in address:
            return self.take("address", f"{address}/32")
        # His own first: what is not let in takes nothing of his neighbours.
        taken = self.take("address", network_of(address, v4=32, v6=64))
        if site := site_of(address):
            try:
                taken.also = self.take("site", site)
            except TooOften:
                self.give_back(taken)
                raise
        return taken

    def give_back(self, taken: Taken) -> None:
        """Undo what was taken."""
        taken.count.full_at -= taken.policy.interval
        taken.count.untold = max(0, taken.count.untold - 1)
        if taken.also is not None:
            self.give_back(taken.also)

    def _policy(self, kind: Kind) -> Policy:
        settings = self._settings()
        if settings is not self._seen:
            self._seen = settings
            self._set("person", Policy("person", settings.people))
            self._set("token", Policy("token", settings.scripts))
            self._set("address", Policy("address", settings.strangers))
            self._set("site", Policy("site", settings.strangers, NETWORKS_OF_SITE))
        return self._policies[kind]

    def _set(self, kind: Kind, policy: Policy) -> None:
        """Have a quota hold from now on, of which nobody has used anything yet where it is another one."""
        if kind in self._policies and self._policies[kind].key != policy.key:
            self._counts[kind].clear()
        self._policies[kind] = policy

    def _begin(self, counts: dict[str, Count], who: str, now: float) -> Count:
        if len(counts) >= COUNTED:
            full = {name for name, each in counts.items() if max(each.full_at, each.refused_until) <= now}
            emptiest = sorted(counts.keys() - full, key=lambda name: counts[name].full_at)[-(COUNTED * 3 // 4) :]
            kept = {name: counts[name] for name in emptiest}
            counts.clear()
            counts.update(kept)
        counts[who] = count = Count(now)
        return count

    # --- what the fleet knows ---

    def _tell(self, policy: Policy, who: str, count: Count, now: float) -> None:
        if self._away_until is not None and now < self._away_until:
            count.untold = 0
            return
        if count.telling or len(self._telling) >= AT_ONCE:
            return
        count.telling = True
        count.told_at = now
        task = asyncio.get_running_loop().create_task(self._told(policy, who, count))
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    async def _told(self, policy: Policy, who: str, count: Count) -> None:
        """Take from the fleet's bucket what was let in here."""
        told = int(min(count.untold, policy.portion if count.owes else policy.bucket.burst))
        try:
            wait = await self._cache.take(f"{policy.key}:{who}", policy.bucket, told)
        except MirageError as error:
            if self._away_until is None:
                _log.warning("requests are counted by this gateway alone", reason=str(error))
            self._away_until = self._clock() + AWAY
            count.untold = 0
            count.owes = False
            return
        finally:
            count.telling = False
        if self._away_until is not None:
            self._away_until = None
            _log.info("requests are counted by all gateways together")
        count.owes = wait > 0
        if count.owes:
            count.refused_until = self._clock() + wait
        else:
            count.untold = max(0, count.untold - told)
