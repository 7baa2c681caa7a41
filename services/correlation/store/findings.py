"""Findings: in which scans they are, where somebody stands with them, and what came of them."""

from collections.abc import Collection, Iterable, Sequence
from typing import Final
from uuid import UUID

import msgspec
from msgspec import Struct

from services.contracts.findings import SEVERITIES, FindingStatus
from services.contracts.resources.correlation import Ground, Named, StatusChange
from services.correlation.domain.judging import Found
from services.kernel.sql import Reader, Tx

_OCCURRENCE: Final = (
    "workspace", "scan", "finding", "rule", "first", "version", "category", "severity", "confidence", "title",
    "entities", "matches", "grounds",
)  # fmt: skip
_FINDING: Final = (
    "workspace", "id", "rule", "status", "reason", "status_at", "first_found", "last_found", "last_scan", "told",
)  # fmt: skip
_ABOUT: Final = ("workspace", "scan", "entity", "finding")

#: What can still be fixed.
OPEN: Final = ("new", "confirmed", "accepted", "reopened")
#: Tables of what a scan has, all of it.
OF_SCANS: Final = ("about", "hit", "tally")
#: Drops what is of findings that a scan has and no other.
_NOWHERE_ELSE: Final = (
    "DELETE FROM {table} WHERE workspace = :workspace AND {id} IN"
    " (SELECT finding FROM occurrence WHERE workspace = :workspace AND scan = :scan)"
    " AND NOT EXISTS (SELECT 1 FROM occurrence AS other WHERE other.workspace = :workspace"
    " AND other.finding = {table}.{id} AND other.scan <> :scan)"
)

_ELSEWHERE: Final = (
    " FROM occurrence AS other JOIN scan ON scan.workspace = other.workspace AND scan.id = other.scan"
    " WHERE other.workspace = :workspace AND other.finding = finding.id AND other.scan <> :scan"
)
_NEWEST: Final = f"{_ELSEWHERE} ORDER BY scan.began DESC, other.scan LIMIT 1"
#: Has findings that a scan had last be those of the newest other one that has them.
_LAST_ELSEWHERE: Final = (
    f"UPDATE finding SET last_scan = (SELECT other.scan{_NEWEST}), last_found = (SELECT scan.began{_NEWEST})"  # noqa: S608 - from here
    f" WHERE workspace = :workspace AND last_scan = :scan AND EXISTS (SELECT 1{_ELSEWHERE})"
)

_encode = msgspec.json.Encoder().encode
_named = msgspec.json.Decoder(tuple[Named, ...]).decode
_grounds = msgspec.json.Decoder(tuple[Ground, ...]).decode


class Kept(Struct, frozen=True):
    """What was known of a finding before."""

    status: FindingStatus
    status_at: int
    first_found: int
    last_found: int
    last_scan: UUID


async def standing(view: Reader, workspace: UUID, ids: Collection[UUID]) -> dict[UUID, Kept]:
    """What is known of findings by now."""
    rows = await view.fetch_in(
        "SELECT id, status, status_at, first_found, last_found, last_scan FROM finding"
        " WHERE workspace = :workspace AND id IN :keys",
        [each.bytes for each in ids],
        workspace=workspace.bytes,
    )
    return {
        UUID(bytes=bytes(identity)): Kept(status, at, first, last, UUID(bytes=bytes(scan)))
        for identity, status, at, first, last, scan in rows
    }


async def of_firsts(view: Reader, workspace: UUID, scan: UUID, rule: str, firsts: Sequence[bytes]) -> set[UUID]:
    """The findings of a rule in a scan that stand by these first things."""
    rows = await view.fetch_in(
        "SELECT finding FROM occurrence"
        " WHERE workspace = :workspace AND scan = :scan AND rule = :rule AND first IN :keys",
        firsts,
        workspace=workspace.bytes,
        scan=scan.bytes,
        rule=rule,
    )
    return {UUID(bytes=bytes(row[0])) for row in rows}


async def of_rule(view: Reader, workspace: UUID, scan: UUID, rule: str) -> set[UUID]:
    rows = await view.fetch(
        "SELECT finding FROM occurrence WHERE workspace = :workspace AND scan = :scan AND rule = :rule",
        workspace=workspace.bytes,
        scan=scan.bytes,
        rule=rule,
    )
    return {UUID(bytes=bytes(row[0])) for row in rows}


