"""What an operator has set of the quotas of workspaces."""

from uuid import UUID

from services.contracts.resources import Quotas
from services.kernel.sql import Reader, Tx


async def read_quotas(view: Reader, workspace: UUID) -> Quotas:
    """The exceptions of a workspace."""
    row = await view.fetch_one(
        "SELECT scans, items, storage FROM quota WHERE workspace = :workspace", workspace=workspace.bytes
    )
    return Quotas(scans=row[0], items=row[1], storage=row[2]) if row else Quotas()


async def write_quotas(tx: Tx, workspace: UUID, quotas: Quotas) -> None:
    columns = ("workspace", "scans", "items", "storage")
    row = (workspace.bytes, quotas.scans, quotas.items, quotas.storage)
    await tx.bulk_upsert("quota", columns, columns[:1], [row], dict.fromkeys(columns[1:], "replace"))
