"""What a collector process has: its modules, its ways out, its journal; and what it does with a batch."""

import asyncio
import contextlib
import hashlib
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Coroutine, Sequence
from functools import cached_property, partial
from time import monotonic
from typing import Any, Final
from uuid import UUID

import msgspec
import structlog

from services.collector import store
from services.collector.budget import Budget, Wait
from services.collector.group import GroupCommit
from services.collector.holds import Holds
from services.collector.item.exchange import Owner, Recorded
from services.collector.item.parts import part_key, parts_of
from services.collector.item.run import (
    Module,
    Result,
    failed,
    import_module_of,
    run_item,
)
from services.collector.journal import Journal
from services.collector.keys import KeyRing
from services.collector.manifest import Manifest, ModuleFile, read_manifests
from services.collector.versions import Versions
from services.collector.ways import Ways
from services.contracts.commands import Collect, WorkItem, command_id
from services.contracts.endpoints import GET_NAMES, GET_PLAN, RENEW_LEASES
from services.contracts.facts import ANNOUNCED, Announced, Collected, DeclaredModule, Superseded
from services.contracts.plan import Plan, waits_for
from services.contracts.resources import BudgetView, NamesQuery, Pause, QuotaView, Renew, ScanId
from services.contracts.settings import CollectorSettings
from services.contracts.subjects import CarriedSubject, NamesDigest, Subject
from services.kernel import metrics
from services.kernel.calls import Caller
from services.kernel.directory.headcount import headcount_of
from services.kernel.errors import MirageError, NotFound, Unavailable, meaning
from services.kernel.messages import Because, now
from services.kernel.service import Hold, Ports, Unit

_log = structlog.get_logger(__name__)

PLANS_KEPT: Final = 64
RENEW_EVERY: Final = 15.0
#: A batch that waits for a rate comes back after at most this long, well within its lease.
LONGEST_DELAY: Final = 20.0
#: A batch that others might have comes back after so many seconds, twice as many each time, up to a limit; here, one
#: round of items waits at most.
CROWDED: Final = 0.1
LONGEST_CROWDED: Final = 0.4
ROUNDS: Final = 2
#: A batch that somebody works on comes back after so many seconds: it was given out twice, or its collector has died.
HELD: Final = 1.0
#: A batch of a version that another collector has is left to it for so many seconds, doubled each time up to a limit.
LEFT: Final = 0.125
LONGEST_LEFT: Final = 2.0
#: In a fleet, a version is gone when nobody was seen to have it for so many seconds: who is out of the directory for a
#: moment, or is begun anew, has it still.
GONE: Final = 15.0


class LeaseLost(Exception):
    """Scans gave the batch to nobody any more: drop it and publish nothing."""