async def rules_with_findings(view: Reader, workspace: UUID, scan: UUID) -> set[str]:
    rows = await view.fetch(
        "SELECT DISTINCT rule FROM occurrence WHERE workspace = :workspace AND scan = :scan",
        workspace=workspace.bytes,
        scan=scan.bytes,
    )
    return {row[0] for row in rows}


async def write_found(tx: Tx, workspace: UUID, scan: UUID, found: Sequence[Found]) -> None:
    """Write findings as a scan has them now."""
    await _forget_about(tx, workspace, scan, [each.id.bytes for each in found])
    await tx.bulk_upsert(
        "occurrence",
        _OCCURRENCE,
        ("workspace", "scan", "finding"),
        [
            (
                workspace.bytes,
                scan.bytes,
                each.id.bytes,
                each.rule,
                each.first,
                each.version,
                each.category,
                SEVERITIES.index(each.severity),
                each.confidence,
                each.title,
                _encode(each.entities).decode(),
                each.matches,
                _encode(each.grounds).decode(),
            )
            for each in found
        ],
        dict.fromkeys(_OCCURRENCE[3:], "replace"),
    )
    await tx.bulk_upsert(
        "about",
        _ABOUT,
        _ABOUT,
        [
            (workspace.bytes, scan.bytes, bytes.fromhex(named.id), each.id.bytes)
            for each in found
            for named in each.entities
        ],
        {},
    )


async def drop_found(tx: Tx, workspace: UUID, scan: UUID, ids: Iterable[UUID]) -> None:
    """Let a scan no longer have findings; what is known of them stays."""
    keys = [each.bytes for each in ids]
    values = {"workspace": workspace.bytes, "scan": scan.bytes}
    await _forget_about(tx, workspace, scan, keys)
    await tx.execute_in(
        "DELETE FROM occurrence WHERE workspace = :workspace AND scan = :scan AND finding IN :keys", keys, **values
    )
    await tx.execute_in(f"{_LAST_ELSEWHERE} AND id IN :keys", keys, **values)


async def _forget_about(tx: Tx, workspace: UUID, scan: UUID, keys: Sequence[bytes]) -> None:
    await tx.execute_in(
        "DELETE FROM about WHERE workspace = :workspace AND scan = :scan AND finding IN :keys",
        keys,
        workspace=workspace.bytes,
        scan=scan.bytes,
    )


async def note_findings(tx: Tx, workspace: UUID, scan: UUID, found: Iterable[Found], at: int) -> None:
    """Keep that a scan has these findings; those that are known already keep where somebody stands with them."""
    await tx.bulk_upsert(
        "finding",
        _FINDING,
        ("workspace", "id"),
        [(workspace.bytes, each.id.bytes, each.rule, "new", "", 0, at, at, scan.bytes, 0) for each in found],
        {"first_found": "min", "last_found": "max"},
    )
    # The scan that has it last is the one that began last.
    await tx.execute_in(
        "UPDATE finding SET last_scan = :scan WHERE workspace = :workspace AND last_found = :at AND id IN :keys",
        [each.id.bytes for each in found],
        workspace=workspace.bytes,
        scan=scan.bytes,
        at=at,
    )


async def set_status(
    tx: Tx, workspace: UUID, ids: Sequence[UUID], status: FindingStatus, *, who: str, reason: str, at: int
) -> None:
    """Say where one stands with findings, and keep that it was said."""
    await tx.execute_in(
        "UPDATE finding SET status = :status, reason = :reason, status_at = :at"
        " WHERE workspace = :workspace AND id IN :keys",
        [each.bytes for each in ids],
        workspace=workspace.bytes,
        status=status,
        reason=reason,
        at=at,
    )
    await tx.bulk_upsert(
        "status_change",
        ("workspace", "finding", "at", "status", "who", "reason"),
        ("workspace", "finding", "at", "status"),
        [(workspace.bytes, each.bytes, at, status, who, reason) for each in ids],
        {},
    )


async def changes_of(view: Reader, workspace: UUID, finding: UUID, limit: int) -> list[StatusChange]:
    """What was said of a finding so far, oldest first."""
    rows = await view.fetch(
        "SELECT status, at, who, reason FROM status_change WHERE workspace = :workspace AND finding = :finding"
        " ORDER BY at LIMIT :limit",
        workspace=workspace.bytes,
        finding=finding.bytes,
        limit=limit,
    )
    return [StatusChange(status=status, at=at, who=who, reason=reason) for status, at, who, reason in rows]


