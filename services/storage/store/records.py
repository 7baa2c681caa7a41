"""Evidence records as they are stored."""

from collections.abc import AsyncIterator
from typing import Final, NamedTuple
from uuid import UUID

import msgspec

from services.contracts.evidence import EvidenceRecord
from services.kernel.sql import Reader, Row

_record = msgspec.msgpack.Decoder(EvidenceRecord).decode

RECORD: Final = "record.scan, result.item, result.module, result.version, record.id, record.content"


class StoredRecord(NamedTuple):
    scan: bytes
    item: bytes
    module: str
    version: int
    record: EvidenceRecord


async def find_records(view: Reader, workspace: UUID, low: bytes, high: bytes, most: int) -> list[StoredRecord]:
    """Up to ``most`` records whose id, and as many whose blob, lies between two digests; each once in a scan."""
    found: dict[tuple[bytes, bytes], StoredRecord] = {}
    for column in ("id", "blob"):
        # The digests first, which an index has; what belongs to them after that.
        rows = await view.fetch(
            f"SELECT {RECORD} FROM (SELECT scan, id, min(result) AS result FROM record WHERE workspace = :workspace"  # noqa: S608  two literals
            f" AND {column} >= :low AND {column} <= :high GROUP BY id, scan ORDER BY id, scan LIMIT :most) AS told"
            " JOIN record ON record.workspace = :workspace AND record.scan = told.scan AND record.result = told.result"
            " AND record.id = told.id"
            " JOIN result ON result.workspace = :workspace AND result.number = told.result"
            " ORDER BY told.id, told.scan",
            workspace=workspace.bytes,
            low=low,
            high=high,
            most=most,
        )
        found.update(((record.record.id, record.scan), record) for record in map(_stored_record, rows))
    return list(found.values())


async def records_of(view: Reader, workspace: UUID, scan: UUID) -> AsyncIterator[list[StoredRecord]]:
    """The records of a scan in the order of their ids; what several items share once, unless it differs among them."""
    before: Row = ()
    async for rows in view.stream(
        f"SELECT {RECORD} FROM record JOIN result ON result.workspace = record.workspace"  # noqa: S608  columns only
        " AND result.number = record.result WHERE record.workspace = :workspace AND record.scan = :scan"
        " ORDER BY record.id, record.result",
        size=500,
        workspace=workspace.bytes,
        scan=scan.bytes,
    ):
        records = []
        for row in rows:
            if row[4:] != before:
                records.append(_stored_record(row))
                before = row[4:]
        yield records


def _stored_record(row: Row) -> StoredRecord:
    scan, item, module, version, identity, content = row
    return StoredRecord(bytes(scan), bytes(item), module, version, read_record(bytes(identity), content))


def read_record(identity: bytes, content: bytes) -> EvidenceRecord:
    """The record under the id that it is kept by; bytes that are none make one whose id does not fit."""
    try:
        record = _record(content)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return EvidenceRecord(id=identity, protocol="", request="", key=b"", at=0, error="unreadable: no record")
    return record if record.id == identity else msgspec.structs.replace(record, id=identity)