class Collector:
    """Runs batches of work items; `tasks` must be running."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self._caller = partial(Caller, name="collector")
        self.modules: dict[str, ModuleFile] = {file.manifest.id: file for file in read_manifests()}
        self.keys = KeyRing(ports.values, ports.seal)
        self.journal = Journal(ports.sql, ports.blobs)
        self._results: GroupCommit[tuple[UUID, Collect, WorkItem, Result, int], None] = GroupCommit(self._publish, 200)
        self._holds = Holds(ports.sql)
        self._budget = Budget(ports.cache, ports.sql, ports.settings.dial_table)
        self._ends_measuring = metrics.read_with(self._budget.measure)
        self.ways = Ways(ports, self.journal, self._budget, self.keys)
        self._code: dict[str, Module] = {}
        self._slots: dict[tuple[str, int], asyncio.Semaphore] = {}
        self._under_way: defaultdict[str, set[UUID]] = defaultdict(set)
        self._collectors = headcount_of(ports.state, "collector")
        self._versions = Versions(ports.calls, monotonic)
        self._plans: OrderedDict[tuple[UUID, UUID], Plan] = OrderedDict()

    @cached_property
    def announced(self) -> Announced:
        """The modules that this collector has, for everybody."""
        modules = tuple(
            DeclaredModule(
                **{name: getattr(file.manifest, name) for name in file.manifest.__struct_fields__}, code=file.digest
            )
            for file in self.modules.values()
        )
        return Announced(digest=hashlib.sha256(msgspec.json.encode(modules)).hexdigest(), modules=modules)

    @property
    def tasks(self) -> Sequence[Callable[[], Coroutine[Any, Any, None]]]:
        """What must run for anything to be written."""
        return (self.journal.run, self._results.run, self._holds.follow, self.keys.follow, self._count_collectors)

    async def close(self) -> None:
        self._ends_measuring()
        await self.ways.close()

    async def run_batch(self, workspace: UUID, command: Collect, hold: Hold) -> None:
        """Run the items of a batch that have no published result yet, and publish theirs.

        When a source wants us to wait, what is finished is published and the rest comes back later.
        """
        try:
            await self.plan(workspace, command.scan)
        except NotFound:
            _log.info("batch dropped: its workspace has no such scan", batch=str(command.batch))
            return
        file = self.modules.get(command.module)
        if file is None or file.manifest.version != command.version:
            await self._leave_or_supersede(workspace, command, file, hold)
            return
        if self._is_crowded(file.manifest):
            hold.give_back(min(LONGEST_CROWDED, CROWDED * 2 ** min(hold.tries - 1, 2)))
            return
        async with self._holds.hold(workspace, command.batch) as held:
            if held:
                await self._run_counted(workspace, command, hold)
            else:
                hold.give_back(HELD)

    def _is_crowded(self, manifest: Manifest) -> bool:
        """Whether the items of a module wait here for one another while other collectors might have them."""
        return self._collectors.now > 1 and len(self._under_way[manifest.id]) >= ROUNDS * self._at_once(manifest)

    async def _count_collectors(self) -> None:
        await self._collectors.follow(self._ports.directory)

    async def _run_counted(self, workspace: UUID, command: Collect, hold: Hold) -> None:
        under_way, own = self._under_way[command.module], {item.id for item in command.items}
        under_way |= own
        try:
            await self._run_items(workspace, command, hold)
        finally:
            under_way -= own

    async def _run_items(self, workspace: UUID, command: Collect, hold: Hold) -> None:
        await self.keys.known()
        try:
            await self._renew(workspace, command)
            plan = await self.plan(workspace, command.scan)
        except (LeaseLost, NotFound):  # without a plan, the scan was deleted meanwhile
            _log.info("batch dropped", batch=str(command.batch), module=command.module)
            return
        async with self._ports.sql.read() as view:
            published = await store.published(view, workspace, [item.id for item in command.items])
            pending = [item for item in command.items if published.get(item.id, -1) < item.turn]
            recorded = await store.read_exchanges(view, workspace, [item.id for item in pending])
        waits: list[float] = []
        failure: Exception | None = None
        lost = False
        try:
            async with asyncio.TaskGroup() as group:
                renewing = group.create_task(self._keep_renewing(workspace, command))
                items = [
                    group.create_task(self._run_and_count(workspace, command, plan, item, recorded.get(item.id, {})))
                    for item in pending
                ]
                waits = [wait for wait in await asyncio.gather(*items) if wait > 0]
                renewing.cancel()
        except* LeaseLost:
            _log.info("batch dropped", batch=str(command.batch), module=command.module)
            lost = True
        except* Exception as failures:  # noqa: BLE001  one of them says what they all mean
            failure = _leaf(failures)
        if failure is not None and not lost:
            raise failure
        if waits and not lost:
            soonest = max(0.5, min(waits))
            until = now() + int(soonest * 1_000_000)
            with contextlib.suppress(LeaseLost, Unavailable):
                await self._renew(workspace, command, Pause(command.scan, command.module, until))
            hold.give_back(min(LONGEST_DELAY, soonest))

    async def _run_and_count(
        self, workspace: UUID, command: Collect, plan: Plan, item: WorkItem, recorded: Recorded
    ) -> float:
        """As `_run_one`; the item is under way no more when that ends."""
        try:
            return await self._run_one(workspace, command, plan, item, recorded)
        finally:
            self._under_way[command.module].discard(item.id)

    async def _run_one(
        self, workspace: UUID, command: Collect, plan: Plan, item: WorkItem, recorded: Recorded
    ) -> float:
        """Run an item and publish its result; return the seconds to wait when it has to."""
        started = now()
        try:
            module = self._module(command.module)
        except Exception as error:  # noqa: BLE001  a module that cannot be imported fails its own items only
            _log.exception("module cannot be imported", module=command.module)
            await self._results.put((workspace, command, item, failed(f"{type(error).__name__}: {error}"), started))
            return 0.0
        async with self._slot(module.manifest):
            started = now()
            owner = Owner(workspace, command.scan, item.id, item.turn)
            try:
                context = await self.ways.context(module.manifest, plan, owner, recorded, offline=False, at=started)
                result = await run_item(module, await self.subject(workspace, plan, item.subject), context)
            except Wait as wait:
                return wait.seconds
            except MirageError as error:
                if meaning(error).bus == "pause":
                    raise
                result = failed(f"{type(error).__name__}: {error}")
        await self._results.put((workspace, command, item, result, started))
        return 0.0

    async def subject(self, workspace: UUID, plan: Plan, carried: CarriedSubject) -> Subject:
        """What a module gets to see: sets are fetched by their digest."""
        if not isinstance(carried, NamesDigest):
            return carried
        query = NamesQuery(plan.scan, carried.digest)
        return await self._ports.calls.ask(GET_NAMES, query, self._caller(workspace))

    async def plan(self, workspace: UUID, scan: UUID) -> Plan:
        """The frozen plan of a scan."""
        plan = self._plans.get((workspace, scan))
        if plan is None:
            plan = await self._ports.calls.ask(GET_PLAN, ScanId(scan), self._caller(workspace))
            async with self._ports.sql.begin() as tx:
                await store.note_scan(tx, workspace, scan)
            self._plans[workspace, scan] = plan
            while len(self._plans) > PLANS_KEPT:
                self._plans.popitem(last=False)
        return plan

    def forget(self, workspace: UUID, scan: UUID) -> None:
        """Drop what is kept in memory of a scan."""
        self._plans.pop((workspace, scan), None)
        self.ways.forget(workspace, scan)

    async def budgets(self, workspace: UUID) -> tuple[BudgetView, ...]:
        """How often each source that has a limit may be asked, and what is left for a workspace."""
        await self.keys.known()
        views = []
        for file in self.modules.values():
            manifest = file.manifest
            secret = (self.keys.find(manifest.key) if manifest.key else None) or ""
            account = self._budget.account(manifest, secret=secret)
            if account.bucket is None and not account.quota:
                continue
            quotas = [
                QuotaView(period=window.period, most=window.most, used=used, left=left, until=window.ends)
                for window, used, left in await self._budget.standing(account, workspace)
            ]
            views.append(
                BudgetView(
                    module=manifest.id,
                    budget=manifest.budget or manifest.id,
                    rate=account.bucket.rate if account.bucket else 0.0,
                    burst=manifest.burst,
                    with_key=bool(secret),
                    quotas=tuple(quotas),
                )
            )
        return tuple(views)

    def live(self, module: str, version: int) -> Module | None:
        """A module's code, if this collector has it in that version."""
        file = self.modules.get(module)
        return self._module(module) if file is not None and file.manifest.version == version else None

    def _module(self, name: str) -> Module:
        if name not in self._code:
            self._code[name] = import_module_of(self.modules[name])
        return self._code[name]

    def _slot(self, manifest: Manifest) -> asyncio.Semaphore:
        """The places for items of a module; where fewer or more are set meanwhile, those from now on have others."""
        places = self._at_once(manifest)
        if (manifest.id, places) not in self._slots:
            self._slots[manifest.id, places] = asyncio.Semaphore(places)
        return self._slots[manifest.id, places]

    def _at_once(self, manifest: Manifest) -> int:
        live: CollectorSettings = self._ports.live.now
        return max(1, min(manifest.concurrency, live.items_at_once or manifest.concurrency))

    async def _renew(self, workspace: UUID, command: Collect, *pauses: Pause) -> None:
        renew = Renew((command.batch,), pauses)
        renewed = await self._ports.calls.ask(RENEW_LEASES, renew, self._caller(workspace))
        if command.batch in renewed.lost:
            raise LeaseLost

    async def _keep_renewing(self, workspace: UUID, command: Collect) -> None:
        while True:
            await asyncio.sleep(RENEW_EVERY)
            try:
                await self._renew(workspace, command)
            except Unavailable as error:
                _log.warning("lease not renewed", batch=str(command.batch), reason=str(error))

    async def _leave_or_supersede(self, workspace: UUID, command: Collect, file: ModuleFile | None, hold: Hold) -> None:
        """Leave a batch to collectors that have its version, as long as there are any; else say that there are none.

        Where others may come back, that takes a while, unless it is a newer version that is here.
        """
        newer = file is not None and file.manifest.version > command.version
        lately = GONE if self._ports.settings.directory and not newer else 0.0
        if await self._versions.are_there(self._caller(workspace), command.module, command.version, lately=lately):
            hold.give_back(min(LONGEST_LEFT, LEFT * 2 ** min(hold.tries, 10)))
        else:
            await self._supersede(workspace, command, file)

    async def _supersede(self, workspace: UUID, command: Collect, file: ModuleFile | None) -> None:
        async with self._ports.outbox.unit() as unit:
            unit.because(Because(command_id(workspace, command.batch)))
            unit.emit(
                Superseded(
                    scan=command.scan,
                    run=command.run,
                    batch=command.batch,
                    module=command.module,
                    version=command.version,
                    live=file.manifest.version if file else None,
                ),
                workspace=workspace,
                key=str(command.batch),
            )

    async def _publish(self, finished: Sequence[tuple[UUID, Collect, WorkItem, Result, int]]) -> list[None]:
        """Write the results of many items and the messages that carry them, in one transaction."""
        async with self._ports.outbox.unit() as unit:
            gone = await store.gone_scans(unit.tx, {command.scan for _, command, _, _, _ in finished})
            latest: dict[tuple[UUID, UUID], tuple[Collect, WorkItem, Result, int]] = {}
            for workspace, command, item, result, started in finished:
                before = latest.get((workspace, item.id))
                if (workspace, command.scan) not in gone and (before is None or before[1].turn < item.turn):
                    latest[workspace, item.id] = (command, item, result, started)
            for workspace in {workspace: None for workspace, _ in latest}:
                ours = [each for (of, _), each in latest.items() if of == workspace]
                # Another who had an item may have said it: in two bundles it came twice.
                taken = await store.take_work(unit.tx, workspace, [_work_row(*each) for each in ours])
                _say(unit, workspace, [each for each in ours if each[1].id in taken])
        for _, command, _, result, _ in finished:
            metrics.item(waits_for(self.modules[command.module].manifest.rate), result.outcome)
        return [None] * len(finished)


