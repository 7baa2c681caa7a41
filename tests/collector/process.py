"""One collector process on a data folder, whose modules a test writes; scans and storage are played by the test."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import msgspec

from services.collector.collector import Collector, collector_of
from services.collector.context import Answer, HttpAnswer, SourceError
from services.collector.item.exchange import Performed
from services.collector.item.run import Module
from services.collector.manifest import ModuleFile
from services.collector.service import service as COLLECTOR  # noqa: N812  one of many here
from services.contracts import entities
from services.contracts.claims import Claim
from services.contracts.commands import Collect, WorkItem
from services.contracts.endpoints import GET_NAMES, GET_PLAN, LIST_VERSIONS, RENEW_LEASES
from services.contracts.keys import KEYS, PROJECTED
from services.contracts.plan import Plan
from services.contracts.resources import ModuleVersion, NamesQuery, Renew, Renewed, ScanId
from services.contracts.settings import CollectorSettings
from services.contracts.subjects import CarriedSubject, Names
from services.kernel.blobs.segments import SegmentBlobs
from services.kernel.bus import Delivery
from services.kernel.bus.sqlite import SqliteBus
from services.kernel.cache.sqlite import SqliteCache
from services.kernel.calls import Caller, CallsOf, LocalCalls, Nothing
from services.kernel.directory.local import LocalDirectory
from services.kernel.egress import DialTable, Egress, Guard
from services.kernel.errors import NotFound, Unavailable
from services.kernel.live import Live
from services.kernel.messages import derive, message_type
from services.kernel.once_store import MIGRATIONS
from services.kernel.outbox import Outbox
from services.kernel.seal import Seal, make_key
from services.kernel.service import Hold, Ports
from services.kernel.settings import Settings
from services.kernel.sql import migrations
from services.kernel.sql.sqlite import SqliteSql
from services.kernel.streams import consumers_of, streams_of
from services.kernel.values.local import LocalValues
from tests.collector.workshop import SCAN, WORKSPACE, manifest, plan

M = TypeVar("M", bound=msgspec.Struct)


class World:
    """The outside: what was asked how often, and how it answers."""

    def __init__(self) -> None:
        self.asked: dict[str, int] = {}
        self.failures: dict[str, SourceError] = {}
        self.held: dict[str, asyncio.Event] = {}

    async def answer(self, request: str) -> Performed:
        self.asked[request] = self.asked.get(request, 0) + 1
        await asyncio.sleep(0)
        if request in self.held:
            await self.held[request].wait()
        if request in self.failures:
            return Performed(at=1, failure=self.failures[request])
        return Performed(at=1, status="200", body=f"answer to {request}".encode())


Behave = Callable[[Any, Any, World], Any]


def asks(*paths: str, name: str = "probe", **fields: Any) -> Callable[[World], Module]:
    """A module that asks so many things of its subject and claims a host for each answer."""

    def made(world: World) -> Module:
        async def collect(seen: Any, ctx: Any) -> AsyncIterator[Answer]:
            for path in paths:
                yield await ask(world, ctx, f"{path} of {seen.value}")

        def parse(answer: HttpAnswer, seen: Any) -> Iterable[Claim]:
            path = answer.url.partition(" ")[0].strip("/")
            yield entities.hostname(f"{path}.{seen.value}")

        return Module(manifest(name, **fields), collect, parse)

    return made


async def ask(world: World, ctx: Any, request: str) -> HttpAnswer:
    record, body = await ctx.exchanges.make("http", request, lambda: world.answer(request))
    return HttpAnswer(at=record.at, records=(record.id,), url=request, status=200, headers=(), body=body)


def item(number: int, subject: CarriedSubject | None = None, turn: int = 0) -> WorkItem:
    found = subject or entities.domain(f"n{number}.org")
    return WorkItem(UUID(int=1000 + number), found, "target", 0, turn)


def command(*items: WorkItem, module: str = "probe", version: int = 1, batch: int = 1) -> Collect:
    return Collect(
        scan=SCAN, run=1, batch=UUID(int=batch), attempt=1, module=module, version=version, items=tuple(items)
    )


class Process:
    """What the test has of a process. ``lost`` are batches that scans leases to nobody any more."""

    def __init__(self, folder: Path, world: World, dial: DialTable | None = None) -> None:
        self.folder = folder
        self.world = world
        self.plan: Plan = plan()
        self.names: dict[str, Names] = {}
        self.lost: set[UUID] = set()
        self.away = 0
        self.renewals = 0
        #: What the registry says of collectors, this one not among them; None while it is away.
        self.elsewhere: list[tuple[str, int]] | None = []
        self.versions_asked = 0
        self.calls = LocalCalls({"collector": COLLECTOR.asks})
        self.calls.serve(None, {GET_PLAN: self._get_plan, GET_NAMES: self._get_names, RENEW_LEASES: self._renew_leases})
        self.calls.serve(None, {LIST_VERSIONS: self._list_versions})
        self.sql = SqliteSql(folder / "collector.db", strict=True)
        self.blobs = SegmentBlobs(folder / "evidence")
        self.bus = SqliteBus(folder / "bus.db")
        self.cache = SqliteCache(folder / "cache.db")
        self.values = LocalValues()
        self.seal = Seal(make_key())
        self.ports = Ports(
            "collector",
            sql=self.sql,
            blobs=self.blobs,
            bus=self.bus,
            cache=self.cache,
            calls=CallsOf("collector", self.calls),
            egress=Egress(Guard(), dial),
            settings=Settings(data=str(folder), resolvers=("192.0.2.53",)),
            values=self.values,
            directory=LocalDirectory(),
            seal=self.seal,
            live=Live("collector", CollectorSettings),
        )
        self.ports.outbox = Outbox(self.sql, self.bus, "collector")
        self.collector: Collector = collector_of(self.ports)
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self, *modules: Callable[[World], Module]) -> "Process":
        await self.sql.migrate([*MIGRATIONS, *migrations.load("services.collector.migrations")])
        self.collector.modules.clear()
        for make in modules:
            self.add(make(self.world))
        self._tasks = [asyncio.create_task(task()) for task in self.collector.tasks]
        await self.values.put(PROJECTED, b"1")
        return self

    async def set_key(self, name: str, secret: str) -> None:
        """Share a provider key as the service configuration does, and wait until the collector knows it."""
        await self.values.put(KEYS + name, self.seal.seal(name, secret).encode())
        while self.collector.keys.find(name) != secret:
            await asyncio.sleep(0)

    def add(self, module: Module) -> None:
        self.collector.modules[module.manifest.id] = ModuleFile(module.manifest, "", "")
        self.collector._code[module.manifest.id] = module

    async def close(self) -> None:
        """End as abruptly as a process can that goes on: nothing is finished."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.collector.close()
        for port in (self.bus, self.cache, self.blobs, self.sql):
            await port.close()

    async def run(self, command: Collect, *, tries: int = 1) -> float | None:
        """Run a batch that comes for the ``tries``-th time; return the seconds after which it wants to come back."""
        hold = Hold(self.bus, Delivery(None, 1, tries, None))  # type: ignore[arg-type]
        await self.collector.run_batch(WORKSPACE, command, hold)
        return hold.delay

    async def said(self, kind: type[M]) -> list[M]:
        """The messages of a type that wait in the outbox, in order."""
        waiting = [data for _, data in await self._outbox(kind)]
        return [each for data in waiting for each in read_all(data, kind)]

    async def ids(self, kind: type[msgspec.Struct]) -> list[UUID]:
        return [UUID(bytes=identity) for identity, _ in await self._outbox(kind)]

    async def _outbox(self, kind: type[msgspec.Struct]) -> list[tuple[bytes, bytes]]:
        async with self.sql.read() as view:
            return [
                (bytes(row[0]), bytes(row[1]))
                for row in await view.fetch(
                    "SELECT id, data FROM outbox WHERE type = :type ORDER BY position", type=message_type(kind)
                )
            ]

    async def declare(self) -> None:
        """Set up the bus for the collector's own consumers."""
        from services.collector.consumers import CONSUMERS

        await self.bus.declare(streams_of([COLLECTOR]), consumers_of({"collector": CONSUMERS}))

    async def _get_plan(self, _: object, caller: Caller, question: ScanId) -> Plan:
        return self.plan

    async def _get_names(self, _: object, caller: Caller, question: NamesQuery) -> Names:
        if question.digest not in self.names:
            raise NotFound(f"there are no names {question.digest}")
        return self.names[question.digest]

    async def _renew_leases(self, _: object, caller: Caller, question: Renew) -> Renewed:
        self.renewals += 1
        if self.away:
            self.away -= 1
            raise Unavailable("scans is away")
        return Renewed(tuple(batch for batch in question.batches if batch in self.lost))

    async def _list_versions(self, _: object, caller: Caller, question: Nothing) -> tuple[ModuleVersion, ...]:
        assert caller.workspace == WORKSPACE, "a question is asked within one workspace"
        self.versions_asked += 1
        if self.elsewhere is None:
            raise Unavailable("registry is away")
        own = [(file.manifest.id, file.manifest.version) for file in self.collector.modules.values()]
        return tuple(ModuleVersion(*each) for each in [*own, *self.elsewhere])


@asynccontextmanager
async def process(
    folder: Path, world: World, *modules: Callable[[World], Module], dial: DialTable | None = None
) -> AsyncIterator[Process]:
    made = await Process(folder, world, dial).open(*modules)
    try:
        yield made
    finally:
        await made.close()


def read_all(data: bytes, kind: type[M]) -> list[M]:
    """The messages of an envelope, be it one or several."""
    return (
        msgspec.json.decode(data, type=list[kind]) if data.startswith(b"[") else [msgspec.json.decode(data, type=kind)]
    )


def message_id(of: WorkItem, part: int = 0) -> UUID:
    """The id that a part of an item's result has, whoever says it and however often."""
    from services.contracts.facts import Collected
    from services.kernel.messages import NAMESPACE

    return derive(NAMESPACE, f"{message_type(Collected)}|{WORKSPACE.hex}|{of.id.hex}|{of.turn}|{part}")
