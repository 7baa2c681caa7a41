"""Entities seen by a scan and their places, the ways between them, subjects that are no entities, and known names."""

from collections.abc import AsyncIterator, Iterable, Sequence

import msgspec

from services.contracts.claims import Entity, Relation
from services.contracts.subjects import CarriedSubject, Level, NamesDigest
from services.kernel.sql import Reader, Row, Tx
from services.scans.domain.reach import IN_SCOPE, Member
from services.scans.store.scans import Key

_key_decoder = msgspec.json.Decoder(tuple[str, ...])
_subject_decoder: msgspec.json.Decoder[Relation | NamesDigest | Level] = msgspec.json.Decoder(
    Relation | NamesDigest | Level
)
_MEMBER = ("workspace", "scan", "id", "type", "key", "rank", "distance")
_MEMBER_KEY = ("workspace", "scan", "id")


async def places(view: Reader, key: Key, ids: Sequence[bytes]) -> list[tuple[bytes, int, int]]:
    """(id, rank, distance) of those of ``ids`` that were seen."""
    return await view.fetch_in(
        "SELECT id, rank, distance FROM member WHERE workspace = :workspace AND scan = :scan AND id IN :keys",
        ids,
        **key._asdict(),
    )


async def entities(view: Reader, key: Key, ids: Sequence[bytes]) -> dict[bytes, tuple[Entity, int, int]]:
    """Entity, rank and distance of those of ``ids`` that were seen."""
    rows = await view.fetch_in(
        "SELECT id, type, key, rank, distance FROM member"
        " WHERE workspace = :workspace AND scan = :scan AND id IN :keys",
        ids,
        **key._asdict(),
    )
    return {row[0]: (Entity(row[1], _key_decoder.decode(row[2])), row[3], row[4]) for row in rows}


async def admitted_of_types(
    view: Reader, key: Key, types: Iterable[str], least: int
) -> AsyncIterator[list[tuple[bytes, str, int]]]:
    """Lists of (id, type, rank) of all entities of ``types`` whose rank is ``least`` or more."""
    wanted = frozenset(types)
    async for rows in view.stream(
        "SELECT id, type, rank FROM member WHERE workspace = :workspace AND scan = :scan AND rank >= :least",
        size=2000,
        least=least,
        **key._asdict(),
    ):
        yield [(identity, kind, rank) for identity, kind, rank in rows if kind in wanted]


async def insert_members(tx: Tx, key: Key, members: Iterable[tuple[Member, str, str]]) -> None:
    """Write entities that were not seen before, each with its type and its key as JSON."""
    rows: list[Row] = [(*key, member.id, kind, json, member.role, member.distance) for member, kind, json in members]
    await tx.bulk_upsert("member", _MEMBER, _MEMBER_KEY, rows, {})


async def move_members(tx: Tx, key: Key, members: Iterable[Member]) -> None:
    """Write the new places of entities that were seen before."""
    await tx.execute_many(
        "UPDATE member SET rank = :rank, distance = :distance"
        " WHERE workspace = :workspace AND scan = :scan AND id = :id",
        [{**key._asdict(), "id": member.id, "rank": member.role, "distance": member.distance} for member in members],
    )


async def insert_ways(tx: Tx, key: Key, ways: Iterable[tuple[bytes, bytes, int]]) -> None:
    columns = ("workspace", "scan", "origin", "heir", "kind")
    await tx.bulk_upsert("way", columns, columns, [(*key, *way) for way in ways], {})


async def ways_from(view: Reader, key: Key, origins: Sequence[bytes]) -> list[tuple[bytes, bytes, int]]:
    return await view.fetch_in(
        "SELECT origin, heir, kind FROM way WHERE workspace = :workspace AND scan = :scan AND origin IN :keys",
        origins,
        **key._asdict(),
    )


async def insert_subjects(tx: Tx, key: Key, subjects: Iterable[tuple[bytes, str, bytes, str]]) -> set[bytes]:
    """Write (id, kind, judge, JSON) of subjects; return the ids of those that are new."""
    columns = ("workspace", "scan", "id", "kind", "judge", "body")
    rows: list[Row] = [(*key, *subject) for subject in subjects]
    return {row[2] for row in await tx.insert_new("subject", columns, ("workspace", "scan", "id"), rows)}


