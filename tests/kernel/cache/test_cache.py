"""What every `cache` adapter promises."""

import asyncio

import pytest

from services.kernel.cache import Bucket, Cache
from services.kernel.errors import Invalid, Unavailable
from tests.kernel.conftest import Clock

HOSTILE = ["", "a b", "ключ", "a:b/c*?[x]", "k" * 1000, "{tag}", "\n\t'\";--"]


async def there(cache: Cache, key: str) -> bool:
    return await cache.get(key) is not None


# Values


async def test_a_value_comes_back(cache: Cache) -> None:
    for value in (b"", b"x", bytes(range(256)), b"y" * 500_000):
        await cache.set("key", value, 60)
        assert await cache.get("key") == value
    assert await cache.get("other") is None


@pytest.mark.parametrize("key", HOSTILE)
async def test_any_text_is_a_key(cache: Cache, key: str) -> None:
    await cache.set(key, b"value", 60)
    assert await cache.get(key) == b"value"
    assert await cache.add(key, 1, 60) == 1
    assert await cache.take(key, Bucket(1, 1)) == 0
    await cache.delete(key)
    assert await cache.get(key) is None


async def test_a_value_expires(cache: Cache, clock: Clock) -> None:
    await cache.set("short", b"x", 0.4)
    await cache.set("long", b"x", 60)
    clock.now += 0.39
    assert await there(cache, "short")
    clock.now += 0.02
    assert not await there(cache, "short")
    assert await there(cache, "long")


async def test_setting_again_begins_a_new_time(cache: Cache, clock: Clock) -> None:
    await cache.set("key", b"old", 0.05)
    clock.now += 0.04
    await cache.set("key", b"new", 60)
    clock.now += 59
    assert await cache.get("key") == b"new"
    clock.now += 2
    assert await cache.get("key") is None


async def test_a_deleted_value_and_counter_are_gone(cache: Cache) -> None:
    await cache.set("key", b"x", 60)
    await cache.add("key", 5, 60)
    await cache.delete("key")
    await cache.delete("never")
    assert await cache.get("key") is None
    assert await cache.add("key", 1, 60) == 1


# Counters


async def test_a_counter_adds_up(cache: Cache) -> None:
    assert await cache.add("n", 1, 60) == 1
    assert await cache.add("n", 10, 60) == 11
    assert await cache.add("n", -12, 60) == -1
    assert await cache.add("other", 1, 60) == 1
    assert await cache.get("n") is None


async def test_a_counter_expires_after_its_first_change(cache: Cache, clock: Clock) -> None:
    assert await cache.add("n", 1, 0.3) == 1
    clock.now += 0.2
    assert await cache.add("n", 1, 60) == 2
    clock.now += 0.2
    assert await cache.add("n", 1, 60) == 1
    clock.now += 59
    assert await cache.add("n", 1, 60) == 2


async def test_many_add_at_once(cache: Cache) -> None:
    values = await asyncio.gather(*(cache.add("n", 1, 60) for _ in range(100)))
    assert sorted(values) == list(range(1, 101))


# Buckets


async def test_a_new_bucket_is_full_and_then_makes_wait(cache: Cache) -> None:
    bucket = Bucket(rate=0.1, burst=3)
    assert [await cache.take("b", bucket) for _ in range(3)] == [0, 0, 0]
    wait = await cache.take("b", bucket)
    assert 9 < wait <= 10
    assert 9 < await cache.take("b", bucket) <= wait
    assert await cache.take("other", bucket) == 0


async def test_several_tokens_are_taken_together_or_not_at_all(cache: Cache) -> None:
    bucket = Bucket(rate=0.1, burst=5)
    assert await cache.take("b", bucket, 4) == 0
    assert 9 < await cache.take("b", bucket, 2) <= 10
    assert await cache.take("b", bucket, 1) == 0
    assert await cache.take("c", bucket, 2.5) == 0
    assert await cache.take("c", bucket, 2.5) == 0


async def test_after_the_wait_there_is_a_token(cache: Cache, clock: Clock) -> None:
    bucket = Bucket(rate=5, burst=1)
    assert await cache.take("b", bucket) == 0
    wait = await cache.take("b", bucket)
    assert wait == pytest.approx(0.2)
    clock.now += wait / 2
    assert await cache.take("b", bucket) == pytest.approx(wait / 2)
    clock.now += wait / 2
    assert await cache.take("b", bucket) == 0


async def test_tokens_are_saved_up_to_the_burst_only(cache: Cache, clock: Clock) -> None:
    bucket = Bucket(rate=10, burst=2)
    await cache.take("b", bucket, 2)
    clock.now += 0.3
    assert await cache.take("b", bucket, 2) == 0
    assert await cache.take("b", bucket, 2) > 0


async def test_a_bucket_gives_no_more_than_it_has_however_many_ask(cache: Cache) -> None:
    bucket = Bucket(rate=0.001, burst=25)
    waits = await asyncio.gather(*(cache.take("b", bucket) for _ in range(100)))
    assert waits.count(0) == 25


async def test_a_paused_bucket_gives_nothing_and_then_one(cache: Cache, clock: Clock) -> None:
    bucket = Bucket(rate=1, burst=10)
    await cache.empty("b", bucket, 0.4)
    wait = await cache.take("b", bucket)
    assert 0.1 < wait <= 0.4
    clock.now += wait
    assert await cache.take("b", bucket) == 0
    assert 0.5 < await cache.take("b", bucket) <= 1


async def test_a_longer_pause_stays(cache: Cache) -> None:
    bucket = Bucket(rate=10, burst=10)
    await cache.empty("b", bucket, 60)
    await cache.empty("b", bucket, 1)
    assert await cache.take("b", bucket) > 50
    slow = Bucket(rate=0.01, burst=1)
    await cache.take("c", slow)
    await cache.empty("c", slow, 1)
    assert await cache.take("c", slow) > 90


@pytest.mark.parametrize(
    ("bucket", "tokens"), [(Bucket(1, 2), 3), (Bucket(0, 1), 1), (Bucket(-1, 1), 1), (Bucket(1, 1), 0)]
)
async def test_a_bucket_that_never_holds_so_many_is_invalid(cache: Cache, bucket: Bucket, tokens: float) -> None:
    with pytest.raises(Invalid):
        await cache.take("b", bucket, tokens)


async def test_a_closed_cache_is_unavailable(cache: Cache) -> None:
    await cache.ping()
    await cache.close()
    await cache.close()
    for call in (
        cache.ping(),
        cache.get("k"),
        cache.set("k", b"", 1),
        cache.add("k", 1, 1),
        cache.take("k", Bucket(1, 1)),
    ):
        with pytest.raises(Unavailable):
            await call
