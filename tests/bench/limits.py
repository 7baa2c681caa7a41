"""What it costs a request to be limited, and a question to be done once; each beside the same application alone."""

import asyncio
import time
from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from services.contracts.settings import GatewaySettings, Quota
from services.gateway.usecases.front import Front
from services.gateway.usecases.idempotency import KeptAnswers
from services.gateway.usecases.rate_limits import RateLimiter
from services.kernel.cache.memory import MemoryCache
from services.kernel.calls import Caller
from tests.bench.declaration import Bench, Figure, Options, middle, span

REQUESTS: Final = 20_000
SETTINGS: Final = GatewaySettings(people=Quota(1_000_000, 1))
JO: Final = Caller(UUID(int=7), "jo", account=UUID(int=8), session=UUID(int=9))


class Everybody:
    """Knows whoever comes, at no cost."""

    async def identify(self, headers: Mapping[str, str], address: str) -> Caller:
        return JO

    def recall(self, headers: Mapping[str, str], address: str) -> Caller:
        return JO


async def answer(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": b"{}", "more_body": False})


async def receive() -> dict[str, Any]:
    return {"type": "http.request", "body": b'{"targets":["example.org"]}', "more_body": False}


async def send(_: Any) -> None:
    pass


def scope(method: str, *headers: tuple[bytes, bytes]) -> dict[str, Any]:
    said = [(b"host", b"localhost"), (b"authorization", b"Bearer x"), (b"accept", b"*/*"), *headers]
    path = "/api/v1/scans"
    return {
        "type": "http", "state": {}, "method": method, "path": path, "raw_path": path.encode(), "query_string": b"",
        "headers": said, "client": ("192.0.2.1", 1),
    }  # fmt: skip


async def each(app: Any, scopes: list[dict[str, Any]]) -> float:
    """Microseconds of one request."""
    began = time.perf_counter()
    for asked in scopes:
        await app(asked, receive, send)
    return (time.perf_counter() - began) / len(scopes) * 1e6


async def measure() -> dict[str, float]:
    cache = MemoryCache()
    limiter = RateLimiter(cache, lambda: SETTINGS)
    app = Front(Everybody(), limiter, KeptAnswers(cache, b"secret"), "/api").before(answer)
    plain = [scope("GET")] * REQUESTS
    keyed = [scope("POST", (b"idempotency-key", b"%d" % number)) for number in range(REQUESTS // 10)]
    found = {"bare": await each(answer, plain), "limited": await each(app, plain)}
    found |= {"once": await each(app, keyed), "replayed": await each(app, keyed)}
    began = time.perf_counter()
    for _ in range(REQUESTS):
        assert limiter.take("person", "jo").headers
    found["take"] = (time.perf_counter() - began) / REQUESTS * 1e6
    return found


def run(options: Options) -> list[Figure]:
    runs = [asyncio.run(measure()) for _ in range(options.runs)]
    middles = {name: middle([found[name] for found in runs]) for name in runs[0]}
    spans = {name: span([found[name] for found in runs]) for name in runs[0]}
    bare = middles["bare"]
    return [
        Figure(what="a request of who is known, limited", value=middles["limited"], unit="µs", bar=20 + bare,
               at_most=True, bare=bare, spread=spans["limited"], beside="bare: the application alone"),
        Figure(what="of that, the limit itself with its headers", value=middles["take"], unit="µs",
               spread=spans["take"]),
        Figure(what="a question with a key, for the first time", value=middles["once"], unit="µs", bare=bare,
               spread=spans["once"]),
        Figure(what="the same again", value=middles["replayed"], unit="µs", bare=bare, spread=spans["replayed"]),
    ]  # fmt: skip


BENCH = Bench(
    name="limits",
    bar="limits cost a request ≤ 20 µs",
    run=run,
)
