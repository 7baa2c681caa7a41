"""How many tokens a second the `cache` port takes on Redis, beside the bare call of the same script by its library."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import uvloop
from redis.asyncio import BlockingConnectionPool, Redis

from services.kernel.cache import Bucket
from services.kernel.cache.redis import RedisCache
from services.kernel.cache.redis_scripts import TAKE
from services.kernel.server import Server
from tests.bench.declaration import Bench, Figure, Options, middle, span
from tests.bench.serving import serving

BUCKET = Bucket(rate=1e6, burst=1e9)
TAKES = 5_000
CONNECTIONS = 8

Take = Callable[[str], Awaitable[Any]]


async def rate(take: Take, callers: int) -> float:
    async def call(caller: int) -> None:
        for _ in range(TAKES // callers):
            await take(f"source{caller}")

    started = time.perf_counter()
    await asyncio.gather(*(call(caller) for caller in range(callers)))
    return TAKES // callers * callers / (time.perf_counter() - started)


async def measure(options: Options) -> list[Figure]:
    figures = []
    with serving("redis") as running:
        cache = RedisCache(Server.parse(f"{running.url}/bench"), connections=CONNECTIONS)
        pool = BlockingConnectionPool(port=running.port, max_connections=CONNECTIONS)
        client = Redis.from_pool(pool)
        script = client.register_script(TAKE.text)

        async def take(key: str) -> float:
            return await cache.take(key, BUCKET)

        async def bare(key: str) -> Any:
            return await script([f"bare:{key}"], [BUCKET.rate, BUCKET.burst, 1.0])

        for callers in (1, 50):
            found, limits = [], []
            for _ in range(options.runs):
                found.append(await rate(take, callers))
                limits.append(await rate(bare, callers))
            figures.append(
                Figure(
                    what=f"take, {callers} at once",
                    value=middle(found),
                    unit="calls/s",
                    bare=middle(limits),
                    spread=span(found),
                )
            )
        await cache.close()
        await client.aclose()
    return figures


BENCH = Bench("cache", "Tokens from Redis beside the bare script.", lambda options: uvloop.run(measure(options)))
