"""What is said once a scan has ended and all of it was judged: what is new, came back, or is no longer so."""

from collections.abc import Iterable
from typing import Final, Literal

from services.contracts.endpoints import GET_STORED
from services.contracts.facts import Judged
from services.contracts.resources import Scan, ScanId
from services.contracts.resources.correlation import FindingRow, Ground
from services.correlation.store import findings, listing, pending
from services.correlation.store.pending import ScanState
from services.correlation.usecases.asking import ask_scan
from services.kernel.calls import Caller
from services.kernel.service import Ports, Unit

#: Findings that are said in one transaction.
BATCH: Final = 500
#: How a source fares whose silence is an answer.
IN_FULL: Final = frozenset({"answered", "idle"})


async def settle(ports: Ports, state: ScanState) -> bool:
    """Say what came of a scan; False where storage has said more of it than was taken in.

    What earlier scans of the same targets had and this one does not is fixed, if every module that said so has been
    asked again and its sources answered in full.
    """
    caller = Caller(state.workspace, ports.service)
    stored = await ports.calls.ask(GET_STORED, ScanId(state.scan), caller)
    scan = await ask_scan(ports, state)
    if stored.changes > state.changes or stored.results < scan.results or stored.admissions < scan.admissions:
        return False
    while await _tell_some(ports, state):
        pass
    if scan.state == "finished":
        await _fix(ports, state, scan)
    return True


async def _tell_some(ports: Ports, state: ScanState) -> bool:
    async with ports.outbox.unit() as unit:
        untold = await findings.untold(unit.tx, state.workspace, state.scan, BATCH)
        for each in await listing.rows_of(unit.tx, state.workspace, state.scan, untold):
            _tell(unit, state, each, "reopened" if each.status == "reopened" else "new")
        await findings.set_told(unit.tx, state.workspace, untold, told=True)
    return len(untold) == BATCH


async def _fix(ports: Ports, state: ScanState, scan: Scan) -> None:
    asked = frozenset(source.module for source in scan.sources if source.state in IN_FULL)
    async with ports.sql.read() as view:
        earlier = await pending.earlier_scans(view, state)
        silent = await findings.no_longer_said(view, state.workspace, state.scan, earlier)
    fixed = {each: where for each, (where, grounds) in silent.items() if modules_of(grounds) <= asked}
    for start in range(0, len(fixed), BATCH):
        piece = sorted(fixed)[start : start + BATCH]
        async with ports.outbox.unit() as unit:
            await findings.set_status(
                unit.tx, state.workspace, piece, "fixed", who="", reason=f"not in the scan {scan.id}", at=state.began
            )
            for where in {fixed[each] for each in piece}:
                ids = [each for each in piece if fixed[each] == where]
                for row in await listing.rows_of(unit.tx, state.workspace, where, ids):
                    _tell(unit, state, row, "fixed")


def modules_of(grounds: Iterable[Ground]) -> frozenset[str]:
    """Who said what a finding rests on."""
    return frozenset(module.partition("@")[0] for ground in grounds for module in ground.modules)


def _tell(unit: Unit, state: ScanState, row: FindingRow, became: Literal["new", "reopened", "fixed"]) -> None:
    judged = Judged(
        finding=row.id,
        scan=state.scan,
        became=became,
        rule=row.rule,
        severity=row.severity,
        title=row.title,
        at=state.began,
    )
    unit.emit(judged, workspace=state.workspace, key=f"{row.id.hex} {state.scan.hex} {state.run} {became}")
