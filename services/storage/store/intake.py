"""Writes what the collectors found, in whole batches; every row by its natural key, so that twice is once."""

from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import count
from secrets import randbelow
from typing import Final
from uuid import UUID

from services.kernel.errors import Conflict
from services.kernel.messages import now
from services.kernel.sql import Reader, Row, Tx
from services.storage.domain import Changes, Rows, Seen, has_moved, key_text, qualifiers_text

CLAIM: Final = (
    "workspace",
    "about",
    "result",
    "id",
    "scan",
    "claim",
    "kind",
    "name",
    "value",
    "at",
    "recorded_at",
    "confidence",
    "valid_from",
    "valid_to",
    "place",
    "details",
    "evidence",
)
ENTITY: Final = ("workspace", "id", "number", "type", "key", "value", "first_seen", "last_seen")
RELATION: Final = ("workspace", "source", "id", "number", "type", "target", "qualifiers")
SIGHTING: Final = ("workspace", "scan", "entity", "type", "first_seen", "last_seen", "recorded_at", "role", "distance")
ADMISSION: Final = ("workspace", "entity", "scan", "role", "distance", "recorded_at", "first_at", "last_at")
RECORD: Final = ("workspace", "scan", "result", "id", "blob", "content")
RESULT: Final = (
    "workspace",
    "scan",
    "item",
    "turn",
    "number",
    "module",
    "version",
    "subject",
    "seen",
    "parts",
    "outcome",
    "zone",
)

_UNCLAIMED: Final[tuple[dict[bytes, None], dict[bytes, None]]] = ({}, {})

#: The number of an entity or a relation, by its workspace and id.
Numbers = dict[tuple[bytes, bytes], int]

#: Numbers grow with time and are given without asking anybody: each process counts on from when it began, give or take
#: a second, lest two that begin at once meet. Those of entities are even, those of relations odd, so that a claim's
#: says which of both it is about.
_NEXT: Final[dict[str, Iterator[int]]] = {}


def count_from_now() -> None:
    """Give numbers from now on that no process has given."""
    begin = (now() << 11) + 2 * randbelow(1 << 30)
    _NEXT.update({"entity": count(begin, 2), "relation": count(begin + 1, 2), "result": count(begin)})


count_from_now()


async def hold_entities(tx: Tx, workspaces: Iterable[UUID], *, alone: bool = False) -> None:
    """Let nobody remove what these workspaces have while it is written, or write it while it is removed."""
    for workspace in sorted(set(workspaces)):
        await tx.lock(f"entities {workspace.hex}", shared=not alone)


async def scan_owners(view: Reader, scans: Iterable[UUID]) -> dict[UUID, UUID]:
    """The workspaces of those of ``scans`` of which anything was heard."""
    rows = await view.fetch_in("SELECT id, workspace FROM scan WHERE id IN :keys", [each.bytes for each in {*scans}])
    return {UUID(bytes=bytes(scan)): UUID(bytes=bytes(workspace)) for scan, workspace in rows}


async def deleted_scans(view: Reader, scans: Sequence[bytes]) -> set[tuple[bytes, bytes]]:
    """Those of ``scans`` that are to be forgotten, as (workspace, scan)."""
    rows = await view.fetch_in("SELECT workspace, id FROM scan WHERE deleted = 1 AND id IN :keys", scans)
    return {(bytes(workspace), bytes(scan)) for workspace, scan in rows}


async def withdrawn_scans(view: Reader, scans: Collection[bytes]) -> set[tuple[bytes, bytes]]:
    """Those of ``scans`` of which something is withdrawn, as (workspace, scan)."""
    rows = await view.fetch_in("SELECT workspace, id FROM scan WHERE withdrawn = 1 AND id IN :keys", list(scans))
    return {(bytes(workspace), bytes(scan)) for workspace, scan in rows}


async def note_scans(tx: Tx, scans: Iterable[tuple[UUID, UUID]]) -> None:
    """Note of (workspace, scan) whose it is, when first anything is heard of it."""
    rows = [(workspace.bytes, scan.bytes, 0, 0) for workspace, scan in sorted({*scans})]
    await tx.insert_new("scan", ("workspace", "id", "admissions", "deleted"), ("workspace", "id"), rows)


