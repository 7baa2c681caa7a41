"""The quotas of workspaces: asked of users, as they were last known where that is away, and held here."""

import asyncio
from typing import Final
from uuid import UUID

import structlog
from msgspec import Struct

from services.contracts.endpoints import GET_EVIDENCE_USED, GET_QUOTAS
from services.contracts.resources import Quotas, WorkUsed
from services.kernel.calls import Caller, Nothing
from services.kernel.errors import Conflict, MirageError, Unavailable
from services.kernel.messages import now
from services.kernel.service import Ports
from services.kernel.sql import Tx
from services.scans.domain.quotas import Left, day_of, left_of
from services.scans.settings import QUOTAS_ASKED, SECOND
from services.scans.store import scans as scan_store
from services.scans.store import usage
from services.scans.usecases.ledger import Ledger

_log = structlog.get_logger(__name__)

#: Workspaces of which quotas are remembered, before all are forgotten: a bound on memory.
REMEMBERED: Final = 10_000
#: Seconds within which users and collectors say what they know, or are away.
PATIENCE: Final = 5.0
_STATE: Final = "scans.quotas"


class Known(Struct, frozen=True):
    """The quotas of a workspace and the bytes that it kept, as they were at an instant."""

    quotas: Quotas = Quotas()
    storage: int = 0
    at: int = 0


def known_of(ports: Ports, workspace: UUID) -> Known:
    """What is known of a workspace's quotas; where it is nothing, there are none."""
    return _remembered(ports).get(workspace, Known())


async def learn(ports: Ports, workspace: UUID) -> Known:
    """Ask for the quotas of a workspace, unless that was done a moment ago; what is away, is as it was."""
    known, at = known_of(ports, workspace), now()
    if at - known.at < QUOTAS_ASKED * SECOND:
        return known
    quotas, storage = known.quotas, known.storage
    caller = Caller(workspace, "scans")
    try:
        quotas = await ports.calls.ask(GET_QUOTAS, Nothing(), caller, seconds=PATIENCE)
        if quotas.storage is not None:
            storage = (await ports.calls.ask(GET_EVIDENCE_USED, Nothing(), caller, seconds=PATIENCE)).storage
    except Unavailable as error:
        _log.warning("quotas are as they were", workspace=str(workspace), reason=str(error))
    remembered = _remembered(ports)
    if len(remembered) >= REMEMBERED:
        remembered.clear()
    remembered[workspace] = known = Known(quotas, storage, at)
    return known


async def follow_quotas(ports: Ports) -> None:
    """Know the quotas of all workspaces in which scans run, as long as the service runs; forget days that are over."""
    while True:
        try:
            await learn_all(ports)
        except MirageError as error:
            _log.warning("quotas are not followed", reason=str(error))
        await asyncio.sleep(1.0)


async def learn_all(ports: Ports) -> None:
    """One look at the quotas of all workspaces in which scans run."""
    async with ports.sql.read() as view:
        workspaces = await usage.workspaces_at_work(view)
    for workspace in workspaces:
        await learn(ports, UUID(bytes=workspace))
    today = day_of(now())
    if ports.state.get("scans.day") != today:
        async with ports.sql.begin() as tx:
            await usage.forget_days(tx, today)
        ports.state["scans.day"] = today


async def check_running(ports: Ports, tx: Tx, workspace: UUID) -> None:
    """See that one more scan may run; nobody else begins one until the transaction ends.

    Raises:
        Conflict: as many run as may at once.
    """
    quota = known_of(ports, workspace).quotas.scans
    if quota is None:
        return
    await usage.hold_running(tx, workspace.bytes)
    running = await scan_store.count_running(tx, workspace.bytes)
    if running >= quota:
        raise Conflict(
            f"the workspace runs {running} of the {quota} scans that its quota lets run at once: pause one, or wait"
        )


async def items_left(ledger: Ledger) -> Left:
    """What the quotas leave of today; where it is counted, nobody else hands out until the transaction ends."""
    known = known_of(ledger.ports, ledger.workspace)
    items = 0
    if known.quotas.items is not None:
        await usage.hold_items(ledger.tx, ledger.row.workspace)
        items = await usage.items_of_day(ledger.tx, ledger.row.workspace, day_of(ledger.at))
    return left_of(known.quotas, items=items, storage=known.storage, at=ledger.at)


async def get_work_used(ports: Ports, caller: Caller, question: Nothing) -> WorkUsed:
    async with ports.sql.read() as view:
        return WorkUsed(
            await scan_store.count_running(view, caller.workspace.bytes),
            await usage.items_of_day(view, caller.workspace.bytes, day_of(now())),
        )


def _remembered(ports: Ports) -> dict[UUID, Known]:
    remembered: dict[UUID, Known] = ports.state.setdefault(_STATE, {})
    return remembered
