"""The request journal, the list of finished work and the quotas of sources: the only SQL of the collector."""

from collections import Counter
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from typing import Final
from uuid import UUID, uuid4

import msgspec
from msgspec import Struct

from services.collector.manifest import Period
from services.contracts.evidence import EvidenceRecord
from services.contracts.subjects import CarriedSubject
from services.kernel.sql import Reader, Row, Tx

#: What stands in the status of a record for questions that nobody answered.
UNANSWERED: Final = ("timeout", "servfail", "refused", "broken")

#: Bytes are counted in so many parts, of which each process has one: rows that many write are waited for.
PARTS: Final = 16
_PART: Final = uuid4().int % PARTS

_ENCODER = msgspec.msgpack.Encoder()
_RECORD = msgspec.msgpack.Decoder(EvidenceRecord)
_SUBJECT: msgspec.msgpack.Decoder[CarriedSubject] = msgspec.msgpack.Decoder(CarriedSubject)


class JournalRow(Struct, frozen=True):
    """One finished exchange of a work item, in the turn it was made."""

    workspace: UUID
    item: UUID
    scan: UUID
    turn: int
    record: EvidenceRecord

    @property
    def place(self) -> tuple[bytes, bytes, bytes]:
        return self.workspace.bytes, self.item.bytes, self.record.key


class Window(Struct, frozen=True):
    """A stretch of time that a quota of ``most`` requests is for: from ``begun`` until ``ends`` (UTC microseconds)."""

    period: Period
    begun: int
    ends: int
    most: int


class WorkRow(Struct, frozen=True):
    """A work item whose result was published: when it was begun, and the `digest` of its claims."""

    item: UUID
    scan: UUID
    turn: int
    module: str
    version: int
    outcome: str
    subject: CarriedSubject
    at: int
    claims: bytes


async def write_exchanges(
    tx: Tx, rows: Sequence[JournalRow]
) -> tuple[dict[tuple[bytes, bytes, bytes], EvidenceRecord], list[JournalRow]]:
    """Write exchanges; return those that were there already, which count instead, and those of scans that are gone.

    What an older turn has gives way where it `may_pass`.
    """
    gone = await gone_scans(tx, {row.scan for row in rows})
    late = [row for row in rows if (row.workspace, row.scan) in gone]
    first: dict[tuple[bytes, bytes, bytes], JournalRow] = {}
    for row in rows:
        if (row.workspace, row.scan) not in gone:
            first.setdefault(row.place, row)
    kept = {place: row.record for place, row in first.items()}
    columns = ("workspace", "item", "key", "scan", "turn", "failed", "blob", "record", "bytes")
    encoded = {place: _ENCODER.encode(row.record) for place, row in first.items()}
    sizes = {place: _size(first[place].record, record) for place, record in encoded.items()}
    new = await tx.insert_new(
        "exchange",
        columns,
        ("workspace", "item", "key"),
        [
            (
                *place,
                row.scan.bytes,
                row.turn,
                int(bool(row.record.error)),
                row.record.blob,
                encoded[place],
                sizes[place],
            )
            for place, row in first.items()
        ],
    )
    grown = Counter[bytes]()
    if len(new) < len(first):
        written = {(bytes(workspace), bytes(item), bytes(key)) for workspace, item, key in new}
        for place, row in first.items():
            if place not in written:
                kept[place], sizes[place] = await _write_over(tx, row)
    for (workspace, _, _), size in sizes.items():
        grown[workspace] += size
    await _count_bytes(tx, grown)
    return kept, late


def _size(record: EvidenceRecord, encoded: bytes) -> int:
    """What an exchange takes: its record, and its body as it came."""
    return len(encoded) + (record.size if record.blob is not None else 0)


async def _count_bytes(tx: Tx, grown: Mapping[bytes, int]) -> None:
    rows: list[Row] = [(workspace, _PART, size) for workspace, size in grown.items() if size]
    await tx.bulk_upsert("kept", ("workspace", "part", "bytes"), ("workspace", "part"), rows, {"bytes": "sum"})


async def bytes_kept(view: Reader, workspace: UUID) -> int:
    """What is kept of the evidence of a workspace, and of its uploads."""
    row = await view.fetch_one(
        "SELECT CAST(COALESCE((SELECT SUM(bytes) FROM kept WHERE workspace = :workspace), 0)"
        " + COALESCE((SELECT SUM(bytes) FROM upload WHERE workspace = :workspace), 0) AS BIGINT)",
        workspace=workspace.bytes,
    )
    return max(0, row[0]) if row else 0


