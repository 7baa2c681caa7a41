"""Taking entities into a scan, and making the work that follows from it."""

from collections.abc import Iterable, Sequence

import msgspec

from services.contracts.claims import Entity
from services.contracts.facts import Admission, Admitted
from services.contracts.subjects import Level
from services.scans.domain.candidates import Candidates
from services.scans.domain.items import Asking, item_id, levels_above, subject_id, zone_of
from services.scans.domain.reach import (
    AFFILIATE,
    FAR,
    IN_SCOPE,
    NOBODY,
    RANKS,
    RULED_OUT,
    UNPLACED,
    Frontier,
    Member,
    Place,
    role_of,
)
from services.scans.settings import MESSAGE_BYTES
from services.scans.store import frontier as frontier_store
from services.scans.store import items as item_store
from services.scans.usecases.ledger import Ledger

NO_JUDGE = bytes(16)
_NAMES = frozenset({"domain", "hostname"})
_encode = msgspec.json.Encoder().encode


async def admit(ledger: Ledger, seen: Candidates) -> None:
    """Give every entity that was seen its place, say who got a better one, and make the work that follows."""
    front = await _place(ledger, seen)
    await _propagate(ledger, front)
    kinds = await _write(ledger, seen, front)
    improved = list(front.improved())
    if improved:
        _announce(ledger, improved, kinds)
    work = [
        (asking, member.id)
        for member in improved
        for asking in _newly_wanted(ledger, kinds[member.id].type, member.role, member.was_role)
    ]
    work += await _work_on_relations(ledger, seen, front, improved)
    work += await _work_on_names(ledger, [kinds[m.id].key[0] for m in improved if _is_new_name(m, kinds[m.id])])
    await make_items(ledger, work)


async def make_items(ledger: Ledger, work: Sequence[tuple[Asking, bytes]]) -> int:
    """Make the items of (module, subject) that are not there yet; return how many are new.

    No more are made than the limits allow.
    """
    made = {item_id(asking.stem, subject): (asking.number, subject) for asking, subject in work}
    rows = [(identity, number, subject) for identity, (number, subject) in made.items()]
    room = ledger.plan.limits.max_items - ledger.row.items
    if len(rows) > room:
        rows = rows[: max(0, room)]
        ledger.row.limited = 1
    if not rows:
        return 0
    new = await item_store.insert(ledger.tx, ledger.key, rows, ledger.at)
    for identity in new:
        ledger.source(made[identity][0]).waiting += 1
    ledger.row.items += len(new)
    return len(new)


async def _place(ledger: Ledger, seen: Candidates) -> Frontier:
    front = Frontier(ledger.plan.limits.max_depth)
    for identity, role, distance in await frontier_store.places(ledger.tx, ledger.key, list(seen.entities)):
        front.place(identity, (role, distance), known=True)
    for identity, entity in seen.entities.items():
        if identity not in front.members:
            front.place(identity, _place_by_scope(ledger, entity), known=False)
    for origin, heir, way in seen.ways:
        front.link(origin, heir, way)
    return front


def _place_by_scope(ledger: Ledger, entity: Entity) -> Place:
    scope = ledger.plan.scope
    role = scope.role_of(entity)
    if role is not None:
        return RANKS[role], 0
    return (RULED_OUT, FAR) if scope.excludes and scope.rules_out(entity) else UNPLACED


async def _propagate(ledger: Ledger, front: Frontier) -> None:
    """Let what got better have its effect over the ways that are stored, as far as it goes."""
    while better := front.settle():
        ways = await frontier_store.ways_from(ledger.tx, ledger.key, better)
        unknown = {heir for _, heir, _ in ways if heir not in front.members}
        for identity, role, distance in await frontier_store.places(ledger.tx, ledger.key, list(unknown)):
            front.place(identity, (role, distance), known=True)
        for origin, heir, way in ways:
            front.link(origin, heir, way, stored=True)


async def _write(ledger: Ledger, seen: Candidates, front: Frontier) -> dict[bytes, Entity]:
    """Write places and ways; return the entities of all that got better."""
    kinds = dict(seen.entities)
    fresh = [
        (member, kinds[member.id].type, _encode(kinds[member.id].key).decode())
        for member in front.members.values()
        if not member.known
    ]
    moved = [member for member in front.members.values() if member.known and member.improved]
    if fresh:
        await frontier_store.insert_members(ledger.tx, ledger.key, fresh)
    if moved:
        await frontier_store.move_members(ledger.tx, ledger.key, moved)
        others = [member.id for member in moved if member.id not in kinds]
        if others:
            found = await frontier_store.entities(ledger.tx, ledger.key, others)
            kinds.update((identity, entity) for identity, (entity, _, _) in found.items())
    ways = list(front.ways())
    if ways:
        await frontier_store.insert_ways(ledger.tx, ledger.key, ways)
    return kinds


