"""Profiles, workspaces, memberships and invitations."""

from typing import Any
from uuid import UUID

from msgspec import Struct

from services.contracts.permissions import MemberRole
from services.kernel.messages import EVERYWHERE
from services.kernel.sql import Reader, Tx

#: What an operator of the installation is, in the workspace of what belongs to none.
OPERATOR = "operator"


class ProfileRow(Struct, frozen=True):
    account: UUID
    email: str
    name: str
    created: int


class WorkspaceRow(Struct, frozen=True):
    id: UUID
    name: str
    title: str
    created: int


class MemberRow(Struct, frozen=True):
    account: UUID
    email: str
    name: str
    role: MemberRole
    since: int


class InvitationRow(Struct, frozen=True):
    workspace: UUID
    id: UUID
    digest: bytes
    email: str
    role: MemberRole
    invited_by: str
    created: int
    expires: int
    accepted: int | None = None
    withdrawn: int | None = None
    inviter: UUID | None = None


# --- profiles ---


async def read_profile(view: Reader, account: UUID) -> ProfileRow | None:
    row = await view.fetch_one(
        "SELECT account, email, name, created FROM profile WHERE account = :account", account=account.bytes
    )
    return _profile(row) if row else None


async def find_profile(view: Reader, email: str) -> ProfileRow | None:
    """The profile of who has an address, as it is compared."""
    row = await view.fetch_one("SELECT account, email, name, created FROM profile WHERE email = :email", email=email)
    return _profile(row) if row else None


async def add_profile(tx: Tx, profile: ProfileRow) -> bool:
    """Keep a new one; whether it is new: said again, it is the same."""
    row = (profile.account.bytes, profile.email, profile.name, profile.created)
    columns = ("account", "email", "name", "created")
    return bool(await tx.insert_new("profile", columns, ("account",), [row]))


async def remove_profile(tx: Tx, account: UUID) -> None:
    """Forget the profile of an account whose making was not completed."""
    await tx.execute("DELETE FROM profile WHERE account = :account", account=account.bytes)


async def rename_profile(tx: Tx, account: UUID, name: str) -> bool:
    return (
        await tx.execute("UPDATE profile SET name = :name WHERE account = :account", name=name, account=account.bytes)
        > 0
    )


async def has_profiles(view: Reader) -> bool:
    return await view.fetch_one("SELECT 1 FROM profile LIMIT 1") is not None


# --- workspaces ---


async def add_workspace(tx: Tx, workspace: WorkspaceRow) -> bool:
    """Keep a new one; whether it is new."""
    row = (workspace.id.bytes, workspace.name, workspace.title, workspace.created)
    return bool(await tx.insert_new("workspace", ("workspace", "name", "title", "created"), ("workspace",), [row]))


async def read_workspace(view: Reader, workspace: UUID) -> WorkspaceRow | None:
    row = await view.fetch_one(
        "SELECT workspace, name, title, created FROM workspace WHERE workspace = :workspace", workspace=workspace.bytes
    )
    return _workspace(row) if row else None


async def list_workspaces(view: Reader) -> list[WorkspaceRow]:
    rows = await view.fetch("SELECT workspace, name, title, created FROM workspace ORDER BY name")
    return [_workspace(row) for row in rows]


async def list_workspaces_of(view: Reader, account: UUID) -> list[tuple[WorkspaceRow, MemberRole]]:
    """Those that an account belongs to, with what it is there; first the one that it has been in for longest."""
    rows = await view.fetch(
        "SELECT workspace.workspace, workspace.name, workspace.title, workspace.created, membership.role"
        " FROM membership JOIN workspace ON workspace.workspace = membership.workspace"
        " WHERE membership.account = :account ORDER BY membership.since, workspace.name",
        account=account.bytes,
    )
    return [(_workspace(row[:4]), row[4]) for row in rows]


async def rename_workspace(tx: Tx, workspace: UUID, title: str) -> bool:
    return (
        await tx.execute(
            "UPDATE workspace SET title = :title WHERE workspace = :workspace", title=title, workspace=workspace.bytes
        )
        > 0
    )


# --- memberships ---


async def hold_members(tx: Tx, workspace: UUID) -> None:
    """Let nobody else change who belongs to a workspace until the transaction ends."""
    await tx.lock(f"members {workspace.hex}")


async def read_role(view: Reader, workspace: UUID, account: UUID) -> MemberRole | None:
    row = await view.fetch_one(
        "SELECT role FROM membership WHERE workspace = :workspace AND account = :account",
        workspace=workspace.bytes,
        account=account.bytes,
    )
    return row[0] if row else None


async def is_operator(view: Reader, account: UUID) -> bool:
    return await read_role(view, EVERYWHERE, account) is not None


async def list_members(view: Reader, workspace: UUID) -> list[MemberRow]:
    rows = await view.fetch(
        "SELECT profile.account, profile.email, profile.name, membership.role, membership.since"
        " FROM membership JOIN profile ON profile.account = membership.account"
        " WHERE membership.workspace = :workspace ORDER BY profile.email",
        workspace=workspace.bytes,
    )
    return [MemberRow(UUID(bytes=bytes(row[0])), *row[1:]) for row in rows]


async def count_owners(view: Reader, workspace: UUID) -> int:
    row = await view.fetch_one(
        "SELECT COUNT(*) FROM membership WHERE workspace = :workspace AND role = 'owner'", workspace=workspace.bytes
    )
    return row[0] if row else 0


