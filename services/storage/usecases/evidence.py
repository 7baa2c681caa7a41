"""Evidence records, and the claims that rest on them."""

from collections.abc import AsyncGenerator
from typing import Final
from uuid import UUID

from services.contracts.resources import ClaimsQuery, ClaimView, RecordView
from services.kernel.calls import Caller
from services.kernel.errors import Invalid
from services.kernel.service import Ports
from services.storage.domain import record_id, record_ids
from services.storage.store import reading, records
from services.storage.store.when import When
from services.storage.usecases.stored import check_scans

MOST_RECORDS: Final = 10_000


async def find_records(ports: Ports, caller: Caller, digest: str) -> tuple[RecordView, ...]:
    """Records by the beginning of their id or of their blob's sha256."""
    if not 4 <= len(digest) <= 64 or any(character not in "0123456789abcdef" for character in digest.lower()):
        raise Invalid("an evidence hash is 4 to 64 hexadecimal digits")
    low, high = digest.lower().ljust(64, "0"), digest.lower().ljust(64, "f")
    async with ports.sql.read() as view:
        found = await records.find_records(
            view, caller.workspace, bytes.fromhex(low), bytes.fromhex(high), MOST_RECORDS
        )
    return tuple(map(_record_view, found))


async def list_records(ports: Ports, caller: Caller, scan: UUID) -> AsyncGenerator[RecordView, None]:
    """Stream the records of a scan."""
    await check_scans(ports, caller, scan)
    async with ports.sql.read() as view:
        async for page in records.records_of(view, caller.workspace, scan):
            for stored in page:
                yield _record_view(stored)


def _record_view(stored: records.StoredRecord) -> RecordView:
    record = stored.record
    return RecordView(
        id=record.id.hex(),
        blob=None if record.blob is None else record.blob.hex(),
        record=record,
        scan=UUID(bytes=stored.scan),
        item=UUID(bytes=stored.item),
        module=stored.module,
        version=stored.version,
    )


async def list_claims(ports: Ports, caller: Caller, query: ClaimsQuery) -> AsyncGenerator[ClaimView, None]:
    """Stream the claims of a scan, of one item or resting on one record where the query says so."""
    record = record_id(query.record)
    await check_scans(ports, caller, query.scan)
    async with ports.sql.read() as view:
        async for rows in reading.claims_of(
            view,
            caller.workspace,
            query.scan,
            query.item,
            when=When(query.as_of, query.valid_at, query.withdrawn),
        ):
            wanted = [row for row in rows if not record or record in record_ids(row.evidence)]
            for row, claim in zip(wanted, await reading.spoken(view, caller.workspace, wanted), strict=True):
                yield ClaimView(
                    key=row.claim.hex(),
                    claim=claim,
                    item=UUID(bytes=row.item),
                    module=row.module,
                    version=row.version,
                    evidence=tuple(identity.hex() for identity in record_ids(row.evidence)),
                    retracted_at=row.retracted_at,
                    unsupported_at=row.unsupported_at,
                )
