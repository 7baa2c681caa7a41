"""One small service behind the front in both hulls: a fleet's gateway, and everything in one process."""

import asyncio
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Literal
from uuid import UUID, uuid4

import uvicorn
from msgspec import Struct
from msgspec.structs import replace

from services.contracts.settings import GatewaySettings
from services.gateway.domain import Routes
from services.gateway.usecases.door import Door
from services.gateway.usecases.front import Front
from services.gateway.usecases.idempotency import KeptAnswers
from services.gateway.usecases.rate_limits import RateLimiter
from services.kernel.app import create_app, identify_principal, serve_hosts
from services.kernel.cache import Cache
from services.kernel.cache.memory import MemoryCache
from services.kernel.calls import ANYBODY, Caller, Endpoint, LocalCalls, Nothing
from services.kernel.directory import Instance
from services.kernel.directory.local import LocalDirectory
from services.kernel.errors import MirageError, Unauthenticated
from services.kernel.http_calls import HttpCalls
from services.kernel.messages import EVERYWHERE
from tests.kernel.asgi import Reply, request
from tests.kernel.keys import signer, verifier

HULLS = ("fleet", "up")


class Beat(Struct, frozen=True, kw_only=True):
    drum: str
    sound: str = "boom"
    times: int = 1


class Beaten(Struct, frozen=True):
    number: int
    sound: str


DRUM = Endpoint(
    service="organ", name="drum", method="POST", path="/v1/drums/{drum}", takes=Beat, answers=Beaten, summary="",
    needs="organ.play", idempotent=False,
)  # fmt: skip
MARCH = replace(DRUM, name="march", path="/v1/marches/{drum}", streams=True)
KNOCK = replace(DRUM, name="knock", path="/v1/knocks/{drum}", needs=ANYBODY, within=False)
LOOK = replace(DRUM, name="look", method="GET", path="/v1/looks", takes=Nothing, answers=Nothing)


class Drums:
    """Counts its beats; ``error`` is raised after one, ``gate`` is waited for."""

    def __init__(self) -> None:
        self.beaten = 0
        self.error: MirageError | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self.begun = asyncio.Event()


async def drum(drums: Drums, caller: Caller, beat: Beat) -> Beaten:
    drums.beaten += 1
    drums.begun.set()
    await drums.gate.wait()
    if drums.error is not None:
        raise drums.error
    return Beaten(drums.beaten, beat.sound * beat.times)


async def march(drums: Drums, caller: Caller, beat: Beat) -> AsyncGenerator[Beaten, None]:
    drums.beaten += 1
    for number in range(beat.times):
        yield Beaten(number, beat.sound)


async def look(drums: Drums, caller: Caller, question: Nothing) -> Nothing:
    return question


DOORS = {DRUM: drum, MARCH: march, KNOCK: drum, LOOK: look}


class People:
    """Who has which token; ``asked``: of tokens that had not been seen before."""

    def __init__(self) -> None:
        self.known: dict[str, Caller] = {}
        self.asked = 0
        self._seen: set[str] = set()

    def add(self, token: str, *, kind: Literal["person", "token"] = "person", **more: Any) -> Caller:
        said = {"workspace": UUID(int=7), "account": uuid4(), "session": uuid4(), **more}
        caller = Caller(name=token, kind=kind, permissions=frozenset({"organ.play", ANYBODY}), **said)
        self.known[f"Bearer {token}"] = caller
        return caller

    async def identify(self, headers: Mapping[str, str], address: str) -> Caller:
        said = headers["authorization"]
        self.asked += 1
        if said not in self.known:
            raise Unauthenticated("this token lets nobody in")
        self._seen.add(said)
        return replace(self.known[said], address=address)

    def recall(self, headers: Mapping[str, str], address: str) -> Caller | None:
        said = headers.get("authorization")
        if said is None:
            return Caller(EVERYWHERE, "nobody", permissions=frozenset({ANYBODY}), address=address)
        return replace(self.known[said], address=address) if said in self._seen else None


class Hull:
    """``app`` is what the world reaches."""

    def __init__(self, app: Any, drums: Drums, people: People, cache: Cache) -> None:
        self.app = app
        self.drums = drums
        self.people = people
        self.cache = cache

    async def post(self, path: str, body: object = None, *, token: str = "jo", **more: Any) -> Reply:
        """Ask as who has a token, with an ``idempotency_key`` if there is one."""
        headers = {**more.pop("headers", {}), **({"Authorization": f"Bearer {token}"} if token else {})}
        if (key := more.pop("key", None)) is not None:
            headers["Idempotency-Key"] = key
        return await request(self.app, "POST", f"/api/v1/{path}", headers=headers, body=body or {}, **more)

    async def get(self, path: str = "looks", *, token: str = "jo") -> Reply:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return await request(self.app, "GET", f"/api/v1/{path}", headers=headers)


@asynccontextmanager
async def opened(
    kind: str, *, cache: Cache | None = None, settings: GatewaySettings | None = None
) -> AsyncIterator[Hull]:
    """A hull of one of both kinds, in which jo is known."""
    drums, people, cache = Drums(), People(), cache or MemoryCache()
    people.add("jo")
    limits = settings or GatewaySettings()
    front = Front(people, RateLimiter(cache, lambda: limits), KeptAnswers(cache, b"of the gateways"), "/api")
    local = LocalCalls()
    local.serve(drums, DOORS)
    async with AsyncExitStack() as stack:
        if kind == "up":
            hosts = serve_hosts("127.0.0.1:8080")
            app: Any = create_app(
                local, DOORS, hosts=hosts, identify=front.identify, prefix="/api", before=front.before, public=True
            )
        else:
            calls = HttpCalls(LocalCalls(), await stack.enter_async_context(_instance(local)), signer())
            stack.push_async_callback(calls.close)
            routes = Routes[Any]((each.method, each.path, each) for each in DOORS)
            app = Door(calls, routes, DOORS, front.identify, "/api", before=front.before)
        yield Hull(app, drums, people, cache)


@asynccontextmanager
async def _instance(local: LocalCalls) -> AsyncIterator[LocalDirectory]:
    """An instance of the service on loopback, and the directory that knows it."""
    app = create_app(local, DOORS, hosts=frozenset({"127.0.0.1"}), identify=identify_principal(verifier("organ")))
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=1, lifespan="off"))
    task = asyncio.create_task(server._serve([listener]))
    while not server.started:
        await asyncio.sleep(0.001)
    directory = LocalDirectory()
    await directory.register(Instance("organ", "organ-1", f"127.0.0.1:{listener.getsockname()[1]}", {}))
    yield directory
    server.force_exit = server.should_exit = True
    await task
    listener.close()
