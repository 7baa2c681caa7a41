"""What correlation asks others of a scan."""

from uuid import UUID

from services.contracts.endpoints import GET_SCAN
from services.contracts.resources import Scan, ScanRef
from services.correlation.store.pending import ScanState
from services.kernel.calls import Caller
from services.kernel.service import Ports


async def ask_scan(ports: Ports, state: ScanState, scan: UUID | None = None) -> Scan:
    """The scan itself, or another one of its workspace."""
    asked = ScanRef(str(state.scan if scan is None else scan))
    return await ports.calls.ask(GET_SCAN, asked, Caller(state.workspace, ports.service))