async def write_rows(tx: Tx, rows: Rows, at: int) -> Changes:
    """Write a folded batch, recorded ``at``; return of what scans say something else now.

    That is what anything was claimed of, as if nobody had claimed the same before: a work item hardly ever does.
    Otherwise an entity that claims name as an end, or a scan admits, is what it was unless its place there is another.
    """
    changes = Changes()
    try:
        numbers = await _write_entities(tx, rows, at, changes)
        numbers |= await _write_relations(tx, rows, numbers)
        results = await _write_results(tx, rows)
    except Conflict:
        count_from_now()  # two processes met after all: the next try has other numbers
        raise
    await tx.bulk_upsert(
        "claim",
        CLAIM,
        ("workspace", "about", "scan", "id"),
        [(space, numbers[space, about], results[result], *said) for space, about, result, *said in rows.claims],
        {"result": "min", "at": "min", "recorded_at": "min", "evidence": "min"},
    )
    await tx.bulk_upsert(
        "record",
        RECORD,
        ("workspace", "scan", "result", "id"),
        [(space, scan, results[result], *record) for space, scan, result, *record in rows.records],
        {},
    )
    for (space, scan), (entities, relations) in rows.claimed.items():
        sources = ((rows.relations[space, identity][1], identity) for identity in relations)
        changes.add(space, scan, entities, sources)
    return changes


async def _write_results(tx: Tx, rows: Rows) -> Mapping[Row, int]:
    """Write how far results are; return their numbers."""
    numbers, fresh = await _number(tx, "result", RESULT, rows.results)
    await tx.bulk_upsert(
        "result",
        RESULT,
        ("workspace", "scan", "item", "turn"),
        [(*place, numbers[place], *answer) for place, answer in rows.results.items() if place not in fresh],
        {"seen": "sum", "parts": "max", "outcome": "max"},
    )
    return numbers


async def _write_entities(tx: Tx, rows: Rows, at: int, changes: Changes) -> Numbers:
    """Write entities and where they were seen; return their numbers, and note whose place in a scan is another."""
    described = {
        place: (seen.entity.type, key_text(seen.entity), seen.entity.value, seen.first, seen.last)
        for place, seen in rows.entities.items()
    }
    numbers, fresh = await _number(tx, "entity", ENTITY, described)
    await tx.bulk_upsert(
        "unindexed",
        ("workspace", "entity"),
        ("workspace", "entity"),
        [(place[0], numbers[place]) for place in fresh],
        {},
    )
    await tx.bulk_upsert(
        "entity",
        ENTITY,
        ("workspace", "id"),
        [(*place, numbers[place], *row) for place, row in described.items() if place not in fresh],
        {"first_seen": "min", "last_seen": "max"},
    )
    await _note_moved(tx, rows, numbers, fresh, changes)
    await tx.bulk_upsert(
        "sighting",
        SIGHTING,
        ("workspace", "entity", "scan"),
        [
            (space, scan, numbers[space, identity], entity.type, first, last, at, rank, distance)
            for (space, scan, identity), (entity, first, last, rank, distance) in rows.sightings.items()
        ],
        {"first_seen": "min", "last_seen": "max", "role": "min", "distance": "min"},
    )
    await tx.bulk_upsert(
        "admission",
        ADMISSION,
        ADMISSION[:5],
        [
            (space, numbers[space, identity], scan, rank, distance, at, *times)
            for (space, identity, scan, rank, distance), times in rows.admissions.items()
        ],
        {"first_at": "min", "last_at": "max"},
    )
    return numbers


async def _note_moved(tx: Tx, rows: Rows, numbers: Numbers, fresh: set[Row], changes: Changes) -> None:
    """Note those that a scan has not seen yet, or not in so strong a role or so near."""
    open_places: dict[tuple[bytes, bytes], dict[int, tuple[bytes, Seen]]] = {}
    for (space, scan, identity), seen in rows.sightings.items():
        if (space, identity) in fresh:
            changes.add(space, scan, (identity,))
        elif identity not in rows.claimed.get((space, scan), _UNCLAIMED)[0]:  # else it is said in any case
            open_places.setdefault((space, scan), {})[numbers[space, identity]] = (identity, seen)
    for (space, scan), places in open_places.items():
        found = await tx.fetch_in(
            "SELECT entity, role, distance FROM sighting WHERE workspace = :workspace AND scan = :scan"
            " AND entity IN :keys",
            list(places),
            workspace=space,
            scan=scan,
        )
        known = {number: (rank, distance) for number, rank, distance in found}
        changes.add(
            space,
            scan,
            (
                identity
                for number, (identity, seen) in places.items()
                if number not in known or has_moved(*known[number], seen)
            ),
        )


