"""Reads entities, relations and claims, in batches by key."""

from collections.abc import AsyncIterator, Sequence
from typing import Final, NamedTuple
from uuid import UUID

import msgspec

from services.contracts.claims import Absence, Attribute, Claim, Entity, Relation
from services.contracts.resources import Stored
from services.contracts.scope import Role
from services.kernel.sql import Reader, Row
from services.storage import domain
from services.storage.store.when import COUNTS, NOW, When

read_key = msgspec.json.Decoder(tuple[str, ...]).decode
_qualifiers = msgspec.json.Decoder(dict[str, str]).decode
_details = msgspec.json.Decoder(dict[str, str | int]).decode
_VALUES: Final[msgspec.json.Decoder[str | bool | int | float]] = msgspec.json.Decoder(str | bool | int | float)

ENTITY: Final = "id, number, type, key, first_seen, last_seen"
RELATION: Final = "id, number, type, source, target, qualifiers"
CLAIM: Final = (
    "id, claim.scan, claim, about, kind, name, value, item, module, version, subject, at, confidence,"
    " valid_from, valid_to, place, details, evidence, claim.retracted_at, claim.unsupported_at"
)
CLAIMS: Final = (
    "claim JOIN result ON result.workspace = claim.workspace AND result.number = claim.result"
    " WHERE claim.workspace = :workspace"
)


class StoredEntity(NamedTuple):
    """``number`` is what all that is kept of an entity goes by."""

    id: bytes
    number: int
    entity: Entity
    first_seen: int
    last_seen: int
    role: Role | None = None
    distance: int | None = None


class StoredRelation(NamedTuple):
    """``source`` and ``target`` are the numbers of its ends."""

    id: bytes
    number: int
    type: str
    source: int
    target: int
    qualifiers: dict[str, str]


class StoredClaim(NamedTuple):
    """``about`` is the number of an entity or of a relation; item, module, version and subject are of its result."""

    id: bytes
    scan: bytes
    claim: bytes
    about: int
    kind: int
    name: str
    value: str
    item: bytes
    module: str
    version: int
    subject: bytes
    at: int
    confidence: int
    valid_from: int | None
    valid_to: int | None
    place: str
    details: str
    evidence: bytes
    retracted_at: int | None
    unsupported_at: int | None

    @property
    def plain(self) -> str | bool | int | float:
        """The value of an attribute."""
        return _VALUES.decode(self.value)

    @property
    def described(self) -> dict[str, str | int]:
        """The details of a relation."""
        return _details(self.details) if self.details else {}


async def entities(view: Reader, workspace: UUID, numbers: Sequence[int]) -> dict[int, StoredEntity]:
    rows = await view.fetch_in(
        f"SELECT {ENTITY} FROM entity WHERE workspace = :workspace AND number IN :keys",  # noqa: S608  columns only
        list(set(numbers)),
        workspace=workspace.bytes,
    )
    return {row[1]: _entity(row) for row in rows}


async def entities_by_id(view: Reader, workspace: UUID, ids: Sequence[bytes]) -> list[StoredEntity]:
    """Those of ``ids`` that there are."""
    rows = await view.fetch_in(
        f"SELECT {ENTITY} FROM entity WHERE workspace = :workspace AND id IN :keys",  # noqa: S608  columns only
        ids,
        workspace=workspace.bytes,
    )
    return [_entity(row) for row in rows]


async def entities_of_value(view: Reader, workspace: UUID, value: str, kind: str | None) -> list[StoredEntity]:
    rows = await view.fetch(
        f"SELECT {ENTITY} FROM entity"  # noqa: S608  columns only
        " WHERE workspace = :workspace AND value = :value AND (:any = 1 OR type = :type) ORDER BY type LIMIT 100",
        workspace=workspace.bytes,
        value=value,
        any=int(kind is None),
        type=kind or "",
    )
    return [_entity(row) for row in rows]


async def relations(view: Reader, workspace: UUID, numbers: Sequence[int]) -> dict[int, StoredRelation]:
    rows = await view.fetch_in(
        f"SELECT {RELATION} FROM relation WHERE workspace = :workspace AND number IN :keys",  # noqa: S608  columns only
        list(set(numbers)),
        workspace=workspace.bytes,
    )
    return {row[1]: read_relation(row) for row in rows}


async def relations_from(view: Reader, workspace: UUID, sources: Sequence[int]) -> list[StoredRelation]:
    rows = await view.fetch_in(
        f"SELECT {RELATION} FROM relation WHERE workspace = :workspace AND source IN :keys",  # noqa: S608  columns only
        sources,
        workspace=workspace.bytes,
    )
    return [read_relation(row) for row in rows]


async def relations_to(view: Reader, workspace: UUID, targets: Sequence[int]) -> list[StoredRelation]:
    rows = await view.fetch_in(
        f"SELECT {RELATION} FROM relation WHERE workspace = :workspace AND target IN :keys",  # noqa: S608  columns only
        targets,
        workspace=workspace.bytes,
    )
    return [read_relation(row) for row in rows]


