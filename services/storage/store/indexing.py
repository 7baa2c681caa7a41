"""The list of entities that the index of search does not have yet."""

from collections.abc import Sequence

from services.kernel.sql import Reader, Row, Tx


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
