"""Batches in flight and their leases."""

from collections.abc import Iterable, Sequence

from msgspec import Struct

from services.kernel.sql import Reader, Row, Tx
from services.scans.store.scans import Key


class BatchRow(Struct):
    """A batch in flight: ``open`` of its items are not done, each of which may take ``seconds``; ``ends``, after which
    no lease goes on, is set by the first renewal: nobody has taken it before. Of the attempts before this one,
    ``superseded`` ended because the collector had another version, and the others because it was lost.
    """

    number: int
    id: bytes
    module: int
    attempt: int
    seconds: int
    open: int
    expires: int
    ends: int | None
    superseded: int = 0

    @property
    def lost(self) -> int:
        """How many collectors have been lost with it, this one included where there is one."""
        return self.attempt - self.superseded - (self.ends is None)


_COLUMNS = BatchRow.__struct_fields__


async def insert(tx: Tx, key: Key, batches: Iterable[tuple[BatchRow, Sequence[bytes]]]) -> None:
    """Write batches, each with the ids of its items."""
    rows: list[Row] = [(*key, *(getattr(row, field) for field in _COLUMNS), b"".join(items)) for row, items in batches]
    await tx.bulk_upsert("batch", ("workspace", "scan", *_COLUMNS, "items"), ("workspace", "scan", "number"), rows, {})


async def of_scan(view: Reader, key: Key) -> dict[int, BatchRow]:
    """The batches in flight of a scan, by number."""
    rows = await view.fetch(
        f"SELECT {', '.join(_COLUMNS)} FROM batch"  # noqa: S608 - names of columns
        " WHERE workspace = :workspace AND scan = :scan ORDER BY number",
        **key._asdict(),
    )
    return {row[0]: BatchRow(*row) for row in rows}


async def items_of(view: Reader, key: Key, numbers: Sequence[int]) -> dict[int, list[bytes]]:
    """The ids of the items that batches were made of, by the batch's number."""
    rows = await view.fetch_in(
        "SELECT number, items FROM batch WHERE workspace = :workspace AND scan = :scan AND number IN :keys",
        numbers,
        **key._asdict(),
    )
    return {number: [ids[start : start + 16] for start in range(0, len(ids), 16)] for number, ids in rows}


async def scans_of(view: Reader, workspace: bytes, ids: Sequence[bytes]) -> dict[bytes, list[bytes]]:
    """Those of ``ids`` that are in flight, by the id of their scan; none is of a scan that was deleted."""
    rows = await view.fetch_in(
        "SELECT scan.id, batch.id FROM batch"
        " JOIN scan ON scan.workspace = batch.workspace AND scan.number = batch.scan"
        " WHERE batch.workspace = :workspace AND batch.id IN :keys",
        ids,
        workspace=workspace,
    )
    found: dict[bytes, list[bytes]] = {}
    for scan, batch in rows:
        found.setdefault(bytes(scan), []).append(bytes(batch))
    return found


async def find(view: Reader, workspace: bytes, ids: Sequence[bytes]) -> list[tuple[bytes, int, int, int, int | None]]:
    """(id, scan, seconds, open, ends) of those of ``ids`` that are in flight; none is of a scan that was deleted."""
    return await view.fetch_in(
        "SELECT id, scan, seconds, open, ends FROM batch WHERE workspace = :workspace AND id IN :keys"
        " AND EXISTS (SELECT 1 FROM scan WHERE scan.workspace = batch.workspace AND scan.number = batch.scan)",
        ids,
        workspace=workspace,
    )


async def renew(tx: Tx, workspace: bytes, leases: Iterable[tuple[bytes, int, int]]) -> None:
    """Write (id, expires, ends) of batches that collectors work on; one that has ended stays so."""
    await tx.execute_many(
        "UPDATE batch SET expires = :expires, ends = :ends WHERE workspace = :workspace AND id = :id",
        [
            {"workspace": workspace, "id": identity, "expires": expires, "ends": ends}
            for identity, expires, ends in leases
        ],
    )


async def save_open(tx: Tx, key: Key, batches: Iterable[BatchRow]) -> None:
    await tx.execute_many(
        "UPDATE batch SET open = :open WHERE workspace = :workspace AND scan = :scan AND number = :number",
        [{**key._asdict(), "number": row.number, "open": row.open} for row in batches],
    )


async def remove(tx: Tx, key: Key, numbers: Sequence[int]) -> None:
    await tx.execute_in(
        "DELETE FROM batch WHERE workspace = :workspace AND scan = :scan AND number IN :keys",
        numbers,
        **key._asdict(),
    )


async def scans_with_expired(view: Reader, at: int) -> set[tuple[bytes, int]]:
    """(workspace, scan) of the batches whose lease has run out."""
    rows = await view.fetch("SELECT DISTINCT workspace, scan FROM batch WHERE expires < :at", at=at)
    return {(workspace, scan) for workspace, scan in rows}
