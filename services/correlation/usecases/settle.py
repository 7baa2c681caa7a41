"""What is said once a scan has ended and all of it was judged: what is new, came back, or is no longer so."""

from collections.abc import Sequence
from typing import Final, Literal
from uuid import UUID

from services.contracts.endpoints import GET_STORED
from services.contracts.facts import Judged
from services.contracts.resources import Scan, ScanId
from services.contracts.resources.correlation import FindingRow
from services.correlation.store import findings, listing, pending
from services.correlation.store.pending import ScanState
from services.correlation.usecases.asking import ask_scan
from services.correlation.usecases.holding import saying
from services.kernel.calls import Caller
from services.kernel.errors import NotFound
from services.kernel.service import Ports, Unit

#: Findings that are said in one transaction.
BATCH: Final = 500
#: How a source fares whose silence is an answer.
IN_FULL: Final = "answered"


async def settle(ports: Ports, state: ScanState) -> Literal["", "messages", "results"]:
    """Say what came of a scan, unless something of it lacks: messages of storage, or results in storage.

    What an earlier scan of the same targets had and this one does not is fixed, if every source that said anything in
    that scan was asked again and answered in full: what led to a thing is not among the grounds of what is found of it.
    """
    caller = Caller(state.workspace, ports.service)
    stored = await ports.calls.ask(GET_STORED, ScanId(state.scan), caller)
    scan = await ask_scan(ports, state)
    async with ports.sql.read() as view:
        taken = await pending.changes(view, state.workspace, state.scan)
    if stored.changes > taken:
        return "messages"
    if stored.results < scan.results or stored.admissions < scan.admissions:
        return "results"
    while await _tell_some(ports, state):
        pass
    if scan.state == "finished":
        await _fix(ports, state, scan)
    return ""


async def _tell_some(ports: Ports, state: ScanState) -> bool:
    async with saying(ports, state) as unit:
        untold = await findings.untold(unit.tx, state.workspace, state.scan, BATCH)
        for each in await listing.rows_of(unit.tx, state.workspace, state.scan, untold):
            _tell(unit, state, each, "reopened" if each.status == "reopened" else "new")
        await findings.set_told(unit.tx, state.workspace, untold, told=True)
    return len(untold) == BATCH


async def _fix(ports: Ports, state: ScanState, scan: Scan) -> None:
    asked = frozenset(source.module for source in scan.sources if source.state == IN_FULL)
    async with ports.sql.read() as view:
        earlier = await pending.earlier_scans(view, state)
        silent = await findings.no_longer_said(view, state.workspace, state.scan, earlier)
    for where in sorted({*silent.values()}):
        try:
            before = await ask_scan(ports, state, where)
        except NotFound:  # it is being deleted
            continue
        if {source.module for source in before.sources if source.claims} <= asked:
            await _fix_those_of(ports, state, where, [each for each, last in silent.items() if last == where])


async def _fix_those_of(ports: Ports, state: ScanState, where: UUID, ids: Sequence[UUID]) -> None:
    """Say that findings that a scan had last are fixed, of which nobody has said anything else meanwhile."""
    for start in range(0, len(ids), BATCH):
        async with saying(ports, state) as unit:
            await findings.hold_statuses(unit.tx, state.workspace)
            known = await findings.standing(unit.tx, state.workspace, ids[start : start + BATCH])
            fixed = sorted(each for each, kept in known.items() if kept.status in findings.OPEN)
            reason = f"not in the scan {state.scan}"
            await findings.set_status(unit.tx, state.workspace, fixed, "fixed", who="", reason=reason, at=state.began)
            for row in await listing.rows_of(unit.tx, state.workspace, where, fixed):
                _tell(unit, state, row, "fixed")


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
