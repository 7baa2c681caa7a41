"""Questions over HTTP to a service in the directory, one after the other and many at once, and through the gateway.

The bare limit is aiohttp and uvicorn, which pass the same bytes. All of it is in one loop on loopback, and no request
is logged.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgspec
import structlog

from services.gateway.domain import Routes
from services.gateway.usecases.door import Door
from services.kernel.app import create_app, identify_operator, identify_principal
from services.kernel.calls import Caller, Endpoint, LocalCalls, Nothing, operator
from services.kernel.directory import Instance
from services.kernel.directory.local import LocalDirectory
from services.kernel.http_calls import HttpCalls
from services.kernel.http_limits import Limits
from services.kernel.http_server import HttpServer
from services.kernel.listening import open_listener
from services.kernel.messages import workspace_id
from tests.bench.declaration import Bench, Figure, Options, middle, span
from tests.kernel.keys import signer, verifier

QUESTIONS = 1000
AT_ONCE = 32
CALLER = operator(workspace_id("default"))


class Said(msgspec.Struct, frozen=True):
    words: tuple[str, ...]


SAID = Said(("word",) * 20)
SAY = Endpoint(service="organ", name="say", method="GET", path="/v1/say", takes=Nothing, answers=Said, summary="Say.")
Ask = Callable[[], Awaitable[Any]]


async def say(ports: object, caller: Caller, question: Nothing) -> Said:
    return SAID


async def plain(scope: Any, receive: Any, send: Any) -> None:
    body = msgspec.json.encode(SAID)
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})


@asynccontextmanager
async def served(app: Any, limits: Limits | None = None) -> AsyncIterator[str]:
    listener = open_listener("127.0.0.1:0")
    server = HttpServer(app, listener, limits)
    server.begin()
    try:
        yield f"127.0.0.1:{listener.getsockname()[1]}"
    finally:
        await server.close(1.0)


async def rate(ask: Ask, at_once: int) -> float:
    """Answers a second."""

    async def some() -> None:
        for _ in range(QUESTIONS // at_once):
            await ask()

    began = time.perf_counter()
    await asyncio.gather(*(some() for _ in range(at_once)))
    return QUESTIONS // at_once * at_once / (time.perf_counter() - began)


def get(session: aiohttp.ClientSession, url: str) -> Ask:
    async def ask() -> None:
        async with session.get(url) as answer:
            msgspec.json.decode(await answer.read(), type=Said)

    return ask


async def measured(runs: int) -> dict[tuple[str, int], list[float]]:
    local, directory = LocalCalls(), LocalDirectory()
    local.serve(object(), {SAY: say})
    calls = HttpCalls(LocalCalls(), directory, signer())
    door = Door(calls, Routes([("GET", SAY.path, SAY)]), [SAY], identify_operator(), "/api")
    found: dict[tuple[str, int], list[float]] = {}
    async with (
        aiohttp.ClientSession() as session,
        served(
            create_app(local, [SAY], hosts=frozenset({"127.0.0.1"}), identify=identify_principal(verifier("organ")))
        ) as service,
        served(plain) as bare,
        served(door, Limits()) as gateway,
    ):
        await directory.register(Instance("organ", "organ-1", service, {}))
        ways: dict[str, Ask] = {
            "asked": lambda: calls.ask(SAY, Nothing(), CALLER),
            "bare": get(session, f"http://{bare}/v1/say"),
            "gateway": get(session, f"http://{gateway}/api/v1/say"),
        }
        for _ in range(runs):
            for name, ask in ways.items():
                for at_once in (1, AT_ONCE):
                    found.setdefault((name, at_once), []).append(await rate(ask, at_once))
    await calls.close()
    return found


def run(options: Options) -> list[Figure]:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    found = asyncio.run(measured(options.runs))
    return [
        Figure(
            what=f"{what}, {at_once} at once",
            value=middle(found[name, at_once]),
            unit="answers/s",
            bare=middle(found["bare", at_once]),
            spread=span(found[name, at_once]),
        )
        for name, what in (("asked", "questions to a service"), ("gateway", "requests through the gateway"))
        for at_once in (1, AT_ONCE)
    ]


BENCH = Bench(name="calls", bar="none: what a question to another process costs", run=run)