async def _write_over(tx: Tx, row: JournalRow) -> tuple[EvidenceRecord, int]:
    """Write an exchange over one of an older turn that may pass; return what is there then, and what it takes more."""
    place = {"workspace": row.workspace.bytes, "item": row.item.bytes, "key": row.record.key}
    while True:
        found = await tx.fetch_one(
            "SELECT turn, record, bytes FROM exchange WHERE workspace = :workspace AND item = :item AND key = :key",
            **place,
        )
        assert found is not None
        turn, there = found[0], _RECORD.decode(found[1])
        if turn >= row.turn or not may_pass(there):
            return there, 0
        encoded = _ENCODER.encode(row.record)
        written = await tx.execute(
            "UPDATE exchange SET turn = :turn, failed = :failed, blob = :blob, record = :record, bytes = :bytes"
            " WHERE workspace = :workspace AND item = :item AND key = :key AND turn = :was",
            was=turn,
            turn=row.turn,
            failed=int(bool(row.record.error)),
            blob=row.record.blob,
            record=encoded,
            bytes=_size(row.record, encoded),
            **place,
        )
        if written:  # and not by somebody else meanwhile
            return row.record, _size(row.record, encoded) - found[2]


def may_pass(record: EvidenceRecord) -> bool:
    """Whether a later turn is to ask again: a failure, an answer that refuses, which a module may read by itself, or
    questions of which none found anything and some were not answered.
    """
    if record.error:
        return True
    if record.protocol == "dns":
        return "found" not in record.status and any(status in record.status for status in UNANSWERED)
    return record.protocol == "http" and (record.status in {"401", "403", "429"} or record.status[:1] == "5")


async def gone_scans(view: Reader, scans: Collection[UUID]) -> set[tuple[UUID, UUID]]:
    """Those of ``scans`` that were deleted, as (workspace, scan)."""
    rows = await view.fetch_in("SELECT workspace, scan FROM tombstone WHERE scan IN :keys", [s.bytes for s in scans])
    return {(UUID(bytes=workspace), UUID(bytes=scan)) for workspace, scan in rows}


async def note_scan(tx: Tx, workspace: UUID, scan: UUID) -> None:
    """Note whose a scan is, as scans says it."""
    await tx.insert_new("scan", ("scan", "workspace"), ("scan",), [(scan.bytes, workspace.bytes)])


async def scan_owners(view: Reader, scans: Iterable[UUID]) -> dict[UUID, UUID]:
    """The workspaces of those of ``scans`` that were worked for, deleted ones too."""
    ids = [each.bytes for each in {*scans}]
    gone = await view.fetch_in("SELECT scan, workspace FROM tombstone WHERE scan IN :keys", ids)
    there = await view.fetch_in("SELECT scan, workspace FROM scan WHERE scan IN :keys", ids)
    return {UUID(bytes=bytes(scan)): UUID(bytes=bytes(workspace)) for scan, workspace in (*gone, *there)}


async def read_exchanges(
    view: Reader, workspace: UUID, items: Sequence[UUID]
) -> dict[UUID, dict[bytes, tuple[int, EvidenceRecord]]]:
    """What is journalled for ``items``: per item, request key to turn and record."""
    rows = await view.fetch_in(
        "SELECT item, turn, record FROM exchange WHERE workspace = :workspace AND item IN :keys",
        [item.bytes for item in items],
        workspace=workspace.bytes,
    )
    found: dict[UUID, dict[bytes, tuple[int, EvidenceRecord]]] = {}
    for item, turn, encoded in rows:
        record = _RECORD.decode(encoded)
        found.setdefault(UUID(bytes=item), {})[record.key] = (turn, record)
    return found


async def is_begun(view: Reader, workspace: UUID, scan: UUID) -> bool:
    """Whether any exchange of a scan is journalled."""
    row = await view.fetch_one(
        "SELECT 1 FROM exchange WHERE workspace = :workspace AND scan = :scan LIMIT 1",
        workspace=workspace.bytes,
        scan=scan.bytes,
    )
    return row is not None


