"""Statements of a workspace: signed by a key of its own, for the services that may make some, each of its one type."""

from typing import TYPE_CHECKING, Final
from uuid import UUID

import msgspec

from services.auth.store.keys import WorkspaceKey, add_workspace_key, read_workspace_key
from services.auth.usecases.keys import make_key, open_key
from services.contracts.authorisations import AUTHORISATION_TYPE
from services.contracts.bundles import REPORT_TYPE
from services.contracts.resources import NewStatement, PublishedKeys, SignedStatement, WorkspaceRef
from services.kernel.calls import Caller
from services.kernel.errors import Denied, NotFound
from services.kernel.messages import now
from services.kernel.service import Ports
from services.kernel.signatures import sign

if TYPE_CHECKING:
    from joserfc.jwk import OKPKey

#: What each service may have signed: of no other type, so that none has another's statements signed.
TYPES: Final = {"scans": AUTHORISATION_TYPE, "reporting": REPORT_TYPE}
#: Keys of workspaces that are kept open, before all are closed: a bound on memory.
OPENED: Final = 1024
KIND: Final = "workspace key"


async def sign_statement(ports: Ports, caller: Caller, question: NewStatement) -> SignedStatement:
    """Sign what a service says in a workspace.

    Raises:
        Denied: it makes no statements.
    """
    kind = TYPES.get(caller.service)
    if kind is None:
        raise Denied("statements are signed for services that make some")
    kid, key = await _key(ports, caller.workspace)
    return SignedStatement(sign(question.payload, kind, kid, key))


async def publish_workspace_keys(ports: Ports, caller: Caller, question: WorkspaceRef) -> PublishedKeys:
    """The key of a workspace; none as long as nothing was signed in it.

    Raises:
        NotFound: it is another workspace than that in which this is asked.
    """
    if question.workspace != caller.workspace:
        raise NotFound("you belong to no such workspace")
    async with ports.sql.read() as view:
        found = await read_workspace_key(view, caller.workspace)
    return PublishedKeys((msgspec.json.decode(found.published),) if found else ())


async def _key(ports: Ports, workspace: UUID) -> "tuple[str, OKPKey]":
    """The key of a workspace with its id, made when it is first needed."""
    opened: dict[UUID, tuple[str, OKPKey]] = ports.state.setdefault("workspace keys", {})
    if workspace not in opened:
        if len(opened) >= OPENED:
            opened.clear()
        opened[workspace] = await _read_or_make(ports, workspace)
    return opened[workspace]


async def _read_or_make(ports: Ports, workspace: UUID) -> "tuple[str, OKPKey]":
    async with ports.sql.read() as view:
        found = await read_workspace_key(view, workspace)
    if found is None:
        async with ports.sql.begin() as tx:
            await add_workspace_key(tx, workspace, WorkspaceKey(*make_key(ports, KIND), now()))
            # Of two that make one at once, that of the first counts.
            found = await read_workspace_key(tx, workspace)
    assert found is not None
    return found.kid, open_key(ports, KIND, found.kid, found.sealed)
