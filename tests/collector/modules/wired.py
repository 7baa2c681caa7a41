"""Modules on a real wire: fetcher, resolver, sockets and egress of the collector, against a running lab."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

from msgspec import structs

from lab.running import Lab
from services.collector.budget import Budget
from services.collector.fetch import Client
from services.collector.item.dns import ItemDns, ScanWildcards, addresses_of
from services.collector.item.exchange import Exchanges, Owner
from services.collector.item.http import ItemHttp, Shared
from services.collector.item.permit import Permit
from services.collector.item.run import ItemContext, Module, Result, import_module_of, run_item
from services.collector.item.sockets import PROBES_AT_ONCE, ItemTcp, ItemTls, ItemWhois
from services.collector.journal import Journal
from services.collector.manifest import MODULES, read_manifest
from services.collector.resolve import Resolver
from services.collector.store import JournalRow
from services.contracts.authorisations import Authorisation
from services.contracts.claims import Claim, Entity, Relation
from services.contracts.evidence import EvidenceRecord
from services.contracts.scope import Scope
from services.contracts.subjects import Subject
from services.kernel.cache.memory import MemoryCache
from services.kernel.egress import DialTable, Egress, Guard
from services.kernel.sql import migrations
from services.kernel.sql.sqlite import SqliteSql

NOBODY = UUID(int=0)
NOW = 1_790_000_000_000_000


def named(result: Result) -> set[str]:
    """The domains and host names in what was claimed, at either end of relations too."""
    things = [thing for claim, _ in result.said for thing in ends_of(claim)]
    return {thing.value for thing in things if thing.type in {"domain", "hostname"}}


def related(result: Result, type: str) -> list[Relation]:
    return [claim for claim, _ in result.said if isinstance(claim, Relation) and claim.type == type]


def ends_of(claim: Claim) -> tuple[Entity, ...]:
    match claim:
        case Relation(source=source, target=target):
            return (source, target)
        case Entity():
            return (claim,)
    return (claim.about,)


class Remembered(Journal):
    """A journal that writes nothing down."""

    def __init__(self) -> None:
        self.records: list[EvidenceRecord] = []

    async def write(self, row: JournalRow, body: bytes | None, *, shared: bool = False) -> EvidenceRecord:
        self.records.append(row.record)
        return row.record

    async def find_answer(self, workspace: UUID, scan: UUID, key: bytes) -> EvidenceRecord | None:
        return None


class Wire:
    """Runs modules against a lab, for a scan of ``scope``."""

    def __init__(self, lab: Lab, scope: Scope) -> None:
        self.lab = lab
        self.scope = scope
        self.journal = Remembered()
        self._modules: dict[str, Module] = {}
        self._sql = SqliteSql(lab.directory / f"budget-{uuid4().hex}.db")
        self._budget = Budget(MemoryCache(), self._sql)
        self._egress = Egress(Guard(), DialTable.read(lab.directory / "dial.json"))
        self._resolver = Resolver(self._egress, [(lab.resolver.partition(":")[0], 53)])
        self._probes = asyncio.Semaphore(PROBES_AT_ONCE)
        self._ca_file = str(lab.directory / "ca.pem")
        self._client = Client(self._egress, partial(addresses_of, self._resolver), self._ca_file)

    async def run(self, id: str, subject: Subject, words: tuple[str, ...] = (), **options: Any) -> Result:
        """Run one work item of module ``id``; ``words`` are the word list."""
        module = self._module(id)
        manifest = module.manifest
        owner = Owner(NOBODY, NOBODY, NOBODY, 0)
        exchanges = Exchanges(self.journal, self._budget, manifest, owner, {}, offline=False)
        permit = Permit(manifest, SimpleNamespace(scope=self.scope, authorisation=Authorisation("the test", 1)), 1)  # type: ignore[arg-type]
        context = ItemContext(
            http=ItemHttp(self._client, Shared(), exchanges, permit, "Mirage-Test"),
            dns=ItemDns(self._resolver, exchanges, permit, ScanWildcards(self._resolver, exchanges, "salt")),
            whois=ItemWhois(self._egress, self._resolver, exchanges, permit),
            tls=ItemTls(self._client, exchanges, permit),
            tcp=ItemTcp(self._egress, exchanges, permit, self._probes),
            scope=self.scope,
            at=NOW,
            options={**manifest.options, **options},
            wordlist=lambda: iter(words),
            key=lambda: None,
            exchanges=exchanges,
        )
        return await run_item(module, subject, context)

    def _module(self, id: str) -> Module:
        if id not in self._modules:
            file = read_manifest(MODULES / f"{id}.py")
            unlimited = structs.replace(file.manifest, rate=0.0)  # the lab bears any
            self._modules[id] = import_module_of(structs.replace(file, manifest=unlimited))
        return self._modules[id]

    async def open(self) -> None:
        await self._sql.migrate(migrations.load("services.collector.migrations"))

    async def close(self) -> None:
        await self._client.close()
        await self._resolver.close()
        await self._sql.close()


@asynccontextmanager
async def wired(lab: Lab, scope: Scope) -> AsyncIterator[Wire]:
    wire = Wire(lab, scope)
    await wire.open()
    try:
        yield wire
    finally:
        await wire.close()
