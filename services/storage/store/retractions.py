"""Retractions: what is withdrawn, and the claims that they take in."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final
from uuid import UUID

from services.contracts.resources import Retraction
from services.kernel.sql import Merge, Reader, Row, Tx
from services.storage.domain import Told, is_withdrawn, retraction_id, takes_in
from services.storage.store.withheld import withhold

TOLD: Final = "number, module, version, scan"
_COLUMNS: Final = (
    "workspace",
    "id",
    "module",
    "version",
    "source",
    "modules",
    "scan",
    "record",
    "since",
    "reason",
    "at",
    "ending",
)


async def doubted(
    view: Reader, workspace: UUID, scan: UUID, answers: Collection[tuple[str, bytes]]
) -> set[tuple[str, bytes]]:
    """Those of a scan's answers, as (module, subject), of which something is withdrawn or that are unsupported."""
    stand = await standing(view, workspace)
    if not stand:
        return set()
    records = {bytes.fromhex(each.record) for each in stand if each.record}
    rows = await view.fetch_in(
        f"SELECT {TOLD}, subject, unsupported_at FROM result"  # noqa: S608  columns only
        " WHERE workspace = :workspace AND scan = :scan AND subject IN :keys",
        list({subject for _, subject in answers}),
        workspace=workspace.bytes,
        scan=scan.bytes,
    )
    resting = await _resting_on(view, workspace, records)
    found = set()
    for *told, subject, unsupported_at in rows:
        result = _told(told)
        taken_in = any(takes_in(each, result) and (not each.record or result.number in resting) for each in stand)
        if taken_in or unsupported_at is not None:
            found.add((result.module, bytes(subject)))
    return found


async def standing(view: Reader, workspace: UUID, *, with_ending: bool = False) -> list[Retraction]:
    """What is withdrawn in a workspace, oldest first; ``with_ending``: what is being undone, too."""
    rows = await view.fetch(
        "SELECT module, version, source, modules, scan, record, since, reason, at FROM retraction"
        " WHERE workspace = :workspace AND ending <= :ending ORDER BY at, id",
        workspace=workspace.bytes,
        ending=int(with_ending),
    )
    return [
        Retraction(
            module=module,
            version=version,
            source=source,
            modules=tuple(modules.split()),
            scan=None if scan is None else UUID(bytes=bytes(scan)),
            record="" if record is None else bytes(record).hex(),
            since=since,
            reason=reason,
            at=at,
        )
        for module, version, source, modules, scan, record, since, reason, at in rows
    ]


async def hold(tx: Tx, workspaces: Iterable[UUID], *, alone: bool = True) -> None:
    """Let nobody else withdraw or restore anything in workspaces until the transaction ends.

    Who writes claims holds it beside others: so whoever withdraws sees all that was written by who did not know of it.
    """
    for workspace in sorted({*workspaces}):
        await tx.lock(f"retractions {workspace.hex}", shared=not alone)


async def note(tx: Tx, workspace: UUID, retraction: Retraction) -> None:
    """Write a retraction; said again, the first time counts, and the newest reason and modules."""
    row = (
        workspace.bytes,
        retraction_id(retraction),
        retraction.module,
        retraction.version,
        retraction.source,
        " ".join(retraction.modules),
        None if retraction.scan is None else retraction.scan.bytes,
        bytes.fromhex(retraction.record) or None,
        retraction.since,
        retraction.reason,
        retraction.at,
        0,
    )
    replaced: dict[str, Merge] = {"reason": "replace", "modules": "replace", "ending": "replace"}
    await tx.bulk_upsert("retraction", _COLUMNS, ("workspace", "id"), [row], replaced)


async def begin_undoing(tx: Tx, workspace: UUID, retraction: Retraction) -> None:
    """Have a retraction take in nothing that comes from now on; it is listed until all is restored."""
    await tx.execute(
        "UPDATE retraction SET ending = 1 WHERE workspace = :workspace AND id = :id",
        workspace=workspace.bytes,
        id=retraction_id(retraction),
    )