async def claims_about(
    view: Reader,
    workspace: UUID,
    numbers: Sequence[int],
    scan: UUID | None,
    most: int | None = None,
    when: When = NOW,
) -> list[StoredClaim]:
    """The claims about entities or relations, of one scan or of all, oldest first.

    ``most``: how often one module may say the same of one thing; what it says more often is left out.
    """
    narrowed = " AND claim.scan = :scan" if scan else ""
    columns = CLAIM
    if most is not None:
        columns += ", ROW_NUMBER() OVER (PARTITION BY about, kind, name, value, module ORDER BY at, id) AS rank"
    asked = f"SELECT {columns} FROM {CLAIMS}{when.counts}{narrowed} AND about IN :keys"  # noqa: S608  columns only
    rows = await view.fetch_in(
        asked if most is None else f"SELECT * FROM ({asked}) AS told WHERE rank <= :most",  # noqa: S608  from above
        list(set(numbers)),
        workspace=workspace.bytes,
        **({"scan": scan.bytes} if scan else {}),
        **({"most": most} if most is not None else {}),
        **when.values,
    )
    return sorted((_claim(row, when) for row in rows), key=_age)


def _claim(row: Row, when: When) -> StoredClaim:
    """A claim from its columns in `CLAIM`; one that counted at an instant does not say that it was withdrawn later."""
    claim = StoredClaim._make(row[: len(StoredClaim._fields)])
    if when.as_of is None or when.withdrawn:
        return claim
    return claim._replace(retracted_at=None, unsupported_at=None)


def _age(claim: StoredClaim) -> tuple[int, str, str, str, bytes]:
    return claim.at, claim.module, claim.name, claim.value, claim.id


async def vouching(
    view: Reader, workspace: UUID, scan: UUID, ends: Sequence[int], most: int, when: When = NOW
) -> dict[int, list[StoredClaim]]:
    """Claims of a scan about relations from and to each of ``ends``: of ``most`` relations each way, oldest first."""
    vouched: dict[int, list[int]] = {}
    for end in ("source", "target"):
        rows = await view.fetch_in(
            f"SELECT number, vouched FROM (SELECT number, {end} AS vouched,"  # noqa: S608  two literals
            f" ROW_NUMBER() OVER (PARTITION BY {end} ORDER BY id) AS rank FROM relation"
            f" WHERE workspace = :workspace AND {end} IN :keys AND EXISTS (SELECT 1 FROM claim"
            " WHERE claim.workspace = :workspace AND claim.about = relation.number AND claim.scan = :scan"
            f"{when.counts})) AS told WHERE rank <= :most",
            ends,
            workspace=workspace.bytes,
            scan=scan.bytes,
            most=most,
            **when.values,
        )
        for relation, entity in rows:
            vouched.setdefault(relation, []).append(entity)
    found: dict[int, list[StoredClaim]] = {}
    for claim in await claims_about(view, workspace, list(vouched), scan, 1, when):
        for entity in vouched[claim.about]:
            found.setdefault(entity, []).append(claim)
    return {entity: claims[:most] for entity, claims in found.items()}


async def claims_of(
    view: Reader,
    workspace: UUID,
    scan: UUID,
    item: UUID | None = None,
    *,
    when: When = NOW,
) -> AsyncIterator[list[StoredClaim]]:
    """The claims of a scan, or of one item of it, in the order of their keys."""
    narrowed = when.counts + (" AND item = :item" if item else "")
    async for rows in view.stream(
        f"SELECT {CLAIM} FROM {CLAIMS} AND claim.scan = :scan AND result.scan = :scan{narrowed} ORDER BY claim, id",  # noqa: S608  columns only
        size=1000,
        workspace=workspace.bytes,
        scan=scan.bytes,
        **({"item": item.bytes} if item else {}),
        **when.values,
    ):
        yield [_claim(row, when) for row in rows]


async def told_of(view: Reader, workspace: UUID, scan: UUID, size: int) -> AsyncIterator[list[int]]:
    """What a scan says anything of, but that it is absent: numbers in their order, up to ``size`` at a time."""
    async for rows in view.stream(
        # By the scan first: the order would make the database read all scans of the workspace.
        "WITH told AS MATERIALIZED (SELECT about FROM claim WHERE workspace = :workspace AND scan = :scan"  # noqa: S608  a constant
        f" AND kind <> :absence{COUNTS}) SELECT DISTINCT about FROM told ORDER BY about",
        size=size,
        workspace=workspace.bytes,
        scan=scan.bytes,
        absence=domain.ABSENCE,
    ):
        yield [row[0] for row in rows]


