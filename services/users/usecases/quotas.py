"""Quotas: what a workspace may use, which the services that give it ask and hold."""

from typing import Final
from uuid import UUID

import msgspec
import structlog

from services.contracts.endpoints import GET_SETTINGS
from services.contracts.resources import Quotas, SetQuotas, SettingsRef, WorkspaceQuotas, WorkspaceRef
from services.kernel.calls import Caller, Nothing
from services.kernel.errors import NotFound, Unavailable
from services.kernel.service import Ports
from services.kernel.sql import Reader
from services.users.store import quotas as store
from services.users.store.people import read_workspace

_FIELDS: Final = Quotas.__struct_fields__
_USUAL: Final = "users.usual"

_log = structlog.get_logger(__name__)


async def get_quotas(ports: Ports, caller: Caller, question: Nothing) -> Quotas:
    return (await _quotas(ports, caller, caller.workspace)).allowed


async def show_quotas(ports: Ports, caller: Caller, question: WorkspaceRef) -> WorkspaceQuotas:
    async with ports.sql.read() as view:
        await _see_that_there_is(view, caller, question.workspace)
    return await _quotas(ports, caller, question.workspace)


async def set_quotas(ports: Ports, caller: Caller, question: SetQuotas) -> WorkspaceQuotas:
    """Set the exceptions of a workspace, which hold within seconds; what it uses already stays."""
    await _usual(ports, caller)  # nothing is set where that could not be shown
    async with ports.outbox.unit() as unit:
        await _see_that_there_is(unit.tx, caller, question.workspace)
        await store.write_quotas(unit.tx, question.workspace, question)
    return await _quotas(ports, caller, question.workspace)


async def _see_that_there_is(view: Reader, caller: Caller, workspace: UUID) -> None:
    """See that there is a workspace of which somebody speaks; on his own machine, the operator's are whatever he names.

    Raises:
        NotFound: there is none.
    """
    if caller.account is not None and await read_workspace(view, workspace) is None:
        raise NotFound("there is no such workspace")


async def _quotas(ports: Ports, caller: Caller, workspace: UUID) -> WorkspaceQuotas:
    usual = await _usual(ports, caller)
    async with ports.sql.read() as view:
        exceptions = await store.read_quotas(view, workspace)
    said = {name: getattr(exceptions, name) for name in _FIELDS}
    allowed = Quotas(**{name: getattr(usual, name) if amount is None else amount for name, amount in said.items()})
    return WorkspaceQuotas(allowed=allowed, usual=usual, exceptions=exceptions)


async def _usual(ports: Ports, caller: Caller) -> Quotas:
    """What is set for all workspaces, as it was last known where that is away.

    It is asked for: what is watched comes a moment after the start, in which a scan may begin.

    Raises:
        Unavailable: it never was known here.
    """
    try:
        kept = await ports.calls.ask(GET_SETTINGS, SettingsRef("users"), caller)
        ports.state[_USUAL] = msgspec.convert({name: kept.values.get(name) for name in _FIELDS}, Quotas)
    except Unavailable as error:
        if _USUAL not in ports.state:
            raise
        _log.warning("what is usual is as it was", reason=str(error))
    usual: Quotas = ports.state[_USUAL]
    return usual
