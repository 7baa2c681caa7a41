"""What a scan says, as facts that others judge: all of it in constant memory, or what is said of some things."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from typing import Final
from uuid import UUID

from msgspec.structs import replace

from services.contracts.facts import MAX_CHANGED
from services.contracts.resources.storage import (
    EntityFacts,
    Facts,
    FactsOf,
    FactsQuery,
    RelationFacts,
    SaidAbsence,
    SaidBy,
    SaidValue,
)
from services.contracts.scope import Role
from services.kernel.calls import Caller
from services.kernel.errors import Invalid
from services.kernel.service import Ports
from services.kernel.sql import Reader
from services.storage.domain import ABSENCE, ENTITY, record_ids
from services.storage.store import joined, reading, sightings
from services.storage.store.joined import Joined
from services.storage.store.reading import StoredClaim, StoredEntity
from services.storage.store.when import NOW, When
from services.storage.usecases.compared import by_saying, grouped
from services.storage.usecases.stored import check_scans

IN_SCOPE: Final[tuple[Role, ...]] = ("target", "in_scope")
#: How often a module is shown to have said the same of one thing: of a hub, thousands of items do.
ASSERTED: Final = 50
#: Entities, or relations, of a piece of the stream.
PIECE: Final = 500


async def read_facts(ports: Ports, caller: Caller, query: FactsQuery) -> AsyncGenerator[Facts, None]:
    """Stream what a scan says: entities in the order of their coming, and after each the relations from it."""
    await check_scans(ports, caller, query.scan)
    async with ports.sql.read() as view:
        async for piece in scan_facts(view, caller.workspace, query):
            yield piece


async def scan_facts(view: Reader, workspace: UUID, query: FactsQuery) -> AsyncIterator[Facts]:
    """Yield what is in one view of the database."""
    after: int | None = 0
    when, roles = When(query.as_of), None if query.all else IN_SCOPE
    while after is not None:
        stored, after = await sightings.sighted_after(
            view, workspace, query.scan, after, when, roles=roles, limit=PIECE
        )
        if stored:
            told = await _entity_facts(view, workspace, query.scan, stored, when)
            yield Facts(entities=await _named(view, workspace, query.scan, stored, told, when))
            async for related in joined.relations_from(view, workspace, [each.number for each in stored], PIECE):
                if said := await _relation_facts(view, workspace, query.scan, related, when):
                    yield Facts(relations=said)


async def read_facts_of(ports: Ports, caller: Caller, query: FactsOf) -> AsyncGenerator[Facts, None]:
    """Stream what a scan says of some entities and relations; of what is left out it says nothing."""
    if max(len(query.entities), len(query.relations)) > MAX_CHANGED:
        raise Invalid(f"ask for at most {MAX_CHANGED} entities, and as many relations, at once")
    await check_scans(ports, caller, query.scan)
    async with ports.sql.read() as view:
        async for piece in facts_of(view, caller.workspace, query):
            yield piece


async def facts_of(view: Reader, workspace: UUID, query: FactsOf) -> AsyncIterator[Facts]:
    """Yield what is in one view of the database."""
    known = await reading.entities_by_id(view, workspace, list(dict.fromkeys(query.entities)))
    stored = await sightings.as_seen(view, workspace, query.scan, known, NOW)
    for start in range(0, len(stored), PIECE):
        yield Facts(entities=await _entity_facts(view, workspace, query.scan, stored[start : start + PIECE], NOW))
    related = await joined.relations_of(view, workspace, list(dict.fromkeys(query.relations)))
    for start in range(0, len(related), PIECE):
        if said := await _relation_facts(view, workspace, query.scan, related[start : start + PIECE], NOW):
            yield Facts(relations=said)


async def _entity_facts(
    view: Reader, workspace: UUID, scan: UUID, stored: Sequence[StoredEntity], when: When
) -> tuple[EntityFacts, ...]:
    told = await _told(view, workspace, scan, [each.number for each in stored], when)
    return tuple(_entity(each, told.get(each.number, ())) for each in stored)


async def _named(
    view: Reader, workspace: UUID, scan: UUID, stored: Sequence[StoredEntity], told: Sequence[EntityFacts], when: When
) -> tuple[EntityFacts, ...]:
    """The same, with who named those in a relation of which nobody has said anything else."""
    unsaid = [
        each.number
        for each, facts in zip(stored, told, strict=True)
        if not (facts.said or facts.attributes or facts.absences)
    ]
    if not unsaid:
        return tuple(told)
    naming = await reading.vouching(view, workspace, scan, unsaid, ASSERTED, when)
    return tuple(
        replace(facts, named=_said(naming[each.number])) if each.number in naming else facts
        for each, facts in zip(stored, told, strict=True)
    )


async def _relation_facts(
    view: Reader, workspace: UUID, scan: UUID, related: Sequence[Joined], when: When
) -> tuple[RelationFacts, ...]:
    """Of those relations that the scan claims."""
    told = await _told(view, workspace, scan, [relation.number for relation, _, _ in related], when)
    return tuple(_relation(each, told[each[0].number]) for each in related if each[0].number in told)


async def _told(
    view: Reader, workspace: UUID, scan: UUID, numbers: Sequence[int], when: When
) -> dict[int, tuple[StoredClaim, ...]]:
    return grouped(await reading.claims_about(view, workspace, numbers, scan, ASSERTED, when))


def _entity(stored: StoredEntity, claims: Sequence[StoredClaim]) -> EntityFacts:
    values = by_saying(claims)
    absences: dict[str, list[StoredClaim]] = {}
    for claim in claims:
        if claim.kind == ABSENCE:
            absences.setdefault(claim.name, []).append(claim)
    return EntityFacts(
        entity=stored.entity,
        role=stored.role,
        distance=stored.distance,
        first_seen=stored.first_seen,
        last_seen=stored.last_seen,
        said=_said(claim for claim in claims if claim.kind == ENTITY),
        attributes=tuple(SaidValue(name, group[0].plain, _said(group)) for (name, _), group in sorted(values.items())),
        absences=tuple(SaidAbsence(name, _said(group)) for name, group in sorted(absences.items())),
    )


def _relation(related: Joined, claims: Sequence[StoredClaim]) -> RelationFacts:
    relation, source, target = related
    return RelationFacts(
        type=relation.type,
        source=source,
        target=target,
        qualifiers=relation.qualifiers,
        details=claims[-1].described,
        said=_said(claims),
    )


def _said(claims: Iterable[StoredClaim]) -> tuple[SaidBy, ...]:
    return tuple(
        SaidBy(
            claim.module,
            claim.version,
            claim.at,
            claim.confidence,
            claim.subject,
            tuple(record_ids(claim.evidence)),
            claim.valid_from,
            claim.valid_to,
        )
        for claim in claims
    )
