"""Search among what one scan saw: pages are full, and total and facets are the scan's own.

Where few entities of the workspace have the words, the index finds them and those of the scan are picked out, best
first. Otherwise the entities of the scan are gone through in the order in which they came.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Final
from uuid import UUID

from msgspec import Struct

from services.contracts.resources import SearchQuery
from services.contracts.scope import Role
from services.kernel.errors import Invalid
from services.kernel.search import COUNTED, Search
from services.kernel.search.words import fold, terms
from services.kernel.sql import Reader
from services.storage.store import reading, sightings
from services.storage.store.reading import StoredEntity
from services.storage.store.when import When
from services.storage.usecases import index

#: How many entities of a scan are gone through for a page at most; where there are more, it may be short.
LOOKED_AT: Final = 20 * COUNTED
_AT_ONCE: Final = 1000


class Page(Struct, frozen=True):
    """Entities that were found, how many of each type there are (as in `Found`), and the cursor of the next page."""

    entities: Sequence[StoredEntity]
    types: dict[str, int]
    cursor: str | None


class Narrowed(Struct, frozen=True):
    """A search among the entities of a scan: all of ``words`` are in them, see `terms`."""

    workspace: UUID
    scan: UUID
    words: Sequence[str]
    type: str | None
    role: Role | None
    when: When

    async def find(self, view: Reader, after: int, most: int) -> tuple[list[StoredEntity], int | None]:
        """Up to ``most`` entities that came after one, and whom to go on after, None at the end."""
        found: list[StoredEntity] = []
        for _ in range(LOOKED_AT // _AT_ONCE):
            some, last = await sightings.sighted_after(
                view,
                self.workspace,
                self.scan,
                after,
                self.when,
                roles=(self.role,) if self.role else None,
                type=self.type,
                limit=_AT_ONCE,
            )
            for each in some:
                text = fold(each.entity.value) if self.words else ""
                if all(word in text for word in self.words):
                    found.append(each)
                    if len(found) == most:
                        return found, each.number
            if last is None:
                return found, None
            after = last
        return found, after


async def search_scan(view: Reader, search: Search, workspace: UUID, scan: UUID, query: SearchQuery) -> Page:
    """Find what a scan saw by words, type and role."""
    narrowed = Narrowed(workspace, scan, terms(query.text), query.type, query.role, When(query.as_of))
    after = _read_cursor(query.cursor)
    if query.text.strip() and not narrowed.words:
        return Page((), {}, None)
    few = await _few(view, search, narrowed, query.text) if narrowed.words else None
    if few is not None:
        start = next((place for place, each in enumerate(few, 1) if each.number == after), 0)
        page, more = few[start : start + query.limit], start + query.limit < len(few)
        return Page(page, _types(few), str(page[-1].number) if more else None)
    counted, _ = await narrowed.find(view, 0, COUNTED)
    page, last = await narrowed.find(view, after, query.limit)
    return Page(page, _types(counted), None if last is None else str(last))


async def _few(view: Reader, search: Search, narrowed: Narrowed, text: str) -> list[StoredEntity] | None:
    """Those that the scan saw of all that the index finds, best first; None where there are more than it counts."""
    numbers: list[int] = []
    cursor: str | None = None
    while True:
        where = {"type": narrowed.type} if narrowed.type else None
        found = await search.find(narrowed.workspace, index.ENTITIES, text, where=where, limit=_AT_ONCE, cursor=cursor)
        if found.total >= COUNTED:
            return None
        numbers += map(index.number_of, found.ids)
        cursor = found.cursor
        if cursor is None:
            break
    known = await reading.entities(view, narrowed.workspace, numbers)
    there = [known[number] for number in numbers if number in known]
    seen = await sightings.as_seen(view, narrowed.workspace, narrowed.scan, there, narrowed.when)
    return [each for each in seen if narrowed.role in (None, each.role)]


def _types(found: Sequence[StoredEntity]) -> dict[str, int]:
    return dict(Counter(each.entity.type for each in found))


def _read_cursor(cursor: str | None) -> int:
    """The number of the entity that the page before ended with."""
    if cursor is None:
        return 0
    if not (cursor.isascii() and cursor.isdecimal() and len(cursor) < 20 and int(cursor) < 1 << 63):
        raise Invalid("this is no cursor of a search of a scan")
    return int(cursor)
