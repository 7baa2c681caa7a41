"""The tables of inbox and outbox, which every service with a `sql` has, and the statements of the inbox."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from services.kernel.messages import now
from services.kernel.sql import Migration, Reader, Sql, Tx

#: How long it is remembered that a message was taken, in microseconds.
INBOX_KEPT: Final = 14 * 86_400 * 1_000_000

#: The kernel's own steps count down from 0.
MIGRATIONS: Final = (
    Migration(
        version=0,
        name="once",
        script="""
CREATE TABLE inbox (
    consumer TEXT NOT NULL, id BYTEA NOT NULL, at BIGINT NOT NULL,
    PRIMARY KEY (consumer, id)
);
CREATE INDEX inbox_at ON inbox (at);
CREATE TABLE outbox (
    position BIGINT NOT NULL PRIMARY KEY, id BYTEA NOT NULL, type TEXT NOT NULL, workspace BYTEA NOT NULL,
    filter TEXT NOT NULL, time BIGINT NOT NULL, data BYTEA NOT NULL
);
CREATE TABLE failure (
    consumer TEXT NOT NULL, id BYTEA NOT NULL, tries BIGINT NOT NULL, reason TEXT NOT NULL, at BIGINT NOT NULL,
    PRIMARY KEY (consumer, id)
);
""",
    ),
    Migration(
        version=-1,
        name="cause",
        script="""
ALTER TABLE outbox ADD COLUMN cause BYTEA;
ALTER TABLE outbox ADD COLUMN traceparent TEXT NOT NULL DEFAULT '';
""",
    ),
)


async def first_times(tx: Tx, consumer: str, ids: Sequence[UUID]) -> set[UUID]:
    """Note that messages were taken; return those that were not before."""
    at = now()
    new = await tx.insert_new(
        "inbox", ("consumer", "id", "at"), ("consumer", "id"), [(consumer, identity.bytes, at) for identity in ids]
    )
    return {UUID(bytes=bytes(row[1])) for row in new}


async def take_back(tx: Tx, consumer: str, message: UUID) -> None:
    """Note that ``message`` was not taken after all, when the transaction ends."""
    await tx.execute("DELETE FROM inbox WHERE consumer = :consumer AND id = :id", consumer=consumer, id=message.bytes)


async def known_of(view: Reader, consumer: str, ids: Sequence[UUID]) -> set[UUID]:
    """Which messages were taken."""
    rows = await view.fetch_in(
        "SELECT id FROM inbox WHERE consumer = :consumer AND id IN :keys",
        [identity.bytes for identity in ids],
        consumer=consumer,
    )
    return {UUID(bytes=bytes(identity)) for (identity,) in rows}


async def count_failure(tx: Tx, consumer: str, message: UUID, reason: str) -> int:
    """Note that ``message`` failed; return how often it has by now."""
    await tx.bulk_upsert(
        "failure",
        ("consumer", "id", "tries", "reason", "at"),
        ("consumer", "id"),
        [(consumer, message.bytes, 1, reason[:1000], now())],
        {"tries": "sum", "reason": "replace", "at": "replace"},
    )
    row = await tx.fetch_one(
        "SELECT tries FROM failure WHERE consumer = :consumer AND id = :id", consumer=consumer, id=message.bytes
    )
    return int(row[0]) if row else 1


async def forget(sql: Sql, before: int | None = None) -> None:
    """Drop inbox and failure rows that no message can come back for any more."""
    limit = now() - INBOX_KEPT if before is None else before
    async with sql.begin() as tx:
        await tx.execute("DELETE FROM inbox WHERE at < :limit", limit=limit)
        await tx.execute("DELETE FROM failure WHERE at < :limit", limit=limit)
