"""What workspaces use: scans that run, and work items that were handed out in a day."""

from services.kernel.sql import Reader, Tx
from services.scans.store.scans import Key


async def hold_running(tx: Tx, workspace: bytes) -> None:
    """Let nobody else begin a run in a workspace until the transaction ends."""
    await tx.lock(f"running {workspace.hex()}")


async def hold_items(tx: Tx, workspace: bytes) -> None:
    """Let nobody else hand out items of a workspace until the transaction ends."""
    await tx.lock(f"items {workspace.hex()}")


async def add_items(tx: Tx, key: Key, day: int, items: int) -> None:
    columns = ("workspace", "day", "scan", "items")
    await tx.bulk_upsert("handed_out", columns, columns[:3], [(key.workspace, day, key.scan, items)], {"items": "sum"})


async def items_of_day(view: Reader, workspace: bytes, day: int) -> int:
    row = await view.fetch_one(
        "SELECT CAST(COALESCE(SUM(items), 0) AS BIGINT) FROM handed_out WHERE workspace = :workspace AND day = :day",
        workspace=workspace,
        day=day,
    )
    return row[0] if row else 0


async def forget_days(tx: Tx, before: int) -> None:
    """Forget what was handed out before a day, of all workspaces."""
    await tx.execute("DELETE FROM handed_out WHERE day < :before", before=before)


async def workspaces_at_work(view: Reader) -> list[bytes]:
    """Those in which scans run, for the timer alone."""
    return [bytes(row[0]) for row in await view.fetch("SELECT DISTINCT workspace FROM scan WHERE state = 'running'")]