def _announce(ledger: Ledger, improved: Iterable[Member], kinds: dict[bytes, Entity]) -> None:
    admissions: list[Admission] = []
    size = 0
    for member in improved:
        entity = kinds[member.id]
        if member.was_role <= NOBODY:
            ledger.row.entities += 1
        if member.role >= AFFILIATE > member.was_role:
            ledger.count_entity(entity.type)
        admissions.append(Admission(entity, role_of(member.role), member.distance))
        size += 60 + sum(map(len, entity.key))
        if size > MESSAGE_BYTES:
            _emit(ledger, admissions)
            admissions, size = [], 0
    if admissions:
        _emit(ledger, admissions)


def _emit(ledger: Ledger, admissions: Sequence[Admission]) -> None:
    ledger.row.admissions += 1
    ordinal = ledger.row.admissions
    ledger.unit.emit(
        Admitted(scan=ledger.scan, ordinal=ordinal, admissions=tuple(admissions)),
        workspace=ledger.workspace,
        key=f"{ledger.scan.hex}|{ordinal}",
    )


def _newly_wanted(ledger: Ledger, kind: str, rank: int, was_rank: int) -> Sequence[Asking]:
    """Who is to be asked at a rank and was not at the one before."""
    wanted = ledger.wants.of(kind, rank)
    if not wanted or was_rank <= NOBODY:
        return wanted
    before = ledger.wants.of(kind, was_rank)
    return [asking for asking in wanted if asking not in before] if before else wanted


async def _work_on_relations(
    ledger: Ledger, seen: Candidates, front: Frontier, improved: Sequence[Member]
) -> list[tuple[Asking, bytes]]:
    """The work on relations that are new, or whose judging end got a better role."""
    work: list[tuple[Asking, bytes]] = []
    if not ledger.wants.relations:
        return work
    scope = ledger.plan.scope
    rows = [
        (identity, relation.type, judge, _encode(relation).decode())
        for identity, (relation, judge) in seen.relations.items()
        if not (scope.rules_out(relation.source) or scope.rules_out(relation.target))
    ]
    if rows:
        new = await frontier_store.insert_subjects(ledger.tx, ledger.key, rows)
        for identity, kind, judge, _ in rows:
            if identity in new:
                work += [(asking, identity) for asking in ledger.wants.of(kind, front.members[judge].role)]
    risen = {member.id: member for member in improved if member.known and member.role != member.was_role}
    if risen:
        for identity, kind, judge in await frontier_store.subjects_judged_by(ledger.tx, ledger.key, list(risen)):
            risen_judge = risen[judge]
            wanted = _newly_wanted(ledger, kind, risen_judge.role, risen_judge.was_role)
            work += [(asking, identity) for asking in wanted]
    return work


def _is_new_name(member: Member, entity: Entity) -> bool:
    return member.role >= IN_SCOPE > member.was_role and entity.type in _NAMES


async def _work_on_names(ledger: Ledger, names: Sequence[str]) -> list[tuple[Asking, bytes]]:
    """Keep names in scope for sets of names; the work on levels that exist because they do."""
    scope = ledger.plan.scope
    if names and ledger.wants.consumed("names"):
        rows = [
            (zone_of(name, scope), name, ledger.row.names + place) for place, name in enumerate(sorted(names), start=1)
        ]
        await frontier_store.insert_names(ledger.tx, ledger.key, rows)
        ledger.row.names += len(names)
    wanted = ledger.wants.of("level", IN_SCOPE)
    if not names or not wanted:
        return []
    zones = {level for name in names for level in levels_above(name, scope)}
    zones.update(name for name in names if scope.role_of(Entity("hostname", (name,))) == "target")
    levels = {subject_id(Level(zone)): Level(zone) for zone in sorted(zones)}
    rows_of_levels = [(identity, "level", NO_JUDGE, _encode(level).decode()) for identity, level in levels.items()]
    new = await frontier_store.insert_subjects(ledger.tx, ledger.key, rows_of_levels)
    return [(asking, identity) for identity in levels if identity in new for asking in wanted]
