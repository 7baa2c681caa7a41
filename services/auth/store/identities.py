"""Who accounts are at OpenID providers: an issuer calls each person by a subject, for ever."""

from typing import Any
from uuid import UUID

from msgspec import Struct

from services.kernel.sql import Reader, Tx


class Identity(Struct, frozen=True, kw_only=True):
    """``provider``: what the issuer was called here when it was linked; ``email``: what it called the person then."""

    id: UUID
    account: UUID
    provider: str
    issuer: str
    subject: str
    email: str
    created: int
    used: int | None = None


async def add_identity(tx: Tx, made: Identity) -> bool:
    """Keep a new one; whether nobody was it before."""
    row = (
        made.id.bytes, made.account.bytes, made.provider, made.issuer, made.subject, made.email, made.created,
        made.used,
    )  # fmt: skip
    columns = ("id", "account", "provider", "issuer", "subject", "email", "created", "used")
    return bool(await tx.insert_new("identity", columns, ("issuer", "subject"), [row]))


async def find_identity(view: Reader, issuer: str, subject: str) -> Identity | None:
    row = await view.fetch_one(
        "SELECT id, account, provider, issuer, subject, email, created, used FROM identity"
        " WHERE issuer = :issuer AND subject = :subject",
        issuer=issuer,
        subject=subject,
    )
    return _identity(row) if row else None


async def list_identities(view: Reader, account: UUID) -> list[Identity]:
    """Those of an account, the newest first."""
    rows = await view.fetch(
        "SELECT id, account, provider, issuer, subject, email, created, used FROM identity"
        " WHERE account = :account ORDER BY created DESC, id",
        account=account.bytes,
    )
    return [_identity(row) for row in rows]


async def use_identity(tx: Tx, identity: UUID, at: int) -> bool:
    """Note that somebody came as one; whether it is still there."""
    return await tx.execute("UPDATE identity SET used = :at WHERE id = :id", at=at, id=identity.bytes) > 0


def _identity(row: tuple[Any, ...]) -> Identity:
    identity, account, provider, issuer, subject, email, created, used = row
    return Identity(
        id=UUID(bytes=bytes(identity)), account=UUID(bytes=bytes(account)), provider=provider, issuer=issuer,
        subject=subject, email=email, created=created, used=used,
    )  # fmt: skip