async def changed_between(
    view: Reader, workspace: UUID, scan: UUID | None, before: int, after: int, size: int
) -> AsyncIterator[list[int]]:
    """What something was said of, or no more, or again, after one instant and until another: numbers in their order."""
    narrowed = " AND scan = :scan" if scan else ""
    spans = " OR ".join(
        f"({column} > :before AND {column} <= :after)" for column in ("recorded_at", "retracted_at", "unsupported_at")
    )
    async for rows in view.stream(
        f"SELECT about FROM claim WHERE workspace = :workspace{narrowed} AND ({spans})"  # noqa: S608  columns only
        f" UNION SELECT about FROM withheld WHERE workspace = :workspace{narrowed}"
        " AND since <= :after AND until > :before ORDER BY about",
        size=size,
        workspace=workspace.bytes,
        before=before,
        after=after,
        **({"scan": scan.bytes} if scan else {}),
    ):
        yield [row[0] for row in rows]


async def spoken(view: Reader, workspace: UUID, stored: Sequence[StoredClaim]) -> list[Claim]:
    """The claims as they were said, rebuilt from their rows."""
    related = await relations(view, workspace, [row.about for row in stored if row.kind == domain.RELATION])
    ends = [end for relation in related.values() for end in (relation.source, relation.target)]
    named = await entities(view, workspace, [row.about for row in stored if row.kind != domain.RELATION] + ends)
    return [_speak(row, related, named) for row in stored]


def _speak(row: StoredClaim, related: dict[int, StoredRelation], named: dict[int, StoredEntity]) -> Claim:
    said = {
        "confidence": row.confidence,
        "valid_from": row.valid_from,
        "valid_to": row.valid_to,
        "where": row.place,
    }
    if row.kind == domain.RELATION:
        relation = related[row.about]
        return Relation(
            relation.type,
            named[relation.source].entity,
            named[relation.target].entity,
            relation.qualifiers,
            row.described,
            **said,  # type: ignore[arg-type]
        )
    entity = named[row.about].entity
    if row.kind == domain.ENTITY:
        return Entity(entity.type, entity.key, **said)  # type: ignore[arg-type]
    if row.kind == domain.ATTRIBUTE:
        return Attribute(entity, row.name, row.plain, **said)  # type: ignore[arg-type]
    assert row.kind == domain.ABSENCE
    return Absence(entity, row.name, **said)  # type: ignore[arg-type]


async def counts(view: Reader, workspace: UUID, scan: UUID) -> Stored:
    """Count what there is of a scan: complete results, messages in and out, entities by type, and claims."""
    values = {"workspace": workspace.bytes, "scan": scan.bytes}
    results = await view.fetch_one(
        "SELECT count(*) FROM result WHERE workspace = :workspace AND scan = :scan AND parts > 0 AND seen >= parts",
        **values,
    )
    counted = await view.fetch_one(
        "SELECT admissions, changes FROM scan WHERE workspace = :workspace AND id = :scan", **values
    )
    kinds = await view.fetch(
        "SELECT type, count(*) FROM sighting WHERE workspace = :workspace AND scan = :scan GROUP BY type", **values
    )
    claims = await view.fetch_one("SELECT count(*) FROM claim WHERE workspace = :workspace AND scan = :scan", **values)
    assert results is not None
    assert claims is not None
    admissions, changes = counted or (0, 0)
    return Stored(
        scan=scan,
        results=results[0],
        admissions=admissions,
        entities=dict(sorted((str(kind), int(count)) for kind, count in kinds)),
        claims=claims[0],
        changes=changes,
    )


async def answered(
    view: Reader, workspace: UUID, scan: UUID, asked: Sequence[tuple[str, bytes]]
) -> set[tuple[str, bytes]]:
    """Those of (module, subject) that were asked in a scan and answered completely."""
    rows = await view.fetch_in(
        "SELECT module, subject FROM result WHERE workspace = :workspace AND scan = :scan AND parts > 0"
        " AND seen >= parts AND outcome IN ('found', 'empty') AND subject IN :keys",
        list({subject for _, subject in asked}),
        workspace=workspace.bytes,
        scan=scan.bytes,
    )
    return {(module, bytes(subject)) for module, subject in rows}


async def unseen(view: Reader, workspace: UUID, scan: UUID, ids: Sequence[bytes]) -> dict[bytes, int]:
    """Those of ``ids`` that are entities which a scan did not see, with their numbers."""
    rows = await view.fetch_in(
        "SELECT id, number FROM entity WHERE workspace = :workspace AND id IN :keys AND NOT EXISTS"
        " (SELECT 1 FROM sighting WHERE sighting.workspace = :workspace AND sighting.scan = :scan"
        " AND sighting.entity = entity.number)",
        ids,
        workspace=workspace.bytes,
        scan=scan.bytes,
    )
    return {bytes(identity): number for identity, number in rows}


def _entity(row: Row) -> StoredEntity:
    identity, number, kind, key, first, last = row[:6]
    return StoredEntity(bytes(identity), number, Entity(kind, read_key(key)), first, last)


def read_relation(row: Row) -> StoredRelation:
    """A relation from its columns in `RELATION`."""
    identity, number, kind, source, target, qualifiers = row
    return StoredRelation(bytes(identity), number, kind, source, target, _qualifiers(qualifiers) if qualifiers else {})
