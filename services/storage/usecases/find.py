"""Entities by words: of a workspace by the index, of a scan among what it saw."""

from typing import Final
from uuid import UUID

from services.contracts.resources import EntityRow, SearchPage, SearchQuery
from services.kernel.calls import Caller
from services.kernel.errors import Invalid
from services.kernel.service import Ports
from services.storage.store import reading, sightings
from services.storage.store.reading import StoredEntity
from services.storage.store.when import When
from services.storage.usecases import index
from services.storage.usecases.narrowed import search_scan
from services.storage.usecases.stored import check_scans

MOST_FOUND: Final = 1000


async def find_entities(ports: Ports, caller: Caller, query: SearchQuery) -> SearchPage:
    """Search by words and parts of words."""
    if not 1 <= query.limit <= MOST_FOUND:
        raise Invalid(f"a page has 1 to {MOST_FOUND} entities")
    if query.scan is None:
        if query.role is not None:
            raise Invalid("a role is a place in a scan: say in which scan")
        return await _find_anywhere(ports, caller, query)
    await check_scans(ports, caller, query.scan)
    async with ports.sql.read() as view:
        page = await search_scan(view, ports.search, caller.workspace, query.scan, query)
    return SearchPage(
        entities=tuple(map(_entity_row, page.entities)),
        total=sum(page.types.values()),
        facets={"type": page.types},
        cursor=page.cursor,
    )


async def _find_anywhere(ports: Ports, caller: Caller, query: SearchQuery) -> SearchPage:
    """The index has what is known now: of an instant, those are left out of a page that were not known then."""
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
        there = [stored[number] for number in numbers if number in stored]
        known = await sightings.as_known(view, caller.workspace, there, When(query.as_of))
    return SearchPage(
        entities=tuple(map(_entity_row, known)),
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
