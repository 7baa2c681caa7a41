"""A service whose stream can be resumed, people who watch it through a door, and what goes wrong between them."""

import asyncio
import re
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any
from uuid import UUID, uuid5

import uvicorn
from msgspec import Struct

from services.gateway.domain import Routes
from services.gateway.usecases.door import Door
from services.kernel.app import create_app
from services.kernel.calls import Caller, Endpoint, LocalCalls
from services.kernel.directory import Instance
from services.kernel.directory.local import LocalDirectory
from services.kernel.errors import MirageError, Unauthenticated
from services.kernel.http_calls import HttpCalls
from services.kernel.messages import workspace_id
from tests.kernel.asgi import Reply, request
from tests.kernel.keys import signer
from tests.kernel.served import WHO_IS_KNOWN

PATH = "/api/v1/bells/tenor"


class Peal(Struct, frozen=True):
    """Which bell; ``after``: the stroke that was heard last."""

    bell: str
    after: int | None = None


class Stroke(Struct, frozen=True):
    sequence: int
    sound: str = ""


HEAR = Endpoint(
    service="organ", name="hear", method="GET", path="/v1/bells/{bell}", takes=Peal, answers=Stroke, summary="Hear.",
    needs="organ.play", streams=True, resumes=True,
)  # fmt: skip


class Asked(Struct, frozen=True):
    name: str
    workspace: UUID
    after: int | None


class Tower:
    """Its bells are struck in each workspace; who begins to listen hears the last stroke, and then what comes."""

    def __init__(self) -> None:
        self.struck: dict[UUID, list[Stroke]] = {}
        self.asked: list[Asked] = []
        self.open = 0
        self.ended = False
        self.error: MirageError | None = None
        self._changed = asyncio.Event()

    def strike(self, *sequences: int, workspace: str = "ours", sound: str = "") -> None:
        self.struck.setdefault(workspace_id(workspace), []).extend(Stroke(each, sound) for each in sequences)
        self.wake()

    def end(self) -> None:
        self.ended = True
        self.wake()

    def fail(self, error: MirageError) -> None:
        """Let all who listen, and who come, be told so."""
        self.error = error
        self.wake()

    def wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


async def hear(tower: Tower, caller: Caller, question: Peal) -> AsyncGenerator[Stroke, None]:
    tower.asked.append(Asked(caller.name, caller.workspace, question.after))
    tower.open += 1
    struck = tower.struck.setdefault(caller.workspace, [])
    at = max(0, len(struck) - 1) if question.after is None else 0
    try:
        while True:
            for stroke in struck[at:]:
                at += 1
                if question.after is None or stroke.sequence > question.after:
                    yield stroke
            if tower.error is not None:
                raise tower.error
            if tower.ended and at == len(struck):
                return
            if at == len(struck):
                await tower._changed.wait()
    finally:
        tower.open -= 1


class Watching:
    """Somebody who watches, in a workspace, until he leaves or the stream ends."""

    def __init__(self, door: Any, who: str, headers: Mapping[str, str] | None = None, query: str = "") -> None:
        self.who = who
        self.reply = Reply()
        self.leaving = asyncio.Event()
        self.taking = asyncio.Event()
        self.taking.set()
        said = {"Authorization": f"Bearer {who}", **(headers or {})}
        asking = request(
            door, "GET", PATH + query, headers=said, reply=self.reply, leaving=self.leaving, taking=self.taking
        )
        self.task = asyncio.create_task(asking)

    @property
    def heard(self) -> list[int]:
        return [int(each) for each in re.findall(rb"^id: (\d+)", self.reply.body, re.MULTILINE)]

    @property
    def last(self) -> tuple[str, str]:
        """The name of its last event, and what that says."""
        return self.reply.events()[-1]

    async def hears(self, *sequences: int) -> None:
        await until(lambda: self.heard == [*sequences] or self.task.done())
        assert self.heard == [*sequences]

    async def leave(self) -> None:
        self.leaving.set()
        await self.task


class World(Struct):
    """A door before a tower, which people watch; ``revoked``: what tells of each that he is let in no more."""

    tower: Tower
    directory: LocalDirectory
    servers: list[uvicorn.Server]
    revoked: dict[str, list[asyncio.Event]]
    watching: list[Watching]
    door: Any = None

    def watch(self, who: str = "jo@ours", *, after: int | None = None, query: str = "") -> Watching:
        watching = Watching(self.door, who, {} if after is None else {"Last-Event-ID": str(after)}, query)
        self.watching.append(watching)
        return watching

    def revoke(self, who: str) -> None:
        for event in self.revoked.get(who, []):
            event.set()

    def break_off(self) -> None:
        """Hang up on whoever asks the tower."""
        for server in self.servers:
            for connection in list(server.server_state.connections):
                connection.transport.abort()

    async def go_away(self) -> None:
        """Listen no more, and hang up on everybody."""
        for server in self.servers:
            server.should_exit = server.force_exit = True
            for listening in server.servers:
                listening.close()
        self.break_off()


@asynccontextmanager
async def standing() -> AsyncIterator[World]:
    """A tower over HTTP, and a door before it."""
    world = World(Tower(), LocalDirectory(), [], {}, [])
    local = LocalCalls()
    local.serve(world.tower, {HEAR: hear})
    app = create_app(local, [HEAR], hosts=frozenset({"127.0.0.1"}), identify=WHO_IS_KNOWN)
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=1, lifespan="off"))
    serving = asyncio.create_task(server._serve([listener]))
    await until(lambda: server.started)
    await world.directory.register(Instance("organ", "organ-1", f"127.0.0.1:{listener.getsockname()[1]}", {}))
    world.servers.append(server)
    calls = HttpCalls(LocalCalls(), world.directory, signer())

    @contextmanager
    def watched(caller: Caller) -> Iterator[asyncio.Event]:
        event = asyncio.Event()
        world.revoked.setdefault(f"{caller.name}", []).append(event)
        yield event

    world.door = Door(calls, Routes([("GET", HEAR.path, HEAR)]), [HEAR], identify, "/api", watched=watched)
    try:
        yield world
    finally:
        for each in world.watching:
            each.task.cancel()
        await asyncio.gather(*(each.task for each in world.watching), return_exceptions=True)
        await calls.close()
        await until(lambda: not server.server_state.connections)
        await world.go_away()
        await serving


async def identify(headers: Mapping[str, str], address: str) -> Caller:
    """``name@workspace`` may listen, and so may nobody whose name is stranger."""
    who = headers.get("authorization", "").removeprefix("Bearer ")
    name, _, workspace = who.partition("@")
    if not workspace:
        raise Unauthenticated("nobody knows this one")
    may = frozenset() if name == "stranger" else frozenset({"organ.play"})
    return Caller(workspace_id(workspace), who, "person", may, uuid5(UUID(int=0), who), address=address)


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.001)
