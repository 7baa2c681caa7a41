"""What people have decided of two entities, beside what is proposed of them."""

from collections.abc import Collection, Sequence
from typing import Final, NamedTuple
from uuid import UUID

import msgspec

from services.contracts.resources.identity import HypothesisEvidence
from services.correlation.domain.identity.clusters import Verdict
from services.correlation.domain.identity.names import plain_value
from services.correlation.domain.identity.traits import Subject
from services.kernel.sql import Reader, Tx

_DECISION: Final = (
    *("workspace", "id", "one", "other", "type", "one_value", "other_value", "status", "at", "who", "reason"),
)
_READ: Final = "id, one, other, type, one_value, other_value, status, at, who, reason"
_HISTORY: Final = ("workspace", "id", "at", "status", "who", "reason")
_decode = msgspec.json.Decoder(tuple[HypothesisEvidence, ...]).decode


class Proposal(NamedTuple):
    """What the scan proposes in which the score of a pair is highest."""

    id: bytes
    one: Subject
    other: Subject
    scan: bytes
    score: float
    evidence: tuple[HypothesisEvidence, ...]


class Decision(NamedTuple):
    """What somebody has decided of a pair, the last time."""

    id: bytes
    one: Subject
    other: Subject
    status: Verdict
    at: int
    who: str
    reason: str


class Wanted(NamedTuple):
    """Which pairs to list: of a scan or of all, by status, least score and values, from a place on."""

    scan: bytes | None
    status: str | None
    least: float
    entity: str
    other: str
    first: bytes
    last: bytes
    after: tuple[float, bytes]
    limit: int


async def list_pairs(view: Reader, workspace: UUID, wanted: Wanted) -> list[tuple[bytes, float]]:
    """Ids of pairs and their scores, the highest first; of decided pairs that nothing speaks for any more it is 0."""
    score, after = wanted.after
    rows = await view.fetch(
        "WITH pair AS (SELECT id, MAX(score) AS score, MIN(one_value) AS one_value, MIN(other_value) AS other_value"
        " FROM identity_hypothesis WHERE workspace = :workspace AND (:every_scan = 1 OR scan = :scan)"
        " AND id >= :first AND id <= :last GROUP BY id"
        " UNION ALL SELECT id, CAST(0 AS DOUBLE PRECISION), one_value, other_value FROM identity_decision"
        " WHERE workspace = :workspace AND :every_scan = 1 AND id >= :first AND id <= :last"
        " AND NOT EXISTS (SELECT 1 FROM identity_hypothesis WHERE identity_hypothesis.workspace = :workspace"
        " AND identity_hypothesis.id = identity_decision.id))"
        " SELECT pair.id, pair.score FROM pair LEFT JOIN identity_decision"
        " ON identity_decision.workspace = :workspace AND identity_decision.id = pair.id"
        " WHERE pair.score >= :least"
        " AND (:status = '' OR COALESCE(identity_decision.status, 'proposed') = :status)"
        " AND (:entity = '' OR pair.one_value IN (:entity, :plain_entity)"
        " OR pair.other_value IN (:entity, :plain_entity))"
        " AND (:other = '' OR pair.one_value IN (:other, :plain_other) OR pair.other_value IN (:other, :plain_other))"
        " AND (pair.score < :score OR (pair.score = :score AND pair.id > :after))"
        " ORDER BY pair.score DESC, pair.id LIMIT :limit",
        workspace=workspace.bytes,
        every_scan=int(wanted.scan is None),
        scan=wanted.scan or b"",
        first=wanted.first,
        last=wanted.last,
        least=wanted.least,
        status=wanted.status or "",
        entity=wanted.entity,
        plain_entity=plain_value(wanted.entity),
        other=wanted.other,
        plain_other=plain_value(wanted.other),
        score=score,
        after=after,
        limit=wanted.limit,
    )
    return [(row[0], row[1]) for row in rows]


async def read_proposals(
    view: Reader, workspace: UUID, ids: Collection[bytes], scan: bytes | None = None
) -> dict[bytes, Proposal]:
    """What is proposed of pairs, in a scan or in that where it is likeliest."""
    rows = await view.fetch_in(
        "SELECT id, one, other, type, one_value, other_value, scan, score, evidence FROM"
        " (SELECT id, one, other, type, one_value, other_value, scan, score, evidence,"
        " ROW_NUMBER() OVER (PARTITION BY id ORDER BY score DESC, scan) AS rank FROM identity_hypothesis"
        " WHERE workspace = :workspace AND (:every_scan = 1 OR scan = :scan) AND id IN :keys) AS ranked WHERE rank = 1",
        list(ids),
        workspace=workspace.bytes,
        every_scan=int(scan is None),
        scan=scan or b"",
    )
    return {
        identity: Proposal(
            identity, Subject(one, kind, one_value), Subject(other, kind, other_value), found, score, _decode(evidence)
        )
        for identity, one, other, kind, one_value, other_value, found, score, evidence in rows
    }


