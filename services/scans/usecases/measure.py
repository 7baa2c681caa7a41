"""How much work waits, as every instance of this service reads it from what all of them share."""

import asyncio
from collections import defaultdict
from typing import Final

from services.contracts.plan import PlannedModule, waits_for
from services.kernel import metrics
from services.kernel.directory.headcount import headcount_of
from services.kernel.service import Ports
from services.scans.store import ready as ready_store

#: What items wait for: collectors, of which there may be more, or what their sources give.
_NOTHING: Final = {"collector": 0, "source": 0}

#: A scan as it was planned: (workspace, number, created, version of its plan).
_Planned = tuple[bytes, int, int, int]


class Waiting:
    """Counts the items of running scans that nobody works on; of each module a row says how many these may be.

    Those are the items that may be handed out, and of those that were, the ones that have to wait for others: each
    collector works on as many of a module at a time as it says. Batches are large, so that most of the work of a scan
    may be among them.
    """

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self._kept: dict[_Planned, tuple[PlannedModule, ...]] = {}

    async def read(self) -> list[metrics.Sample]:
        """The items by what they wait for."""
        collectors = headcount_of(self._ports.state, "collector").now
        items, leased = dict(_NOTHING), defaultdict[str, int](int)
        modules: dict[str, PlannedModule] = {}
        seen: dict[_Planned, tuple[PlannedModule, ...]] = {}
        async with self._ports.sql.read() as view:
            for row in await ready_store.read_ready(view):
                planned = (*row.key, row.created, row.plan_version)
                if planned not in seen:
                    seen[planned] = self._kept.get(planned) or await ready_store.read_modules(view, row.key)
                module = seen[planned][row.module]
                modules[module.id] = module
                items[waits_for(module.rate)] += row.ready
                leased[module.id] += row.leased
        self._kept = seen
        for module in modules.values():
            items[waits_for(module.rate)] += max(0, leased[module.id] - module.concurrency * collectors)
        return [metrics.Sample("items_waiting", count, {"waits_for": what}) for what, count in items.items()]


async def measure(ports: Ports) -> None:
    """Let what waits be measured, as long as the process runs."""
    end = metrics.read_with(Waiting(ports).read)
    try:
        await asyncio.Event().wait()
    finally:
        end()
