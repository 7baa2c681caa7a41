"""Ways to log in that an account has beside its password, of each kind any number, as tables of their own have them."""

from typing import Literal
from uuid import UUID

from services.kernel.sql import Reader, Tx

#: A kind of way, as its table is called.
Way = Literal["passkey", "identity"]


async def count_ways(view: Reader, account: UUID, way: Way) -> int:
    row = await view.fetch_one(f"SELECT COUNT(*) FROM {way} WHERE account = :account", account=account.bytes)  # noqa: S608  a table
    return row[0] if row else 0


async def remove_way(tx: Tx, account: UUID, way: Way, id: UUID) -> bool:
    """Remove one; whether the account had it."""
    removed = await tx.execute(
        f"DELETE FROM {way} WHERE id = :id AND account = :account",  # noqa: S608  a table
        id=id.bytes,
        account=account.bytes,
    )
    return removed > 0


async def forget_ways(tx: Tx, account: UUID) -> None:
    """Remove all of an account, of every kind."""
    await tx.execute("DELETE FROM passkey WHERE account = :account", account=account.bytes)
    await tx.execute("DELETE FROM identity WHERE account = :account", account=account.bytes)
