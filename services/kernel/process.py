"""One process of a fleet: it listens before it is ready, says what it waits for, and ends without losing anything.

Live from its start on; ready once the servers that its services need are there and it is in the directory. On SIGTERM
it is ready no more and leaves the directory; what it has in work ends or is given back, and what it is asked is
answered, up to one deadline; then it stops listening, and closes what its services used last of all.
"""

import asyncio
import signal
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import structlog

from services.kernel import metrics
from services.kernel.app import create_app, identify_principal
from services.kernel.calls import A, Answering, Caller, Endpoint, Q
from services.kernel.errors import Exhausted, MirageError, Unavailable
from services.kernel.http_limits import Limits
from services.kernel.http_server import HttpServer
from services.kernel.listening import open_listener
from services.kernel.pauses import pauses
from services.kernel.principals import Verifier, read_public_keys
from services.kernel.runtime import Place, Runtime
from services.kernel.service import Service, load
from services.kernel.settings import Settings

if TYPE_CHECKING:
    from litestar import Litestar

#: Seconds from the moment in which a process is told to end, for all that is in work and is being answered then: as
#: long as a question may take, so that every one is answered.
DRAINING: Final = 30.0
#: Seconds for closing what the services used, after that; Nomad's ``kill_timeout`` is longer than both together.
CLOSING: Final = 10.0
#: Seconds for requests that are being answered when a part of the process has failed.
ANSWERING: Final = 5.0

_log = structlog.get_logger(__name__)


class Process(Answering):
    """Runs services, again and again until what they need is there; asked meanwhile, it says what is missing."""

    def __init__(
        self, services: Sequence[Service], settings: Settings, place: Place, others: Sequence[Service] = ()
    ) -> None:
        self._services = services
        self._settings = settings
        self._place = place
        self._others = others
        self._runtime: Runtime | None = None
        self._missing: MirageError = Unavailable("this process is starting")
        self._ending = asyncio.Event()
        self._front: HttpServer | None = None

    async def ask(self, endpoint: Endpoint[Q, A], question: Q, caller: Caller, *, seconds: float = 30.0) -> A:
        return await self._open.calls.ask(endpoint, question, caller, seconds=seconds)

    def follow(self, endpoint: Endpoint[Q, A], question: Q, caller: Caller) -> AsyncGenerator[A, None]:
        return self._open.calls.follow(endpoint, question, caller)

    def check(self, endpoint: Endpoint[Any, Any], caller: Caller) -> None:
        self._open.calls.check(endpoint, caller)

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

    async def run(self, hang_up: Callable[[float], Awaitable[None]] | None = None) -> None:
        """Run until it is told to `end`, or until a part of it fails, which is raised.

        ``hang_up``, with the seconds that are left, takes no more questions and lets those that were taken be answered.
        """
        ending = asyncio.create_task(self._ending.wait())
        try:
            for pause in pauses(0.25, 5.0):
                running = asyncio.create_task(self._run_once())
                await asyncio.wait({running, ending}, return_when=asyncio.FIRST_COMPLETED)
                if not running.done():
                    await self._drain(running, hang_up)
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
            async with Runtime(self._services, self._settings, place=self._place, others=self._others) as runtime:
                self._runtime = runtime
                try:
                    await self._open_front(runtime)
                    services = [service.name for service in self._services]
                    _log.info("ready", services=services, address=self._place.address)
                    await runtime.failure()
                finally:  # while there still is who answers
                    if self._front is not None:
                        await self._front.close(ANSWERING)
        finally:
            self._runtime = None

    async def _open_front(self, runtime: Runtime) -> None:
        """Let the world in, now that all is there to answer it."""
        for service in self._services:
            if service.public:
                app = load(service.public)(runtime.ports[service.name])
                # Shared with others of its like: while one ends, the next one has it already.
                self._front = HttpServer(app, open_listener(self._settings.public, shared=True), Limits())
                self._front.begin()

    async def _drain(
        self, running: "asyncio.Task[None]", hang_up: Callable[[float], Awaitable[None]] | None = None
    ) -> None:
        self._missing = Unavailable("this process is ending")
        loop = asyncio.get_running_loop()
        end = loop.time() + DRAINING
        if self._runtime is not None:
            _log.info("draining")
            await self._runtime.leave()
            closing = [self._front.close(end - loop.time())] if self._front is not None else []
            ended = await asyncio.gather(self._runtime.drain(end - loop.time()), *closing, return_exceptions=True)
            for error in filter(None, ended):  # questions are answered all the same
                _log.warning("not all that was in work has ended", reason=str(error))
            if hang_up is not None:
                await hang_up(max(0.0, end - loop.time()))
        running.cancel()
        done, _ = await asyncio.wait({asyncio.gather(running, return_exceptions=True)}, timeout=CLOSING)
        if not done:
            _log.warning("a port does not close", seconds=CLOSING)


async def serve(
    services: Sequence[Service],
    settings: Settings,
    listener: socket.socket,
    place: Place,
    *,
    others: Sequence[Service] = (),
) -> None:
    """Serve ``services`` on a socket until SIGTERM or SIGINT; ``place`` is where others find it.

    ``others``: see `Runtime`.
    """
    metrics.start()
    process = Process(services, settings, place, others)
    server = HttpServer(_app(process, services, place, settings), listener)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, process.end)
    serving = server.begin()
    running = asyncio.create_task(process.run(server.close))
    try:
        await asyncio.wait({serving, running}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        process.end()
        await asyncio.gather(running, return_exceptions=True)
        await server.close(0.0)
    running.result()
    serving.result()


def _app(process: Process, services: Sequence[Service], place: Place, settings: Settings) -> "Litestar":
    hosts = frozenset({"localhost", "127.0.0.1", "::1", urlsplit(f"//{place.address}").hostname or ""})
    answered = [endpoint for service in services for endpoint in service.answers]
    instances = frozenset((service.name, f"{service.name}-{place.id}") for service in services)
    identify = identify_principal(Verifier((service.name for service in services), read_public_keys(settings.peers)))
    return create_app(process, answered, hosts=hosts, identify=identify, ready=process.ready, instances=instances)