async def _write_relations(tx: Tx, rows: Rows, ends: Numbers) -> Numbers:
    """Write relations between entities that have their numbers; return those of the relations."""
    described = {
        (space, ends[space, source], identity): (relation.type, ends[space, target], qualifiers_text(relation))
        for (space, identity), (relation, source, target) in rows.relations.items()
    }
    numbers, _ = await _number(tx, "relation", RELATION, described)
    return {(space, identity): number for (space, _, identity), number in numbers.items()}


async def _number(
    tx: Tx, table: str, columns: Sequence[str], described: Mapping[Row, Row]
) -> tuple[dict[Row, int], set[Row]]:
    """Insert what is new, under numbers of its own; return the numbers of all, by their keys, and what was new.

    The columns before the number are the key.
    """
    given = {key: next(_NEXT[table]) for key in described}
    rows = [(*key, number, *described[key]) for key, number in given.items()]
    numbers = await tx.insert_numbered(table, columns, columns[: columns.index("number")], "number", rows)
    return numbers, {key for key, number in numbers.items() if number == given[key]}


async def count_admissions(tx: Tx, counts: Mapping[tuple[UUID, UUID], int]) -> None:
    """Count messages of admissions per (workspace, scan)."""
    await tx.bulk_upsert(
        "scan",
        ("workspace", "id", "admissions", "deleted"),
        ("workspace", "id"),
        [(workspace.bytes, scan.bytes, count, 0) for (workspace, scan), count in counts.items()],
        {"admissions": "sum"},
    )


async def delete_scan(tx: Tx, workspace: UUID, scan: UUID) -> AsyncIterator[list[int]]:
    """Forget a scan and refold what it touched; yield the numbers of entities that are gone with it, in lists."""
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
        yield await _forget_entities(tx, values, [row[0] for row in rows])
    await tx.execute(
        "DELETE FROM relation WHERE workspace = :workspace AND number IN"
        " (SELECT about FROM claim WHERE workspace = :workspace AND scan = :scan AND kind = 1) AND NOT EXISTS"
        " (SELECT 1 FROM claim AS other WHERE other.workspace = :workspace AND other.about = relation.number"
        " AND other.scan <> :scan)",
        **values,
    )
    await tx.execute("DELETE FROM claim WHERE workspace = :workspace AND scan = :scan", **values)
    await tx.execute("DELETE FROM sighting WHERE workspace = :workspace AND scan = :scan", **values)
    await tx.execute("DELETE FROM withheld WHERE workspace = :workspace AND scan = :scan", **values)
    await tx.execute("DELETE FROM record WHERE workspace = :workspace AND scan = :scan", **values)
    await tx.execute("DELETE FROM result WHERE workspace = :workspace AND scan = :scan", **values)
    await tx.execute("DELETE FROM retraction WHERE workspace = :workspace AND scan = :scan", **values)


async def _forget_entities(tx: Tx, values: Mapping[str, bytes], numbers: Sequence[int]) -> list[int]:
    """Remove entities that no other scan saw, and narrow the times of the others; return those that are gone."""
    rows = await tx.fetch_in(
        "SELECT DISTINCT entity FROM sighting WHERE workspace = :workspace AND scan <> :scan AND entity IN :keys",
        numbers,
        **values,
    )
    kept = {row[0] for row in rows}
    gone = [number for number in numbers if number not in kept]
    space = values["workspace"]
    await tx.execute_in(
        "DELETE FROM admission WHERE workspace = :workspace AND scan = :scan AND entity IN :keys", numbers, **values
    )
    await tx.execute_in("DELETE FROM entity WHERE workspace = :workspace AND number IN :keys", gone, workspace=space)
    await tx.execute_in("DELETE FROM unindexed WHERE workspace = :workspace AND entity IN :keys", gone, workspace=space)
    await tx.execute_in(
        "UPDATE entity SET first_seen = (SELECT min(other.first_seen) FROM sighting AS other"
        " WHERE other.workspace = :workspace AND other.entity = entity.number AND other.scan <> :scan),"
        " last_seen = (SELECT max(other.last_seen) FROM sighting AS other"
        " WHERE other.workspace = :workspace AND other.entity = entity.number AND other.scan <> :scan)"
        " WHERE workspace = :workspace AND number IN :keys",
        sorted(kept),
        **values,
    )
    return gone
