"""Authorisations of active work, as they were signed: what is shown of one is read from there."""

from uuid import UUID

from services.kernel.sql import Reader, Tx
from services.scans.store.scans import Key


async def insert(tx: Tx, key: Key, identity: UUID, signed: str) -> None:
    columns = ("workspace", "scan", "id", "signed")
    await tx.insert_new("authorisation", columns, columns[:3], [(*key, identity.bytes, signed)])


async def read(view: Reader, key: Key) -> str | None:
    """What was signed of a scan; None where nothing was, or by a version that signed none."""
    row = await view.fetch_one(
        "SELECT signed FROM authorisation WHERE workspace = :workspace AND scan = :scan", **key._asdict()
    )
    return str(row[0]) if row else None