async def subjects_judged_by(view: Reader, key: Key, judges: Sequence[bytes]) -> list[tuple[bytes, str, bytes]]:
    """(id, kind, judge) of the subjects that the places of ``judges`` decide on."""
    return await view.fetch_in(
        "SELECT id, kind, judge FROM subject WHERE workspace = :workspace AND scan = :scan AND judge IN :keys",
        judges,
        **key._asdict(),
    )


async def all_subjects(view: Reader, key: Key, kinds: Sequence[str]) -> list[tuple[bytes, str, int]]:
    """(id, kind, rank of its judge) of all subjects of ``kinds``; one without a judge is in scope by itself."""
    return await view.fetch_in(
        "SELECT subject.id, subject.kind, COALESCE(member.rank, :inside) FROM subject LEFT JOIN member"
        " ON member.workspace = subject.workspace AND member.scan = subject.scan AND member.id = subject.judge"
        " WHERE subject.workspace = :workspace AND subject.scan = :scan AND subject.kind IN :keys",
        kinds,
        inside=IN_SCOPE,
        **key._asdict(),
    )


async def subjects(view: Reader, key: Key, ids: Sequence[bytes]) -> dict[bytes, tuple[CarriedSubject, bytes]]:
    """Subjects that are no entities, by their ids, with the entities whose places decide."""
    rows = await view.fetch_in(
        "SELECT id, judge, body FROM subject WHERE workspace = :workspace AND scan = :scan AND id IN :keys",
        ids,
        **key._asdict(),
    )
    return {row[0]: (_subject_decoder.decode(row[2]), row[1]) for row in rows}


async def insert_names(tx: Tx, key: Key, names: Iterable[tuple[str, str, int]]) -> int:
    """Write (zone, name, ordinal) of names in scope; return how many are new."""
    columns = ("workspace", "scan", "zone", "name", "ordinal")
    rows: list[Row] = [(*key, *name) for name in names]
    return len(await tx.insert_new("known_name", columns, ("workspace", "scan", "zone", "name"), rows))


async def zones(view: Reader, key: Key, after: int) -> list[str]:
    """The zones that have names, and at least one that was admitted after the ordinal ``after``."""
    rows = await view.fetch(
        "SELECT zone FROM known_name WHERE workspace = :workspace AND scan = :scan AND ordinal > :after"
        " GROUP BY zone ORDER BY zone",
        after=after,
        **key._asdict(),
    )
    return [row[0] for row in rows]


async def names_of(view: Reader, key: Key, zone: str, upto: int, after: int = -1) -> AsyncIterator[list[str]]:
    """The names of a zone up to an ordinal, and after another, sorted, in lists."""
    async for rows in view.stream(
        "SELECT name FROM known_name WHERE workspace = :workspace AND scan = :scan AND zone = :zone"
        " AND ordinal <= :upto AND ordinal > :after ORDER BY name",
        size=5000,
        zone=zone,
        upto=upto,
        after=after,
        **key._asdict(),
    ):
        yield [row[0] for row in rows]


async def insert_name_sets(tx: Tx, key: Key, sets: Iterable[tuple[str, str, int]]) -> None:
    """Write (digest, zone, ordinal) of sets of names."""
    columns = ("workspace", "scan", "digest", "zone", "ordinal")
    await tx.bulk_upsert("name_set", columns, ("workspace", "scan", "digest"), [(*key, *each) for each in sets], {})


async def name_set(view: Reader, key: Key, digest: str) -> tuple[str, int] | None:
    """The zone and the ordinal of a set of names."""
    row = await view.fetch_one(
        "SELECT zone, ordinal FROM name_set WHERE workspace = :workspace AND scan = :scan AND digest = :digest",
        digest=digest,
        **key._asdict(),
    )
    return (row[0], row[1]) if row else None


async def set_before(view: Reader, key: Key, zone: str, ordinal: int) -> int | None:
    """The ordinal of the set of a zone that was handed out before the one up to ``ordinal``."""
    row = await view.fetch_one(
        "SELECT MAX(ordinal) FROM name_set WHERE workspace = :workspace AND scan = :scan AND zone = :zone"
        " AND ordinal < :ordinal",
        zone=zone,
        ordinal=ordinal,
        **key._asdict(),
    )
    return row[0] if row else None
