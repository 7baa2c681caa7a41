"""Runs the modules of a scan again on what was recorded, without a socket, and compares what they claim."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from uuid import UUID

from services.collector import store
from services.collector.collector import Collector
from services.collector.item.exchange import Owner, Recorded
from services.collector.item.run import run_item
from services.contracts.claims import claim_line
from services.contracts.endpoints import LIST_CLAIMS
from services.contracts.plan import Plan
from services.contracts.resources import ClaimsQuery, Difference, ReplayCounts, Replayed
from services.kernel.calls import Caller
from services.kernel.errors import NotFound
from services.kernel.service import Ports


class Tally:
    """What a replay counted; see `ReplayCounts`."""

    def __init__(self) -> None:
        self.items = self.claims = self.skipped = self.superseded = self.failed = 0
        self.failure = ""


async def replay_scan(ports: Ports, collector: Collector, caller: Caller, scan: UUID) -> AsyncGenerator[Replayed, None]:
    """Yield each claim that differs, and at the end the counts.

    A module that is there in another version runs in that one: the difference is what its new parser changes.
    """
    plan = await collector.plan(caller.workspace, scan)
    collector.forget(caller.workspace, scan)
    tally = Tally()
    try:
        async with ports.sql.read() as view:
            async for rows in store.work_of(view, caller.workspace, scan):
                recorded = await collector.journal.recorded(caller.workspace, [row.item for row in rows])
                for row in rows:
                    async for difference in _replay_item(
                        ports, collector, caller, plan, row, recorded.get(row.item, {}), tally
                    ):
                        yield Replayed(difference=difference)
    finally:
        collector.forget(caller.workspace, scan)
    yield Replayed(counts=ReplayCounts(**vars(tally)))


async def _replay_item(
    ports: Ports,
    collector: Collector,
    caller: Caller,
    plan: Plan,
    row: store.WorkRow,
    recorded: Recorded,
    tally: Tally,
) -> AsyncGenerator[Difference, None]:
    file = collector.modules.get(row.module)
    if file is None:
        tally.superseded += 1
        return
    module = collector.live(row.module, file.manifest.version)
    assert module is not None
    owner = Owner(caller.workspace, row.scan, row.item, row.turn)
    context = await collector.ways.context(file.manifest, plan, owner, recorded, offline=True, at=row.at)
    tally.items += 1
    try:
        subject = await collector.subject(caller.workspace, plan, row.subject)
    except NotFound:
        tally.skipped += 1
        return
    result = await run_item(module, subject, context)
    tally.claims += len(result.said)
    tally.superseded += file.manifest.version != row.version
    tally.skipped += result.outcome == "skipped" and row.outcome != "skipped"
    if result.outcome == "failed" != row.outcome:
        tally.failed += 1
        tally.failure = tally.failure or result.reason
    if result.digest == row.claims:
        return
    before = set()
    said = ClaimsQuery(scan=row.scan, item=row.item, withdrawn=True)
    async with aclosing(ports.calls.follow(LIST_CLAIMS, said, caller)) as claims:
        async for view in claims:
            before.add(claim_line(view.claim))
    after = {claim_line(claim) for claim, _ in result.said}
    for line in sorted(before - after):
        yield Difference(sign="-", line=line, module=row.module)
    for line in sorted(after - before):
        yield Difference(sign="+", line=line, module=row.module)
