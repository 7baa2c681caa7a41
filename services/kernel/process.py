"""One process of a fleet: it listens before it is ready, says what it waits for, and ends without losing anything.

Live from its start on; ready once the servers that its services need are there and it is in the directory. On SIGTERM
it is ready no more, leaves the directory, ends or gives back what it has in work, and then stops answering.
"""

import asyncio
import signal
import socket
from collections.abc import AsyncGenerator, Sequence
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import structlog
import uvicorn

from services.kernel import metrics
from services.kernel.app import create_app
from services.kernel.calls import A, Caller, Calls, Endpoint, Q
from services.kernel.errors import Exhausted, MirageError, Unavailable
from services.kernel.listening import open_listener
from services.kernel.pauses import pauses
from services.kernel.runtime import Place, Runtime
from services.kernel.service import Service, load
from services.kernel.settings import Settings

if TYPE_CHECKING:
    from litestar import Litestar

#: Seconds for work that was begun when the process is told to end; Nomad's ``kill_timeout`` is longer.
DRAINING: Final = 15.0
#: Seconds for requests that are being answered, after that.
ANSWERING: Final = 5

_log = structlog.get_logger(__name__)


class Process(Calls):
    """Runs services, again and again until what they need is there; asked meanwhile, it says what is missing."""

    def __init__(self, services: Sequence[Service], settings: Settings, place: Place) -> None:
        self._services = services
        self._settings = settings
        self._place = place
        self._runtime: Runtime | None = None
        self._missing: MirageError = Unavailable("this process is starting")
        self._ending = asyncio.Event()
        self._front: Front | None = None

    async def ask(self, endpoint: Endpoint[Q, A], question: Q, caller: Caller, *, seconds: float = 30.0) -> A:
        return await self._open.calls.ask(endpoint, question, caller, seconds=seconds)

    def follow(self, endpoint: Endpoint[Q, A], question: Q, caller: Caller) -> AsyncGenerator[A, None]:
        return self._open.calls.follow(endpoint, question, caller)

    @property
    def _open(self) -> Runtime:
        if self._runtime is None:
            raise self._missing
        return self._runtime

    async def ready(self) -> list[str]:
        """See `Runtime.ready`; raises what is missing."""
        return await self._open.ready()

    def end(self) -> None:
        """Begin to end."""
        self._ending.set()

    async def run(self) -> None:
        """Run until it is told to `end`, or until a part of it fails, which is raised."""
        ending = asyncio.create_task(self._ending.wait())
        try:
            for pause in pauses(0.25, 5.0):
                running = asyncio.create_task(self._run_once())
                await asyncio.wait({running, ending}, return_when=asyncio.FIRST_COMPLETED)
                if not running.done():
                    await self._drain(running)
                    return
                try:
                    running.result()
                except (Unavailable, Exhausted) as error:
                    self._missing = error
                    _log.warning("not ready", reason=str(error))
                await asyncio.wait({ending}, timeout=pause)
                if ending.done():
                    return
        finally:
            ending.cancel()

    async def _run_once(self) -> None:
        """Open everything, and stay open until a part fails."""
        try:
            async with Runtime(self._services, self._settings, place=self._place) as runtime:
                self._runtime = runtime
                try:
                    await self._open_front(runtime)
                    services = [service.name for service in self._services]
                    _log.info("ready", services=services, address=self._place.address)
                    await runtime.failure()
                finally:  # while there still is who answers
                    if self._front is not None:
                        await self._front.close()
        finally:
            self._runtime = None

    async def _open_front(self, runtime: Runtime) -> None:
        """Let the world in, now that all is there to answer it."""
        for service in self._services:
            if service.public:
                self._front = Front(load(service.public)(runtime.ports[service.name]), self._settings.public)
                self._front.open()

    async def _drain(self, running: "asyncio.Task[None]") -> None:
        self._missing = Unavailable("this process is ending")
        if self._runtime is not None:
            _log.info("draining")
            closing = [self._front.close()] if self._front is not None else []
            await asyncio.gather(self._runtime.drain(DRAINING), *closing)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


class Front:
    """A public port, shared with others of its like: while one ends, the next one has it already."""

    def __init__(self, app: Any, address: str) -> None:
        self._app = app
        self._address = address
        self._serving: asyncio.Task[None] | None = None

    def open(self) -> None:
        """Listen; raises `Invalid` when the port is somebody else's."""
        self._listener = open_listener(self._address, shared=True)
        self._server = uvicorn.Server(uvicorn.Config(self._app, lifespan="off", **_CONFIG))
        self._serving = asyncio.create_task(self._server._serve([self._listener]))  # noqa: SLF001  as below

    async def close(self) -> None:
        """Take no more requests, and end when those that were begun are answered."""
        if self._serving is not None:
            self._server.should_exit = True
            serving, self._serving = self._serving, None
            await asyncio.gather(serving, return_exceptions=True)
            self._listener.close()


async def serve(services: Sequence[Service], settings: Settings, listener: socket.socket, place: Place) -> None:
    """Serve ``services`` on a socket until SIGTERM or SIGINT; ``place`` is where others find it."""
    metrics.start()
    process = Process(services, settings, place)
    server = uvicorn.Server(uvicorn.Config(_app(process, services, place), **_CONFIG))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, process.end)
    serving = asyncio.create_task(server._serve([listener]))  # noqa: SLF001  `serve` would take the signals
    running = asyncio.create_task(process.run())
    try:
        await asyncio.wait({serving, running}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        process.end()
        await asyncio.gather(running, return_exceptions=True)
        server.should_exit = True
        await asyncio.gather(serving, return_exceptions=True)
    running.result()
    serving.result()


def _app(process: Process, services: Sequence[Service], place: Place) -> "Litestar":
    hosts = frozenset({"localhost", "127.0.0.1", "::1", urlsplit(f"//{place.address}").hostname or ""})
    answered = [endpoint for service in services for endpoint in service.answers]
    instances = frozenset((service.name, f"{service.name}-{place.id}") for service in services)
    return create_app(process, answered, hosts=hosts, ready=process.ready, instances=instances)


_CONFIG: Final[dict[str, Any]] = {
    "log_config": None,
    "access_log": False,
    "server_header": False,
    "timeout_graceful_shutdown": ANSWERING,
    "timeout_keep_alive": 30,
}
