"""What happens by itself: leases and deadlines that run out, rates that open again, sweeping."""

import asyncio
from typing import Final
from uuid import UUID

import structlog

from services.kernel.errors import MirageError, Unavailable
from services.kernel.messages import now
from services.kernel.service import Ports
from services.scans.settings import TICK
from services.scans.store import batches as batch_store
from services.scans.store import scans as scan_store
from services.scans.store.scans import ScanRow
from services.scans.usecases.handout import go_on
from services.scans.usecases.lease import publish_expired
from services.scans.usecases.ledger import Ledger
from services.scans.usecases.lifecycle import end_early

_log = structlog.get_logger(__name__)

_SWEPT_AT_A_TIME: Final = 5000


async def tend_scans(ports: Ports) -> None:
    """Look after running scans as long as the service runs."""
    while True:
        # First wait: after a restart, collectors that are at work shall have renewed before leases are judged.
        await asyncio.sleep(TICK)
        try:
            await tend(ports)
        except Unavailable as error:
            _log.warning("the timer of scans waits", reason=str(error))
        except MirageError:
            _log.exception("the timer of scans failed")


async def tend(ports: Ports) -> None:
    """One look at everything that is due."""
    at = now()
    async with ports.sql.read() as view:
        running = await scan_store.running(view)
        expired = await batch_store.scans_with_expired(view, at)
    for row in running:
        workspace, scan = UUID(bytes=row.workspace), row.uuid
        if tuple(row.key) in expired:
            async with ports.outbox.unit() as unit:
                await publish_expired(ports, unit, workspace, scan)
        if _is_due(row, at):
            await _wake(ports, workspace, scan)


async def sweep_deleted(ports: Ports) -> None:
    """Remove what is left of deleted scans, those of earlier processes first, as long as the service runs."""
    while True:
        more = False
        try:
            more = await sweep(ports)
        except Unavailable as error:
            _log.warning("sweeping waits", reason=str(error))
        except MirageError:
            _log.exception("sweeping failed")
        if not more:
            await asyncio.sleep(TICK)


async def sweep(ports: Ports) -> bool:
    """Remove some rows of deleted scans; return whether there may be more."""
    async with ports.sql.read() as view:
        dropped = await scan_store.dropped(view)
    for key in dropped:
        async with ports.sql.begin() as tx:
            await scan_store.sweep(tx, key, _SWEPT_AT_A_TIME)
    return bool(dropped)


async def _wake(ports: Ports, workspace: UUID, scan: UUID) -> None:
    async with ports.outbox.unit() as unit:
        ledger = await Ledger.open(ports, unit, workspace, scan)
        if ledger is None or ledger.row.state != "running":
            return
        if ledger.row.deadline is not None and ledger.row.deadline <= ledger.at:
            reason = f"the time limit of {ledger.plan.limits.timeout:g} s was reached"
            await end_early(ledger, "give up", reason)
        else:
            await go_on(ledger)
        await ledger.close()


def _is_due(row: ScanRow, at: int) -> bool:
    return any(due is not None and due <= at for due in (row.deadline, row.wake))
