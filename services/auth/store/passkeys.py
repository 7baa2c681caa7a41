"""Passkeys, as they are kept: public keys with the counters that were last seen."""

from typing import Any
from uuid import UUID

from msgspec import Struct

from services.kernel.sql import Reader, Tx


class Passkey(Struct, frozen=True, kw_only=True):
    """``credential``: its id among all of the world; ``counter``: of signatures, 0 of one that does not count."""

    id: UUID
    account: UUID
    credential: bytes
    public_key: bytes
    counter: int
    name: str
    synced: bool
    created: int
    used: int | None = None


async def add_passkey(tx: Tx, made: Passkey) -> bool:
    """Keep a new one; whether its credential is new."""
    row = (
        made.id.bytes, made.account.bytes, made.credential, made.public_key, made.counter, made.name,
        int(made.synced), made.created,
    )  # fmt: skip
    columns = ("id", "account", "credential", "public_key", "counter", "name", "synced", "created")
    return bool(await tx.insert_new("passkey", columns, ("credential",), [row]))


async def find_passkey(view: Reader, credential: bytes) -> Passkey | None:
    row = await view.fetch_one(
        "SELECT id, account, credential, public_key, counter, name, synced, created, used FROM passkey"
        " WHERE credential = :credential",
        credential=credential,
    )
    return _passkey(row) if row else None


async def list_passkeys(view: Reader, account: UUID) -> list[Passkey]:
    """Those of an account, the newest first."""
    rows = await view.fetch(
        "SELECT id, account, credential, public_key, counter, name, synced, created, used FROM passkey"
        " WHERE account = :account ORDER BY created DESC, id",
        account=account.bytes,
    )
    return [_passkey(row) for row in rows]


async def use_passkey(tx: Tx, passkey: UUID, counter: int, at: int) -> bool:
    """Note that one signed; whether it is still there, and its counter went on, or it does not count."""
    changed = await tx.execute(
        "UPDATE passkey SET counter = :counter, used = :at WHERE id = :id"
        " AND (counter < :counter OR counter = 0 AND :counter = 0)",
        counter=counter,
        at=at,
        id=passkey.bytes,
    )
    return changed > 0


def _passkey(row: tuple[Any, ...]) -> Passkey:
    identity, account, credential, public_key, counter, name, synced, created, used = row
    return Passkey(
        id=UUID(bytes=bytes(identity)), account=UUID(bytes=bytes(account)), credential=bytes(credential),
        public_key=bytes(public_key), counter=counter, name=name, synced=bool(synced), created=created, used=used,
    )  # fmt: skip
