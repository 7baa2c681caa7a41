"""A process with services in it: opens their ports, runs their consumers and tasks, answers their calls, stops.

Embedded, all services are in one process, on files of one data folder. In a fleet a process has one of them, on the
servers that the settings name, and asks the others over HTTP.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self
from uuid import uuid4

import structlog
from msgspec import Struct

from services.kernel import metrics
from services.kernel.adapters import SHARED, Adapters
from services.kernel.blobs.segments import SegmentBlobs
from services.kernel.bus import Bus, Lag
from services.kernel.calls import Calls, CallsOf, Entry, LocalCalls
from services.kernel.directory import Directory, Instance
from services.kernel.errors import Exhausted, Invalid, MirageError, Unavailable
from services.kernel.folder import Folder
from services.kernel.inbox import Inbox
from services.kernel.live import Live
from services.kernel.once_store import MIGRATIONS, forget
from services.kernel.outbox import Outbox
from services.kernel.parts import as_long_as_it_takes, first_of
from services.kernel.pauses import pauses
from services.kernel.service import Handles, Ports, Service, load
from services.kernel.settings import Settings
from services.kernel.sql import Migration, Sql, migrations
from services.kernel.streams import consumers_of, streams_of
from services.kernel.trail import open_trail
from services.kernel.version import VERSION
from services.kernel.workers import Workers

if TYPE_CHECKING:
    from services.kernel.http_calls import HttpCalls

_log = structlog.get_logger(__name__)

#: Of the ports, those without which a service still answers: what needs them waits.
WITHOUT: Final = frozenset({"bus", "cache", "directory", "values", "locks", "scheduler", "search", "graph"})
#: Seconds in which a port must answer that it is there.
ANSWERING: Final = 1.5
#: Seconds for which those who knew this process may still ask it, once it has left the directory.
LEAVING: Final = 1.0
#: Seconds between the first two looks whether a consumer has taken in what was said.
SETTLING: Final = 0.01


class Place(Struct, frozen=True):
    """Where others find a process: ``host:port``, its id among its like, and what else they may want to know."""

    address: str
    id: str
    meta: dict[str, str] = {}


class Opened(NamedTuple):
    """An adapter and the port that it is for."""

    name: str
    port: Any


class Runtime:
    """Runs ``services`` on what ``settings`` name; where that is a data folder, it owns it while it is open.

    ``calls`` reaches every one of them. A part of it that ends by itself is a failure of the process: see `failure`.
    Unless it ``works``, long work that is queued for them (`Handles.work`) stays so until `work` is called.
    ``place``: where others find this process, and under which id. ``others``: declarations of services elsewhere,
    which ask those here what they say that they ask.
    """

    def __init__(
        self,
        services: Sequence[Service],
        settings: Settings,
        *,
        works: bool = True,
        place: Place | None = None,
        others: Sequence[Service] = (),
    ) -> None:
        self.services = tuple(services)
        self.settings = settings
        self.place = place or Place(address="local", id=uuid4().hex)
        self.calls = LocalCalls({service.name: service.asks for service in (*others, *services)})
        self.ports: dict[str, Ports] = {}
        self.bus: Bus
        self.directory: Directory
        self._instances: list[Instance] = []
        self.folder = Folder(settings.folder)
        self._adapters = Adapters(settings, self.folder)
        self.works = works
        self._workers: dict[str, Workers] = {}
        self._consuming: list[Inbox | Workers] = []
        self._running: list[asyncio.Task[None]] = []
        self._opened: list[Opened] = []
        self._asking: Calls = self.calls
        self._failed: asyncio.Future[None] | None = None
        self._stopping = False
        self._draining = False
        self._settled = False
        self._ends_measuring: Callable[[], None] = lambda: None
        self._others: HttpCalls | None = None
        #: What a part waits for instead of ending: a disk that is full ends who keeps his files there, and nobody else.
        self._passing: tuple[type[MirageError], ...] = (Unavailable, Exhausted)

    async def __aenter__(self) -> Self:
        if self._adapters.need_folder(self.services):
            self.folder.acquire()
            self._passing = (Unavailable,)
        try:
            await self._start()
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stop()

    async def ping(self) -> list[str]:
        """Raise `Unavailable`, or what a port raises, unless what the services cannot do without answers.

        Return what they do without for now (`WITHOUT`), and why.
        """
        if self._failed is not None and self._failed.done():
            raise Unavailable("a part of this process has ended")
        failures = await asyncio.gather(*(_ping(opened) for opened in self._opened))
        for opened, failure in zip(self._opened, failures, strict=True):
            if failure is not None and opened.name not in WITHOUT:
                raise failure
        return [f"{opened.name}: {failure}" for opened, failure in zip(self._opened, failures, strict=True) if failure]

    async def ready(self) -> list[str]:
        """As `ping`, and raise `Unavailable` unless this process is in the directory: from its start to its end."""
        if self._draining or not self._settled:
            raise Unavailable("this process is ending" if self._draining else "this process is starting")
        return await self.ping()

    async def failure(self) -> None:
        """Raise what ended a part of this process that should never end; wait as long as all run."""
        assert self._failed is not None
        await asyncio.shield(self._failed)

    async def _start(self) -> None:
        self._failed = asyncio.get_running_loop().create_future()
        handled = {
            service.name: tuple[Handles, ...](load(service.consumers)) for service in self.services if service.consumers
        }
        shared = self._open_shared()
        if "bus" in shared:
            await self.bus.declare(streams_of(self.services), consumers_of(handled))
        for service in self.services:
            self.ports[service.name] = ports = await self._open_ports(service, shared)
            if service.doors:
                self.calls.serve(ports, load(service.doors))
        self._ends_measuring = metrics.read_with(self._measure)
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
            self._consume(name, each)

    async def leave(self) -> None:
        """Be ready no more and leave the directory; return when nobody asks any more who is told of it in time."""
        if not self._draining:
            self._draining = True
            await self._leave()
            await asyncio.sleep(LEAVING)

    async def drain(self, seconds: float) -> None:
        """Take in no more: `leave`, and let what was begun end; what has not within ``seconds`` comes again.

        What services said is on its way to the bus then, and questions are answered until this process ends.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        await self.leave()
        await asyncio.gather(*(each.drain(max(0.0, end - loop.time())) for each in self._consuming))
        await self._flush(end)

    async def settle(self, consumer: str, seconds: float) -> None:
        """Wait until a consumer has taken in what services here have said by now, so many seconds at most."""
        end = asyncio.get_running_loop().time() + seconds
        await self._flush(end)
        with suppress(TimeoutError):
            async with asyncio.timeout_at(end):
                for pause in pauses(SETTLING, longest=0.1):
                    if await self.bus.lag(consumer) == Lag(0, 0):
                        return
                    await asyncio.sleep(pause)

    async def _flush(self, end: float) -> None:
        """See that what services have said is on its way to the bus, until a moment of the loop's clock at most."""
        await self._write_entries()
        for ports in self.ports.values():
            if isinstance(outbox := vars(ports).get("outbox"), Outbox):
                await outbox.flush(max(0.0, end - asyncio.get_running_loop().time()))

    async def _register(self) -> None:
        """Make the services known, now that all of them are open and answer."""
        for service in self.services if self.settings.register == "self" else ():
            said: dict[str, str] = load(service.says)(self.ports[service.name]) if service.says else {}
            meta = {"version": VERSION, **self.place.meta, **said}
            known = Instance(service.name, f"{service.name}-{self.place.id}", self.place.address, meta)
            await self.directory.register(known)
            self._instances.append(known)
        self._settled = True

    async def _write_entries(self) -> None:
        """Write the entries of what failed that still wait, as far as that goes."""
        trails = [ports.trail for ports in self.ports.values() if "trail" in vars(ports)]
        with suppress(MirageError, TimeoutError):
            async with asyncio.timeout(ANSWERING):
                await asyncio.gather(*(trail.flush() for trail in trails))

    async def _leave(self) -> None:
        """Take the services out of the directory, so that nobody is sent here while they end."""
        leaving, self._instances = self._instances, []
        for known in leaving:
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
        """What all services of this process share; the directory is there in any case."""
        needed = {"directory"}.union(*(service.needs for service in self.services))
        needed |= {"values"} if any(service.live for service in self.services) else set()
        first = self.services[0]
        shared: dict[str, Any] = {name: self._open(name, first) for name in SHARED if name in needed}
        self.directory = shared["directory"]
        if "bus" in shared:
            self.bus = shared["bus"]
        if self.settings.directory:
            from services.kernel.http_calls import HttpCalls
            from services.kernel.principals import Signer, read_private_keys

            signer = Signer(read_private_keys(self.settings.signing_keys))
            self._asking = self._others = HttpCalls(self.calls, self.directory, signer)
        return shared

    async def _open_ports(self, service: Service, shared: dict[str, Any]) -> Ports:
        # Who lets the world in asks for whoever comes; all others ask as themselves.
        asking = self._asking if service.public else CallsOf(service.name, self._asking)
        ports = Ports(service.name, settings=self.settings, calls=asking)
        if service.live is not None:
            ports.live = Live(service.name, service.live, self.settings.log)
            following = partial(ports.live.follow, shared["values"], logs=len(self.services) == 1)
            self._run(f"{service.name}.live", following)
        for name in service.needs:
            setattr(ports, name, shared[name] if name in shared else self._open(name, service))
        if "sql" in service.needs:
            await ports.sql.migrate(migrations_of(service), shared=bool(self.settings.sql))
        if {"sql", "bus"} <= set(service.needs):
            ports.outbox = Outbox(ports.sql, ports.bus, service.name)
        elif service.consumers or not all(issubclass(said, Entry) for said in service.publishes):
            raise Invalid(f"the service {service.name} publishes or consumes, and so needs sql and bus")
        open_trail(service, ports)
        return ports

    def _open(self, name: str, service: Service) -> Any:
        port = self._adapters.open(name, service)
        if name not in {"egress", "seal"}:
            self._opened.append(Opened(name, port))
        return port

    async def _measure(self) -> list[metrics.Sample]:
        """What the adapters say of themselves, and how far the consumers are behind."""
        samples = [
            metrics.Sample(f"{opened.name}_{name}", value)
            for opened in self._opened
            if hasattr(opened.port, "measures")
            for name, value in opened.port.measures().items()
        ]
        for each in self._consuming:
            with suppress(MirageError):
                lag = await self.bus.lag(each.consumer)
                labels = {"consumer": each.consumer}
                samples.append(metrics.Sample("consumer_waiting", lag.waiting, labels))
                samples.append(metrics.Sample("consumer_in_flight", lag.in_flight, labels))
        return samples

    def _run_service(self, service: Service, ports: Ports, handled: Sequence[Handles]) -> None:
        for task in load(service.tasks) if service.tasks else ():
            self._run(f"{service.name}.{task.__name__}", partial(task, ports), endless=False)
        if "trail" in vars(ports):
            self._run(f"{service.name}.trail", ports.trail.run)
        if "outbox" not in vars(ports):
            return
        self._run(f"{service.name}.relay", ports.outbox.relay)
        self._run(f"{service.name}.forget", partial(_forget_daily, ports))
        for handles in handled:
            name = f"{service.name}.{handles.name}"
            if handles.work:
                self._workers[name] = Workers(ports, ports.outbox, handles)
            else:
                self._consume(name, Inbox(ports, ports.outbox, handles))

    def _consume(self, name: str, consumer: Inbox | Workers) -> None:
        self._consuming.append(consumer)
        self._run(name, consumer.run)

    def _run(self, name: str, begin: Callable[[], Awaitable[None]], *, endless: bool = True) -> None:
        task = asyncio.create_task(as_long_as_it_takes(name, begin, self._passing), name=name)
        task.add_done_callback(self._ended if endless else self._failed_or_done)
        self._running.append(task)

    def _failed_or_done(self, task: asyncio.Task[None]) -> None:
        if task.cancelled() or task.exception() is not None:
            self._ended(task)

    def _ended(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else first_of(task.exception())
        assert self._failed is not None
        if self._failed.done() or ((self._stopping or self._draining) and error is None):
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
            self._ends_measuring()
            await self._leave()
            await self._write_entries()
            for task in self._running:
                task.cancel()
            await asyncio.gather(*self._running, return_exceptions=True)
            if self._others is not None:
                await self._others.close()
            for opened in reversed(self._opened):
                try:
                    await opened.port.close()
                except Exception as error:  # noqa: BLE001  the others are to be closed all the same
                    _log.warning("a port did not close", port=type(opened.port).__name__, reason=str(error))
        finally:
            self.folder.close()


def migrations_of(service: Service) -> list[Migration]:
    """The steps of a service's schema, the kernel's own among them."""
    own = migrations.load(service.migrations) if service.migrations else []
    return [*MIGRATIONS, *own]


async def migrate(service: Service, settings: Settings) -> None:
    """Bring the database of a service forward, once it is there.

    Raises:
        Invalid: the settings name none, or the service has none; one in a data folder is brought forward by its owner.
    """
    if not settings.sql or "sql" not in service.needs:
        raise Invalid(f"there is no database server of {service.name} to bring forward (MIRAGE_SQL)")
    adapters = Adapters(settings, Folder(settings.folder))
    for pause in pauses(0.5, 5.0):
        sql: Sql = adapters.open("sql", service)
        try:
            await sql.migrate(migrations_of(service), shared=True)
        except Unavailable as error:
            _log.warning("the database is waited for", service=service.name, reason=str(error))
            await asyncio.sleep(pause)
        else:
            return
        finally:
            await sql.close()


async def _ping(opened: Opened) -> MirageError | None:
    """What a port has to say when it does not answer."""
    try:
        async with asyncio.timeout(ANSWERING):
            await opened.port.ping()
    except MirageError as error:
        return error
    except TimeoutError:
        return Unavailable(f"{opened.name} did not answer within {ANSWERING:g} s")
    return None


async def _forget_daily(ports: Ports) -> None:
    while True:
        await forget(ports.sql)
        await asyncio.sleep(86_400)
