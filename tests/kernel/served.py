"""Instances of a service on loopback that may die, and what begins them."""

import asyncio
import socket
from typing import Any
from uuid import uuid4

import uvicorn
from msgspec import Struct
from msgspec.structs import replace

from services.kernel.app import identify_principal
from services.kernel.calls import Caller, Endpoint, LocalCalls, Nothing
from services.kernel.directory import Directory, Instance
from services.kernel.errors import MirageError
from services.kernel.request import current_trace, seconds_left
from tests.kernel import organ as organs
from tests.kernel.keys import verifier
from tests.kernel.organ import App, Organ


class Seen(Struct):
    """What an instance saw of a question."""

    left: float
    trace: str


LOOK = Endpoint(service="organ", name="look", method="GET", path="/v1/look", takes=Nothing, answers=Seen, summary="")
WAIT = Endpoint(service="organ", name="wait", method="GET", path="/v1/wait", takes=Nothing, answers=Nothing, summary="")
STRIKE = Endpoint(
    service="organ", name="strike", method="POST", path="/v1/strike", takes=Nothing, answers=Nothing, summary="",
    idempotent=False,
)  # fmt: skip
WAIT_ONCE = replace(STRIKE, name="wait_once", path="/v1/wait_once")
TUNE_UP = replace(STRIKE, name="tune_up", path="/v1/tune_up", idempotent=True)


WHO_IS_KNOWN = identify_principal(verifier("organ"))


class Pipes(Organ):
    """An organ that counts how often it is struck, and says what it is told to say."""

    def __init__(self) -> None:
        super().__init__()
        self.struck = 0
        self.error: MirageError | None = None
        self.waiting = asyncio.Event()
        self.hangs = True


async def look(pipes: Pipes, caller: Caller, question: Nothing) -> Seen:
    return Seen(seconds_left(1000.0), current_trace())


async def wait(pipes: Pipes, caller: Caller, question: Nothing) -> Nothing:
    pipes.waiting.set()
    if pipes.hangs:
        await asyncio.Event().wait()
    return question


async def strike(pipes: Pipes, caller: Caller, question: Nothing) -> Nothing:
    pipes.struck += 1
    if pipes.error is not None:
        raise pipes.error
    return question


#: Asked by everybody, known or not.
KNOCK = replace(organs.KEEP, name="knock", path="/v1/knocks/{name}", needs="anybody")
DOORS = {**organs.DOORS, KNOCK: organs.keep, LOOK: look, WAIT: wait, WAIT_ONCE: wait, STRIKE: strike, TUNE_UP: strike}


class Served(Struct):
    """An instance that runs."""

    pipes: Pipes
    server: uvicorn.Server
    instance: Instance
    task: Any

    async def die(self) -> None:
        """Hang up on everybody and listen no more; the directory does not learn of it."""
        self.server.force_exit = True
        self.server.should_exit = True
        for listening in self.server.servers:
            listening.close()
        for connection in list(self.server.server_state.connections):
            connection.transport.abort()
        await self.task


class Instances:
    """Those of one directory that were begun here."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._running: list[Served] = []

    async def begin(self, *, says: str = "organ") -> Served:
        """One more, known to the directory and listening; it ``says`` that it is an instance of this service."""
        calls, pipes = LocalCalls(), Pipes()
        calls.serve(pipes, DOORS)
        app = App(calls, frozenset({"127.0.0.1"}), WHO_IS_KNOWN, instances=frozenset({(says, says)}))
        listener = socket.create_server(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=1, lifespan="off"))
        task = asyncio.create_task(server._serve([listener]))
        instance = Instance("organ", f"organ-{uuid4().hex}", f"127.0.0.1:{listener.getsockname()[1]}", {})
        while not server.started:
            await asyncio.sleep(0.001)
        await self._directory.register(instance)
        self._running.append(Served(pipes, server, instance, task))
        return self._running[-1]

    async def end(self) -> None:
        await asyncio.gather(*(each.die() for each in self._running), return_exceptions=True)
