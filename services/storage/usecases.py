from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from typing import Final
from uuid import UUID

from services.contracts.claims import Malformed
from services.contracts.endpoints import GET_PLAN
from services.contracts.resources import (
    AbsenceView,
    Assertion,
    AttributeValue,
    Change,
    Chunk,
    ClaimsQuery,
    ClaimView,
    DiffQuery,
    EntityQuery,
    EntityRow,
    EntityView,
    ExportQuery,
    RecordView,
    RelationView,
    ScanId,
    SearchPage,
    SearchQuery,
    Stored,
    Swept,
)
from services.contracts.targets import recognise
from services.kernel.calls import Caller
from services.kernel.errors import Invalid
from services.kernel.service import Ports
from services.kernel.sql import Reader
from services.storage import index
from services.storage.diff import diff
from services.storage.domain import ABSENCE, ATTRIBUTE, ENTITY, RECORD_ID, comparable, record_ids
from services.storage.export import export
from services.storage.narrowed import search_scan
from services.storage.store import intake, reading, records, retractions
from services.storage.store.reading import StoredClaim, StoredEntity, StoredRelation

MOST_FOUND: Final = 1000
MOST_RECORDS: Final = 10_000
RESOLVES: Final = "resolves_to"


async def find_entities(ports: Ports, caller: Caller, query: SearchQuery) -> SearchPage:
    """Search by words and parts of words."""
    if not 1 <= query.limit <= MOST_FOUND:
        raise Invalid(f"a page has 1 to {MOST_FOUND} entities")
    if query.scan is None:
        if query.role is not None:
            raise Invalid("a role is a place in a scan: say in which scan")
        return await _find_anywhere(ports, caller, query)
    await _check_scans(ports, caller, query.scan)
    async with ports.sql.read() as view:
        page = await search_scan(view, ports.search, caller.workspace, query.scan, query)
    return SearchPage(
        entities=tuple(map(_entity_row, page.entities)),
        total=sum(page.types.values()),
        facets={"type": page.types},
        cursor=page.cursor,
    )


async def _find_anywhere(ports: Ports, caller: Caller, query: SearchQuery) -> SearchPage:
    found = await ports.search.find(
        caller.workspace,
        index.ENTITIES,
        query.text,
        where={"type": query.type} if query.type else None,
        facets=("type",),
        limit=query.limit,
        cursor=query.cursor,
    )
    async with ports.sql.read() as view:
        numbers = [index.number_of(document) for document in found.ids]
        stored = await reading.entities(view, caller.workspace, numbers)
        hidden = await retractions.withdrawn(view, caller.workspace, numbers)
    return SearchPage(
        entities=tuple(_entity_row(stored[number]) for number in numbers if number in stored and number not in hidden),
        total=found.total,
        facets=found.facets,
        cursor=found.cursor,
    )


def _entity_row(stored: StoredEntity) -> EntityRow:
    return EntityRow(
        id=str(UUID(bytes=stored.id)),
        type=stored.entity.type,
        value=stored.entity.value,
        first_seen=stored.first_seen,
        last_seen=stored.last_seen,
        scope_role=stored.role,
        distance=stored.distance,
    )


async def get_entity(ports: Ports, caller: Caller, query: EntityQuery) -> tuple[EntityView, ...]:
    """Everything that is said of the entities of a value."""
    await _check_scans(ports, caller, query.scan)
    value = query.value
    with suppress(Malformed):
        value = recognise(query.value, type=query.type).value
    async with ports.sql.read() as view:
        found = await reading.entities_of_value(view, caller.workspace, value, query.type)
        if not found and value != query.value:
            found = await reading.entities_of_value(view, caller.workspace, query.value, query.type)
        views = [await _entity_view(view, caller.workspace, stored, query.scan) for stored in found]
    return tuple(shown for shown in views if shown is not None)


