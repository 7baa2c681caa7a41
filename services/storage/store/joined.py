"""Reads relations with their ends, whoever claimed them: those from a source, and those of given ids."""

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Final
from uuid import UUID

from services.contracts.claims import Entity
from services.kernel.sql import Reader
from services.storage.store import reading
from services.storage.store.reading import StoredEntity, StoredRelation

#: A relation with the entities at its ends.
Joined = tuple[StoredRelation, Entity, Entity]

_ENDS: Final = (
    "SELECT relation.id, relation.number, relation.type, relation.source, relation.target, relation.qualifiers,"
    " source.type, source.key, target.type, target.key FROM relation"
    " JOIN entity AS source ON source.workspace = relation.workspace AND source.number = relation.source"
    " JOIN entity AS target ON target.workspace = relation.workspace AND target.number = relation.target"
    " WHERE relation.workspace = :workspace"
)
#: Sources whose relations are looked for at once: each is looked for from each of them.
_SOURCES: Final = 32


async def relations_from(
    view: Reader, workspace: UUID, sources: Sequence[int], size: int
) -> AsyncIterator[list[Joined]]:
    """The relations from ``sources``, one source after the other, in lists; whoever claimed them."""
    named = {f"source{place}": number for place, number in enumerate(sources)}
    names = ", ".join(f":{name}" for name in named)
    async for rows in view.stream(
        f"{_ENDS} AND relation.source IN ({names}) ORDER BY relation.source, relation.id",
        size=size,
        workspace=workspace.bytes,
        **named,
    ):
        yield [_joined(row) for row in rows]


async def relations_of(view: Reader, workspace: UUID, ids: Sequence[tuple[bytes, bytes]]) -> list[Joined]:
    """Those relations that there are, by the ids of their sources and their own; whoever claimed them."""
    by_source: dict[bytes, list[bytes]] = {}
    for source, identity in ids:
        by_source.setdefault(source, []).append(identity)
    known = await reading.entities_by_id(view, workspace, list(by_source))
    found: list[Joined] = []
    for some in _pieces(sorted(known, key=lambda stored: stored.number), _SOURCES):
        named = {f"source{place}": stored.number for place, stored in enumerate(some)}
        names = ", ".join(f":{name}" for name in named)
        rows = await view.fetch_in(
            f"{_ENDS} AND relation.source IN ({names}) AND relation.id IN :keys",
            [identity for stored in some for identity in by_source[stored.id]],
            workspace=workspace.bytes,
            **named,
        )
        found += map(_joined, rows)
    return found


def _joined(row: tuple[object, ...]) -> Joined:
    source, target = (Entity(kind, reading.read_key(key)) for kind, key in (row[6:8], row[8:10]))  # type: ignore[arg-type]
    return reading.read_relation(row[:6]), source, target


def _pieces(stored: Sequence[StoredEntity], size: int) -> Iterator[Sequence[StoredEntity]]:
    return (stored[start : start + size] for start in range(0, len(stored), size))
