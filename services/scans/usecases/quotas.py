"""The quotas of workspaces: asked of users, as they were last known where that is away, and held here.

Where nothing ever was known of a workspace, it is not taken to have none: no scan begins, and nothing is handed out.
"""

import asyncio
from typing import Final
from uuid import UUID

import structlog
from msgspec import Struct
from msgspec.structs import replace

from services.contracts.endpoints import GET_EVIDENCE_USED, GET_QUOTAS
from services.contracts.resources import Quotas, WorkUsed
from services.kernel.calls import A, Caller, Endpoint, Nothing
from services.kernel.errors import Conflict, MirageError, Unavailable
from services.kernel.messages import now
from services.kernel.remembered import remember
from services.kernel.service import Ports
from services.kernel.sql import Reader, Tx
from services.scans.domain.quotas import Left, day_of, left_of, not_known
from services.scans.settings import QUOTAS_ASKED, SECOND
from services.scans.store import scans as scan_store
from services.scans.store import usage
from services.scans.usecases.ledger import Ledger

_log = structlog.get_logger(__name__)

#: Workspaces of which quotas are remembered: a bound on memory.
REMEMBERED: Final = 10_000
#: Seconds within which users and collectors say what they know, or are away.
PATIENCE: Final = 5.0
_STATE: Final = "scans.quotas"


class Known(Struct, frozen=True):
    """The quotas of a workspace and the bytes that it kept, as they were at an instant; None: nobody has said so."""

    quotas: Quotas | None = None
    storage: int | None = None
    at: int = 0


async def learn(ports: Ports, workspace: UUID) -> None:
    """Ask for the quotas of a workspace, unless that was done a moment ago; what is away, is as it was."""
    at = now()
    if at - _remembered(ports).get(workspace, Known()).at < QUOTAS_ASKED * SECOND:
        return
    async with ports.sql.read() as view:
        known = await _known_of(ports, view, workspace)
    quotas, storage = await _ask(ports, GET_QUOTAS, workspace) or known.quotas, known.storage
    if quotas is not None and quotas != known.quotas:
        async with ports.sql.begin() as tx:
            await usage.write_quotas(tx, workspace.bytes, quotas)
    if quotas is not None and quotas.storage is not None and (used := await _ask(ports, GET_EVIDENCE_USED, workspace)):
        storage = used.storage
    asked = at if quotas is not None else 0  # who does not know asks again at once
    remember(_remembered(ports), workspace, Known(quotas, storage, asked), REMEMBERED)


async def _ask(ports: Ports, endpoint: Endpoint[Nothing, A], workspace: UUID) -> A | None:
    """What somebody says of a workspace, or nothing where he is away."""
    try:
        return await ports.calls.ask(endpoint, Nothing(), Caller(workspace, "scans"), seconds=PATIENCE)
    except Unavailable as error:
        _log.warning("quotas are as they were", workspace=str(workspace), reason=str(error))
        return None


async def _known_of(ports: Ports, view: Reader, workspace: UUID) -> Known:
    """What is known of a workspace: what this process was told, or else what was kept of what another one was."""
    known = _remembered(ports).get(workspace, Known())
    return replace(known, quotas=known.quotas or await usage.read_quotas(view, workspace.bytes))


async def follow_quotas(ports: Ports) -> None:
    """Know the quotas of all workspaces in which scans run, as long as the service runs; forget days that are over."""
    while True:
        try:
            await learn_all(ports)
        except MirageError as error:
            _log.warning("quotas are not followed", reason=str(error))
        await asyncio.sleep(1.0)


async def learn_all(ports: Ports) -> None:
    """One look at the quotas of all workspaces in which scans run; what goes wrong with one is no other's."""
    async with ports.sql.read() as view:
        workspaces = await usage.workspaces_at_work(view)
    for workspace in workspaces:
        try:
            await learn(ports, UUID(bytes=workspace))
        except MirageError as error:
            _log.warning("quotas are as they were", workspace=str(UUID(bytes=workspace)), reason=str(error))
    today = day_of(now())
    if ports.state.get("scans.day") != today:
        async with ports.sql.begin() as tx:
            await usage.forget_days(tx, today)
        ports.state["scans.day"] = today


async def check_running(ports: Ports, tx: Tx, workspace: UUID) -> None:
    """See that one more scan may run; nobody else begins one until the transaction ends.

    Raises:
        Conflict: as many run as may at once.
        Unavailable: it is not known how many may.
    """
    quotas = (await _known_of(ports, tx, workspace)).quotas
    if quotas is None:
        raise Unavailable("how much this workspace may use is not known at this moment: try again in a few seconds")
    quota = quotas.scans
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
    known = await _known_of(ledger.ports, ledger.tx, ledger.workspace)
    if known.quotas is None or (known.quotas.storage is not None and known.storage is None):
        return not_known(ledger.at)
    items = 0
    if known.quotas.items is not None:
        await usage.hold_items(ledger.tx, ledger.row.workspace)
        items = await usage.items_of_day(ledger.tx, ledger.row.workspace, day_of(ledger.at))
    return left_of(known.quotas, items=items, storage=known.storage or 0, at=ledger.at)


async def get_work_used(ports: Ports, caller: Caller, question: Nothing) -> WorkUsed:
    async with ports.sql.read() as view:
        return WorkUsed(
            await scan_store.count_running(view, caller.workspace.bytes),
            await usage.items_of_day(view, caller.workspace.bytes, day_of(now())),
        )


def _remembered(ports: Ports) -> dict[UUID, Known]:
    remembered: dict[UUID, Known] = ports.state.setdefault(_STATE, {})
    return remembered
