"""Reads which entities a scan knows of, in which role and how far away, now or at an instant.

Roles only get stronger, distances smaller and times wider: a row has what they came to, `admission` the places that
were given on the way, and the claims when they named whom. So of an instant those are read whose row admits that they
were there, and they are put back to what they were then.
"""

from collections.abc import Mapping, Sequence
from typing import Final
from uuid import UUID

from services.contracts.claims import Entity
from services.contracts.scope import Role
from services.kernel.sql import Reader, Row
from services.storage.domain import rank_of, role_of
from services.storage.store.reading import StoredEntity, read_key
from services.storage.store.when import When
from services.storage.store.withheld import withdrawn

_SEEN: Final = (
    "SELECT entity.id, entity.number, entity.type, entity.key, sighting.first_seen, sighting.last_seen,"
    " sighting.role, sighting.distance, sighting.recorded_at FROM sighting"
    " JOIN entity ON entity.workspace = sighting.workspace AND entity.number = sighting.entity"
    " WHERE sighting.workspace = :workspace AND sighting.scan = :scan"
)
_KNOWN: Final = " AND COALESCE(sighting.recorded_at, sighting.first_seen) <= :as_of"


def _naming(narrowed: str) -> tuple[str, ...]:
    """When entities were named first and last: by claims about them, as ends of relations, and as admitted."""
    claims = f"claim.workspace = :workspace{narrowed.format('claim')} AND claim.recorded_at <= :as_of"
    admissions = f"admission.workspace = :workspace{narrowed.format('admission')} AND admission.recorded_at <= :as_of"
    ends = (
        f"SELECT relation.{end}, MIN(claim.at), MAX(claim.at) FROM relation"  # noqa: S608  two literals
        f" JOIN claim ON claim.about = relation.number AND {claims}"
        f" WHERE relation.workspace = :workspace AND relation.{end} IN :keys GROUP BY relation.{end}"
        for end in ("source", "target")
    )
    return (
        f"SELECT about, MIN(at), MAX(at) FROM claim WHERE {claims} AND about IN :keys GROUP BY about",  # noqa: S608  from here
        *ends,
        f"SELECT entity, MIN(first_at), MAX(last_at) FROM admission WHERE {admissions} AND entity IN :keys GROUP BY entity",  # noqa: S608, E501  from here
    )


_NAMING: Final = _naming("")
_NAMING_IN_SCAN: Final = _naming(" AND {}.scan = :scan")


def _narrowed(when: When, roles: Sequence[Role] | None, type: str | None) -> tuple[str, dict[str, object]]:
    """The conditions for an instant, for roles and for a type, and their values.

    Who was in a role may have a stronger one by now.
    """
    values: dict[str, object] = {"type": type} if type else {}
    text = " AND sighting.type = :type" if type else ""
    if when.as_of is not None:
        text, values = text + _KNOWN, values | {"as_of": when.as_of}
    if roles and when.as_of is not None:
        return f"{text} AND sighting.role <= :weakest", values | {"weakest": max(map(rank_of, roles))}
    ranks = {f"rank{place}": rank_of(role) for place, role in enumerate(roles or ())}
    return text + (f" AND sighting.role IN ({_names(ranks)})" if roles else ""), values | ranks


def _names(values: Mapping[str, object]) -> str:
    return ", ".join(f":{name}" for name in values)


async def sighted_after(
    view: Reader,
    workspace: UUID,
    scan: UUID,
    after: int,
    when: When,
    *,
    roles: Sequence[Role] | None = None,
    type: str | None = None,
    limit: int,
) -> tuple[list[StoredEntity], int | None]:
    """Of the next entities of a scan, in the order in which they came, those that count; and whom to go on after."""
    narrowed, values = _narrowed(when, roles, type)
    rows = await view.fetch(
        f"{_SEEN} AND sighting.entity > :after{narrowed} ORDER BY sighting.entity LIMIT :limit",
        workspace=workspace.bytes,
        scan=scan.bytes,
        after=after,
        limit=limit,
        **values,
    )
    seen = await _as_known(view, workspace, scan, rows, when, roles)
    return seen, rows[-1][1] if len(rows) == limit else None


