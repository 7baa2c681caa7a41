"""Who asks, told to himself: scripts do not know otherwise whose token they have, and until when."""

from services.auth.domain.sessions import IDLE
from services.auth.store import sessions as session_store
from services.contracts.endpoints import GET_MEMBERSHIP
from services.contracts.permissions import NAMES
from services.contracts.resources import CallerView, MembershipQuery
from services.kernel.calls import Caller, Nothing
from services.kernel.messages import EVERYWHERE, now
from services.kernel.service import Ports


async def show_caller(ports: Ports, caller: Caller, question: Nothing) -> CallerView:
    if caller.kind == "operator":
        return CallerView(kind="operator", name=caller.name, permissions=tuple(sorted(NAMES)))
    if caller.account is None:
        return CallerView(kind="nobody")
    workspace = caller.workspace if caller.workspace != EVERYWHERE else None
    member = await ports.calls.ask(GET_MEMBERSHIP, MembershipQuery(caller.account, workspace), caller)
    token, until = await _ends(ports, caller)
    return CallerView(
        kind="token" if caller.kind == "token" else "person",
        name=member.name,
        email=member.email,
        account=caller.account,
        workspace=workspace,
        workspace_name=member.workspace_name if workspace is not None else "",
        roles=member.roles,
        permissions=tuple(sorted(caller.permissions & NAMES)),
        token=token,
        until=until,
    )


async def _ends(ports: Ports, caller: Caller) -> tuple[str, int | None]:
    """What the token is called that somebody asks by, where it is a script's, and when he is let in no more."""
    at = now()
    async with ports.sql.read() as view:
        if caller.kind != "token" and caller.session is not None:
            session = await session_store.read_session(view, caller.session)
            return "", min(session.expires, session.seen + IDLE) if session is not None else None
        if caller.account is not None:
            for each in await session_store.list_tokens(view, caller.workspace, caller.account, at):
                if each.id == caller.session:
                    return each.name, each.expires
    return "", None