async def read_decisions(view: Reader, workspace: UUID, ids: Collection[bytes]) -> dict[bytes, Decision]:
    rows = await view.fetch_in(
        f"SELECT {_READ} FROM identity_decision WHERE workspace = :workspace AND id IN :keys",  # noqa: S608  columns
        list(ids),
        workspace=workspace.bytes,
    )
    return {row[0]: _decision(row) for row in rows}


async def decisions_about(view: Reader, workspace: UUID, entities: Collection[bytes]) -> list[Decision]:
    """What was decided of entities and any other."""
    keys = list(entities)
    rows = [
        *await view.fetch_in(
            f"SELECT {_READ} FROM identity_decision WHERE workspace = :workspace AND one IN :keys",  # noqa: S608
            keys,
            workspace=workspace.bytes,
        ),
        *await view.fetch_in(
            f"SELECT {_READ} FROM identity_decision WHERE workspace = :workspace AND other IN :keys",  # noqa: S608
            keys,
            workspace=workspace.bytes,
        ),
    ]
    return list({row[0]: _decision(row) for row in rows}.values())


async def decided_entities(view: Reader, workspace: UUID, value: str, kind: str | None, limit: int) -> set[bytes]:
    """The entities of a value of which anything was decided."""
    rows = await view.fetch(
        "SELECT one AS entity FROM identity_decision WHERE workspace = :workspace AND one_value IN (:value, :plain)"
        " AND (:kind = '' OR type = :kind)"
        " UNION SELECT other FROM identity_decision WHERE workspace = :workspace AND other_value IN (:value, :plain)"
        " AND (:kind = '' OR type = :kind) ORDER BY entity LIMIT :limit",
        workspace=workspace.bytes,
        value=value,
        plain=plain_value(value),
        kind=kind or "",
        limit=limit,
    )
    return {row[0] for row in rows}


async def write_decision(tx: Tx, workspace: UUID, decision: Decision) -> None:
    """Keep what is decided now, and that it was."""
    identity, one, other, *rest = decision
    row = (workspace.bytes, identity, one.id, other.id, one.type, one.value, other.value, *rest)
    await tx.bulk_upsert("identity_decision", _DECISION, _DECISION[:2], [row], dict.fromkeys(_DECISION[7:], "replace"))
    await _remember(tx, workspace, identity, decision.at, decision.status, decision.who, decision.reason)


async def take_back(tx: Tx, workspace: UUID, identity: bytes, at: int, who: str, reason: str) -> None:
    """Have nothing be decided of a pair; that it was stays known."""
    await tx.execute(
        "DELETE FROM identity_decision WHERE workspace = :workspace AND id = :id",
        workspace=workspace.bytes,
        id=identity,
    )
    await _remember(tx, workspace, identity, at, "proposed", who, reason)


async def _remember(tx: Tx, workspace: UUID, identity: bytes, at: int, *said: str) -> None:
    row = (workspace.bytes, identity, at, *said)
    await tx.bulk_upsert("identity_history", _HISTORY, _HISTORY[:3], [row], dict.fromkeys(_HISTORY[3:], "replace"))


async def read_history(
    view: Reader, workspace: UUID, identity: bytes, limit: int
) -> Sequence[tuple[str, int, str, str]]:
    """What was decided of a pair, when, by whom and why, the newest first."""
    rows = await view.fetch(
        "SELECT status, at, who, reason FROM identity_history WHERE workspace = :workspace AND id = :id"
        " ORDER BY at DESC LIMIT :limit",
        workspace=workspace.bytes,
        id=identity,
        limit=limit,
    )
    return [(row[0], row[1], row[2], row[3]) for row in rows]


def _decision(row: Sequence[object]) -> Decision:
    identity, one, other, kind, one_value, other_value, *rest = row
    return Decision(identity, Subject(one, kind, one_value), Subject(other, kind, other_value), *rest)  # type: ignore[arg-type]