async def _entity_view(view: Reader, workspace: UUID, stored: StoredEntity, scan: UUID | None) -> EntityView | None:
    touching = [
        *await reading.relations_from(view, workspace, [stored.number]),
        *await reading.relations_to(view, workspace, [stored.number]),
    ]
    numbers = [stored.number, *(relation.number for relation in touching)]
    claims = await reading.claims_about(view, workspace, numbers, scan)
    about: dict[int, list[StoredClaim]] = {}
    for claim in claims:
        about.setdefault(claim.about, []).append(claim)
    said = {relation.number: relation for relation in touching if relation.number in about}
    if scan is not None:
        seen = await reading.as_seen(view, workspace, scan, [stored])
        if not seen and not claims:
            return None
        stored = seen[0] if seen else stored
    pairs = ((relation.source, relation.target) for relation in said.values())
    ends = await reading.entities(view, workspace, [end for pair in pairs for end in pair])
    own = about.get(stored.number, [])
    return EntityView(
        id=str(UUID(bytes=stored.id)),
        type=stored.entity.type,
        key=stored.entity.key,
        value=stored.entity.value,
        first_seen=stored.first_seen,
        last_seen=stored.last_seen,
        scope_role=stored.role,
        distance=stored.distance,
        assertions=tuple(_assertion(claim) for claim in own if claim.kind == ENTITY),
        attributes=_values([claim for claim in own if claim.kind == ATTRIBUTE]),
        absences=_absences([claim for claim in own if claim.kind == ABSENCE]),
        relations=tuple(
            _relation_view(relation, ends, about[relation.number])
            for relation in sorted(
                said.values(),
                key=lambda relation: (
                    relation.type,
                    ends[relation.source].entity.value,
                    ends[relation.target].entity.value,
                ),
            )
        ),
    )


def _values(claims: Sequence[StoredClaim]) -> tuple[AttributeValue, ...]:
    grouped: dict[tuple[str, str], list[StoredClaim]] = {}
    for claim in claims:
        grouped.setdefault((claim.name, claim.value), []).append(claim)
    return tuple(
        AttributeValue(name=name, value=group[0].plain, assertions=tuple(map(_assertion, group)))
        for (name, _), group in sorted(grouped.items())
    )


def _absences(claims: Sequence[StoredClaim]) -> tuple[AbsenceView, ...]:
    grouped: dict[str, list[StoredClaim]] = {}
    for claim in claims:
        grouped.setdefault(claim.name, []).append(claim)
    return tuple(
        AbsenceView(predicate=name, assertions=tuple(map(_assertion, group))) for name, group in sorted(grouped.items())
    )


def _relation_view(
    relation: StoredRelation, ends: dict[int, StoredEntity], claims: Sequence[StoredClaim]
) -> RelationView:
    source, target = ends[relation.source].entity, ends[relation.target].entity
    return RelationView(
        id=str(UUID(bytes=relation.id)),
        type=relation.type,
        source_type=source.type,
        source_value=source.value,
        target_type=target.type,
        target_value=target.value,
        qualifiers=relation.qualifiers,
        details=claims[-1].described,
        assertions=tuple(map(_assertion, claims)),
    )


def _assertion(claim: StoredClaim) -> Assertion:
    return Assertion(
        module=claim.module,
        version=claim.version,
        at=claim.at,
        confidence=claim.confidence,
        evidence=tuple(identity.hex() for identity in record_ids(claim.evidence)),
        scan=UUID(bytes=claim.scan),
        item=UUID(bytes=claim.item),
        where=claim.place,
        valid_from=claim.valid_from,
        valid_to=claim.valid_to,
    )


async def export_scan(ports: Ports, caller: Caller, query: ExportQuery) -> AsyncGenerator[Chunk, None]:
    """Stream an export of what is stored now."""
    plan = await ports.calls.ask(GET_PLAN, ScanId(query.scan), caller)
    resolving = {module.id for module in plan.modules if module.activity != "passive" and RESOLVES in module.produces}
    async with ports.sql.read() as view:
        async for text in export(view, caller.workspace, query, resolving=resolving):
            yield Chunk(text)


