"""A collector's parts on real files: its journal, its bodies, its budget; what a test says is the rest of the world."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

from services.collector.budget import Budget
from services.collector.fetch import Client
from services.collector.item.exchange import Exchanges, Owner, Recorded
from services.collector.item.http import ItemHttp, Shared
from services.collector.item.permit import Permit
from services.collector.journal import Journal
from services.collector.manifest import Manifest
from services.contracts import entities
from services.contracts.authorisations import Authorisation
from services.contracts.evidence import EvidenceRecord
from services.contracts.plan import Limits, Plan
from services.contracts.scope import scope
from services.kernel.blobs.segments import SegmentBlobs
from services.kernel.cache.memory import MemoryCache
from services.kernel.outbox import Outbox
from services.kernel.sql import migrations
from tests.stores import open_store

WORKSPACE, ELSEWHERE = UUID(int=0xA), UUID(int=0xB)
SCAN = UUID(int=0xC)
TARGET = entities.domain("example.org")


def manifest(id: str = "probe", activity: str = "passive", **fields: Any) -> Manifest:
    """A manifest of a source that may be asked as often as one likes; ``hosts`` are example.org's unless said."""
    hosts = ("*.example.org", "example.org") if activity == "passive" else ()
    return Manifest(
        **{
            "id": id,
            "version": 1,
            "title": id,
            "activity": activity,
            "source": "",
            "format": "",
            "consumes": ("domain", "hostname"),
            "produces": ("domain", "hostname", "ip_address", "resolves_to"),
            "hosts": hosts,
            "rate": 0.0,
            **fields,
        }
    )


def plan(target: str = "example.com", *, scan: UUID = SCAN, authorised: bool = True, **rules: Any) -> Plan:
    """The plan of a scan of ``target`` with the rules of `scope`."""
    found = entities.domain(target)
    return Plan(
        scan=scan,
        profile="deep",
        targets=(found,),
        scope=scope((found,), **rules),
        modules=(),
        limits=Limits(),
        salt="salt",
        authorisation=Authorisation("the test", 1) if authorised else None,
    )


class Workshop:
    """What one process has; ``journal`` writes as long as the workshop is open."""

    def __init__(self, folder: Path) -> None:
        self.sql = open_store(folder / "collector.db")
        self.blobs = SegmentBlobs(folder / "evidence")
        self.cache = MemoryCache()
        self.outbox = Outbox(self.sql, None, "collector")  # type: ignore[arg-type]
        self.journal = Journal(self.sql, self.blobs)
        self.budget = Budget(self.cache, self.sql)
        self.shared = Shared()

    async def exchanges(
        self,
        of: Manifest,
        item: int = 1,
        *,
        turn: int = 0,
        workspace: UUID = WORKSPACE,
        scan: UUID = SCAN,
        offline: bool = False,
    ) -> Exchanges:
        """The exchanges of an item as they are when it is begun, with what its journal has."""
        owner = Owner(workspace, scan, UUID(int=item), turn)
        recorded = await self.recorded(item, workspace)
        return Exchanges(self.journal, self.budget, of, owner, recorded, offline=offline)

    async def recorded(self, item: int = 1, workspace: UUID = WORKSPACE) -> Recorded:
        return (await self.journal.recorded(workspace, [UUID(int=item)])).get(UUID(int=item), {})

    async def records(self, item: int = 1) -> list[EvidenceRecord]:
        """What is journalled of an item, oldest first."""
        return sorted((record for _, record in (await self.recorded(item)).values()), key=lambda record: record.at)

    async def http(self, client: Client, of: Manifest, planned: Plan | None = None, **fields: Any) -> ItemHttp:
        """HTTP as an item of a scan has it."""
        exchanges = await self.exchanges(of, **fields)
        return ItemHttp(client, self.shared, exchanges, Permit(of, planned or plan(), 1), "Mirage-Test")


@asynccontextmanager
async def workshop(folder: Path) -> AsyncIterator[Workshop]:
    made = Workshop(folder)
    await made.sql.migrate(migrations.load("services.collector.migrations"))
    writing = asyncio.create_task(made.journal.run())
    try:
        yield made
    finally:
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
        await made.blobs.close()
        await made.sql.close()
