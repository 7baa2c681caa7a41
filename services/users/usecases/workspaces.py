"""Workspaces, and who is what in them."""

from uuid import UUID

from services.contracts.facts import RoleChanged
from services.contracts.people import plain_title
from services.contracts.permissions import MemberRole, permissions_of
from services.contracts.resources import AccountRef, ChangeWorkspace, Member, NewWorkspace, SetRole, WorkspaceView
from services.kernel.calls import Caller, Nothing
from services.kernel.errors import Conflict, Denied, NotFound
from services.kernel.messages import now, workspace_id
from services.kernel.service import Ports, Unit
from services.kernel.sql import Reader
from services.kernel.trail import say_about
from services.users.domain import check_role
from services.users.store import people as store


async def list_workspaces(ports: Ports, caller: Caller, question: Nothing) -> tuple[WorkspaceView, ...]:
    """Those that an account belongs to; all, where the operator asks on his own machine."""
    async with ports.sql.read() as view:
        if caller.account is None:
            return tuple(show_workspace(row, None) for row in await store.list_workspaces(view))
        return tuple(show_workspace(row, role) for row, role in await store.list_workspaces_of(view, caller.account))


async def create_workspace(ports: Ports, caller: Caller, question: NewWorkspace) -> WorkspaceView:
    """Make a workspace, whose name stays for ever: its id is made of it.

    Raises:
        Conflict: there is one of this name.
    """
    account = caller.person
    title = plain_title(question.title or question.name)
    row = store.WorkspaceRow(workspace_id(question.name), question.name, title, now())
    say_about(workspace=row.id)
    async with ports.outbox.unit() as unit:
        if not await store.add_workspace(unit.tx, row):
            raise Conflict(f"there is a workspace {question.name}")
        await store.add_member(unit.tx, row.id, account, "owner", row.created)
    return show_workspace(row, "owner")


async def change_workspace(ports: Ports, caller: Caller, question: ChangeWorkspace) -> WorkspaceView:
    async with ports.outbox.unit() as unit:
        await store.rename_workspace(unit.tx, caller.workspace, plain_title(question.title))
        row = await store.read_workspace(unit.tx, caller.workspace)
        role = await store.read_role(unit.tx, caller.workspace, caller.account) if caller.account else None
        if row is None:
            raise NotFound("there is no such workspace")
    return show_workspace(row, role)


async def list_members(ports: Ports, caller: Caller, question: Nothing) -> tuple[Member, ...]:
    async with ports.sql.read() as view:
        return tuple(_member(row) for row in await store.list_members(view, caller.workspace))


async def set_role(ports: Ports, caller: Caller, question: SetRole) -> Member:
    """Change what a member is, at once: what she holds for her former role is good no more.

    Raises:
        NotFound: there is no such member.
        Denied, Conflict: see `check_role`.
    """
    async with ports.outbox.unit() as unit:
        before = await _held(unit, caller, question.account, question.role)
        if before != question.role:
            await store.set_role(unit.tx, caller.workspace, question.account, question.role)
            if "members.manage" not in permissions_of(question.role):
                await store.withdraw_all_by(unit.tx, caller.workspace, question.account, now())
            say_role_changed(unit, caller.workspace, question.account, now())
        return await _find_member(unit.tx, caller.workspace, question.account)


async def remove_member(ports: Ports, caller: Caller, question: AccountRef) -> Nothing:
    """Take a member out, or let her leave.

    Raises:
        NotFound: there is no such member.
        Denied: it is another than who asks, who may not.
        Conflict: she is the last owner.
    """
    account = question.account
    leaves = caller.account == account and caller.kind == "person"  # a script of hers that only reads takes nobody out
    if not (leaves or caller.may("members.manage")):
        raise Denied("remove_member needs the permission members.manage, but for leaving")
    async with ports.outbox.unit() as unit:
        await _held(unit, caller, account, None, leaves=leaves)
        await store.remove_member(unit.tx, caller.workspace, account)
        if (profile := await store.read_profile(unit.tx, account)) is not None:
            await store.withdraw_all(unit.tx, caller.workspace, profile.email, now())
        await store.withdraw_all_by(unit.tx, caller.workspace, account, now())
        say_role_changed(unit, caller.workspace, account, now(), member=False)
    return Nothing()


async def _held(
    unit: Unit, caller: Caller, account: UUID, after: MemberRole | None, *, leaves: bool = False
) -> MemberRole:
    """What a member is, which may become ``after`` and nobody else changes until the unit ends."""
    await store.hold_members(unit.tx, caller.workspace)
    before = await store.read_role(unit.tx, caller.workspace, account)
    if before is None:
        raise NotFound("there is no such member")
    owners = await store.count_owners(unit.tx, caller.workspace)
    check_role(before, after, owners=owners, manages_owners=leaves or caller.may("owners.manage"))
    return before


async def _find_member(view: Reader, workspace: UUID, account: UUID) -> Member:
    return next(_member(row) for row in await store.list_members(view, workspace) if row.account == account)


def say_role_changed(unit: Unit, workspace: UUID, account: UUID, at: int, *, member: bool = True) -> None:
    """Say that an account is something else in a workspace since an instant."""
    unit.emit(RoleChanged(account=account, at=at, member=member), workspace=workspace, key=f"{account}|{at}")


def show_workspace(row: store.WorkspaceRow, role: MemberRole | None) -> WorkspaceView:
    """A workspace as it is shown to who is something in it."""
    return WorkspaceView(id=row.id, name=row.name, title=row.title, role=role, created=row.created)


def _member(row: store.MemberRow) -> Member:
    return Member(account=row.account, email=row.email, name=row.name, role=row.role, since=row.since)