async def find_answer(view: Reader, workspace: UUID, scan: UUID, key: bytes) -> EvidenceRecord | None:
    """The latest answer that any item of a scan got to the request ``key``; failures are none."""
    rows = await view.fetch(
        "SELECT record FROM exchange WHERE workspace = :workspace AND scan = :scan AND key = :key AND failed = 0",
        workspace=workspace.bytes,
        scan=scan.bytes,
        key=key,
    )
    return max((_RECORD.decode(row[0]) for row in rows), key=lambda record: record.at, default=None)


async def take_work(tx: Tx, workspace: UUID, rows: Sequence[WorkRow]) -> set[UUID]:
    """Note that the results of items are published, one row each; return those that nobody has published in their turn
    or a later one: the others are not for us to say.
    """
    columns = ("workspace", "item", "scan", "turn", "module", "version", "outcome", "subject", "at", "claims")
    written = await tx.insert_new(
        "work",
        columns,
        ("workspace", "item"),
        [
            (
                workspace.bytes,
                row.item.bytes,
                row.scan.bytes,
                row.turn,
                row.module,
                row.version,
                row.outcome,
                _ENCODER.encode(row.subject),
                row.at,
                row.claims,
            )
            for row in rows
        ],
    )
    taken = {UUID(bytes=bytes(row[1])) for row in written}
    for row in sorted((row for row in rows if row.item not in taken), key=lambda row: row.item):
        changed = await tx.execute(
            "UPDATE work SET turn = :turn, version = :version, outcome = :outcome, at = :at, claims = :claims"
            " WHERE workspace = :workspace AND item = :item AND turn < :turn",
            workspace=workspace.bytes,
            item=row.item.bytes,
            turn=row.turn,
            version=row.version,
            outcome=row.outcome,
            at=row.at,
            claims=row.claims,
        )
        if changed:
            taken.add(row.item)
    return taken


async def take_hold(tx: Tx, workspace: UUID, batch: UUID, holder: UUID, at: int, stale: int) -> bool:
    """Note who works on a batch, unless another does who has said so since ``stale``; say whether it is ``holder``."""
    columns = ("workspace", "batch", "holder", "at")
    if await tx.insert_new("hold", columns, columns[:2], [(workspace.bytes, batch.bytes, holder.bytes, at)]):
        return True
    return bool(
        await tx.execute(
            "UPDATE hold SET holder = :holder, at = :at WHERE workspace = :workspace AND batch = :batch"
            " AND (at < :stale OR holder = :holder)",
            workspace=workspace.bytes,
            batch=batch.bytes,
            holder=holder.bytes,
            at=at,
            stale=stale,
        )
    )


async def renew_holds(tx: Tx, holder: UUID, at: int) -> None:
    """Say that all that a holder works on goes on."""
    await tx.execute("UPDATE hold SET at = :at WHERE holder = :holder", holder=holder.bytes, at=at)


async def release_hold(tx: Tx, workspace: UUID, batch: UUID, holder: UUID) -> None:
    """Leave a batch to anybody."""
    await tx.execute(
        "DELETE FROM hold WHERE workspace = :workspace AND batch = :batch AND holder = :holder",
        workspace=workspace.bytes,
        batch=batch.bytes,
        holder=holder.bytes,
    )


async def hold_bodies(tx: Tx, workspaces: Iterable[UUID], *, alone: bool = False) -> None:
    """Let nobody drop bodies of these workspaces while exchanges are written, or write them while some are dropped."""
    for workspace in sorted(set(workspaces)):
        await tx.lock(f"bodies {workspace.hex}", shared=not alone)


async def published(view: Reader, workspace: UUID, items: Sequence[UUID]) -> dict[UUID, int]:
    """Items whose results were published, with the turn they were published in."""
    rows = await view.fetch_in(
        "SELECT item, turn FROM work WHERE workspace = :workspace AND item IN :keys",
        [item.bytes for item in items],
        workspace=workspace.bytes,
    )
    return {UUID(bytes=item): turn for item, turn in rows}


async def work_of(view: Reader, workspace: UUID, scan: UUID) -> AsyncIterator[list[WorkRow]]:
    """All finished work of a scan, in the order of the items."""
    async for rows in view.stream(
        "SELECT item, scan, turn, module, version, outcome, subject, at, claims FROM work"
        " WHERE workspace = :workspace AND scan = :scan ORDER BY item",
        workspace=workspace.bytes,
        scan=scan.bytes,
        size=200,
    ):
        yield [
            WorkRow(
                UUID(bytes=item), UUID(bytes=of), turn, module, version, outcome, _SUBJECT.decode(subject), at, claims
            )
            for item, of, turn, module, version, outcome, subject, at, claims in rows
        ]


