"""`storage` alone on real files, with the rest of the world played by the test: collectors, scans, a bus."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, TypeVar
from uuid import UUID, uuid5

import msgspec

from services.contracts import endpoints as e
from services.contracts import entities
from services.contracts.claims import Claim, Entity
from services.contracts.evidence import EvidenceRecord, seal
from services.contracts.facts import Admission, Admitted, Collected, DeclaredModule, Deleted, Outcome, Said
from services.contracts.plan import Limits, Plan, PlannedModule
from services.contracts.resources import ExportQuery, Health, Module, Scan, ScanId, ScanRef
from services.contracts.scope import scope
from services.contracts.subjects import CarriedSubject
from services.kernel.bus.sqlite import SqliteBus
from services.kernel.calls import A, Caller, CallsOf, Endpoint, LocalCalls, Q, operator
from services.kernel.errors import NotFound
from services.kernel.inbox import Inbox
from services.kernel.messages import NAMESPACE, Envelope, derive, envelop, message_type
from services.kernel.once_store import MIGRATIONS
from services.kernel.outbox import Outbox
from services.kernel.search.fts import FtsSearch
from services.kernel.service import Ports, Received
from services.kernel.sql import migrations
from services.kernel.streams import consumers_of, streams_of
from services.reporting.api import DOORS as REPORTING
from services.reporting.service import service as reporting
from services.storage.api import DOORS
from services.storage.consumers import CONSUMERS
from services.storage.service import service
from services.storage.store import intake
from services.storage.usecases import index, support
from tests.stores import open_store

M = TypeVar("M", bound=msgspec.Struct)

WORKSPACE, ELSEWHERE = UUID(int=1), UUID(int=2)
SCAN, LATER = UUID(int=3), UUID(int=4)
TARGET = entities.domain("example.org")
WWW = entities.hostname("www.example.org")
ADDRESS = entities.ip_address("192.0.2.1")


def record(request: str = "GET /", **fields: Any) -> EvidenceRecord:
    key = uuid5(WORKSPACE, request).bytes
    return seal(EvidenceRecord(**{"id": b"", "protocol": "http", "request": request, "key": key, "at": 1, **fields}))


def result(
    module: str,
    *claims: Claim,
    of: UUID = SCAN,
    subject: CarriedSubject = TARGET,
    outcome: Outcome | None = "found",
    records: Sequence[EvidenceRecord] | None = None,
    **fields: Any,
) -> Collected:
    """A whole result of one item, each claim resting on one record of its own unless ``records`` are given."""
    item = uuid5(of, f"{module} {msgspec.json.encode(subject).decode()}")
    kept = tuple(record(f"GET /{module}/{number}") for number in range(len(claims))) if records is None else records
    return Collected(
        **{
            "scan": of,
            "run": 1,
            "batch": UUID(int=9),
            "item": item,
            "module": module,
            "version": 1,
            "subject": subject,
            "part": 0,
            "at": 1000,
            "said": tuple(Said(claim, (min(n, len(kept) - 1),) if kept else ()) for n, claim in enumerate(claims)),
            "records": tuple(kept),
            "outcome": outcome,
            "parts": 1 if outcome else 0,
            **fields,
        }
    )


def declared_module(module: str, source: str, hosts: tuple[str, ...]) -> DeclaredModule:
    return DeclaredModule(
        id=module, version=1, title=module, activity="passive", source=source, format="", consumes=(), produces=(),
        hosts=hosts, options={}, key=None, key_required=False, rate=0, burst=1, concurrency=1, cost=1, freshness=1,
        timeout=1, licence="", code="",
    )  # fmt: skip


def admitted(*places: tuple[Entity, str, int], of: UUID = SCAN, ordinal: int = 1) -> Admitted:
    return Admitted(scan=of, ordinal=ordinal, admissions=tuple(Admission(*place) for place in places))


def wrapped(message: Collected | Admitted | Deleted, workspace: UUID = WORKSPACE, at: int = 2000) -> Envelope:
    """A message as the bus carries it, under the id that its sender derives."""
    match message:
        case Collected(item=item, turn=turn, part=part):
            key = f"{item.hex}|{turn}|{part}"
        case Admitted(scan=scan, ordinal=ordinal):
            key = f"{scan.hex}|{ordinal}"
        case Deleted(scan=scan):
            key = scan.hex
    identity = derive(NAMESPACE, f"{message_type(type(message))}|{workspace.hex}|{key}")
    return envelop(message, source="test", workspace=workspace, id=identity, at=at)


class Depot:
    """The service; ``modules`` are those of every scan's plan, by id, with their activity; ``planned`` changes a plan.

    All scans are known but those that are ``unknown``. ``sources``: of modules of the registry, the source and its
    hosts.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.modules = {"dns_records": "dns", "brute": "guess", "web": "active", "crtsh": "passive"}
        self.planned: dict[UUID, Callable[[Plan], Plan]] = {}
        self.unknown: set[UUID] = set()
        self.sources: dict[str, tuple[str, tuple[str, ...]]] = {}
        self.sql = open_store(folder / "storage.db")
        self.search = FtsSearch(folder / "search.db")
        self.calls = LocalCalls({"storage": service.asks, "reporting": reporting.asks})
        known = {e.GET_PLAN: self._get_plan, e.GET_SCAN: self._get_scan, e.LIST_MODULES: self._list_modules}
        self.calls.serve(None, known)
        self.calls.serve(Ports("reporting", calls=CallsOf("reporting", self.calls)), REPORTING)
        self.ports = Ports("storage", sql=self.sql, search=self.search, calls=CallsOf("storage", self.calls))
        self.ports.outbox = Outbox(self.sql, None, "storage")  # type: ignore[arg-type]
        self.calls.serve(self.ports, DOORS)

    async def open(self) -> "Depot":
        await self.sql.migrate([*MIGRATIONS, *migrations.load("services.storage.migrations")])
        await index.look(self.ports)
        return self

    async def close(self) -> None:
        await self.search.close()
        await self.sql.close()

    async def take(
        self, *messages: Collected | Admitted | Deleted, workspace: UUID = WORKSPACE, at: int = 2000
    ) -> None:
        """Hand messages over as the inbox does: those of one type in a batch, in their order."""
        for kind in dict.fromkeys(type(message) for message in messages):
            handle = next(each.handle for each in CONSUMERS if each.takes is kind)
            assert handle is not None
            batch = [Received(each, workspace, at) for each in messages if type(each) is kind]
            async with self.ports.outbox.unit() as unit:
                await handle(self.ports, unit, batch)

    async def deliver(self, envelopes: Iterable[Envelope]) -> None:
        """Send messages over a real bus that delivers everything twice, and wait until all are taken."""
        bus = SqliteBus(self.folder / f"bus-{id(envelopes)}.db", duplicate=True)
        self.ports.bus = bus
        await bus.declare(streams_of([service]), consumers_of({"storage": CONSUMERS}))
        await bus.publish(list(envelopes))
        tasks = [asyncio.create_task(Inbox(self.ports, self.ports.outbox, each).run()) for each in CONSUMERS]
        async with asyncio.timeout(30):
            for handles in CONSUMERS:
                while (lag := await bus.lag(f"storage__{handles.name}")) and lag.waiting + lag.in_flight:
                    await asyncio.sleep(0.01)
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        assert not [each for each in ended if not isinstance(each, asyncio.CancelledError)]
        assert not await bus.dead()
        await bus.close()

    async def index(self) -> None:
        made = await index.look(self.ports)
        while await index.index_some(self.ports, made):
            pass

    async def ask(self, endpoint: Endpoint[Q, A], question: Q, workspace: UUID = WORKSPACE) -> A:
        return await self.calls.ask(endpoint, question, operator(workspace))

    async def follow(self, endpoint: Endpoint[Q, A], question: Q, workspace: UUID = WORKSPACE) -> list[A]:
        return [part async for part in self.calls.follow(endpoint, question, operator(workspace))]

    async def export(self, form: Any = "jsonl", of: UUID = SCAN, workspace: UUID = WORKSPACE, **fields: Any) -> str:
        query = ExportQuery(**{"scan": of, "format": form, "all": True, **fields})
        return b"".join([piece.data for piece in await self.follow(e.EXPORT, query, workspace)]).decode()

    async def tables(self, *without: str) -> dict[str, list[tuple[Any, ...]]]:
        """All that is stored, but for columns ``without``, with ids in place of numbers."""
        names = tuple(COLUMNS)
        things = dict.fromkeys(("about", "source", "target", "entity"), "thing")
        numbered = {(name, column): kind for name in names for column, kind in things.items()}
        numbered |= {("entity", "number"): "thing", ("relation", "number"): "thing"}
        numbered |= {("claim", "result"): "result", ("record", "result"): "result", ("result", "number"): "result"}
        found = {}
        async with self.sql.read() as view:
            ids: dict[str, dict[int, bytes]] = {}
            for name, kind, key in (
                ("entity", "thing", "id"),
                ("relation", "thing", "id"),
                ("result", "result", "item"),
            ):
                pairs = await view.fetch(f"SELECT number, {key} FROM {name}")
                assert not ids.setdefault(kind, {}).keys() & {number for number, _ in pairs}
                ids[kind] |= dict(pairs)
            for name in names:
                columns = [column for column in COLUMNS[name] if column not in without]
                kinds = [numbered.get((name, column)) for column in columns]
                rows = await view.fetch(f"SELECT {', '.join(columns)} FROM {name}")
                named = [tuple(ids[k][v] if k else v for k, v in zip(kinds, row, strict=True)) for row in rows]
                found[name] = sorted(named, key=repr)
        return found

    async def settle(self) -> None:
        """Work out what is unsupported, as the service does by itself."""
        while await support.work_out_all(self.ports):
            pass

    async def _list_modules(self, *_: object) -> tuple[Module, ...]:
        return tuple(
            Module(
                declared=declared_module(module, source, hosts), enabled=True, options={}, health=Health(), live=True,
                has_key=False,
            )
            for module, (source, hosts) in self.sources.items()
        )  # fmt: skip

    async def _get_scan(self, _: object, caller: Caller, question: ScanRef) -> Scan:
        return Scan(
            id=UUID(question.scan), state="finished", reason="", run=1, targets=(TARGET,), profile="deep", created=1000,
            started=1000, ended=2000, deadline=None, items={}, entities={}, sources=(),
        )  # fmt: skip

    async def _get_plan(self, _: object, caller: Caller, question: ScanId) -> Plan:
        if question.scan in self.unknown:
            raise NotFound(f"there is no scan {question.scan}")
        planned = [
            PlannedModule(
                id=module, version=1, activity=activity, consumes=(), produces=("resolves_to",), options={}, rate=0,
                cost=1, concurrency=1, timeout=1,
            )
            for module, activity in self.modules.items()
        ]  # fmt: skip
        plan = Plan(
            scan=question.scan, profile="deep", targets=(TARGET,), scope=scope((TARGET,)), modules=tuple(planned),
            limits=Limits(), salt="salt",
        )  # fmt: skip
        return self.planned.get(question.scan, lambda plan: plan)(plan)


#: What the tables have, but for what counts batches.
COLUMNS: Final[dict[str, tuple[str, ...]]] = {
    "entity": intake.ENTITY,
    "unindexed": ("workspace", "entity"),
    "relation": intake.RELATION,
    "claim": (*intake.CLAIM, "retracted_at", "unsupported_at"),
    "sighting": intake.SIGHTING,
    "admission": intake.ADMISSION,
    "record": intake.RECORD,
    "result": intake.RESULT,
    "scan": ("workspace", "id", "admissions", "deleted"),
}


@asynccontextmanager
async def depot(folder: Path) -> AsyncIterator[Depot]:
    made = await Depot(folder).open()
    try:
        yield made
    finally:
        await made.close()
