"""Findings of a scan in the order in which a person wants them: the worst first, without what was put aside."""

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

import msgspec
from msgspec import Struct

from services.contracts.findings import SEVERITIES, FindingStatus, Severity
from services.contracts.resources.correlation import FindingRow
from services.correlation.store.findings import named_of
from services.kernel.sql import Reader

_COLUMNS: Final = (
    "finding.id, occurrence.scan, occurrence.rule, occurrence.version, occurrence.category, occurrence.severity,"
    " occurrence.confidence, occurrence.title, finding.status, occurrence.entities, finding.first_found,"
    " finding.last_found, finding.reason"
)
_JOINED: Final = (
    " FROM occurrence JOIN finding ON finding.workspace = occurrence.workspace AND finding.id = occurrence.finding"
    " WHERE occurrence.workspace = :workspace AND occurrence.scan = :scan"
)
_SUPPRESSION: Final = (
    " FROM suppression WHERE suppression.workspace = :workspace"
    " AND (suppression.ends IS NULL OR suppression.ends > :at)"
    " AND (suppression.rule = '' OR suppression.rule = occurrence.rule)"
    " AND (suppression.entity IS NULL OR EXISTS (SELECT 1 FROM about WHERE about.workspace = occurrence.workspace"
    " AND about.scan = occurrence.scan AND about.finding = occurrence.finding AND about.entity = suppression.entity))"
)
_REASON: Final = f"(SELECT min(suppression.reason){_SUPPRESSION})"


class Wanted(Struct, frozen=True, kw_only=True):
    """Which findings; ``after`` is the place of the last one that was seen: its severity's rank, and its id."""

    severity: Severity = "info"
    status: FindingStatus | None = None
    rule: str = ""
    entities: tuple[bytes, ...] | None = None
    all: bool = False
    after: tuple[int, bytes] | None = None


def further(wanted: Wanted, last: FindingRow) -> Wanted:
    """The same after a finding that was seen."""
    return msgspec.structs.replace(wanted, after=(SEVERITIES.index(last.severity), last.id.bytes))


async def list_findings(
    view: Reader, workspace: UUID, scan: UUID, wanted: Wanted, *, at: int, limit: int
) -> list[FindingRow]:
    """The next findings of a scan."""
    where, values = where_of(wanted)
    place = ""
    if wanted.after is not None:
        place = " AND (occurrence.severity < :rank OR (occurrence.severity = :rank AND occurrence.finding > :finding))"
        values |= {"rank": wanted.after[0], "finding": wanted.after[1]}
    rows = await view.fetch(
        f"SELECT {_COLUMNS}, {_REASON}{_JOINED}{where}{place}"
        " ORDER BY occurrence.severity DESC, occurrence.finding LIMIT :limit",
        workspace=workspace.bytes,
        scan=scan.bytes,
        at=at,
        limit=limit,
        **values,
    )
    return [_row(row) for row in rows]


async def count_findings(view: Reader, workspace: UUID, scan: UUID, wanted: Wanted, *, at: int) -> dict[Severity, int]:
    """How many there are in all, by severity, the worst first."""
    where, values = where_of(wanted)
    rows = await view.fetch(
        f"SELECT occurrence.severity, COUNT(*){_JOINED}{where} GROUP BY occurrence.severity",
        workspace=workspace.bytes,
        scan=scan.bytes,
        **({"at": at} if not wanted.all else {}),
        **values,
    )
    return {SEVERITIES[rank]: count for rank, count in sorted(rows, reverse=True)}


async def rows_of(view: Reader, workspace: UUID, scan: UUID, ids: Sequence[UUID]) -> list[FindingRow]:
    """Findings of a scan by their ids."""
    rows = await view.fetch_in(
        f"SELECT {_COLUMNS}, ''{_JOINED} AND occurrence.finding IN :keys",
        [each.bytes for each in ids],
        workspace=workspace.bytes,
        scan=scan.bytes,
    )
    return sorted(map(_row, rows), key=lambda row: row.id)


async def find_finding(view: Reader, workspace: UUID, low: bytes, high: bytes) -> list[tuple[UUID, UUID]]:
    """Findings whose ids lie between two, two at most, each with the scan that had it last."""
    rows = await view.fetch(
        "SELECT id, last_scan FROM finding WHERE workspace = :workspace AND id BETWEEN :low AND :high LIMIT 2",
        workspace=workspace.bytes,
        low=low,
        high=high,
    )
    return [(UUID(bytes=bytes(identity)), UUID(bytes=bytes(scan))) for identity, scan in rows]


def where_of(wanted: Wanted) -> tuple[str, dict[str, Any]]:
    conditions, values = [], dict[str, Any]()
    if wanted.severity != "info":
        conditions.append("occurrence.severity >= :least")
        values["least"] = SEVERITIES.index(wanted.severity)
    if wanted.status is not None:
        conditions.append("finding.status = :status")
        values["status"] = wanted.status
    elif not wanted.all:
        conditions.append("finding.status NOT IN ('false_positive', 'fixed')")
    if not wanted.all:
        conditions.append(f"NOT EXISTS (SELECT 1{_SUPPRESSION})")
    if wanted.rule:
        conditions.append("occurrence.rule = :rule")
        values["rule"] = wanted.rule
    if wanted.entities is not None:
        names = [f"entity_{place}" for place in range(len(wanted.entities))]
        values |= dict(zip(names, wanted.entities, strict=True))
        among = ", ".join(f":{name}" for name in names) or "NULL"
        conditions.append(
            "EXISTS (SELECT 1 FROM about WHERE about.workspace = occurrence.workspace AND about.scan = occurrence.scan"  # noqa: S608 - from here
            f" AND about.finding = occurrence.finding AND about.entity IN ({among}))"
        )
    return "".join(f" AND {each}" for each in conditions), values


def _row(row: Sequence[Any]) -> FindingRow:
    finding, scan, rule, version, category, severity, confidence, title, *others = row
    status, entities, first_found, last_found, reason, suppressed = others
    return FindingRow(
        id=UUID(bytes=bytes(finding)),
        scan=UUID(bytes=bytes(scan)),
        rule=rule,
        rule_version=version,
        category=category,
        severity=SEVERITIES[severity],
        confidence=confidence,
        title=title,
        status=status,
        entities=named_of(entities),
        first_found=first_found,
        last_found=last_found,
        reason=reason,
        suppressed=suppressed or "",
    )
