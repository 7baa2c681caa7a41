"""Retractions: which claims were withdrawn, and what nobody but they named."""

from collections.abc import Collection, Sequence
from typing import Any, Final, Literal
from uuid import UUID

from services.contracts.resources import Retraction
from services.kernel.sql import Reader, Row, Tx
from services.storage.domain import Told, is_withdrawn, rank_of, retraction_id, takes_in
from services.storage.store.when import NOW, When

#: Why a claim does not count, as the column that says since when.
Column = Literal["retracted_at", "unsupported_at"]
TOLD: Final = "number, module, version, scan"
_COLUMNS: Final = ("workspace", "id", "module", "version", "scan", "record", "reason", "at")


def _named(conditions: str, scan: str) -> str:
    """That an entity is named by claims about it, or about a relation of which it is an end."""
    claims = f"claim.workspace = :workspace{scan and f' AND claim.{scan}'}{conditions}"
    relations = f"SELECT 1 FROM relation JOIN claim ON claim.about = relation.number AND {claims}"  # noqa: S608  from here
    ends = (
        f" OR EXISTS ({relations} WHERE relation.workspace = :workspace AND relation.{end} = entity.number)"
        for end in ("source", "target")
    )
    return f"(EXISTS (SELECT 1 FROM claim WHERE claim.about = entity.number AND {claims}){''.join(ends)})"  # noqa: S608  as above


def _hidden(scan: str, when: When) -> str:
    """The statement of `withdrawn`, in one scan or in all of them."""
    targets, given = ("sighting", "") if when.as_of is None else ("admission", " AND admission.recorded_at <= :as_of")
    seen = f"{targets}.workspace = :workspace AND {targets}.entity = entity.number{scan and f' AND {targets}.{scan}'}"
    return (
        "SELECT number FROM entity WHERE workspace = :workspace AND number IN :keys"  # noqa: S608  from here
        f" AND NOT {_named(when.counts, scan)} AND {_named(when.recorded, scan)}"
        f" AND NOT EXISTS (SELECT 1 FROM {targets} WHERE {seen}{given} AND {targets}.role = :target)"
    )


_ANY: Final = "SELECT 1 FROM retraction WHERE workspace = :workspace LIMIT 1"
_EVER: Final = "SELECT 1 FROM withheld WHERE workspace = :workspace LIMIT 1"
_IN_SCAN: Final = "scan = :scan"


async def withdrawn(
    view: Reader, workspace: UUID, entities: Sequence[int], scan: UUID | None = None, when: When = NOW
) -> set[int]:
    """Those of ``entities`` that claims name which do not count, in a scan or anywhere, and no others.

    A target was named by who made the scan, and what no claim ever named by the scan itself: these stay.
    """
    if not entities or not await _is_any(view, workspace, when):
        return set()
    when = When(when.as_of)
    rows = await view.fetch_in(
        _hidden(_IN_SCAN if scan else "", when),
        entities,
        workspace=workspace.bytes,
        target=rank_of("target"),
        **({} if scan is None else {"scan": scan.bytes}),
        **when.values,
    )
    return {row[0] for row in rows}


async def _is_any(view: Reader, workspace: UUID, when: When) -> bool:
    """Whether anything may be withdrawn, or may have been at an instant."""
    found = await view.fetch_one(_ANY, workspace=workspace.bytes)
    if found is None and when.as_of is not None:
        found = await view.fetch_one(_EVER, workspace=workspace.bytes)
    return found is not None


async def doubted(
    view: Reader, workspace: UUID, scan: UUID, answers: Collection[tuple[str, bytes]]
) -> set[tuple[str, bytes]]:
    """Those of a scan's answers, as (module, subject), of which something is withdrawn."""
    stand = await standing(view, workspace)
    if not stand:
        return set()
    records = {bytes.fromhex(each.record) for each in stand if each.record}
    rows = await view.fetch_in(
        f"SELECT {TOLD}, subject FROM result WHERE workspace = :workspace AND scan = :scan AND subject IN :keys",  # noqa: S608  columns only
        list({subject for _, subject in answers}),
        workspace=workspace.bytes,
        scan=scan.bytes,
    )
    resting = await _resting_on(view, workspace, records)
    found = set()
    for *told, subject in rows:
        result = _told(told)
        if any(takes_in(each, result) and (not each.record or result.number in resting) for each in stand):
            found.add((result.module, bytes(subject)))
    return found


