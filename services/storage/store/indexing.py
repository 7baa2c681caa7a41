"""The list of entities that the index of search does not have yet, and which index that is."""

from collections.abc import Sequence
from typing import Final

from services.kernel.sql import Reader, Row, Tx

#: Whoever lists entities again for an index that was made anew holds this alone.
LISTING: Final = "search index"


async def unindexed(view: Reader, limit: int) -> list[Row]:
    """Up to ``limit`` entities of any workspace, as (workspace, number, type, value)."""
    return await view.fetch(
        "SELECT entity.workspace, entity.number, entity.type, entity.value FROM unindexed JOIN entity"
        " ON entity.workspace = unindexed.workspace AND entity.number = unindexed.entity LIMIT :limit",
        limit=limit,
    )


async def note_indexed(tx: Tx, workspace: bytes, numbers: Sequence[int]) -> None:
    """Take entities off the list."""
    await tx.execute_in(
        "DELETE FROM unindexed WHERE workspace = :workspace AND entity IN :keys", numbers, workspace=workspace
    )


async def is_current(tx: Tx, name: str, made: str) -> bool:
    """Whether ``made`` is still the index that there is; it is so until the transaction ends."""
    await tx.lock(LISTING, shared=True)
    row = await tx.fetch_one("SELECT made FROM search_index WHERE name = :name", name=name)
    return row is not None and row[0] == made


async def begin_index(tx: Tx, name: str, made: str) -> bool:
    """Note that ``made`` is the index that there is; return whether all is to be listed again, since it is another.

    The first one is believed to have what the list does not have.
    """
    await tx.lock(LISTING)
    row = await tx.fetch_one("SELECT made FROM search_index WHERE name = :name", name=name)
    if row is not None and row[0] == made:
        return False
    await _note_listed(tx, name, made, None if row is None else (b"", 0))
    return row is not None


async def list_again(tx: Tx, name: str, limit: int) -> bool:
    """List the next ``limit`` entities again, if need be; return whether there may be more."""
    await tx.lock(LISTING)
    row = await tx.fetch_one("SELECT made, workspace, number FROM search_index WHERE name = :name", name=name)
    if row is None or row[1] is None:
        return False
    made, workspace, number = row
    rows = await tx.fetch(
        "SELECT workspace, number FROM entity WHERE (workspace, number) > (:workspace, :number)"
        " ORDER BY workspace, number LIMIT :limit",
        workspace=workspace,
        number=number,
        limit=limit,
    )
    await tx.bulk_upsert("unindexed", ("workspace", "entity"), ("workspace", "entity"), rows, {})
    more = len(rows) == limit
    await _note_listed(tx, name, made, rows[-1] if more else None)
    return more


async def _note_listed(tx: Tx, name: str, made: str, last: Row | None) -> None:
    await tx.bulk_upsert(
        "search_index",
        ("name", "made", "workspace", "number"),
        ("name",),
        [(name, made, *(last or (None, None)))],
        {"made": "replace", "workspace": "replace", "number": "replace"},
    )
