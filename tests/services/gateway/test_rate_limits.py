"""Who asks too often waits; a fleet counts together, nobody waits for that, and without the cache each counts alone."""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from msgspec import structs
from structlog.testing import capture_logs

from services.contracts.settings import GatewaySettings, Quota
from services.gateway.usecases import rate_limits as module
from services.gateway.usecases.rate_limits import AWAY, RateLimiter, Taken, TooOften
from services.kernel.cache import Bucket
from services.kernel.cache.memory import MemoryCache
from services.kernel.errors import Unavailable

FEW = GatewaySettings(people=Quota(10, 10), scripts=Quota(640, 64), strangers=Quota(10, 20))


class Clock:
    def __init__(self) -> None:
        self.at = 1000.0

    def __call__(self) -> float:
        return self.at


class Shared(MemoryCache):
    """A fleet's cache, which may be away, or not answer."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock=clock)
        self.away = self.loses = False
        self.asked = 0
        self.answers = asyncio.Event()
        self.answers.set()

    async def take(self, key: str, bucket: Bucket, tokens: float = 1.0) -> float:
        self.asked += 1
        await self.answers.wait()
        if self.away:
            raise Unavailable("the cache is away")
        wait = await super().take(key, bucket, tokens)
        if self.loses:
            raise Unavailable("it went away")
        return wait


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def cache(clock: Clock) -> Shared:
    return Shared(clock)


@pytest.fixture
def gateway(cache: Shared, clock: Clock) -> Callable[[], RateLimiter]:
    return lambda: RateLimiter(cache, lambda: FEW, clock)


def said(taken: Taken) -> dict[str, str]:
    return {name.decode(): value.decode() for name, value in taken.headers}


async def told() -> None:
    """Let whatever is told be told."""
    while len(asyncio.all_tasks()) > 1:
        await asyncio.sleep(0)


async def let_in(limiter: RateLimiter, times: int, kind: Any = "token", who: str = "nightly") -> int:
    """How many of so many requests are let in."""
    count = 0
    for _ in range(times):
        try:
            limiter.take_of_address(who) if kind == "address" else limiter.take(kind, who)
        except TooOften:
            continue
        count += 1
        await told()
    return count


async def test_the_headers_are_those_of_the_draft(gateway: Callable[[], RateLimiter]) -> None:
    limiter = gateway()
    assert said(limiter.take("person", "jo")) == {
        "ratelimit-policy": '"person";q=10;w=10', "ratelimit": '"person";r=9;t=1'
    }  # fmt: skip
    assert said(limiter.take("token", "nightly"))["ratelimit-policy"] == '"token";q=640;w=64'
    assert said(limiter.take_of_address("192.0.2.1")) == {
        "ratelimit-policy": '"address";q=10;w=20', "ratelimit": '"address";r=9;t=2'
    }  # fmt: skip


async def test_what_is_used_up_comes_back_evenly_and_it_is_said_when(
    gateway: Callable[[], RateLimiter], clock: Clock
) -> None:
    limiter = gateway()
    left = [said(limiter.take_of_address("192.0.2.1"))["ratelimit"] for _ in range(10)]
    assert left == [f'"address";r={n};t=2' for n in range(9, -1, -1)]
    for _ in range(3):  # whoever does not wait is not made to wait longer
        with pytest.raises(TooOften, match="the next one is taken in 2 s") as refused:
            limiter.take_of_address("192.0.2.1")
        assert refused.value.seconds == pytest.approx(2.0)
        assert said(refused.value.taken)["ratelimit"] == '"address";r=0;t=2'
    clock.at += 2.0
    limiter.take_of_address("192.0.2.1")
    with pytest.raises(TooOften):
        limiter.take_of_address("192.0.2.1")
    clock.at += 1000.0
    assert said(limiter.take_of_address("192.0.2.1"))["ratelimit"] == '"address";r=9;t=2'


async def test_everybody_has_a_bucket_of_his_own(gateway: Callable[[], RateLimiter]) -> None:
    limiter = gateway()
    assert await let_in(limiter, 20, "person", "jo") == 10
    assert await let_in(limiter, 20, "person", "ann") == 10
    assert await let_in(limiter, 20, "token", "jo") == 20


async def test_what_is_given_back_can_be_taken_again(gateway: Callable[[], RateLimiter]) -> None:
    limiter = gateway()
    for _ in range(100):
        limiter.give_back(limiter.take("person", "jo"))
    assert await let_in(limiter, 20, "person", "jo") == 10


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8:0:1::1", "2001:db8:0:1:ffff::9", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("", "nothing", False),
    ],
)
async def test_an_address_is_one_of_ipv4_and_a_network_of_ipv6(
    gateway: Callable[[], RateLimiter], one: str, other: str, same: bool
) -> None:
    limiter = gateway()
    for _ in range(10):
        limiter.take_of_address(one)
    if same:
        with pytest.raises(TooOften):
            limiter.take_of_address(other)
    else:
        limiter.take_of_address(other)


async def test_who_has_many_networks_of_ipv6_does_not_get_as_many_quotas(gateway: Callable[[], RateLimiter]) -> None:
    limiter = gateway()
    count = 0
    for network in range(1000):
        try:
            limiter.take_of_address(f"2001:db8:1:{network:x}::1")
        except TooOften:
            continue
        count += 1
    assert count == 80
    limiter.take_of_address("2001:db8:2::1")


async def test_who_is_not_let_in_takes_nothing_of_his_neighbours(gateway: Callable[[], RateLimiter]) -> None:
    limiter = gateway()
    assert await let_in(limiter, 1000, "address", "2001:db8:1:1::1") == 10
    assert await let_in(limiter, 20, "address", "2001:db8:1:2::1") == 10


async def test_a_network_whose_site_is_used_up_keeps_its_own(gateway: Callable[[], RateLimiter], clock: Clock) -> None:
    limiter = gateway()
    for network in range(8):
        await let_in(limiter, 10, "address", f"2001:db8:1:{network:x}::1")
    assert await let_in(limiter, 20, "address", "2001:db8:1:9::1") == 0
    clock.at += 2.5  # the site has 10 more
    assert await let_in(limiter, 20, "address", "2001:db8:1:9::1") == 10


async def test_what_is_given_back_is_given_back_to_the_site_too(gateway: Callable[[], RateLimiter]) -> None:
    limiter = gateway()
    for number in range(1000):
        limiter.give_back(limiter.take_of_address(f"2001:db8:1:{number % 8:x}::1"))
    assert await let_in(limiter, 20, "address", "2001:db8:1:9::1") == 10


async def test_gateways_share_a_limit(gateway: Callable[[], RateLimiter], clock: Clock) -> None:
    one, other = gateway(), gateway()
    count = 0
    for _ in range(1000):
        count += await let_in(one, 1) + await let_in(other, 1)
    assert 640 <= count <= 640 + 2 * 20  # and what each may owe
    clock.at += 6.4
    count = sum([await let_in(one, 1) + await let_in(other, 1) for _ in range(1000)])
    assert count <= 64 + 2 * 20, "what was let in beyond the limit is owed"
    clock.at += 1000.0
    assert 640 - 10 <= await let_in(one, 2000) <= 640


async def test_a_gateway_that_was_told_to_wait_pays_what_it_owes_first(
    gateway: Callable[[], RateLimiter], clock: Clock
) -> None:
    one, other = gateway(), gateway()
    assert await let_in(one, 640) == 640
    count = 0
    for _ in range(600):  # of which each asks as often as the whole limit allows, for a minute
        clock.at += 0.1
        count += await let_in(one, 1) + await let_in(other, 1)
    assert 600 - 2 * 20 <= count <= 600 + 2 * 20


async def test_nobody_waits_for_a_cache_that_does_not_answer(gateway: Callable[[], RateLimiter], cache: Shared) -> None:
    limiter = gateway()
    cache.answers.clear()
    for _ in range(640):
        limiter.take("token", "nightly")
        await asyncio.sleep(0)
    with pytest.raises(TooOften):
        limiter.take("token", "nightly")
    assert cache.asked == 1
    cache.answers.set()
    await told()


async def test_without_the_cache_each_gateway_counts_alone_and_goes_back_by_itself(
    gateway: Callable[[], RateLimiter], cache: Shared, clock: Clock
) -> None:
    one, other = gateway(), gateway()
    cache.away = True
    with capture_logs() as logged:
        assert await let_in(one, 1000) == await let_in(other, 1000) == 640
        assert cache.asked == 2, "one that is away is left alone"
        cache.away = False
        clock.at += 64 + AWAY
        count = sum([await let_in(one, 1) + await let_in(other, 1) for _ in range(1000)])
    assert 640 <= count <= 640 + 2 * 20
    assert [line["event"] for line in logged] == 2 * ["requests are counted by this gateway alone"] + 2 * [
        "requests are counted by all gateways together"
    ]


async def test_what_was_let_in_without_the_cache_is_owed_to_nobody(
    gateway: Callable[[], RateLimiter], cache: Shared, clock: Clock
) -> None:
    limiter = gateway()
    cache.away = True
    for _ in range(6400):
        clock.at += 0.1
        assert await let_in(limiter, 1) == 1
    cache.away = False
    for _ in range(640):
        clock.at += 0.1
        assert await let_in(limiter, 1) == 1


async def test_what_the_cache_may_have_heard_is_not_told_twice(
    gateway: Callable[[], RateLimiter], cache: Shared, clock: Clock
) -> None:
    one, other = gateway(), gateway()
    cache.loses = True
    assert await let_in(one, 10) == 10
    cache.loses = False
    clock.at += AWAY  # in which ten come back
    assert await let_in(one, 10) == 10
    assert cache.asked == 2
    assert await let_in(other, 1000) == 640, "a portion of which it owes"


async def test_little_is_told_in_few_words(gateway: Callable[[], RateLimiter], cache: Shared, clock: Clock) -> None:
    limiter = gateway()
    assert await let_in(limiter, 640) == 640
    assert cache.asked == 64
    clock.at += 1000.0
    assert await let_in(limiter, 1, who="once") == 1
    assert cache.asked == 64
    clock.at += 2.0
    assert await let_in(limiter, 1, who="once") == 1
    assert cache.asked == 65, "what is less than a portion is told after a second"


async def test_strangers_do_not_have_those_forgotten_who_have_used_theirs_up(
    gateway: Callable[[], RateLimiter], monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    monkeypatch.setattr(module, "COUNTED", 100)
    limiter = gateway()
    assert await let_in(limiter, 10, "address", "192.0.2.1") == 10
    for number in range(1000):
        limiter.take_of_address(f"198.51.{number >> 8}.{number & 255}")
    with pytest.raises(TooOften):
        limiter.take_of_address("192.0.2.1")
    assert len(limiter._counts["address"]) <= 100


async def test_another_limit_holds_at_once(cache: Shared, clock: Clock) -> None:
    now = FEW
    limiter = RateLimiter(cache, lambda: now, clock)
    assert await let_in(limiter, 20, "person", "jo") == 10
    now = GatewaySettings(people=Quota(100, 1))
    assert said(limiter.take("person", "ann"))["ratelimit-policy"] == '"person";q=100;w=1'
    clock.at += 10.0
    assert await let_in(limiter, 200, "person", "jo") == 100


async def test_who_has_used_a_limit_up_does_not_wait_for_it_once_there_is_a_larger_one(
    cache: Shared, clock: Clock
) -> None:
    settings = [structs.replace(FEW, people=Quota(10, 60))]
    limiter = RateLimiter(cache, lambda: settings[-1], clock)
    for _ in range(10):
        limiter.take("person", "jo")
        await told()
    with pytest.raises(TooOften):
        limiter.take("person", "jo")
    settings.append(structs.replace(FEW, people=Quota(3000, 10)))
    for _ in range(500):
        limiter.take("person", "jo")
        await told()


@pytest.mark.parametrize("wrong", ['{"requests":9,"seconds":1}', '{"requests":10,"seconds":0}', '{"requests":10}'])
def test_a_quota_that_would_shut_everybody_out_is_none(wrong: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(wrong, type=Quota)