async def get_stored(ports: Ports, caller: Caller, scan: UUID) -> Stored:
    """Count what there is of a scan."""
    await _check_scans(ports, caller, scan)
    async with ports.sql.read() as view:
        results, admissions, entities, claims = await reading.counts(view, caller.workspace, scan)
    return Stored(scan=scan, results=results, admissions=admissions, entities=entities, claims=claims)


async def swept(ports: Ports, caller: Caller, scan: UUID) -> Swept:
    """Whether a scan was deleted here: its tombstone is written with the last of its rows."""
    async with ports.sql.read() as view:
        return Swept(scan, (caller.workspace.bytes, scan.bytes) in await intake.deleted_scans(view, [scan.bytes]))


async def diff_scans(ports: Ports, caller: Caller, query: DiffQuery) -> AsyncGenerator[Change, None]:
    """Stream the differences of two scans."""
    plans = [await ports.calls.ask(GET_PLAN, ScanId(scan), caller) for scan in (query.before, query.after)]
    async with ports.sql.read() as view:
        async for change in diff(view, caller.workspace, query.before, query.after, comparable(*plans)):
            yield change


async def find_records(ports: Ports, caller: Caller, digest: str) -> tuple[RecordView, ...]:
    """Records by the beginning of their id or of their blob's sha256."""
    if not 4 <= len(digest) <= 64 or any(character not in "0123456789abcdef" for character in digest.lower()):
        raise Invalid("an evidence hash is 4 to 64 hexadecimal digits")
    low, high = digest.lower().ljust(64, "0"), digest.lower().ljust(64, "f")
    async with ports.sql.read() as view:
        found = await records.find_records(
            view, caller.workspace, bytes.fromhex(low), bytes.fromhex(high), MOST_RECORDS
        )
    return tuple(map(_record_view, found))


async def list_records(ports: Ports, caller: Caller, scan: UUID) -> AsyncGenerator[RecordView, None]:
    """Stream the records of a scan."""
    await _check_scans(ports, caller, scan)
    async with ports.sql.read() as view:
        async for page in records.records_of(view, caller.workspace, scan):
            for stored in page:
                yield _record_view(stored)


def _record_view(stored: records.StoredRecord) -> RecordView:
    record = stored.record
    return RecordView(
        id=record.id.hex(),
        blob=None if record.blob is None else record.blob.hex(),
        record=record,
        scan=UUID(bytes=stored.scan),
        item=UUID(bytes=stored.item),
        module=stored.module,
        version=stored.version,
    )


async def list_claims(ports: Ports, caller: Caller, query: ClaimsQuery) -> AsyncGenerator[ClaimView, None]:
    """Stream the claims of a scan, of one item or resting on one record where the query says so."""
    try:
        record = bytes.fromhex(query.record)
    except ValueError:
        record = b"?"
    if len(record) not in {0, RECORD_ID}:
        raise Invalid(f"the id of a record is {2 * RECORD_ID} hexadecimal digits")
    await _check_scans(ports, caller, query.scan)
    async with ports.sql.read() as view:
        async for rows in reading.claims_of(
            view, caller.workspace, query.scan, query.item, with_withdrawn=query.withdrawn
        ):
            wanted = [row for row in rows if not record or record in record_ids(row.evidence)]
            for row, claim in zip(wanted, await reading.spoken(view, caller.workspace, wanted), strict=True):
                yield ClaimView(
                    key=row.claim.hex(),
                    claim=claim,
                    item=UUID(bytes=row.item),
                    module=row.module,
                    version=row.version,
                    evidence=tuple(identity.hex() for identity in record_ids(row.evidence)),
                )


async def _check_scans(ports: Ports, caller: Caller, *scans: UUID | None) -> None:
    """Raise `NotFound` where there is no such scan: it would look like one that found nothing."""
    for scan in dict.fromkeys(filter(None, scans)):
        await ports.calls.ask(GET_PLAN, ScanId(scan), caller)
