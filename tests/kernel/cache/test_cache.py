"""What every `cache` adapter promises."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest

from services.kernel.cache import Bucket, Cache
from services.kernel.errors import Invalid, Unavailable

HOSTILE = ["", "a b", "ключ", "a:b/c*?[x]", "k" * 1000, "{tag}", "\n\t'\";--"]


async def there(cache: Cache, key: str) -> bool:
    return await cache.get(key) is not None


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(30):
        while not await condition():
            await asyncio.sleep(0.005)


async def let_pass(cache: Cache, seconds: float) -> None:
    """Return when what was kept until now, for ``seconds`` or less, must have expired."""
    await cache.set("what follows it", b"", seconds)

    async def expired() -> bool:
        return not await there(cache, "what follows it")

    await until(expired)


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


async def test_a_value_expires(cache: Cache) -> None:
    await cache.set("long", b"x", 60)
    await cache.set("short", b"x", 0.05)
    await let_pass(cache, 0.05)
    assert not await there(cache, "short")
    assert await there(cache, "long")


async def test_setting_again_begins_a_new_time(cache: Cache) -> None:
    await cache.set("key", b"old", 0.05)
    await cache.set("key", b"new", 60)
    await cache.set("other", b"old", 60)
    await cache.set("other", b"new", 0.05)
    await let_pass(cache, 0.05)
    assert await cache.get("key") == b"new"
    assert await cache.get("other") is None


@pytest.mark.parametrize("seconds", [0.0, -1.0, 0.0001])
async def test_what_is_kept_for_no_time_is_soon_gone(cache: Cache, seconds: float) -> None:
    await cache.set("key", b"x", seconds)
    await cache.add("n", 5, seconds)
    await let_pass(cache, 0.001)
    assert not await there(cache, "key")
    assert await cache.add("n", 1, 60) == 1


async def test_what_is_kept_for_ages_is_there(cache: Cache) -> None:
    await cache.set("key", b"x", 1e15)
    assert await there(cache, "key")
    assert await cache.add("n", 1, 1e15) == 1
    assert await cache.add("n", 1, 1e15) == 2


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


async def test_a_counter_expires_after_its_first_change(cache: Cache) -> None:
    assert await cache.add("long", 1, 60) == 1
    assert await cache.add("n", 1, 0.2) == 1
    await cache.add("n", 1, 60)
    await cache.add("long", 1, 0.05)
    await let_pass(cache, 0.2)
    assert await cache.add("n", 1, 60) == 1
    assert await cache.add("long", 1, 60) == 3


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


async def test_after_the_wait_there_is_a_token(cache: Cache) -> None:
    bucket = Bucket(rate=20, burst=1)
    began = time.monotonic()
    given = 0

    async def taken() -> bool:
        nonlocal given
        wait = await cache.take("b", bucket)
        assert wait <= 0.05
        given += wait == 0
        return given == 5

    await until(taken)
    assert given <= 1 + 20 * (time.monotonic() - began) + 0.001


async def test_tokens_are_saved_up_to_the_burst_only(cache: Cache) -> None:
    bucket = Bucket(rate=100, burst=2)
    slow = Bucket(rate=0.001, burst=2)
    assert await cache.take("b", bucket, 2) == 0
    await let_pass(cache, 0.1)
    assert await cache.take("b", slow, 2) == 0  # saved up at once: a slow one would take half an hour
    assert await cache.take("b", slow) > 900


async def test_a_bucket_gives_no_more_than_it_has_however_many_ask(cache: Cache) -> None:
    bucket = Bucket(rate=0.001, burst=25)
    waits = await asyncio.gather(*(cache.take("b", bucket) for _ in range(100)))
    assert waits.count(0) == 25


async def test_a_paused_bucket_gives_nothing_and_then_one(cache: Cache) -> None:
    bucket = Bucket(rate=0.001, burst=10)
    await cache.empty("b", bucket, 0.1)
    wait = await cache.take("b", bucket)
    assert wait <= 0.1
    await let_pass(cache, 0.1)
    assert await cache.take("b", bucket) == 0
    assert 900 < await cache.take("b", bucket) <= 1000
    await cache.empty("c", bucket, 60)
    assert 50 < await cache.take("c", bucket) <= 60


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
        cache.empty("k", Bucket(1, 1), 1),
        cache.delete("k"),
    ):
        with pytest.raises(Unavailable):
            await call
