"""What there is of a scan."""

from uuid import UUID

from services.contracts.endpoints import GET_PLAN
from services.contracts.resources import ScanId, Stored, Swept
from services.kernel.calls import Caller
from services.kernel.service import Ports
from services.storage.store import intake, reading


async def check_scans(ports: Ports, caller: Caller, *scans: UUID | None) -> None:
    """Raise `NotFound` where there is no such scan: it would look like one that found nothing."""
    for scan in dict.fromkeys(filter(None, scans)):
        await ports.calls.ask(GET_PLAN, ScanId(scan), caller)


async def get_stored(ports: Ports, caller: Caller, scan: UUID) -> Stored:
    """Count what there is of a scan."""
    await check_scans(ports, caller, scan)
    async with ports.sql.read() as view:
        return await reading.counts(view, caller.workspace, scan)


async def swept(ports: Ports, caller: Caller, scan: UUID) -> Swept:
    """Whether a scan was deleted here: its tombstone is written with the last of its rows."""
    async with ports.sql.read() as view:
        return Swept(scan, (caller.workspace.bytes, scan.bytes) in await intake.deleted_scans(view, [scan.bytes]))