async def add_member(tx: Tx, workspace: UUID, account: UUID, role: str, at: int) -> bool:
    """Let an account belong to a workspace; whether it did not before."""
    row = (workspace.bytes, account.bytes, role, at)
    columns = ("workspace", "account", "role", "since")
    return bool(await tx.insert_new("membership", columns, ("workspace", "account"), [row]))


async def set_role(tx: Tx, workspace: UUID, account: UUID, role: MemberRole) -> None:
    await tx.execute(
        "UPDATE membership SET role = :role WHERE workspace = :workspace AND account = :account",
        role=role,
        workspace=workspace.bytes,
        account=account.bytes,
    )


async def remove_member(tx: Tx, workspace: UUID, account: UUID) -> None:
    await tx.execute(
        "DELETE FROM membership WHERE workspace = :workspace AND account = :account",
        workspace=workspace.bytes,
        account=account.bytes,
    )


# --- invitations ---

_INVITATION = (
    "workspace",
    "id",
    "digest",
    "email",
    "role",
    "invited_by",
    "created",
    "expires",
    "accepted",
    "withdrawn",
    "inviter",
)


async def add_invitation(tx: Tx, made: InvitationRow) -> None:
    row = (
        made.workspace.bytes,
        made.id.bytes,
        made.digest,
        made.email,
        made.role,
        made.invited_by,
        made.created,
        made.expires,
        None,
        None,
        made.inviter.bytes if made.inviter is not None else None,
    )
    await tx.insert_new("invitation", _INVITATION, ("workspace", "id"), [row])


async def list_invitations(view: Reader, workspace: UUID, limit: int) -> list[InvitationRow]:
    rows = await view.fetch(
        "SELECT workspace, id, digest, email, role, invited_by, created, expires, accepted, withdrawn FROM invitation"
        " WHERE workspace = :workspace ORDER BY created DESC, id DESC LIMIT :limit",
        workspace=workspace.bytes,
        limit=limit,
    )
    return [_invitation(row) for row in rows]


async def count_open_invitations(view: Reader, workspace: UUID, at: int) -> int:
    row = await view.fetch_one(
        "SELECT COUNT(*) FROM invitation WHERE workspace = :workspace AND accepted IS NULL AND withdrawn IS NULL"
        " AND expires > :at",
        workspace=workspace.bytes,
        at=at,
    )
    return row[0] if row else 0


async def read_invitation(view: Reader, workspace: UUID, identity: UUID) -> InvitationRow | None:
    row = await view.fetch_one(
        "SELECT workspace, id, digest, email, role, invited_by, created, expires, accepted, withdrawn FROM invitation"
        " WHERE workspace = :workspace AND id = :id",
        workspace=workspace.bytes,
        id=identity.bytes,
    )
    return _invitation(row) if row else None


async def find_invitation(view: Reader, digest: bytes) -> InvitationRow | None:
    """The invitation that a code is of."""
    row = await view.fetch_one(
        "SELECT workspace, id, digest, email, role, invited_by, created, expires, accepted, withdrawn FROM invitation"
        " WHERE digest = :digest",
        digest=digest,
    )
    return _invitation(row) if row else None


async def accept_invitation(tx: Tx, invitation: InvitationRow, at: int) -> bool:
    """Use an invitation up; whether nobody was quicker, and it is still good."""
    changed = await tx.execute(
        "UPDATE invitation SET accepted = :at WHERE workspace = :workspace AND id = :id AND accepted IS NULL"
        " AND withdrawn IS NULL AND expires > :at",
        at=at,
        workspace=invitation.workspace.bytes,
        id=invitation.id.bytes,
    )
    return changed > 0


async def withdraw_all(tx: Tx, workspace: UUID, email: str, at: int) -> None:
    """Have all invitations of an address to a workspace be good no more that were not used."""
    await tx.execute(
        "UPDATE invitation SET withdrawn = :at WHERE workspace = :workspace AND email = :email AND accepted IS NULL"
        " AND withdrawn IS NULL",
        at=at,
        workspace=workspace.bytes,
        email=email,
    )


async def withdraw_all_by(tx: Tx, workspace: UUID, inviter: UUID, at: int) -> None:
    """Have all invitations of an account to a workspace be good no more that were not used."""
    await tx.execute(
        "UPDATE invitation SET withdrawn = :at WHERE workspace = :workspace AND inviter = :inviter"
        " AND accepted IS NULL AND withdrawn IS NULL",
        at=at,
        workspace=workspace.bytes,
        inviter=inviter.bytes,
    )


async def withdraw_invitation(tx: Tx, workspace: UUID, identity: UUID, at: int) -> None:
    """Have it be good no more, unless it was used."""
    await tx.execute(
        "UPDATE invitation SET withdrawn = :at WHERE workspace = :workspace AND id = :id AND accepted IS NULL"
        " AND withdrawn IS NULL",
        at=at,
        workspace=workspace.bytes,
        id=identity.bytes,
    )


def _profile(row: tuple[Any, ...]) -> ProfileRow:
    return ProfileRow(UUID(bytes=bytes(row[0])), *row[1:])


def _workspace(row: tuple[Any, ...]) -> WorkspaceRow:
    return WorkspaceRow(UUID(bytes=bytes(row[0])), *row[1:])


def _invitation(row: tuple[Any, ...]) -> InvitationRow:
    workspace, identity, digest, *rest = row
    return InvitationRow(UUID(bytes=bytes(workspace)), UUID(bytes=bytes(identity)), bytes(digest), *rest)