def collector_of(ports: Ports) -> Collector:
    """The collector of this process."""
    if "collector" not in ports.state:
        ports.state["collector"] = Collector(ports)
    collector = ports.state["collector"]
    assert isinstance(collector, Collector)
    return collector


def say_modules(ports: Ports) -> dict[str, str]:
    """What the directory says of a collector: the digest of its modules."""
    return {ANNOUNCED: collector_of(ports).announced.digest}


def _work_row(command: Collect, item: WorkItem, result: Result, started: int) -> store.WorkRow:
    return store.WorkRow(
        item.id,
        command.scan,
        item.turn,
        command.module,
        command.version,
        result.outcome,
        item.subject,
        started,
        result.digest,
    )


def _say(unit: Unit, workspace: UUID, results: Sequence[tuple[Collect, WorkItem, Result, int]]) -> None:
    """Emit results: those of one part bundled, the parts of others each by itself."""
    whole: dict[str, Collected] = {}
    for command, item, result, _ in results:
        unit.because(Because(command_id(workspace, command.batch)))
        parts = {part_key(part): part for part in parts_of(command, item, result)}
        if len(parts) == 1:
            whole.update(parts)
        else:  # parts are counted, so a repetition of one has to be known as the same message
            for key, part in parts.items():
                unit.emit(part, workspace=workspace, key=key)
    # A bundle has results of many commands; it is said because of the last of them.
    unit.emit_bundled(whole, workspace=workspace)


def _leaf(failures: ExceptionGroup[Exception]) -> Exception:
    """The failure that says what to do: one that passes by itself where there is one."""
    leaves = [_leaf(each) if isinstance(each, ExceptionGroup) else each for each in failures.exceptions]
    return next((leaf for leaf in leaves if meaning(leaf).bus == "pause"), leaves[0])
