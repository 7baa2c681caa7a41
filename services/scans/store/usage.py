"""What workspaces may use, as far as it is known, and what they do: scans that run, work items handed out in a day."""

from services.contracts.resources import Quotas
from services.kernel.sql import Reader, Tx
from services.scans.store.scans import Key


async def read_quotas(view: Reader, workspace: bytes) -> Quotas | None:
    """The quotas of a workspace that were known last; None where none ever were, not even that there are none."""
    row = await view.fetch_one(
        "SELECT scans, items, storage FROM known_quota WHERE workspace = :workspace", workspace=workspace
    )
    return Quotas(scans=row[0], items=row[1], storage=row[2]) if row else None


async def write_quotas(tx: Tx, workspace: bytes, quotas: Quotas) -> None:
    columns = ("workspace", "scans", "items", "storage")
    row = (workspace, quotas.scans, quotas.items, quotas.storage)
    await tx.bulk_upsert("known_quota", columns, columns[:1], [row], dict.fromkeys(columns[1:], "replace"))


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
