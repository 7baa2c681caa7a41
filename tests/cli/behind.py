"""All services in this process, behind the door of a gateway, as a command with ``--server`` finds them."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import uvicorn

from services.catalogue import load_embedded
from services.gateway.api import ENDPOINTS, PREFIX
from services.gateway.domain import Routes
from services.gateway.usecases.door import Door
from services.kernel.app import create_app, identify_principal
from services.kernel.calls import LocalCalls
from services.kernel.directory import Instance
from services.kernel.directory.local import LocalDirectory
from services.kernel.http_calls import HttpCalls
from services.kernel.runtime import Runtime
from services.kernel.settings import Settings
from tests.kernel.keys import known_by, signer, verifier

TOKEN = "the-token-of-the-operator"


class Served:
    """An application on a port of loopback, which it keeps when it ends and begins again."""

    def __init__(self, app: Any) -> None:
        self._app = app
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = int(free.getsockname()[1])
        self._task: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self._server = uvicorn.Server(
            uvicorn.Config(self._app, log_config=None, lifespan="off", timeout_graceful_shutdown=0)
        )
        self._task = asyncio.create_task(self._server._serve([self._listener]))
        while not self._server.started:
            await asyncio.sleep(0.001)

    async def end(self) -> None:
        """Hang up on everybody."""
        if self._task is not None:
            self._server.force_exit = self._server.should_exit = True
            for connection in list(self._server.server_state.connections):
                connection.transport.abort()
            await self._task
            self._listener.close()
            self._task = None


class Fleet:
    """``door`` is what the world reaches; ``runtime`` has the services, which work when they are told to."""

    def __init__(self, runtime: Runtime, door: Served) -> None:
        self.runtime = runtime
        self.door = door

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.door.port}"


@asynccontextmanager
async def fleet(folder: Path, *, works: bool = True) -> AsyncIterator[Fleet]:
    async with AsyncExitStack() as stack:
        runtime = await stack.enter_async_context(Runtime(load_embedded(), Settings(data=str(folder)), works=works))
        endpoints = [endpoint for service in runtime.services for endpoint in service.answers]
        identify = identify_principal(verifier(*(service.name for service in runtime.services)))
        inner = Served(create_app(runtime.calls, endpoints, hosts=frozenset({"127.0.0.1"}), identify=identify))
        directory = LocalDirectory()
        for service in runtime.services:
            await directory.register(Instance(service.name, f"{service.name}-1", f"127.0.0.1:{inner.port}", {}))
        calls = HttpCalls(LocalCalls(), directory, signer())
        stack.push_async_callback(calls.close)
        routes = Routes[Any]((each.method, each.path, each) for each in ENDPOINTS)
        door = Served(Door(calls, routes, ENDPOINTS, known_by(TOKEN), PREFIX))
        for each in (inner, door):
            await each.begin()
            stack.push_async_callback(each.end)
        yield Fleet(runtime, door)


@contextmanager
def fleet_beside(folder: Path) -> Iterator[str]:
    """As `fleet`, in a thread of its own, for commands that have a loop of theirs; yield its address."""
    loop, up, ending = asyncio.new_event_loop(), threading.Event(), asyncio.Event()
    urls: list[str] = []

    async def run() -> None:
        async with fleet(folder) as begun:
            urls.append(begun.url)
            up.set()
            await ending.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(run()))
    thread.start()
    try:
        assert up.wait(30)
        yield urls[0]
    finally:
        loop.call_soon_threadsafe(ending.set)
        thread.join(30)
        loop.close()
