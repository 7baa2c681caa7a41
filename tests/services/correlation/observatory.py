"""`correlation` alone on real files, with the rest of the world played by the test: what storage has, and scans."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

import msgspec

from services.contracts import endpoints as e
from services.contracts.claims import Entity
from services.contracts.facts import Changed, Deleted, Finished, Judged, Started
from services.contracts.resources import Scan, ScanId, ScanRef, SourceState, Stored
from services.contracts.resources.storage import EntityFacts, Facts, FactsOf, FactsQuery, RelationFacts
from services.correlation.api import DOORS
from services.correlation.consumers import CONSUMERS
from services.correlation.domain.rule import Rule
from services.correlation.service import service
from services.correlation.store import graph as graphs
from services.correlation.usecases import rules
from services.correlation.usecases.follow import take_step
from services.kernel.calls import A, Caller, CallsOf, Endpoint, LocalCalls, Nothing, Q, operator
from services.kernel.errors import NotFound
from services.kernel.graph import Graph
from services.kernel.graph.sqlite import SqliteGraph
from services.kernel.once_store import MIGRATIONS
from services.kernel.outbox import Outbox
from services.kernel.service import Ports, Received
from services.kernel.sql import migrations
from tests.stores import open_store

WORKSPACE, ELSEWHERE = UUID(int=1), UUID(int=2)
SCAN, LATER = UUID(int=3), UUID(int=4)
#: When runs begin here, and what a day is, in microseconds.
BEGAN = 1_764_500_000_000_000
DAY = 86_400_000_000


class Book:
    """What storage has of one scan; whatever is put or taken away is to be said as changed."""

    def __init__(self) -> None:
        self.entities: dict[bytes, EntityFacts] = {}
        self.relations: dict[tuple[bytes, bytes], RelationFacts] = {}
        self.changes = 0
        self.unsaid_entities: set[bytes] = set()
        self.unsaid_relations: set[tuple[bytes, bytes]] = set()

    def put(self, *facts: EntityFacts | RelationFacts) -> None:
        for each in facts:
            if isinstance(each, EntityFacts):
                self.entities[each.entity.id] = each
                self.unsaid_entities.add(each.entity.id)
            else:
                key = (each.source.id, each.id)
                self.relations[key] = each
                self.unsaid_relations.add(key)
                self.put(*(named(end) for end in (each.source, each.target) if end.id not in self.entities))

    def take_away(self, *facts: EntityFacts | RelationFacts) -> None:
        for each in facts:
            if isinstance(each, EntityFacts):
                # What a relation names is there: where the one is gone, so is the other.
                ends = each.entity.id
                self.take_away(*(tie for tie in [*self.relations.values()] if ends in (tie.source.id, tie.target.id)))
                self.entities.pop(each.entity.id, None)
                self.unsaid_entities.add(each.entity.id)
            else:
                self.relations.pop((each.source.id, each.id), None)
                self.unsaid_relations.add((each.source.id, each.id))

    def say(self, scan: UUID) -> Changed:
        """What changed since this was said last."""
        self.changes += 1
        said = Changed(
            scan=scan,
            ordinal=self.changes,
            entities=tuple(sorted(self.unsaid_entities)),
            relations=tuple(sorted(self.unsaid_relations)),
        )
        self.unsaid_entities, self.unsaid_relations = set(), set()
        return said


def named(entity: Entity) -> EntityFacts:
    """An entity of which nothing is said but a relation."""
    return EntityFacts(entity=entity, role=None, distance=None, first_seen=BEGAN, last_seen=BEGAN)


class Observatory:
    """The service; ``rules`` are those in force. Scans are known once `start` told of them."""

    def __init__(self, folder: Path, graph: Graph) -> None:
        self.books: dict[UUID, Book] = {}
        self.scans: dict[UUID, Scan] = {}
        self.sql = open_store(folder / "correlation.db")
        self.graph = graph
        self.calls = LocalCalls({"correlation": service.asks})
        self.calls.serve(
            None,
            {
                e.READ_FACTS: self._read_facts,
                e.READ_FACTS_OF: self._read_facts_of,
                e.GET_SCAN: self._get_scan,
                e.GET_PLAN: self._get_plan,
                e.GET_STORED: self._get_stored,
            },
        )
        self.ports = Ports("correlation", sql=self.sql, graph=graph, calls=CallsOf("correlation", self.calls))
        self.ports.outbox = Outbox(self.sql, None, "correlation")  # type: ignore[arg-type]
        self.calls.serve(self.ports, DOORS)

    async def open(self) -> "Observatory":
        await self.sql.migrate([*MIGRATIONS, *migrations.load("services.correlation.migrations")])
        await graphs.declare(self.graph)
        return self

    async def close(self) -> None:
        await self.graph.close()
        await self.sql.close()

    def use(self, *chosen: Rule) -> None:
        """Judge by these rules alone."""
        self.ports.state[rules.CHOSEN] = chosen

    def book(self, scan: UUID = SCAN) -> Book:
        return self.books.setdefault(scan, Book())

    async def start(self, scan: UUID = SCAN, *targets: Entity, at: int = BEGAN, run: int = 1) -> None:
        self.scans[scan] = Scan(
            id=scan,
            state="running",
            reason="",
            run=run,
            targets=targets,
            profile="passive",
            created=at,
            started=at,
            ended=None,
            deadline=None,
            items={},
            entities={},
            sources=(),
            target_count=len(targets),
        )
        self.book(scan)
        await self.take(
            Started(scan=scan, run=run, targets=targets, profile="passive", target_count=len(targets)), at=at
        )

    async def finish(self, scan: UUID = SCAN, *sources: SourceState, state: str = "finished", at: int = 0) -> None:
        before = self.scans[scan]
        ended = at or (before.started or 0) + DAY // 24
        self.scans[scan] = msgspec.structs.replace(before, state=state, ended=ended, sources=sources)
        await self.take(
            Finished(
                scan=scan,
                run=before.run,
                state=state,
                reason="",
                results=0,
                admissions=0,
                outcomes={},
                evidence_root=b"",
                at=ended,
            )
        )

    async def take(self, *messages: Changed | Started | Finished | Deleted, at: int = BEGAN) -> None:
        """Hand messages over as the inbox does."""
        for message in messages:
            handle = next(each.handle for each in CONSUMERS if each.takes is type(message))
            assert handle is not None
            async with self.ports.outbox.unit() as unit:
                await handle(self.ports, unit, [Received(message, WORKSPACE, at)])

    async def work(self) -> None:
        """Do all that there is to do, without the rests that are for who scans."""
        while True:
            async with self.sql.begin() as tx:
                await tx.execute("UPDATE scan SET held = 0 WHERE holder = 0")
            if not await take_step(self.ports):
                return

    async def catch_up(self, scan: UUID = SCAN) -> None:
        """Say what changed in a scan, and have it judged."""
        await self.take(self.book(scan).say(scan))
        await self.work()

    async def ask(self, endpoint: Endpoint[Q, A], question: Q, workspace: UUID = WORKSPACE) -> A:
        return await self.calls.ask(endpoint, question, operator(workspace))

    async def follow(self, endpoint: Endpoint[Q, A], question: Q, workspace: UUID = WORKSPACE) -> list[A]:
        return [part async for part in self.calls.follow(endpoint, question, operator(workspace))]

    async def said(self) -> list[Judged]:
        """What it has told others so far, oldest first."""
        async with self.sql.read() as view:
            rows = await view.fetch("SELECT type, data FROM outbox ORDER BY position")
        return [
            msgspec.json.decode(data, type=Judged) for kind, data in rows if kind == "mirage.evt.correlation.judged.v1"
        ]

    async def _read_facts(self, _: object, caller: Caller, query: FactsQuery) -> AsyncIterator[Facts]:
        book = self._book_of(query.scan)
        yield Facts(entities=tuple(book.entities.values()), relations=tuple(book.relations.values()))

    async def _read_facts_of(self, _: object, caller: Caller, query: FactsOf) -> AsyncIterator[Facts]:
        book = self._book_of(query.scan)
        yield Facts(
            entities=tuple(book.entities[each] for each in query.entities if each in book.entities),
            relations=tuple(book.relations[each] for each in query.relations if each in book.relations),
        )

    async def _get_scan(self, _: object, caller: Caller, question: ScanRef) -> Scan:
        self._book_of(UUID(question.scan))
        return self.scans[UUID(question.scan)]

    async def _get_plan(self, _: object, caller: Caller, question: ScanId) -> Nothing:
        self._book_of(question.scan)
        return Nothing()

    async def _get_stored(self, _: object, caller: Caller, question: ScanId) -> Stored:
        book = self._book_of(question.scan)
        return Stored(scan=question.scan, results=0, admissions=0, entities={}, claims=0, changes=book.changes)

    def _book_of(self, scan: UUID) -> Book:
        if scan not in self.scans:
            raise NotFound(f"there is no scan {scan}")
        return self.book(scan)


@asynccontextmanager
async def observatory(folder: Path, graph: Graph | None = None) -> AsyncIterator[Observatory]:
    made = Observatory(folder, graph or SqliteGraph(folder / "graph.db"))
    await made.open()
    try:
        yield made
    finally:
        await made.close()


def answered(*modules: str) -> Iterable[SourceState]:
    """Sources that were asked in full."""
    for module in modules:
        yield SourceState(
            module=module,
            version=1,
            activity="passive",
            state="answered",
            open=0,
            outcomes={"found": 1},
            claims=1,
            requests=1,
        )
