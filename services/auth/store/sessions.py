"""Sessions of people, and tokens of scripts."""

from typing import Any
from uuid import UUID

import msgspec
from msgspec import Struct

from services.kernel.sql import Reader, Tx


class Session(Struct, frozen=True, kw_only=True):
    """``refresh`` and ``former``: digests of the current refresh token and the one before."""

    id: UUID
    account: UUID
    family: bytes
    refresh: bytes
    former: bytes
    device: str
    address: str
    created: int
    seen: int
    expires: int
    ended: int | None = None


class ApiToken(Struct, frozen=True, kw_only=True):
    workspace: UUID
    id: UUID
    account: UUID
    name: str
    permissions: tuple[str, ...]
    created: int
    expires: int
    used: int | None = None
    ended: int | None = None


_SESSION = ("id", "account", "family", "refresh", "former", "device", "address", "created", "seen", "expires", "ended")


async def add_session(tx: Tx, made: Session) -> None:
    row = (
        made.id.bytes,
        made.account.bytes,
        made.family,
        made.refresh,
        made.former,
        made.device,
        made.address,
        made.created,
        made.seen,
        made.expires,
        made.ended,
    )
    await tx.insert_new("session", _SESSION, ("id",), [row])


async def find_session(view: Reader, family: bytes) -> Session | None:
    row = await view.fetch_one(
        "SELECT id, account, family, refresh, former, device, address, created, seen, expires, ended FROM session"
        " WHERE family = :family",
        family=family,
    )
    return _session(row) if row else None


async def read_session(view: Reader, identity: UUID) -> Session | None:
    row = await view.fetch_one(
        "SELECT id, account, family, refresh, former, device, address, created, seen, expires, ended FROM session"
        " WHERE id = :id",
        id=identity.bytes,
    )
    return _session(row) if row else None


async def list_sessions(view: Reader, account: UUID, at: int, idle_since: int) -> list[Session]:
    """Those of an account that have not ended, the one used last first."""
    rows = await view.fetch(
        "SELECT id, account, family, refresh, former, device, address, created, seen, expires, ended FROM session"
        " WHERE account = :account AND ended IS NULL AND expires > :at AND seen > :idle ORDER BY seen DESC, id",
        account=account.bytes,
        at=at,
        idle=idle_since,
    )
    return [_session(row) for row in rows]


async def go_on(tx: Tx, identity: UUID, *, refresh: bytes, former: bytes, address: str, at: int) -> None:
    """Have a session go on by another refresh token."""
    await tx.execute(
        "UPDATE session SET refresh = :refresh, former = :former, address = :address, seen = :at WHERE id = :id",
        refresh=refresh,
        former=former,
        address=address,
        at=at,
        id=identity.bytes,
    )


async def end_session(tx: Tx, identity: UUID, at: int) -> bool:
    return (
        await tx.execute("UPDATE session SET ended = :at WHERE id = :id AND ended IS NULL", at=at, id=identity.bytes)
        > 0
    )


async def forget_sessions(tx: Tx, before: int) -> None:
    """Forget those that were over before an instant."""
    await tx.execute("DELETE FROM session WHERE expires < :before OR ended < :before", before=before)


# --- tokens of scripts ---


async def add_token(tx: Tx, made: ApiToken, digest: bytes) -> None:
    row = (
        made.workspace.bytes,
        made.id.bytes,
        made.account.bytes,
        digest,
        made.name,
        msgspec.json.encode(made.permissions).decode(),
        made.created,
        made.expires,
    )
    columns = ("workspace", "id", "account", "digest", "name", "permissions", "created", "expires")
    await tx.insert_new("api_token", columns, ("workspace", "id"), [row])


async def find_token(view: Reader, digest: bytes) -> ApiToken | None:
    row = await view.fetch_one(
        "SELECT workspace, id, account, name, permissions, created, expires, used, ended FROM api_token"
        " WHERE digest = :digest",
        digest=digest,
    )
    return _token(row) if row else None


async def list_tokens(view: Reader, workspace: UUID, account: UUID, at: int) -> list[ApiToken]:
    """Those of an account in a workspace that let in, the newest first."""
    rows = await view.fetch(
        "SELECT workspace, id, account, name, permissions, created, expires, used, ended FROM api_token"
        " WHERE workspace = :workspace AND account = :account AND ended IS NULL AND expires > :at"
        " ORDER BY created DESC, id",
        workspace=workspace.bytes,
        account=account.bytes,
        at=at,
    )
    return [_token(row) for row in rows]


async def note_use(tx: Tx, token: ApiToken, at: int) -> None:
    await tx.execute(
        "UPDATE api_token SET used = :at WHERE workspace = :workspace AND id = :id",
        at=at,
        workspace=token.workspace.bytes,
        id=token.id.bytes,
    )


async def end_tokens(tx: Tx, account: UUID, at: int) -> None:
    """Have all tokens of an account let nobody in any more, in all workspaces."""
    await tx.execute(
        "UPDATE api_token SET ended = :at WHERE account = :account AND ended IS NULL", at=at, account=account.bytes
    )


async def end_tokens_in(tx: Tx, workspace: UUID, account: UUID, at: int) -> None:
    """Have all tokens of an account in a workspace let nobody in any more that were made until then."""
    await tx.execute(
        "UPDATE api_token SET ended = :at WHERE workspace = :workspace AND account = :account AND ended IS NULL"
        " AND created <= :at",
        at=at,
        workspace=workspace.bytes,
        account=account.bytes,
    )


async def end_token(tx: Tx, workspace: UUID, account: UUID, identity: UUID, at: int) -> bool:
    changed = await tx.execute(
        "UPDATE api_token SET ended = :at WHERE workspace = :workspace AND id = :id AND account = :account"
        " AND ended IS NULL",
        at=at,
        workspace=workspace.bytes,
        id=identity.bytes,
        account=account.bytes,
    )
    return changed > 0


def _session(row: tuple[Any, ...]) -> Session:
    identity, account, family, refresh, former, device, address, created, seen, expires, ended = row
    return Session(
        id=UUID(bytes=bytes(identity)), account=UUID(bytes=bytes(account)), family=bytes(family),
        refresh=bytes(refresh), former=bytes(former), device=device, address=address, created=created, seen=seen,
        expires=expires, ended=ended,
    )  # fmt: skip


def _token(row: tuple[Any, ...]) -> ApiToken:
    workspace, identity, account, name, permissions, created, expires, used, ended = row
    return ApiToken(
        workspace=UUID(bytes=bytes(workspace)), id=UUID(bytes=bytes(identity)), account=UUID(bytes=bytes(account)),
        name=name, permissions=msgspec.json.decode(permissions, type=tuple[str, ...]), created=created,
        expires=expires, used=used, ended=ended,
    )  # fmt: skip
