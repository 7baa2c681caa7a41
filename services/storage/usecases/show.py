"""An entity with all that is said of it."""

from collections.abc import Sequence
from contextlib import suppress
from uuid import UUID

from services.contracts.claims import Malformed
from services.contracts.resources import (
    AbsenceView,
    Assertion,
    AttributeValue,
    EntityQuery,
    EntityView,
    RelationView,
)
from services.contracts.targets import recognise
from services.kernel.calls import Caller
from services.kernel.service import Ports
from services.kernel.sql import Reader
from services.storage.domain import ABSENCE, ENTITY, record_ids
from services.storage.store import reading, sightings
from services.storage.store.reading import StoredClaim, StoredEntity, StoredRelation
from services.storage.store.when import When
from services.storage.usecases.compared import by_saying, grouped
from services.storage.usecases.stored import check_scans


async def get_entity(ports: Ports, caller: Caller, query: EntityQuery) -> tuple[EntityView, ...]:
    """Everything that is said of the entities of a value."""
    await check_scans(ports, caller, query.scan)
    value, when = query.value, When(query.as_of, query.valid_at, query.withdrawn)
    with suppress(Malformed):
        value = recognise(query.value, type=query.type).value
    async with ports.sql.read() as view:
        found = await _known(view, caller.workspace, value, query.type, when)
        if not found and value != query.value:
            found = await _known(view, caller.workspace, query.value, query.type, when)
        views = [await _entity_view(view, caller.workspace, stored, query.scan, when) for stored in found]
    return tuple(shown for shown in views if shown is not None)


async def _known(view: Reader, workspace: UUID, value: str, kind: str | None, when: When) -> list[StoredEntity]:
    return await sightings.as_known(
        view, workspace, await reading.entities_of_value(view, workspace, value, kind), when
    )


async def _entity_view(
    view: Reader, workspace: UUID, stored: StoredEntity, scan: UUID | None, when: When
) -> EntityView | None:
    touching = [
        *await reading.relations_from(view, workspace, [stored.number]),
        *await reading.relations_to(view, workspace, [stored.number]),
    ]
    numbers = [stored.number, *(relation.number for relation in touching)]
    claims = await reading.claims_about(view, workspace, numbers, scan, when=when)
    about = grouped(claims)
    said = {relation.number: relation for relation in touching if relation.number in about}
    if scan is not None:
        seen = await sightings.as_seen(view, workspace, scan, [stored], when)
        if not seen and not claims:
            return None
        stored = seen[0] if seen else stored
    pairs = ((relation.source, relation.target) for relation in said.values())
    ends = await reading.entities(view, workspace, [end for pair in pairs for end in pair])
    own = about.get(stored.number, ())
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
        attributes=_values(own),
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
    return tuple(
        AttributeValue(name=name, value=group[0].plain, assertions=tuple(map(_assertion, group)))
        for (name, _), group in sorted(by_saying(claims).items())
    )


def _absences(claims: Sequence[StoredClaim]) -> tuple[AbsenceView, ...]:
    by_name: dict[str, list[StoredClaim]] = {}
    for claim in claims:
        by_name.setdefault(claim.name, []).append(claim)
    return tuple(
        AbsenceView(predicate=name, assertions=tuple(map(_assertion, group))) for name, group in sorted(by_name.items())
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
        retracted_at=claim.retracted_at,
        unsupported_at=claim.unsupported_at,
    )
