"""A scan opened for change in a unit of work."""

from typing import Final, Self
from uuid import UUID

from services.contracts.facts import OUTCOMES
from services.contracts.plan import Plan, PlannedModule
from services.contracts.states import ENDED
from services.kernel.messages import now
from services.kernel.service import Ports, Unit
from services.kernel.sql import Reader, Tx
from services.scans.domain.items import Wants
from services.scans.store import batches as batch_store
from services.scans.store import scans as scan_store
from services.scans.store.batches import BatchRow
from services.scans.store.scans import Key, ScanRow, SourceRow
from services.scans.usecases.watch import note_change

_PLANS: Final = "scans.plans"
_PLANS_KEPT: Final = 8


class Ledger:
    """A scan with its plan, the state of its modules and its batches in flight, loaded under the scan's lock.

    It is changed in memory and written by `close`, so that a batch of results costs one write of each.
    """

    def __init__(self, ports: Ports, unit: Unit, row: ScanRow, plan: Plan, wants: Wants) -> None:
        self.ports = ports
        self.unit = unit
        self.row = row
        self.plan = plan
        self.wants = wants
        self.at = now()
        self.sources: dict[int, SourceRow] = {}
        self.batches: dict[int, BatchRow] = {}
        self._touched: set[int] = set()
        self._open_changed: set[int] = set()
        self._tally: dict[str, int] = {}

    @classmethod
    async def open(cls, ports: Ports, unit: Unit, workspace: UUID, scan: UUID) -> Self | None:
        """Open a scan; None when there is no such scan in the workspace."""
        row = await scan_store.load_for_change(unit.tx, workspace.bytes, scan.bytes)
        if row is None:
            return None
        ledger = cls(ports, unit, row, *await plan_of(ports, unit.tx, row))
        ledger.sources = await scan_store.sources(unit.tx, row.key)
        ledger.batches = await batch_store.of_scan(unit.tx, row.key)
        return ledger

    @property
    def tx(self) -> Tx:
        return self.unit.tx

    @property
    def key(self) -> Key:
        return self.row.key

    @property
    def workspace(self) -> UUID:
        return UUID(bytes=self.row.workspace)

    @property
    def scan(self) -> UUID:
        return self.row.uuid

    @property
    def outstanding(self) -> int:
        """Items that are not done."""
        return sum(source.open for source in self.sources.values())

    def module(self, number: int) -> PlannedModule:
        return self.plan.modules[number]

    def source(self, number: int) -> SourceRow:
        """The state of a module, which the caller is about to change."""
        self._touched.add(number)
        source = self.sources.get(number)
        if source is None:
            source = self.sources[number] = SourceRow(number, outcomes=[0] * len(OUTCOMES))
        return source

    def close_one(self, batch: int) -> None:
        """Note that an item of a batch is done, or waits again."""
        row = self.batches.get(batch)
        if row is not None:
            row.open -= 1
            self._open_changed.add(batch)

    def count_entity(self, kind: str) -> None:
        self._tally[kind] = self._tally.get(kind, 0) + 1

    async def drop_batches(self, numbers: list[int]) -> None:
        """Forget batches; whoever works on them learns it when the lease is to be renewed."""
        for number in numbers:
            self.batches.pop(number, None)
        if numbers:
            await batch_store.remove(self.tx, self.key, numbers)

    async def replan(self, plan: Plan) -> None:
        """Write a changed plan."""
        self.row.plan_version += 1
        self.plan, self.wants = plan, Wants(plan)
        await scan_store.write_plan(self.tx, self.key, plan)

    async def close(self) -> None:
        """Write what has changed, and let who watches the scan know once that is committed."""
        over = [number for number, batch in self.batches.items() if batch.open <= 0]
        await self.drop_batches(over)
        still = [self.batches[number] for number in self._open_changed if number in self.batches]
        if still:
            await batch_store.save_open(self.tx, self.key, still)
        if self._touched:
            await scan_store.save_sources(self.tx, self.key, [self.sources[number] for number in self._touched])
        if self._tally:
            await scan_store.add_to_tally(self.tx, self.key, self._tally)
        self.row.changed = max(self.at, self.row.changed + 1)
        await scan_store.save(self.tx, self.row)
        ended = self.row.state in ENDED
        self.unit.then(lambda: note_change(self.ports, self.scan, self.workspace, ended=ended))


async def plan_of(ports: Ports, view: Reader, row: ScanRow) -> tuple[Plan, Wants]:
    """The plan of a scan, and who is asked about what by it; the last few are kept, as none ever changes in place."""
    kept = _kept_plans(ports)
    found = kept.pop(_name(row), None)
    if found is None:
        return keep_plan(ports, row, await scan_store.read_plan(view, row.key))
    kept[_name(row)] = found
    return found


def keep_plan(ports: Ports, row: ScanRow, plan: Plan) -> tuple[Plan, Wants]:
    """Keep the plan of a scan in memory, for who asks for it next."""
    kept = _kept_plans(ports)
    if len(kept) >= _PLANS_KEPT:
        kept.pop(next(iter(kept)))
    found = kept[_name(row)] = (plan, Wants(plan))
    return found


def _kept_plans(ports: Ports) -> dict[tuple[int, int, int], tuple[Plan, Wants]]:
    plans: dict[tuple[int, int, int], tuple[Plan, Wants]] = ports.state.setdefault(_PLANS, {})
    return plans


def _name(row: ScanRow) -> tuple[int, int, int]:
    return row.created, row.number, row.plan_version