async def grounds_of(view: Reader, workspace: UUID, scan: UUID, finding: UUID) -> tuple[int, tuple[Ground, ...]]:
    """How many matches a finding has in a scan, and what it rests on."""
    row = await view.fetch_one(
        "SELECT matches, grounds FROM occurrence WHERE workspace = :workspace AND scan = :scan AND finding = :finding",
        workspace=workspace.bytes,
        scan=scan.bytes,
        finding=finding.bytes,
    )
    return (0, ()) if row is None else (row[0], _grounds(row[1]))


async def untold(view: Reader, workspace: UUID, scan: UUID, limit: int) -> list[UUID]:
    """Findings that a scan has and of which was not said that there are such."""
    rows = await view.fetch(
        "SELECT finding.id FROM finding JOIN occurrence ON occurrence.workspace = finding.workspace"
        " AND occurrence.finding = finding.id AND occurrence.scan = :scan"
        " WHERE finding.workspace = :workspace AND finding.told = 0 ORDER BY finding.id LIMIT :limit",
        workspace=workspace.bytes,
        scan=scan.bytes,
        limit=limit,
    )
    return [UUID(bytes=bytes(row[0])) for row in rows]


async def hold_statuses(tx: Tx, workspace: UUID) -> None:
    """Let nobody else say where one stands with findings until the transaction ends."""
    await tx.lock(f"statuses {workspace.hex}")


async def set_told(tx: Tx, workspace: UUID, ids: Sequence[UUID], told: bool) -> None:
    await tx.execute_in(
        "UPDATE finding SET told = :told WHERE workspace = :workspace AND id IN :keys",
        [each.bytes for each in ids],
        workspace=workspace.bytes,
        told=int(told),
    )


async def no_longer_said(view: Reader, workspace: UUID, scan: UUID, earlier: Sequence[UUID]) -> dict[UUID, UUID]:
    """Open findings that earlier scans had last and a scan does not have, each with the scan that had it last."""
    among = ", ".join(f"'{status}'" for status in OPEN)
    rows = await view.fetch_in(
        f"SELECT finding.id, finding.last_scan FROM finding WHERE finding.workspace = :workspace"  # noqa: S608 - from here
        f" AND finding.last_scan IN :keys AND finding.status IN ({among}) AND NOT EXISTS"
        " (SELECT 1 FROM occurrence AS here WHERE here.workspace = finding.workspace"
        " AND here.scan = :scan AND here.finding = finding.id)",
        [each.bytes for each in earlier],
        workspace=workspace.bytes,
        scan=scan.bytes,
    )
    return {UUID(bytes=bytes(finding)): UUID(bytes=bytes(last)) for finding, last in rows}


async def prune(tx: Tx, workspace: UUID, ids: Sequence[UUID]) -> None:
    """Forget findings that no scan has any more and nobody has said anything of."""
    await tx.execute_in(
        "DELETE FROM finding WHERE workspace = :workspace AND status = 'new' AND told = 0 AND id IN :keys"
        " AND NOT EXISTS (SELECT 1 FROM occurrence WHERE occurrence.workspace = :workspace"
        " AND occurrence.finding = finding.id)",
        [each.bytes for each in ids],
        workspace=workspace.bytes,
    )


async def forget_scan(tx: Tx, workspace: UUID, scan: UUID) -> None:
    """Forget what a scan has; findings that no other scan has go with it, the others are of the newest of those."""
    values = {"workspace": workspace.bytes, "scan": scan.bytes}
    for table in OF_SCANS:
        await tx.execute(f"DELETE FROM {table} WHERE workspace = :workspace AND scan = :scan", **values)  # noqa: S608 - from here
    await tx.execute(_NOWHERE_ELSE.format(id="finding", table="status_change"), **values)
    await tx.execute(_NOWHERE_ELSE.format(id="id", table="finding"), **values)
    await tx.execute(_LAST_ELSEWHERE, **values)
    await tx.execute("DELETE FROM occurrence WHERE workspace = :workspace AND scan = :scan", **values)


def named_of(text: str) -> tuple[Named, ...]:
    return _named(text)
