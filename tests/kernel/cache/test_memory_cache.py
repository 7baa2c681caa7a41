"""What only the caches of one process do: keep exact time by a clock of ours, stay small, remember in a file."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.kernel.cache import Bucket, Cache, memory, sqlite
from services.kernel.cache.memory import MemoryCache
from services.kernel.cache.sqlite import SqliteCache
from tests.kernel.conftest import Clock


@pytest.fixture(params=["memory", "sqlite"])
async def cache(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> AsyncIterator[Cache]:
    memory = request.param == "memory"
    opened = MemoryCache(clock=clock) if memory else SqliteCache(tmp_path / "cache.db", clock=clock)
    yield opened
    await opened.close()


async def there(cache: Cache, key: str) -> bool:
    return await cache.get(key) is not None


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


async def test_a_counter_expires_after_its_first_change(cache: Cache, clock: Clock) -> None:
    assert await cache.add("n", 1, 0.3) == 1
    clock.now += 0.2
    assert await cache.add("n", 1, 60) == 2
    clock.now += 0.2
    assert await cache.add("n", 1, 60) == 1
    clock.now += 59
    assert await cache.add("n", 1, 60) == 2


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


async def test_a_paused_bucket_gives_nothing_and_then_one(cache: Cache, clock: Clock) -> None:
    bucket = Bucket(rate=1, burst=10)
    await cache.empty("b", bucket, 0.4)
    wait = await cache.take("b", bucket)
    assert 0.1 < wait <= 0.4
    clock.now += wait
    assert await cache.take("b", bucket) == 0
    assert 0.5 < await cache.take("b", bucket) <= 1


@given(
    rate=st.sampled_from([0.1, 1.0, 7.0, 1000.0]),
    burst=st.integers(1, 20),
    pauses=st.lists(st.floats(0, 3), max_size=60),
)
async def test_over_any_time_a_bucket_gives_the_burst_and_what_flows_in(
    rate: float, burst: int, pauses: list[float]
) -> None:
    clock = Clock()
    cache = MemoryCache(clock=clock)
    given_out = 0
    for pause in pauses:
        clock.now += pause
        while await cache.take("b", Bucket(rate, burst)) == 0:
            given_out += 1
            assert given_out <= burst + rate * (clock.now - 1_000) + 1e-6


@given(seed=st.integers(0, 1000))
async def test_who_waits_as_long_as_told_gets_a_token(seed: int) -> None:
    source = random.Random(seed)
    clock = Clock()
    cache = MemoryCache(clock=clock)
    bucket = Bucket(source.choice([0.3, 1, 3, 11]), source.randint(1, 5))
    for _ in range(50):
        tokens = source.uniform(0.1, bucket.burst)
        clock.now += await cache.take("b", bucket, tokens) or 0
        if source.random() < 0.1:
            await cache.empty("b", bucket, source.uniform(0, 5))
    wait = await cache.take("b", bucket, bucket.burst)
    clock.now += wait
    assert wait == 0 or await cache.take("b", bucket, bucket.burst) == 0


async def test_by_itself_it_goes_by_the_seconds_that_pass(tmp_path: Path) -> None:
    for cache in (MemoryCache(), SqliteCache(tmp_path / "cache.db")):
        await cache.set("long", b"x", 600)
        await cache.set("short", b"x", 0.01)
        async with asyncio.timeout(10):
            while await cache.get("short"):
                await asyncio.sleep(0.005)
        assert await cache.get("long")
        await cache.close()


async def test_it_stays_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "MAX_VALUES", 10)
    monkeypatch.setattr(memory, "MAX_COUNTS", 10)
    monkeypatch.setattr(memory, "MAX_BYTES", 1000)
    clock = Clock()
    cache = MemoryCache(clock=clock)
    for number in range(30):
        await cache.set(f"k{number}", b"x", 60)
        await cache.get("k0")
        await cache.add(f"n{number}", 1, 60 + number)
        await cache.take(f"b{number}", Bucket(0.01 / (number + 1), 1))
    assert await cache.get("k0") == b"x"  # used all the time
    assert await cache.get("k5") is None
    assert max(len(cache._values), len(cache._counters), len(cache._levels)) <= 10
    assert await cache.add("n29", 1, 60) == 2
    assert await cache.take("b29", Bucket(0.01, 1)) > 0
    await cache.set("large", b"x" * 995, 60)
    assert cache._bytes <= 1000


async def test_buckets_that_are_full_again_are_forgotten_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "MAX_COUNTS", 100)
    clock = Clock()
    cache = MemoryCache(clock=clock)
    await cache.take("slow", Bucket(0.0001, 1))
    for number in range(500):
        clock.now += 1
        await cache.take(f"quick{number}", Bucket(10, 1))
    assert await cache.take("slow", Bucket(0.0001, 1)) > 0


async def test_what_sources_were_asked_survives_a_restart(tmp_path: Path) -> None:
    monotonic, wall = Clock(5.0), Clock(1_700_000_000.0)
    bucket = Bucket(rate=0.1, burst=2)
    first = SqliteCache(tmp_path / "cache.db", clock=monotonic, wall=wall)
    await first.take("b", bucket, 2)
    await first.empty("paused", bucket, 100)
    await first.add("n", 7, 100)
    await first.add("gone", 7, 100)
    await first.delete("gone")
    await first.close()

    wall.now += 5
    second = SqliteCache(tmp_path / "cache.db", clock=Clock(0.5), wall=wall)
    assert await second.take("b", bucket) == pytest.approx(5)
    assert await second.take("paused", bucket) == pytest.approx(95)
    assert await second.add("n", 1, 100) == 8
    assert await second.add("gone", 1, 1) == 1
    await second.close()

    wall.now += 200
    third = SqliteCache(tmp_path / "cache.db", clock=Clock(0.5), wall=wall)
    assert await third.take("b", bucket, 2) == 0
    assert await third.add("n", 1, 100) == 1
    assert set(third._levels) == {"b"}
    await third.close()


async def test_a_clock_set_back_gives_no_tokens_away(tmp_path: Path) -> None:
    wall = Clock(1_700_000_000.0)
    bucket = Bucket(rate=1, burst=1)
    first = SqliteCache(tmp_path / "cache.db", clock=Clock(), wall=wall)
    await first.take("b", bucket)
    await first.close()
    wall.now -= 3600
    second = SqliteCache(tmp_path / "cache.db", clock=Clock(), wall=wall)
    assert await second.take("b", bucket) == pytest.approx(1)
    await second.close()


KILLED = """
import asyncio
from services.kernel.cache import Bucket, sqlite
from services.kernel.cache.sqlite import SqliteCache

async def main():
    sqlite.WRITE_SECONDS = 0.01
    cache = SqliteCache("cache.db")
    await cache.take("b", Bucket(0.001, 1))
    while not cache._writing:
        await asyncio.sleep(0.01)
    await cache._writing
    print("ready", flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


async def test_a_death_loses_no_more_than_the_last_second(
    tmp_path: Path, kill_when_ready: Callable[[str], None]
) -> None:
    assert sqlite.WRITE_SECONDS <= 1
    await asyncio.to_thread(kill_when_ready, KILLED)
    cache = SqliteCache(tmp_path / "cache.db")
    assert await cache.take("b", Bucket(0.001, 1)) > 900
    await cache.close()


async def test_a_file_that_cannot_be_written_stops_nobody(tmp_path: Path) -> None:
    cache = SqliteCache(tmp_path / "cache.db")
    await cache.take("b", Bucket(1, 10))
    await cache._write()
    await cache._file.write(lambda connection: connection.execute("DROP TABLE level"))
    assert await cache.take("b", Bucket(1, 10)) == 0
    await cache._write()
    assert cache._changed == {"b"}
    await cache.close()
