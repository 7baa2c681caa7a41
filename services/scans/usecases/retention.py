"""Finding the scans that are kept no longer; deleting them is for who asked."""

from typing import Final

from services.contracts.resources import Retention, ScanSummary
from services.kernel.calls import Caller
from services.kernel.errors import Invalid
from services.kernel.service import Ports
from services.scans.domain.retention import expired
from services.scans.store import scans as scan_store
from services.scans.usecases.look import summaries

_MOST: Final = 1000


async def find_expired(ports: Ports, caller: Caller, retention: Retention) -> tuple[ScanSummary, ...]:
    """The oldest scans that ``retention`` does not keep; of scans that run or are paused it keeps all."""
    if retention.keep_last < 0:
        raise Invalid("no fewer than 0 scans can be kept")
    async with ports.sql.read() as view:
        scans = await scan_store.ended(view, caller.workspace.bytes)
        gone = expired(scans, before=retention.ended_before, keep_last=retention.keep_last)[:_MOST]
        rows = [await scan_store.load(view, caller.workspace.bytes, scan) for scan in gone]
        return await summaries(view, [row for row in rows if row is not None])
