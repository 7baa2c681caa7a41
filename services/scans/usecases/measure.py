"""How much work waits, as every instance of this service reads it from what all of them share."""

import asyncio
from typing import Final

from services.contracts.plan import waits_for
from services.kernel import metrics
from services.kernel.service import Ports
from services.kernel.sql import Reader
from services.scans.store import ready as ready_store
from services.scans.store.ready import Ready

#: What items that may be handed out now wait for: collectors, of which there may be more, or what their sources give.
_NOTHING: Final = {"collector": 0, "source": 0}

#: A scan as it was planned: (workspace, number, created, version of its plan).
_Planned = tuple[bytes, int, int, int]


class Waiting:
    """Counts the items of running scans that may be handed out; of each module a row says how many these are."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self._kept: dict[_Planned, tuple[str, ...]] = {}

    async def read(self) -> list[metrics.Sample]:
        """The items by what they wait for."""
        items, seen = dict(_NOTHING), dict[_Planned, tuple[str, ...]]()
        async with self._ports.sql.read() as view:
            for ready in await ready_store.read_ready(view):
                planned = (*ready.key, ready.created, ready.plan_version)
                if planned not in seen:
                    seen[planned] = self._kept.get(planned) or await _waits_for(view, ready)
                items[seen[planned][ready.module]] += ready.items
        self._kept = seen
        return [metrics.Sample("items_waiting", count, {"waits_for": what}) for what, count in items.items()]


async def _waits_for(view: Reader, ready: Ready) -> tuple[str, ...]:
    """What the items of each module of a plan wait for; it is read once."""
    return tuple(waits_for(module.rate) for module in await ready_store.read_modules(view, ready.key))


async def measure(ports: Ports) -> None:
    """Let what waits be measured, as long as the process runs."""
    end = metrics.read_with(Waiting(ports).read)
    try:
        await asyncio.Event().wait()
    finally:
        end()