async def read_quota(view: Reader, source: str, holder: str, windows: Sequence[Window]) -> list[dict[UUID, int]]:
    """The requests that each workspace made in each of ``windows``."""
    rows = await view.fetch(
        "SELECT period, begun, workspace, used FROM quota WHERE source = :source AND holder = :holder",
        source=source,
        holder=holder,
    )
    found: dict[tuple[str, int], dict[UUID, int]] = {}
    for period, begun, workspace, used in rows:
        found.setdefault((period, begun), {})[UUID(bytes=workspace)] = used
    return [found.get((window.period, window.begun), {}) for window in windows]


async def read_quotas(view: Reader) -> list[tuple[str, Period, int, int]]:
    """The requests to each source in each stretch of time, whoever made them: (source, period, begun, count)."""
    rows = await view.fetch("SELECT source, period, begun, SUM(used) FROM quota GROUP BY source, period, begun")
    return [(source, period, begun, int(used)) for source, period, begun, used in rows]


async def count_request(tx: Tx, source: str, holder: str, workspace: UUID, windows: Sequence[Window]) -> None:
    """Count one request in each of ``windows``, and forget those before them."""
    columns = ("source", "holder", "period", "begun", "workspace", "used")
    rows: list[Row] = [(source, holder, window.period, window.begun, workspace.bytes, 1) for window in windows]
    await tx.bulk_upsert("quota", columns, columns[:-1], rows, {"used": "sum"})
    await tx.execute_many(
        "DELETE FROM quota WHERE source = :source AND holder = :holder AND period = :period AND begun < :begun",
        [{"source": source, "holder": holder, "period": window.period, "begun": window.begun} for window in windows],
    )


async def write_upload(tx: Tx, workspace: UUID, digest: bytes, size: int, at: int) -> None:
    """Note that a blob was uploaded, and when it last was, so that it stays."""
    columns = ("workspace", "digest", "bytes", "at")
    row = (workspace.bytes, digest, size, at)
    await tx.bulk_upsert("upload", columns, columns[:2], [row], dict.fromkeys(columns[2:], "replace"))


async def delete_upload(tx: Tx, workspace: UUID, digest: bytes, until: int) -> None:
    """Forget an upload that was not made again after a time: then a scan is to come that has it."""
    await tx.execute(
        "DELETE FROM upload WHERE workspace = :workspace AND digest = :digest AND at <= :until",
        workspace=workspace.bytes,
        digest=digest,
        until=until,
    )


async def delete_scan(tx: Tx, workspace: UUID, scan: UUID) -> list[bytes]:
    """Forget a scan, for what comes late too; return the blobs that nothing refers to any more."""
    values = {"workspace": workspace.bytes, "scan": scan.bytes}
    await tx.insert_new("tombstone", ("workspace", "scan"), ("workspace", "scan"), [(workspace.bytes, scan.bytes)])
    rows = await tx.fetch(
        "SELECT DISTINCT blob FROM exchange WHERE workspace = :workspace AND scan = :scan AND blob IS NOT NULL",
        **values,
    )
    size = await tx.fetch_one(
        "SELECT CAST(COALESCE(SUM(bytes), 0) AS BIGINT) FROM exchange WHERE workspace = :workspace AND scan = :scan",
        **values,
    )
    await _count_bytes(tx, {workspace.bytes: -size[0] if size else 0})
    await tx.execute("DELETE FROM scan WHERE workspace = :workspace AND scan = :scan", **values)
    await tx.execute("DELETE FROM exchange WHERE workspace = :workspace AND scan = :scan", **values)
    await tx.execute("DELETE FROM work WHERE workspace = :workspace AND scan = :scan", **values)
    return await unreferred(tx, workspace, [bytes(row[0]) for row in rows])


async def unreferred(view: Reader, workspace: UUID, blobs: Sequence[bytes]) -> list[bytes]:
    """Those of ``blobs`` that are neither the body of an exchange nor an upload."""
    used: set[bytes] = set()
    for statement in (
        "SELECT DISTINCT blob FROM exchange WHERE workspace = :workspace AND blob IN :keys",
        "SELECT digest FROM upload WHERE workspace = :workspace AND digest IN :keys",
    ):
        used.update(bytes(row[0]) for row in await view.fetch_in(statement, blobs, workspace=workspace.bytes))
    return [blob for blob in blobs if blob not in used]
