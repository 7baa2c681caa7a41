"""The processes between which the gateway is measured: a service, the gateway before it, and a bare proxy beside it.

``python -m tests.bench.gateway_processes service|gateway|bare [UPSTREAM]`` says in one line where it listens, and ends
with its standard input. All run on the same loop and the same server as those of a fleet, and write the same log.
"""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any, Final

import aiohttp
import msgspec
import uvloop
from litestar import Litestar, Request, get
from litestar.params import FromPath
from litestar.response import Stream
from msgspec import Struct

from services.contracts.progress import Heartbeat
from services.contracts.settings import GatewaySettings, Quota
from services.gateway.domain import Routes
from services.gateway.usecases.door import Door
from services.gateway.usecases.front import Front
from services.gateway.usecases.idempotency import KeptAnswers
from services.gateway.usecases.identities import Identities
from services.gateway.usecases.rate_limits import RateLimiter
from services.kernel import metrics
from services.kernel.app import create_app, identify_principal
from services.kernel.cache.memory import MemoryCache
from services.kernel.calls import Caller, Endpoint, LocalCalls, Nothing, operator
from services.kernel.directory import Instance
from services.kernel.directory.local import LocalDirectory
from services.kernel.http_calls import HttpCalls
from services.kernel.http_limits import Limits
from services.kernel.http_server import HttpServer
from services.kernel.listening import open_listener
from services.kernel.messages import now, workspace_id
from services.kernel.observe import configure_logs
from services.kernel.openapi import PRINCIPAL
from services.kernel.tuning import tune_process
from tests.bench.identities import Auth, access_token
from tests.bench.processes import ROOT
from tests.kernel.keys import signer, verifier

#: Seconds between two events of a stream, and bytes of each.
EVERY: Final = 2.0
EVENT: Final = 16_000
#: Of one alone a gateway takes only so many streams.
ACCOUNTS: Final = 25


class Said(Struct, frozen=True):
    words: tuple[str, ...]


class Watch(Struct, frozen=True):
    name: str
    after: int | None = None


class Seen(Struct, frozen=True):
    sequence: int
    words: str


SAID: Final = Said(("word",) * 20)
SAY: Final = Endpoint(
    service="organ", name="say", method="GET", path="/v1/say", takes=Nothing, answers=Said, summary="Say.",
    needs="scans.read",
)  # fmt: skip
WATCH: Final = Endpoint(
    service="organ", name="watch", method="GET", path="/v1/watch/{name}", takes=Watch, answers=Seen, summary="Watch.",
    needs="scans.read", streams=True, resumes=True,
)  # fmt: skip


class Place(Struct, frozen=True):
    """Where a process listens, which it is, and the tokens of several accounts by which it is asked."""

    address: str
    pid: int
    tokens: tuple[str, ...] = ()


async def say(ports: object, caller: Caller, question: Nothing) -> Said:
    return SAID


async def watch(ports: object, caller: Caller, question: Watch) -> AsyncGenerator[Seen, None]:
    loop = asyncio.get_running_loop()
    while True:
        yield Seen(int(loop.time() / EVERY), "x" * EVENT)
        await asyncio.sleep(EVERY - loop.time() % EVERY)


def service() -> Any:
    local = LocalCalls()
    local.serve(object(), {SAY: say, WATCH: watch})
    identify = identify_principal(verifier("organ"))
    return create_app(local, [SAY, WATCH], hosts=frozenset({"127.0.0.1"}), identify=identify)


async def gateway(upstream: str) -> tuple[Any, tuple[str, ...]]:
    directory = LocalDirectory()
    await directory.register(Instance("organ", "organ-1", upstream, {}))
    identities = Identities(Auth())
    calls = HttpCalls(LocalCalls(), directory, signer("gateway"))
    endpoints = (SAY, WATCH)
    routes = Routes((each.method, each.path, each) for each in endpoints)
    cache = MemoryCache()
    often = GatewaySettings(people=Quota(1_000_000, 1), scripts=Quota(1_000_000, 1), strangers=Quota(1_000_000, 1))
    front = Front(identities, RateLimiter(cache, lambda: often), KeptAnswers(cache, b"a bench"), "/api")
    door = Door(calls, routes, endpoints, front.identify, "/api", watched=identities.watched, before=front.before)

    async def beat() -> None:
        while True:
            await identities.hear(Heartbeat(last=0, at=now()))
            await asyncio.sleep(1.0)

    door.beating = asyncio.create_task(beat())  # type: ignore[attr-defined]  # for as long as the door is there
    workspace = workspace_id("default")
    return door, tuple(access_token(workspace) for _ in range(ACCOUNTS))


async def bare(upstream: str) -> Any:
    """What a proxy costs that does nothing but pass on; the service knows it by a principal, as it has to."""
    session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
    signing, asking = signer("operator"), operator(workspace_id("default"))

    @get("/api/{path:path}")
    async def pass_on(path: FromPath[str], request: Request[Any, Any, Any]) -> Stream:
        headers = {PRINCIPAL: signing.sign(asking, "organ")}
        answer = await session.get(f"http://{upstream}{path}", headers=headers)

        async def chunks() -> AsyncIterator[bytes]:
            async with answer:
                async for chunk in answer.content.iter_any():
                    yield chunk

        return Stream(chunks(), status_code=answer.status, media_type=answer.headers["content-type"])

    return Litestar([pass_on], openapi_config=None, logging_config=None)


async def serve(role: str, upstream: str) -> None:
    metrics.start()
    tokens: tuple[str, ...] = ()
    if role == "gateway":
        app, tokens = await gateway(upstream)
    else:
        app = await bare(upstream) if role == "bare" else service()
    listener = open_listener("127.0.0.1:0")
    server = HttpServer(app, listener, None if role == "service" else Limits())
    server.begin()
    place = Place(f"127.0.0.1:{listener.getsockname()[1]}", os.getpid(), tokens)
    print(msgspec.json.encode(place).decode(), flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await server.close(1.0)


@contextmanager
def running(role: str, upstream: str = "") -> Iterator[Place]:
    """One of them, until the block ends."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.gateway_processes", role, upstream],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield msgspec.json.decode(process.stdout.readline(), type=Place)
    finally:
        process.stdin.close()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


if __name__ == "__main__":
    configure_logs("info")
    tune_process()
    uvloop.run(serve(*sys.argv[1:]))