async def standing(view: Reader, workspace: UUID) -> list[Retraction]:
    """What is withdrawn in a workspace, oldest first."""
    rows = await view.fetch(
        "SELECT module, version, scan, record, reason, at FROM retraction WHERE workspace = :workspace ORDER BY at, id",
        workspace=workspace.bytes,
    )
    return [
        Retraction(
            module=module,
            version=version,
            scan=None if scan is None else UUID(bytes=bytes(scan)),
            record="" if record is None else bytes(record).hex(),
            reason=reason,
            at=at,
        )
        for module, version, scan, record, reason, at in rows
    ]


async def hold(tx: Tx, workspace: UUID) -> None:
    """Let nobody else withdraw or restore anything in a workspace until the transaction ends."""
    await tx.lock(f"retractions {workspace.hex}")


async def note(tx: Tx, workspace: UUID, retraction: Retraction) -> None:
    """Write a retraction; said again, the first time counts and the newest reason."""
    row = (
        workspace.bytes,
        retraction_id(retraction),
        retraction.module,
        retraction.version,
        None if retraction.scan is None else retraction.scan.bytes,
        bytes.fromhex(retraction.record) or None,
        retraction.reason,
        retraction.at,
    )
    await tx.bulk_upsert("retraction", _COLUMNS, ("workspace", "id"), [row], {"reason": "replace"})


async def drop(tx: Tx, workspace: UUID, retraction: Retraction) -> None:
    await tx.execute(
        "DELETE FROM retraction WHERE workspace = :workspace AND id = :id",
        workspace=workspace.bytes,
        id=retraction_id(retraction),
    )


async def results_of(view: Reader, workspace: UUID, retraction: Retraction, after: int, limit: int) -> list[Told]:
    """The next results, by their numbers, whose claims a retraction is about."""
    conditions, values = [], {}
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
            "SELECT about, scan, id, result, evidence, retracted_at FROM claim"
            " WHERE workspace = :workspace AND scan = :scan AND result IN :keys",
            [told.number for told in results if told.scan == scan],
            workspace=workspace.bytes,
            scan=scan,
        )
    # In the order of their key, as the intake takes them.
    changed = sorted(
        (about, bytes(scan), bytes(identity), was)
        for about, scan, identity, result, evidence, was in rows
        if is_withdrawn(stand, by_number[result], bytes(evidence)) == (was is None)
    )
    await _withhold(tx, workspace, "retracted_at", changed, at)
    return [(scan, about) for about, scan, _, _ in changed]


async def _withhold(
    tx: Tx, workspace: UUID, column: Column, changed: Sequence[tuple[int, bytes, bytes, int | None]], at: int
) -> None:
    """Let claims, as (about, scan, id, since when they do not count), not count from ``at`` on, or count again.

    Of those that do, it is kept when they did not.
    """
    await tx.execute_many(
        f"UPDATE claim SET {column} = :at WHERE workspace = :workspace AND about = :about AND scan = :scan"  # noqa: S608  two literals
        " AND id = :id",
        [
            {
                "workspace": workspace.bytes,
                "about": about,
                "scan": scan,
                "id": identity,
                "at": at if was is None else None,
            }
            for about, scan, identity, was in changed
        ],
    )
    await tx.bulk_upsert(
        "withheld",
        ("workspace", "about", "scan", "id", "since", "until"),
        ("workspace", "about", "scan", "id", "since"),
        [(workspace.bytes, *claim, was, at) for *claim, was in changed if was is not None and was < at],
        {"until": "max"},
    )


def _told(row: Sequence[Any]) -> Told:
    number, module, version, scan = row
    return Told(number, module, version, bytes(scan))
