"""Keys that sign access tokens, and statements of workspaces."""

from uuid import UUID

from msgspec import Struct

from services.kernel.sql import Reader, Tx


class SigningKey(Struct, frozen=True):
    kid: str
    sealed: str
    published: str
    begins: int
    ends: int


class WorkspaceKey(Struct, frozen=True):
    kid: str
    sealed: str
    published: str
    made: int


async def read_signing_keys(view: Reader, since: int) -> list[SigningKey]:
    """Those that end, or ended, after an instant, in their order."""
    rows = await view.fetch(
        "SELECT kid, sealed, published, begins, ends FROM signing_key WHERE ends > :since ORDER BY begins", since=since
    )
    return [SigningKey(*row) for row in rows]


async def add_signing_key(tx: Tx, key: SigningKey) -> None:
    row = (key.kid, key.sealed, key.published, key.begins, key.ends)
    await tx.insert_new("signing_key", ("kid", "sealed", "published", "begins", "ends"), ("kid",), [row])


async def forget_signing_keys(tx: Tx, before: int) -> None:
    await tx.execute("DELETE FROM signing_key WHERE ends < :before", before=before)


async def read_workspace_key(view: Reader, workspace: UUID) -> WorkspaceKey | None:
    row = await view.fetch_one(
        "SELECT kid, sealed, published, made FROM workspace_key WHERE workspace = :workspace", workspace=workspace.bytes
    )
    return WorkspaceKey(*row) if row else None


async def add_workspace_key(tx: Tx, workspace: UUID, key: WorkspaceKey) -> None:
    """Keep the key of a workspace, unless it has one."""
    row = (workspace.bytes, key.kid, key.sealed, key.published, key.made)
    columns = ("workspace", "kid", "sealed", "published", "made")
    await tx.insert_new("workspace_key", columns, ("workspace",), [row])