async def drop(tx: Tx, workspace: UUID, retraction: Retraction) -> None:
    await tx.execute(
        "DELETE FROM retraction WHERE workspace = :workspace AND id = :id",
        workspace=workspace.bytes,
        id=retraction_id(retraction),
    )


async def results_of(view: Reader, workspace: UUID, retraction: Retraction, after: int, limit: int) -> list[Told]:
    """The next results, by their numbers, whose claims a retraction is about."""
    values: dict[str, object] = {f"module{place}": module for place, module in enumerate(retraction.modules)}
    conditions = [f" AND module IN ({', '.join(f':{name}' for name in values)})"] if values else []
    for column, value in (
        ("module", retraction.module or None),
        ("version", retraction.version),
        ("scan", retraction.scan.bytes if retraction.scan else None),
    ):
        if value is not None:
            conditions.append(f" AND {column} = :{column}")
            values[column] = value
    asked = f"SELECT {TOLD} FROM result WHERE workspace = :workspace AND number > :after{''.join(conditions)}"  # noqa: S608  columns only
    if not retraction.record:
        rows = await view.fetch(
            f"{asked} ORDER BY number LIMIT :limit", workspace=workspace.bytes, after=after, limit=limit, **values
        )
        return [_told(row) for row in rows]
    numbers = sorted(await _resting_on(view, workspace, {bytes.fromhex(retraction.record)}))
    page = [number for number in numbers if number > after][:limit]
    rows = await view.fetch_in(f"{asked} AND number IN :keys", page, workspace=workspace.bytes, after=after, **values)
    return sorted(_told(row) for row in rows)


async def results_with(view: Reader, workspace: UUID, items: Collection[tuple[bytes, bytes]]) -> list[Told]:
    """The results of all turns of items, by their scans: a claim of two turns is kept with the first."""
    found: list[Told] = []
    for scan in sorted({scan for scan, _ in items}):
        rows = await view.fetch_in(
            f"SELECT {TOLD} FROM result WHERE workspace = :workspace AND scan = :scan AND item IN :keys",  # noqa: S608  columns only
            [item for of, item in items if of == scan],
            workspace=workspace.bytes,
            scan=scan,
        )
        found += map(_told, rows)
    return found


async def _resting_on(view: Reader, workspace: UUID, records: Collection[bytes]) -> set[int]:
    """The results whose claims may cite one of ``records``: all turns of the items that it stands with."""
    rows = await view.fetch_in(
        "SELECT turn.number FROM record"
        " JOIN result ON result.workspace = record.workspace AND result.number = record.result"
        " JOIN result AS turn ON turn.workspace = result.workspace AND turn.scan = result.scan"
        " AND turn.item = result.item WHERE record.workspace = :workspace AND record.id IN :keys",
        list(records),
        workspace=workspace.bytes,
    )
    return {row[0] for row in rows}


async def refold(
    tx: Tx, workspace: UUID, results: Sequence[Told], stand: Sequence[Retraction], at: int
) -> list[tuple[bytes, int]]:
    """Let the claims of ``results`` be withdrawn from ``at`` on, or no more, as ``stand`` says.

    Returns of each claim that this is another thing for, its scan and the number of what it is about.
    """
    by_number = {told.number: told for told in results}
    rows: list[Row] = []
    for scan in {told.scan for told in results}:
        rows += await tx.fetch_in(
            "SELECT about, scan, id, result, evidence, at, retracted_at FROM claim"
            " WHERE workspace = :workspace AND scan = :scan AND result IN :keys",
            [told.number for told in results if told.scan == scan],
            workspace=workspace.bytes,
            scan=scan,
        )
    # In the order of their key, as the intake takes them.
    changed = sorted(
        (about, bytes(scan), bytes(identity), was)
        for about, scan, identity, result, evidence, said_at, was in rows
        if is_withdrawn(stand, by_number[result], bytes(evidence), said_at) == (was is None)
    )
    await withhold(tx, workspace, "retracted_at", changed, at)
    return [(scan, about) for about, scan, _, _ in changed]


def _told(row: Sequence[Any]) -> Told:
    number, module, version, scan = row
    return Told(number, module, version, bytes(scan))
