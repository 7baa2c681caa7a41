"""A collector by itself on real files: what is asked of scans is answered at once, and nobody takes its results.

``python -m tests.bench.collecting FOLDER`` runs module `web` on the names on stdin and prints pages, answers, seconds
and seconds of processor time.
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from uuid import UUID

import msgspec
import uvloop
from msgspec import Struct

from services.collector.collector import collector_of
from services.collector.service import service
from services.contracts import entities
from services.contracts.authorisations import Authorisation
from services.contracts.claims import Attribute, Entity
from services.contracts.commands import Collect, WorkItem
from services.contracts.endpoints import GET_PLAN, RENEW_LEASES
from services.contracts.facts import Collected
from services.contracts.keys import PROJECTED
from services.contracts.plan import Limits, Plan
from services.contracts.resources import Renew, Renewed, ScanId
from services.contracts.scope import scope
from services.contracts.settings import CollectorSettings
from services.kernel.blobs.segments import SegmentBlobs
from services.kernel.bus.sqlite import SqliteBus
from services.kernel.cache.sqlite import SqliteCache
from services.kernel.calls import Caller, CallsOf, LocalCalls
from services.kernel.directory.local import LocalDirectory
from services.kernel.egress import DialTable, Egress, Guard
from services.kernel.live import Live
from services.kernel.messages import derive
from services.kernel.once_store import MIGRATIONS
from services.kernel.outbox import Outbox
from services.kernel.seal import Seal, make_key
from services.kernel.service import Hold, Ports
from services.kernel.settings import Settings
from services.kernel.sql import migrations
from services.kernel.sql.sqlite import SqliteSql
from services.kernel.values.local import LocalValues

SCAN, WORKSPACE = UUID(int=1), UUID(int=2)
MODULE = "web"
#: As scans hands them out.
ITEMS, BATCHES = 64, 4


class Brought(Struct, frozen=True):
    pages: int
    answers: int
    seconds: float
    cpu: float


async def collect(folder: Path, names: Sequence[str], resolver: str) -> Brought:
    """Run `web` on every name; return what it brought."""
    targets = tuple(entities.name(name) for name in names)
    planned = Plan(
        scan=SCAN,
        profile="deep",
        targets=targets,
        scope=scope(targets),
        modules=(),
        limits=Limits(),
        salt="salt",
        authorisation=Authorisation("benchmark", 1),
    )
    ports = open_ports(folder, planned, resolver)
    await ports.sql.migrate([*MIGRATIONS, *migrations.load("services.collector.migrations")])
    collector = collector_of(ports)
    tasks = [asyncio.create_task(task()) for task in collector.tasks]
    await ports.values.put(PROJECTED, b"1")
    commands = iter(commands_for(targets, collector.modules[MODULE].manifest.version))
    started, cpu = time.perf_counter(), time.process_time()

    async def work() -> None:
        for command in commands:
            await collector.run_batch(WORKSPACE, command, Hold(ports.bus, None))  # type: ignore[arg-type]

    await asyncio.gather(*(work() for _ in range(BATCHES)))
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    pages, answers = await brought(ports)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await collector.close()
    for port in (ports.bus, ports.cache, ports.blobs, ports.sql):
        await port.close()
    return Brought(pages, answers, seconds, cpu)


def open_ports(folder: Path, planned: Plan, resolver: str) -> Ports:
    calls = LocalCalls({"collector": service.asks})
    calls.serve(None, {GET_PLAN: partial(get_plan, planned), RENEW_LEASES: renew_leases})
    sql, bus = SqliteSql(folder / "collector.db"), SqliteBus(folder / "bus.db")
    ports = Ports(
        "collector",
        sql=sql,
        blobs=SegmentBlobs(folder / "evidence"),
        bus=bus,
        cache=SqliteCache(folder / "cache.db"),
        calls=CallsOf("collector", calls),
        egress=Egress(Guard(), DialTable.read(Path(os.environ["MIRAGE_DIAL_TABLE"]))),
        settings=Settings(data=str(folder), resolvers=(resolver,), ca_file=os.environ["SSL_CERT_FILE"]),
        values=LocalValues(),
        directory=LocalDirectory(),
        seal=Seal(make_key()),
        live=Live("collector", CollectorSettings),
    )
    ports.outbox = Outbox(sql, bus, "collector")
    return ports


async def get_plan(planned: Plan, _: object, caller: Caller, question: ScanId) -> Plan:
    return planned


async def renew_leases(_: object, caller: Caller, question: Renew) -> Renewed:
    return Renewed(())


def commands_for(targets: Sequence[Entity], version: int) -> list[Collect]:
    items = [WorkItem(derive(SCAN, target.value), target, "target", 0) for target in targets]
    return [
        Collect(
            scan=SCAN,
            run=1,
            batch=UUID(int=first),
            attempt=1,
            module=MODULE,
            version=version,
            items=tuple(items[first : first + ITEMS]),
        )
        for first in range(0, len(items), ITEMS)
    ]


async def brought(ports: Ports) -> tuple[int, int]:
    """Front pages that were read, and answers that were kept."""
    pages = answers = 0
    async with ports.sql.read() as view:
        for (data,) in await view.fetch("SELECT data FROM outbox"):
            for result in msgspec.json.decode(data if data.startswith(b"[") else b"[%b]" % data, type=list[Collected]):
                answers += result.requests
                pages += sum(is_page(said.claim) for said in result.said)
    return pages, answers


def is_page(claim: object) -> bool:
    return isinstance(claim, Attribute) and claim.name == "http_status" and claim.value == 200


if __name__ == "__main__":
    told = json.load(sys.stdin)
    print(msgspec.json.encode(uvloop.run(collect(Path(sys.argv[1]), told["names"], told["resolver"]))).decode())
