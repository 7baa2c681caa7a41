"""Redis is taken away while a fleet's gateways are used: nobody is told anything wrong, and all goes on by itself."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from uuid import uuid4

import pytest

from services.contracts.settings import GatewaySettings, Quota
from services.gateway.usecases.rate_limits import RateLimiter, TooOften
from services.kernel.cache.redis import RedisCache
from services.kernel.server import Server
from tests.servers.running import Server as Running
from tests.services.gateway.hulls import opened

pytestmark = pytest.mark.server

#: What nobody gets back while a test runs.
FEW = GatewaySettings(people=Quota(640, 3600), scripts=Quota(640, 3600))
KEY = "8e03978e-40d5-43dd-bc93-6894a57f9324"


@pytest.fixture
def redis(own_server: Callable[[str], Running]) -> Running:
    return own_server("redis")


@pytest.fixture
async def cache(redis: Running) -> AsyncIterator[Callable[[], RedisCache]]:
    begun: list[RedisCache] = []
    place = Server.parse(f"redis://127.0.0.1:{redis.port}/{uuid4().hex}")

    def begin() -> RedisCache:
        begun.append(RedisCache(place))
        return begun[-1]

    yield begin
    for each in begun:
        await each.close()


async def let_in(limiter: RateLimiter, times: int) -> int:
    count = 0
    for _ in range(times):
        try:
            limiter.take("token", "nightly")
        except TooOften:
            pass
        else:
            count += 1
        while limiter._telling:
            await asyncio.sleep(0)
    return count


async def eventually(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(60):
        while not await holds():
            await asyncio.sleep(0.02)


async def test_gateways_share_a_limit_lose_it_with_redis_and_share_it_again(
    redis: Running, cache: Callable[[], RedisCache]
) -> None:
    one, other = (RateLimiter(cache(), lambda: FEW) for _ in range(2))
    count = sum([await let_in(each, 50) for _ in range(20) for each in (one, other)])
    assert 640 <= count <= 640 + 2 * 20

    fresh, third = (RateLimiter(cache(), lambda: FEW) for _ in range(2))
    redis.kill()
    assert await let_in(fresh, 1000) == 640, "each counts by itself, to the same limit"
    redis.start()

    async def refused() -> bool:
        """Whether one that never heard of it knows that all is used up."""
        return await let_in(third, 1) == 0

    await eventually(refused)


async def test_a_redis_that_hangs_holds_nobody_up(redis: Running, cache: Callable[[], RedisCache]) -> None:
    limiter = RateLimiter(cache(), lambda: FEW)
    with redis.held():
        for _ in range(640):
            limiter.take("token", "nightly")
            await asyncio.sleep(0)
        with pytest.raises(TooOften):
            limiter.take("token", "nightly")
    await asyncio.gather(*limiter._telling)


async def test_a_question_with_a_key_is_done_once_at_all_gateways_and_never_twice_without_redis(
    redis: Running, cache: Callable[[], RedisCache]
) -> None:
    async with AsyncExitStack() as stack:
        hulls = [await stack.enter_async_context(opened("fleet", cache=cache())) for _ in range(2)]
        for each in hulls[1:]:
            each.people.known = hulls[0].people.known

        async def all_of(key: str) -> list[int]:
            return [(await each.post("drums/a", key=key)).status for each in hulls]

        def beaten() -> int:
            return sum(each.drums.beaten for each in hulls)

        first = await hulls[0].post("drums/a", key=KEY)
        replay = await hulls[1].post("drums/a", key=KEY)
        assert (replay.body, replay.headers["idempotent-replayed"], beaten()) == (first.body, "true", 1)
        redis.kill()
        assert await all_of(KEY) == await all_of("another") == [503, 503]
        assert beaten() == 1
        assert [(await each.post("drums/a")).status for each in hulls] == [200, 200]
        redis.start()

        async def is_back() -> bool:
            return await all_of(KEY) == [200, 200]

        await eventually(is_back)
        assert beaten() == 3, "what was kept outlived it"
        assert await all_of("another") == [200, 200]
        assert beaten() == 4


async def test_what_redis_loses_during_a_question_is_not_done_twice_at_once(
    redis: Running, cache: Callable[[], RedisCache]
) -> None:
    async with opened("fleet", cache=cache()) as hull:
        hull.drums.gate.clear()
        asking = asyncio.create_task(hull.post("drums/a", key=KEY))
        await asyncio.wait_for(hull.drums.begun.wait(), 30)
        redis.kill()
        hull.drums.gate.set()
        assert (await asking).status == 200, "an answer that cannot be kept is given"
        redis.start()

        async def is_back() -> bool:
            return (await hull.post("drums/a", key=KEY)).status != 503

        await eventually(is_back)
        assert (await hull.post("drums/a", key=KEY)).status == 409
        assert hull.drums.beaten == 1


async def test_nobody_who_reads_redis_reads_an_answer(redis: Running, cache: Callable[[], RedisCache]) -> None:
    async with opened("fleet", cache=cache()) as hull:
        await hull.post("drums/a", {"sound": "a-secret"}, key="a-secret-key")
        redis.stop()
        written = b"".join(file.read_bytes() for file in redis.folder.rglob("*") if file.is_file())
        assert b"answer:" in written
        assert b"a-secret" not in written
        assert b"of the gateways" not in written
