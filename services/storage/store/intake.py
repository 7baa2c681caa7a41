"""Writes what the collectors found, in whole batches; every row by its natural key, so that twice is once."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Final
from uuid import UUID

from services.kernel.sql import Reader, Tx
from services.storage.domain import Rows, key_text, qualifiers_text

CLAIM: Final = (
    "workspace",
    "id",
    "scan",
    "claim",
    "about",
    "kind",
    "name",
    "value",
    "item",
    "module",
    "version",
    "at",
    "recorded_at",
    "confidence",
    "valid_from",
    "valid_to",
    "place",
    "details",
    "evidence",
)
ENTITY: Final = ("workspace", "id", "type", "key", "value", "first_seen", "last_seen")
SIGHTING: Final = ("workspace", "scan", "entity", "type", "first_seen", "last_seen", "role", "distance")
RESULT: Final = ("workspace", "scan", "item", "turn", "module", "version", "subject", "seen", "parts", "outcome")


async def deleted_scans(view: Reader, scans: Sequence[bytes]) -> set[tuple[bytes, bytes]]:
    """Those of ``scans`` that are to be forgotten, as (workspace, scan)."""
    rows = await view.fetch_in("SELECT workspace, id FROM scan WHERE deleted = 1 AND id IN :keys", scans)
    return {(bytes(workspace), bytes(scan)) for workspace, scan in rows}


async def write_rows(tx: Tx, rows: Rows) -> None:
    """Write a folded batch."""
    await _write_entities(tx, rows)
    await tx.insert_new(
        "relation",
        ("workspace", "id", "type", "source", "target", "qualifiers"),
        ("workspace", "id"),
        [
            (space, identity, relation.type, source, target, qualifiers_text(relation))
            for (space, identity), (relation, source, target) in rows.relations.items()
        ],
    )
    await tx.bulk_upsert(
        "claim",
        CLAIM,
        ("workspace", "about", "scan", "id"),
        rows.claims,
        {"at": "min", "recorded_at": "min", "evidence": "min"},
    )
    await tx.bulk_upsert(
        "record",
        ("workspace", "scan", "id", "item", "blob", "content"),
        ("workspace", "id", "scan"),
        rows.records,
        {"item": "min"},
    )
    await tx.bulk_upsert(
        "result",
        RESULT,
        ("workspace", "scan", "item", "turn"),
        rows.results,
        {"seen": "sum", "parts": "max", "outcome": "max"},
    )


async def _write_entities(tx: Tx, rows: Rows) -> None:
    written = {
        (space, identity): (space, identity, seen.entity.type, key_text(seen.entity), seen.entity.value, *seen[1:3])
        for (space, identity), seen in rows.entities.items()
    }
    new = await tx.insert_new("entity", ENTITY, ("workspace", "id"), list(written.values()))
    fresh = {(bytes(space), bytes(identity)) for space, identity in new}
    await tx.bulk_upsert("unindexed", ("workspace", "id"), ("workspace", "id"), list(fresh), {})
    await tx.bulk_upsert(
        "entity",
        ENTITY,
        ("workspace", "id"),
        [row for place, row in written.items() if place not in fresh],
        {"first_seen": "min", "last_seen": "max"},
    )
    await tx.bulk_upsert(
        "sighting",
        SIGHTING,
        ("workspace", "entity", "scan"),
        [
            (space, scan, identity, seen.entity.type, *seen[1:])
            for (space, scan, identity), seen in rows.sightings.items()
        ],
        {"first_seen": "min", "last_seen": "max", "role": "min", "distance": "min"},
    )


async def count_admissions(tx: Tx, counts: dict[tuple[UUID, UUID], int]) -> None:
    """Count messages of admissions per (workspace, scan)."""
    await tx.bulk_upsert(
        "scan",
        ("workspace", "id", "admissions", "deleted"),
        ("workspace", "id"),
        [(workspace.bytes, scan.bytes, count, 0) for (workspace, scan), count in counts.items()],
        {"admissions": "sum"},
    )


async def delete_scan(tx: Tx, workspace: UUID, scan: UUID) -> AsyncIterator[list[bytes]]:
    """Forget a scan and refold what it touched; yield the ids of entities that are gone with it, in lists."""
    values = {"workspace": workspace.bytes, "scan": scan.bytes}
    await tx.bulk_upsert(
        "scan",
        ("workspace", "id", "admissions", "deleted"),
        ("workspace", "id"),
        [(workspace.bytes, scan.bytes, 0, 1)],
        {"deleted": "replace"},
    )
    async for rows in tx.stream(
        # With its type, which the key does not have: else the database reads the key of all scans of the workspace.
        "SELECT entity, type FROM sighting WHERE workspace = :workspace AND scan = :scan",
        workspace=workspace.bytes,
        scan=scan.bytes,
    ):
        yield await _forget_entities(tx, values, [bytes(row[0]) for row in rows])
    await tx.execute(
        "DELETE FROM relation WHERE workspace = :workspace AND id IN"
        " (SELECT about FROM claim WHERE workspace = :workspace AND scan = :scan AND kind = 1) AND NOT EXISTS"
        " (SELECT 1 FROM claim AS other WHERE other.workspace = :workspace AND other.about = relation.id"
        " AND other.scan <> :scan)",
        **values,
    )
    await tx.execute("DELETE FROM claim WHERE workspace = :workspace AND scan = :scan", **values)
    await tx.execute("DELETE FROM sighting WHERE workspace = :workspace AND scan = :scan", **values)
    await tx.execute("DELETE FROM record WHERE workspace = :workspace AND scan = :scan", **values)
    await tx.execute("DELETE FROM result WHERE workspace = :workspace AND scan = :scan", **values)


async def _forget_entities(tx: Tx, values: Mapping[str, bytes], ids: Sequence[bytes]) -> list[bytes]:
    """Remove entities that no other scan saw, and narrow the times of the others; return those that are gone."""
    rows = await tx.fetch_in(
        "SELECT DISTINCT entity FROM sighting WHERE workspace = :workspace AND scan <> :scan AND entity IN :keys",
        ids,
        **values,
    )
    kept = {bytes(row[0]) for row in rows}
    gone = [identity for identity in ids if identity not in kept]
    space = values["workspace"]
    await tx.execute_in("DELETE FROM entity WHERE workspace = :workspace AND id IN :keys", gone, workspace=space)
    await tx.execute_in("DELETE FROM unindexed WHERE workspace = :workspace AND id IN :keys", gone, workspace=space)
    await tx.execute_in(
        "UPDATE entity SET first_seen = (SELECT min(other.first_seen) FROM sighting AS other"
        " WHERE other.workspace = :workspace AND other.entity = entity.id AND other.scan <> :scan),"
        " last_seen = (SELECT max(other.last_seen) FROM sighting AS other"
        " WHERE other.workspace = :workspace AND other.entity = entity.id AND other.scan <> :scan)"
        " WHERE workspace = :workspace AND id IN :keys",
        sorted(kept),
        **values,
    )
    return gone
