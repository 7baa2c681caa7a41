"""What of a scan rests on withdrawn claims alone: who was asked about what, what came of that, and what is unsupported.

Every statement goes by lists of numbers of a bounded length; see `services.storage.usecases.support`.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Final, NamedTuple
from uuid import UUID

from services.kernel.sql import Reader, Tx
from services.storage.domain import RELATION, rank_of, zones_above
from services.storage.store.reached import NAMES
from services.storage.store.withheld import withhold

#: Scans that are looked for at once.
SCANS: Final = 20


class Named(NamedTuple):
    """What a claim names, by its number, and the ends of a relation; and whether the claim is withdrawn."""

    about: int
    source: int | None
    target: int | None
    retracted_at: int | None


async def due(view: Reader) -> list[tuple[UUID, UUID]]:
    """Some scans, by their workspaces, of which something is withdrawn and has changed since it was worked out."""
    rows = await view.fetch(
        "SELECT workspace, id FROM scan WHERE withdrawn = 1 AND deleted = 0 AND changes > supported LIMIT :limit",
        limit=SCANS,
    )
    return [(UUID(bytes=bytes(workspace)), UUID(bytes=bytes(scan))) for workspace, scan in rows]


async def changes_of(view: Reader, workspace: UUID, scan: UUID) -> int:
    """The ordinal of the last change of a scan."""
    row = await view.fetch_one(
        "SELECT changes FROM scan WHERE workspace = :workspace AND id = :scan",
        workspace=workspace.bytes,
        scan=scan.bytes,
    )
    return row[0] if row else 0


async def is_withdrawn(view: Reader, workspace: UUID, scan: UUID) -> bool:
    """Whether any claim of a scan is withdrawn."""
    row = await view.fetch_one(
        "SELECT 1 FROM claim WHERE workspace = :workspace AND scan = :scan AND retracted_at IS NOT NULL LIMIT 1",
        workspace=workspace.bytes,
        scan=scan.bytes,
    )
    return row is not None


async def note_worked_out(tx: Tx, workspace: UUID, scan: UUID, changes: int, *, withdrawn: bool) -> None:
    """Note with which change what is unsupported was worked out, and whether it is to be again after the next."""
    await tx.execute(
        "UPDATE scan SET supported = :changes,"
        " withdrawn = CASE WHEN changes = :changes THEN CAST(:withdrawn AS SMALLINT) ELSE withdrawn END"
        " WHERE workspace = :workspace AND id = :scan",
        workspace=workspace.bytes,
        scan=scan.bytes,
        changes=changes,
        withdrawn=int(withdrawn),
    )


async def targets_of(view: Reader, workspace: UUID, scan: UUID) -> AsyncIterator[list[int]]:
    """The entities that a scan was made for."""
    async for rows in view.stream(
        "SELECT entity FROM sighting WHERE workspace = :workspace AND scan = :scan AND role = :target ORDER BY entity",
        workspace=workspace.bytes,
        scan=scan.bytes,
        target=rank_of("target"),
    ):
        yield [row[0] for row in rows]


async def zones_of(view: Reader, workspace: UUID, scan: UUID) -> dict[str, list[int]]:
    """The results about names or a level of the DNS, by their zones."""
    zones: dict[str, list[int]] = {}
    async for rows in view.stream(
        "SELECT zone, number FROM result WHERE workspace = :workspace AND scan = :scan AND zone <> ''",
        workspace=workspace.bytes,
        scan=scan.bytes,
    ):
        for zone, number in rows:
            zones.setdefault(zone, []).append(number)
    return zones


async def results_of(view: Reader, workspace: UUID, scan: UUID) -> AsyncIterator[list[tuple[int, int | None]]]:
    """All results of a scan, and since when they are unsupported."""
    async for rows in view.stream(
        "SELECT number, unsupported_at FROM result WHERE workspace = :workspace AND scan = :scan",
        size=200,
        workspace=workspace.bytes,
        scan=scan.bytes,
    ):
        yield [(number, since) for number, since in rows]


async def asked_about(
    view: Reader, workspace: UUID, scan: UUID, things: Sequence[int], zones: Mapping[str, Sequence[int]]
) -> list[int]:
    """The results about entities and relations, and about the zones that entities are names in."""
    named = await view.fetch_in(
        "SELECT id, type, value FROM entity WHERE workspace = :workspace AND number IN :keys",
        [number for number in things if number % 2 == 0],
        workspace=workspace.bytes,
    )
    related = await view.fetch_in(
        "SELECT id FROM relation WHERE workspace = :workspace AND number IN :keys",
        [number for number in things if number % 2],
        workspace=workspace.bytes,
    )
    rows = await view.fetch_in(
        "SELECT number FROM result WHERE workspace = :workspace AND scan = :scan AND subject IN :keys",
        [bytes(row[0]) for row in (*named, *related)],
        workspace=workspace.bytes,
        scan=scan.bytes,
    )
    within = (zones.get(zone, ()) for _, kind, value in named if kind in NAMES for zone in zones_above(value))
    return [row[0] for row in rows] + [number for numbers in within for number in numbers]


async def named_by(view: Reader, workspace: UUID, scan: UUID, results: Sequence[int]) -> list[Named]:
    """What the claims name that came with results."""
    rows = await view.fetch_in(
        "SELECT claim.about, relation.source, relation.target, claim.retracted_at FROM claim LEFT JOIN relation"
        " ON claim.kind = :relation AND relation.workspace = claim.workspace AND relation.number = claim.about"
        " WHERE claim.workspace = :workspace AND claim.scan = :scan AND claim.result IN :keys",
        results,
        workspace=workspace.bytes,
        scan=scan.bytes,
        relation=RELATION,
    )
    return [Named(*row) for row in rows]


async def withhold_results(
    tx: Tx, workspace: UUID, scan: UUID, results: Sequence[int], at: int, *, supported: bool
) -> list[tuple[bytes, int]]:
    """Let what came with results be unsupported from ``at`` on, or no more.

    Returns of each claim that this is another thing for, the scan and the number of what it is about.
    """
    await tx.execute_in(
        "UPDATE result SET unsupported_at = CAST(:at AS BIGINT) WHERE workspace = :workspace AND number IN :keys"
        " AND (unsupported_at IS NULL) <> (CAST(:at AS BIGINT) IS NULL)",
        results,
        workspace=workspace.bytes,
        at=None if supported else at,
    )
    rows = await tx.fetch_in(
        "SELECT about, id, unsupported_at FROM claim WHERE workspace = :workspace AND scan = :scan AND result IN :keys",
        results,
        workspace=workspace.bytes,
        scan=scan.bytes,
    )
    changed = sorted(
        (about, scan.bytes, bytes(identity), since)
        for about, identity, since in rows
        if (since is None) is not supported
    )
    await withhold(tx, workspace, "unsupported_at", changed, at)
    return [(scan.bytes, about) for about, *_ in changed]


async def unsupported(view: Reader, workspace: UUID, scan: UUID, subjects: Sequence[bytes]) -> set[bytes]:
    """Those of ``subjects`` of which a result is unsupported."""
    rows = await view.fetch_in(
        "SELECT subject FROM result WHERE workspace = :workspace AND scan = :scan AND subject IN :keys"
        " AND unsupported_at IS NOT NULL",
        subjects,
        workspace=workspace.bytes,
        scan=scan.bytes,
    )
    return {bytes(row[0]) for row in rows}
