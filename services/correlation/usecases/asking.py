"""What correlation asks others of a scan."""

from services.contracts.endpoints import GET_SCAN
from services.contracts.resources import Scan, ScanRef
from services.correlation.store.pending import ScanState
from services.kernel.calls import Caller
from services.kernel.service import Ports


async def ask_scan(ports: Ports, state: ScanState) -> Scan:
    return await ports.calls.ask(GET_SCAN, ScanRef(str(state.scan)), Caller(state.workspace, ports.service))
