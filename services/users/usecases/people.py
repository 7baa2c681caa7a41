"""Profiles: who somebody is, and what, where."""

from uuid import UUID

from services.contracts.people import plain_email, plain_title
from services.contracts.permissions import Role
from services.contracts.resources import ChangeProfile, Membership, MembershipQuery, NewProfile, Profile
from services.kernel.calls import Caller, Nothing
from services.kernel.errors import Conflict, NotFound
from services.kernel.messages import EVERYWHERE, now, workspace_id
from services.kernel.service import Ports, Unit
from services.kernel.sql import Reader, Tx
from services.kernel.trail import say_about, say_where, say_who
from services.users.store import people as store
from services.users.usecases.invitations import use_invitation

#: The workspace that the first account owns.
DEFAULT = "default"


async def get_profile(ports: Ports, caller: Caller, question: Nothing) -> Profile:
    async with ports.sql.read() as view:
        return await _profile(view, caller.person)


async def change_profile(ports: Ports, caller: Caller, question: ChangeProfile) -> Profile:
    account = caller.person
    async with ports.outbox.unit() as unit:
        await store.rename_profile(unit.tx, account, plain_title(question.name))
        return await _profile(unit.tx, account)


async def add_profile(ports: Ports, caller: Caller, question: NewProfile) -> Membership:
    """Let an account be somebody, by an invitation, as the first, or by who gives its address out.

    What broke off goes on when it comes again.

    Raises:
        Conflict: there is an account with this address, or it is not the first.
        NotFound: the invitation is not good.
    """
    async with ports.outbox.unit() as unit:
        await unit.tx.lock("profiles")
        known = await store.read_profile(unit.tx, question.account)
        if question.vouched:
            await _be_vouched_for(unit.tx, question, known)
        elif question.email:
            await _be_first(unit.tx, question, known)
        elif known is None:
            await _be_invited(unit, question)
        return await _membership(unit.tx, MembershipQuery(question.account))


async def get_membership(ports: Ports, caller: Caller, question: MembershipQuery) -> Membership:
    async with ports.sql.read() as view:
        return await _membership(view, question)


async def _be_first(tx: Tx, question: NewProfile, known: store.ProfileRow | None) -> None:
    """Let the first account be an operator of the installation, and own the workspace that is there from the start.

    As long as it was not completed, it may come again with another address.
    """
    if known is None and await store.has_profiles(tx):
        raise Conflict("this installation has accounts: have one of them invite you")
    if known is not None:
        await store.remove_profile(tx, question.account)
    profile = store.ProfileRow(question.account, plain_email(question.email), plain_title(question.name), now())
    default = store.WorkspaceRow(workspace_id(DEFAULT), DEFAULT, DEFAULT.capitalize(), profile.created)
    await store.add_profile(tx, profile)
    await store.add_workspace(tx, default)
    await store.add_member(tx, default.id, profile.account, "owner", profile.created)
    await store.add_member(tx, EVERYWHERE, profile.account, store.OPERATOR, profile.created)
    _say_joined(profile, default.id)


async def _be_invited(unit: Unit, question: NewProfile) -> None:
    invitation = await use_invitation(unit, question.code, None, question.account)
    if await store.find_profile(unit.tx, invitation.email) is not None:
        raise Conflict("there is an account with this address: log in, and accept the invitation")
    profile = store.ProfileRow(question.account, invitation.email, plain_title(question.name), now())
    await store.add_profile(unit.tx, profile)
    _say_joined(profile, invitation.workspace)
    say_about(invitation=invitation.id)


def _say_joined(profile: store.ProfileRow, workspace: UUID) -> None:
    """Have the audit trail of a workspace say that somebody is in it now."""
    say_who(profile.account, profile.email)
    say_where(workspace)


async def _be_vouched_for(tx: Tx, question: NewProfile, known: store.ProfileRow | None) -> None:
    if known is not None:
        return
    if await store.find_profile(tx, plain_email(question.email)) is not None:
        raise Conflict("there is an account with this address: log in")
    profile = store.ProfileRow(question.account, plain_email(question.email), plain_title(question.name), now())
    await store.add_profile(tx, profile)


async def _membership(view: Reader, question: MembershipQuery) -> Membership:
    """What an account is in a workspace, which to who does not belong to it does not exist."""
    profile = await store.read_profile(view, question.account)
    if profile is None:
        raise NotFound("there is no such account")
    belongs = await store.list_workspaces_of(view, question.account)
    found = [each for each in belongs if question.workspace in {None, each[0].id}]
    if question.workspace is not None and not found:
        raise NotFound("you belong to no such workspace")
    operator: tuple[Role, ...] = ("operator",) if await store.is_operator(view, question.account) else ()
    if not found:
        return Membership(name=profile.name, email=profile.email, workspace=None, workspace_name="", roles=operator)
    workspace, role = found[0]
    return Membership(
        name=profile.name,
        email=profile.email,
        workspace=workspace.id,
        workspace_name=workspace.name,
        roles=(role, *operator),
    )


async def _profile(view: Reader, account: UUID) -> Profile:
    found = await store.read_profile(view, account)
    if found is None:
        raise NotFound("there is no such account")
    operator = await store.is_operator(view, account)
    return Profile(account=account, email=found.email, name=found.name, operator=operator, created=found.created)
