"""A process with services in it: opens their ports, runs their consumers and tasks, answers their calls, stops.

The embedded hull: SQLite files and a durable queue in one data folder, everything in this process.
"""

import asyncio
import gc
import resource
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any, Final, Self
from uuid import uuid4

import structlog
from msgspec import Struct

from services.kernel.blobs.segments import SegmentBlobs
from services.kernel.bus import Bus, Consumer, Stream
from services.kernel.calls import LocalCalls
from services.kernel.directory import Directory, Instance
from services.kernel.errors import Invalid, MirageError, Unavailable
from services.kernel.folder import BUS, CACHE, EVIDENCE, Folder
from services.kernel.messages import message_type
from services.kernel.once import Inbox, Outbox, consumer_of
from services.kernel.once_store import MIGRATIONS, forget
from services.kernel.service import Handles, Ports, Service, load
from services.kernel.settings import Settings
from services.kernel.workers import Workers

_log = structlog.get_logger(__name__)

PROGRESS_KEPT: Final = 600
#: Files and connections that a process may have open at once, where the system allows as many.
DESCRIPTORS: Final = 65_536


class Runtime:
    """Runs ``services`` on the data folder of ``settings``, which it owns while it is open.

    ``calls`` reaches every one of them. A part of it that ends by itself is a failure of the process: see `failure`.
    Unless it ``works``, long work that is queued for them (`Handles.work`) stays so until `work` is called.
    """

    def __init__(self, services: Sequence[Service], settings: Settings, *, works: bool = True) -> None:
        self.services = services
        self.settings = settings
        self.calls = LocalCalls()
        self.ports: dict[str, Ports] = {}
        self.bus: Bus
        self.directory: Directory
        self._instances: list[Instance] = []
        self.folder = Folder(settings.folder)
        self.works = works
        self._workers: dict[str, Workers] = {}
        self._running: list[asyncio.Task[None]] = []
        self._opened: list[Any] = []
        self._failed: asyncio.Future[None] | None = None
        self._stopping = False

    async def __aenter__(self) -> Self:
        self.folder.acquire()
        try:
            await self._start()
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stop()

    async def ping(self) -> None:
        """Raise `Unavailable`, or what a port raises, unless everything that was opened answers."""
        for port in self._opened:
            await port.ping()
        if self._failed is not None and self._failed.done():
            raise Unavailable("a part of this process has ended")

    async def ready(self) -> None:
        """Raise `Unavailable` unless everything answers and every service is in the directory, from its start on."""
        await self.ping()
        for service in self.services:
            if not await self.directory.resolve(service.name):
                raise Unavailable(f"the service {service.name} is not registered")

    async def failure(self) -> None:
        """Raise what ended a part of this process that should never end; wait as long as all run."""
        assert self._failed is not None
        await asyncio.shield(self._failed)

    async def _start(self) -> None:
        from services.kernel.bus.sqlite import SqliteBus

        self._failed = asyncio.get_running_loop().create_future()
        _tune_collector()
        _raise_descriptor_limit()
        self.bus = bus = self._keep(SqliteBus(self.folder.path / BUS))
        handled = {
            service.name: tuple[Handles, ...](load(service.consumers)) for service in self.services if service.consumers
        }
        await bus.declare(streams_of(self.services), consumers_of(handled))
        shared = {"bus": bus, **self._open_shared()}
        for service in self.services:
            self.ports[service.name] = ports = await self._open_ports(service, shared)
            if service.doors:
                self.calls.serve(ports, load(service.doors))
        for service in self.services:
            self._run_service(service, self.ports[service.name], handled.get(service.name, ()))
        if self.works:
            self.work()
        await self._register()

    def work(self) -> None:
        """Begin with long work, where that has not been done yet."""
        self.works = True
        workers, self._workers = self._workers, {}
        for name, each in workers.items():
            self._run(name, each.run())

    async def _register(self) -> None:
        """Make the services known, now that all of them are open and answer."""
        instance = uuid4().hex
        for service in self.services:
            known = Instance(service.name, f"{service.name}-{instance}", "local", {})
            self._instances.append(known)
            await self.directory.register(known)

    async def _leave(self) -> None:
        """Take the services out of the directory, so that nobody is sent here while they end."""
        for known in self._instances:
            try:
                await self.directory.deregister(known.service, known.id)
            except MirageError as error:
                _log.warning("a service did not leave the directory", service=known.service, reason=str(error))

    @asynccontextmanager
    async def segments_held(self) -> AsyncIterator[None]:
        """While this is open the files of blobs only grow."""
        async with AsyncExitStack() as stack:
            for ports in self.ports.values():
                if isinstance(blobs := vars(ports).get("blobs"), SegmentBlobs):
                    await stack.enter_async_context(blobs.held())
            yield

    @asynccontextmanager
    async def relays_held(self) -> AsyncIterator[None]:
        """While this is open no message goes from a service to the bus."""
        async with AsyncExitStack() as stack:
            for ports in self.ports.values():
                if isinstance(outbox := vars(ports).get("outbox"), Outbox):
                    await stack.enter_async_context(outbox.held())
            yield

    def _open_shared(self) -> dict[str, Any]:
        from services.kernel.cache.sqlite import SqliteCache
        from services.kernel.directory.local import LocalDirectory
        from services.kernel.egress import DialTable, Direct, Egress, Guard, Proxy

        self.directory = self._keep(LocalDirectory())
        try:
            table = DialTable.read(self.settings.dial_table) if self.settings.dial_table else None
            proxy = Proxy.parse(self.settings.proxy) if self.settings.proxy else None
        except (OSError, ValueError) as error:
            raise Invalid(f"the way out is not set up: {error}") from error
        return {
            "directory": self.directory,
            "egress": Egress(Guard(), table, proxy, Direct.parse(self.settings.no_proxy)),
            "cache": self._keep(SqliteCache(self.folder.path / CACHE)),
        }

    async def _open_ports(self, service: Service, shared: dict[str, Any]) -> Ports:
        ports = Ports(service.name, settings=self.settings, calls=self.calls)
        for name in service.needs:
            setattr(ports, name, shared[name] if name in shared else self._keep(self._open_own(name, service)))
        if "sql" in service.needs:
            from services.kernel.sql import migrations

            own = migrations.load(service.migrations) if service.migrations else []
            await ports.sql.migrate([*MIGRATIONS, *own])
        if {"sql", "bus"} <= set(service.needs):
            ports.outbox = Outbox(ports.sql, ports.bus, service.name)
        elif service.publishes or service.consumers:
            raise Invalid(f"the service {service.name} publishes or consumes, and so needs sql and bus")
        return ports

    def _open_own(self, name: str, service: Service) -> Any:
        """Open a port that no other service shares."""
        match name:
            case "sql":
                from services.kernel.sql.sqlite import SqliteSql

                return SqliteSql(self.folder.path / f"{service.name}.db", cache_kib=1024 * service.cache_mib)
            case "blobs":
                return SegmentBlobs(self.folder.path / EVIDENCE)
            case "search":
                from services.kernel.search.fts import FtsSearch

                return FtsSearch(self.folder.path / f"{service.name}-search.db")
            case "documents":
                from services.kernel.documents.sqlite import SqliteDocuments

                return SqliteDocuments(self.folder.path / f"{service.name}-documents.db")
            case _:
                raise Invalid(f"the service {service.name} needs {name}, and there is no such port")

    def _keep(self, port: Any) -> Any:
        self._opened.append(port)
        return port

    def _run_service(self, service: Service, ports: Ports, handled: Sequence[Handles]) -> None:
        for task in load(service.tasks) if service.tasks else ():
            self._run(f"{service.name}.{task.__name__}", task(ports), endless=False)
        if "outbox" not in vars(ports):
            return
        self._run(f"{service.name}.relay", ports.outbox.relay())
        self._run(f"{service.name}.forget", _forget_daily(ports))
        for handles in handled:
            name = f"{service.name}.{handles.name}"
            if handles.work:
                self._workers[name] = Workers(ports, ports.outbox, handles)
            else:
                self._run(name, Inbox(ports, ports.outbox, handles).run())

    def _run(self, name: str, work: Coroutine[Any, Any, None], *, endless: bool = True) -> None:
        task = asyncio.create_task(work, name=name)
        task.add_done_callback(self._ended if endless else self._failed_or_done)
        self._running.append(task)

    def _failed_or_done(self, task: asyncio.Task[None]) -> None:
        if task.cancelled() or task.exception() is not None:
            self._ended(task)

    def _ended(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        assert self._failed is not None
        if self._failed.done() or (self._stopping and error is None):
            return
        name = task.get_name()
        if isinstance(error, MirageError):
            _log.error("a part of the process ended", part=name, reason=str(error))
        else:
            _log.error("a part of the process ended", part=name, exc_info=error)
            fault = MirageError(f"{name}, a part of this process, ended by a fault of Mirage; see the log")
            fault.__cause__ = error
            error = fault
        self._failed.set_exception(error)
        self._failed.exception()  # whoever waits is told; nobody need wait

    async def _stop(self) -> None:
        """Cancel what runs, then close what it used, the last opened first, and give the folder up whatever fails."""
        self._stopping = True
        try:
            await self._leave()
            for task in self._running:
                task.cancel()
            await asyncio.gather(*self._running, return_exceptions=True)
            for port in reversed(self._opened):
                try:
                    await port.close()
                except Exception as error:  # noqa: BLE001  the others are to be closed all the same
                    _log.warning("a port did not close", port=type(port).__name__, reason=str(error))
        finally:
            self.folder.close()


def _tune_collector() -> None:
    """Collect garbage seldom: what lives here dies by reference count, and the modules live for ever."""
    gc.freeze()
    gc.set_threshold(150_000, 20, 50)


def _raise_descriptor_limit() -> None:
    """Open more files and connections than the usual 1,024, where the system lets us."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def streams_of(services: Sequence[Service]) -> list[Stream]:
    """The streams that the declarations ask for: commands and facts per owner, and one for live progress."""
    commands: set[str] = set()
    facts: set[str] = set()
    for service in services:
        for message in (*service.publishes, *service.consumes):
            _, kind, owner, *_ = message_type(message).split(".")
            if kind == "cmd":
                commands.add(owner)
            elif kind == "evt":
                facts.add(owner)
    return [
        *(Stream(f"CMD_{owner.upper()}", (f"mirage.cmd.{owner}.>",), "work") for owner in sorted(commands)),
        *(Stream(f"EVT_{owner.upper()}", (f"mirage.evt.{owner}.>",), "facts") for owner in sorted(facts)),
        Stream("PROGRESS", ("mirage.progress.>",), "progress", keep_seconds=PROGRESS_KEPT),
    ]


def consumers_of(handled: dict[str, tuple[Handles, ...]]) -> list[Consumer]:
    """The consumers of all services, each in the stream that its message type belongs to."""
    return [
        consumer_of(name, handles, stream_of(handles.takes))
        for name, all_of_it in handled.items()
        for handles in all_of_it
    ]


def stream_of(message: type[Struct]) -> str:
    """The stream that keeps messages of this type."""
    _, kind, owner, *_ = message_type(message).split(".")
    return "PROGRESS" if kind == "progress" else f"{kind.upper()}_{owner.upper()}"


async def _forget_daily(ports: Ports) -> None:
    while True:
        await forget(ports.sql)
        await asyncio.sleep(86_400)