async def as_seen(
    view: Reader, workspace: UUID, scan: UUID, stored: Sequence[StoredEntity], when: When
) -> list[StoredEntity]:
    """Those of ``stored`` that a scan saw: when it did, and their role and distance there."""
    narrowed, values = _narrowed(when, None, None)
    rows = await view.fetch_in(
        f"{_SEEN}{narrowed} AND sighting.entity IN :keys",
        [each.number for each in stored],
        workspace=workspace.bytes,
        scan=scan.bytes,
        **values,
    )
    seen = {each.number: each for each in await _as_known(view, workspace, scan, rows, when, None)}
    return [seen[each.number] for each in stored if each.number in seen]


async def as_known(view: Reader, workspace: UUID, stored: Sequence[StoredEntity], when: When) -> list[StoredEntity]:
    """Those of ``stored`` that any scan saw, and when; but for those that are named by claims that do not count."""
    hidden = await withdrawn(view, workspace, [each.number for each in stored], None, when)
    stored = [each for each in stored if each.number not in hidden]
    if when.as_of is None:
        return stored
    rows = await view.fetch_in(
        "SELECT DISTINCT entity FROM sighting WHERE workspace = :workspace AND entity IN :keys"
        " AND COALESCE(recorded_at, first_seen) <= :as_of",
        [each.number for each in stored],
        workspace=workspace.bytes,
        as_of=when.as_of,
    )
    there = {row[0] for row in rows}
    times = await _times(view, workspace, list(there), when.as_of, None)
    return [
        each._replace(first_seen=first, last_seen=last)
        for each in stored
        if each.number in there
        for first, last in (times.get(each.number, (each.first_seen, each.last_seen)),)
    ]


async def _as_known(
    view: Reader, workspace: UUID, scan: UUID, rows: Sequence[Row], when: When, roles: Sequence[Role] | None
) -> list[StoredEntity]:
    """Entities from rows of `_SEEN` but for those that claims named that do not count, as they were then."""
    hidden = await withdrawn(view, workspace, [row[1] for row in rows], scan, when)
    rows = [row for row in rows if row[1] not in hidden]
    seen = [
        StoredEntity(bytes(identity), number, Entity(kind, read_key(key)), first, last, role_of(rank), distance)
        for identity, number, kind, key, first, last, rank, distance, _ in rows
    ]
    if when.as_of is None or not seen:
        return seen
    numbers = [each.number for each in seen]
    times = await _times(view, workspace, numbers, when.as_of, scan)
    places = await _places(view, workspace, numbers, when.as_of, scan)
    # Of what was seen before places were kept, the one that it has is all that is known.
    early = {row[1] for row in rows if row[8] is None}
    then = []
    for each in seen:
        first, last = times.get(each.number, (each.first_seen, each.last_seen))
        unplaced = (each.role, each.distance) if each.number in early else (None, None)
        role, distance = places.get(each.number, unplaced)
        if not roles or role in roles:
            then.append(each._replace(first_seen=first, last_seen=last, role=role, distance=distance))
    return then


async def _places(
    view: Reader, workspace: UUID, numbers: Sequence[int], as_of: int, scan: UUID
) -> dict[int, tuple[Role | None, int]]:
    """The role and distance that entities had in a scan, of those that had been given any."""
    rows = await view.fetch_in(
        "SELECT entity, MIN(role), MIN(distance) FROM admission WHERE workspace = :workspace AND scan = :scan"
        " AND entity IN :keys AND recorded_at <= :as_of GROUP BY entity",
        numbers,
        workspace=workspace.bytes,
        scan=scan.bytes,
        as_of=as_of,
    )
    return {number: (role_of(rank), distance) for number, rank, distance in rows}


async def _times(
    view: Reader, workspace: UUID, numbers: Sequence[int], as_of: int, scan: UUID | None
) -> dict[int, tuple[int, int]]:
    """When entities were first and last seen by what was known then, in a scan or in any."""
    given = {} if scan is None else {"scan": scan.bytes}
    found: dict[int, tuple[int, int]] = {}
    for statement in _NAMING if scan is None else _NAMING_IN_SCAN:
        for number, first, last in await view.fetch_in(
            statement, numbers, workspace=workspace.bytes, as_of=as_of, **given
        ):
            known = found.get(number, (first, last))
            found[number] = min(first, known[0]), max(last, known[1])
    return found
