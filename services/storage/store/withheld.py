"""Which claims do not count, since when and until when, and which entities nobody but they named."""

from collections.abc import Sequence
from typing import Final, Literal
from uuid import UUID

from services.kernel.sql import Reader, Tx
from services.storage.domain import rank_of
from services.storage.store.when import NOW, When

#: Why a claim does not count, as the column that says since when.
Column = Literal["retracted_at", "unsupported_at"]


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
    if not entities or when.withdrawn or not await _is_any(view, workspace, when):
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


async def withhold(
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
