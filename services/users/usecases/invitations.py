"""Invitations: a code that lets one person into one workspace, once."""

from datetime import timedelta
from typing import Final
from uuid import UUID, uuid4

from services.contracts.people import plain_email
from services.contracts.resources import (
    Invitation,
    InvitationCode,
    InvitationRef,
    Invited,
    MadeInvitation,
    NewInvitation,
    WorkspaceView,
)
from services.kernel.calls import Caller, Nothing
from services.kernel.errors import Conflict, NotFound
from services.kernel.messages import now
from services.kernel.service import Ports, Unit
from services.kernel.sql import Reader
from services.kernel.tokens import digest_of, kind_of, make_token
from services.kernel.trail import say_about, say_made, say_where
from services.users.domain import MOST_INVITATIONS, InvitationState, check_role, invitation_state
from services.users.store import people as store
from services.users.usecases.workspaces import show_workspace

KIND: Final = "inv"
#: Invitations in a list.
LISTED: Final = 500
_DAY: Final = timedelta(days=1) // timedelta(microseconds=1)
_NOT_GOOD: Final = "this invitation is not good: it was used, withdrawn or has expired, or there was none"


async def invite(ports: Ports, caller: Caller, question: NewInvitation) -> MadeInvitation:
    """Make an invitation; its code is shown once, and kept as a digest.

    Raises:
        Denied: to be an owner, by one who is none.
        Conflict: the person belongs to the workspace, or too many invitations are open.
    """
    email, at, code = plain_email(question.email), now(), make_token(KIND)
    check_role(None, question.role, owners=2, manages_owners=caller.may("owners.manage"))
    row = store.InvitationRow(
        workspace=caller.workspace, id=uuid4(), digest=digest_of(code), email=email, role=question.role,
        invited_by=caller.name, created=at, expires=at + question.days * _DAY, inviter=caller.account,
    )  # fmt: skip
    say_made(invitation=row.id)
    async with ports.outbox.unit() as unit:
        await store.hold_members(unit.tx, caller.workspace)
        known = await store.find_profile(unit.tx, email)
        if known is not None and await store.read_role(unit.tx, caller.workspace, known.account) is not None:
            raise Conflict(f"{email} belongs to this workspace")
        if await store.count_open_invitations(unit.tx, caller.workspace, at) >= MOST_INVITATIONS:
            raise Conflict(f"{MOST_INVITATIONS} invitations are open: withdraw some first")
        await store.withdraw_all(unit.tx, caller.workspace, email, at)  # the last one counts
        await store.add_invitation(unit.tx, row)
    return MadeInvitation(invitation=_shown(row, at), code=code)


async def list_invitations(ports: Ports, caller: Caller, question: Nothing) -> tuple[Invitation, ...]:
    at = now()
    async with ports.sql.read() as view:
        return tuple(_shown(row, at) for row in await store.list_invitations(view, caller.workspace, LISTED))


async def withdraw_invitation(ports: Ports, caller: Caller, question: InvitationRef) -> Invitation:
    at = now()
    async with ports.outbox.unit() as unit:
        await store.withdraw_invitation(unit.tx, caller.workspace, question.invitation, at)
        row = await store.read_invitation(unit.tx, caller.workspace, question.invitation)
        if row is None:
            raise NotFound("there is no such invitation")
    return _shown(row, at)


async def open_invitation(ports: Ports, caller: Caller, question: InvitationCode) -> Invited:
    """To what a code invites, for whoever has it.

    Raises:
        NotFound: to nothing; why is nobody's business.
    """
    async with ports.sql.read() as view:
        row = await _good(view, question.code)
        workspace = await store.read_workspace(view, row.workspace)
    if workspace is None:
        raise NotFound(_NOT_GOOD)
    return Invited(
        workspace=workspace.name, title=workspace.title, email=row.email, role=row.role, by=row.invited_by,
        expires=row.expires,
    )  # fmt: skip


async def accept_invitation(ports: Ports, caller: Caller, question: InvitationCode) -> WorkspaceView:
    """Let an account into the workspace that it is invited to.

    Raises:
        NotFound: the invitation is not good, or for another address.
    """
    account = caller.person
    async with ports.outbox.unit() as unit:
        profile = await store.read_profile(unit.tx, account)
        if profile is None:
            raise NotFound("there is no such account")
        row = await use_invitation(unit, question.code, profile.email, account)
        say_where(row.workspace)
        say_about(invitation=row.id)
        workspace = await store.read_workspace(unit.tx, row.workspace)
        role = await store.read_role(unit.tx, row.workspace, account)
    if workspace is None:
        raise NotFound(_NOT_GOOD)
    return show_workspace(workspace, role)


async def use_invitation(unit: Unit, code: str, email: str | None, account: UUID) -> store.InvitationRow:
    """Use an invitation up for an account, which has an address already or gets the one that was invited.

    Who belongs to the workspace already stays what she is there.

    Raises:
        NotFound: it is not good, or for another address.
    """
    row, at = await _good(unit.tx, code), now()
    if email not in {None, row.email} or not await store.accept_invitation(unit.tx, row, at):
        raise NotFound(_NOT_GOOD)
    await store.withdraw_all(unit.tx, row.workspace, row.email, at)
    await store.add_member(unit.tx, row.workspace, account, row.role, at)  # who enters holds nothing to be taken back
    return row


async def _good(view: Reader, code: str) -> store.InvitationRow:
    row = await store.find_invitation(view, digest_of(code)) if kind_of(code) == KIND else None
    if row is None or _state(row, now()) != "open":
        raise NotFound(_NOT_GOOD)
    return row


def _state(row: store.InvitationRow, at: int) -> InvitationState:
    return invitation_state(accepted=row.accepted, withdrawn=row.withdrawn, expires=row.expires, at=at)


def _shown(row: store.InvitationRow, at: int) -> Invitation:
    return Invitation(
        id=row.id, email=row.email, role=row.role, by=row.invited_by, created=row.created, expires=row.expires,
        state=_state(row, at),
    )  # fmt: skip
