"""Keeps up with what a scan says: compares again those whose traits, or those of whose blocks, have changed.

A hypothesis depends on the traits of its two entities and on how many have each that they share. So when statements
change, those pairs are compared again that lie in a block which somebody has entered or left, as it was before and as
it is now; of an entity whose name, country or register changed, the pairs that it is in. All else stays as it is, and
the result is that of `domain.identity.hypotheses.resolve` over all facts.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Final
from uuid import UUID

from services.contracts.resources.storage import EntityFacts, RelationFacts
from services.correlation.domain.identity.hypotheses import Pair, Traits, collect, compare, inherit, pairs_of
from services.correlation.domain.identity.traits import ASIDE, KINDS, LINK, TYPES, Trait, block_of
from services.correlation.store import identity as store
from services.correlation.store.identity import Place, Source
from services.kernel.service import Ports
from services.kernel.sql import Reader, Tx

#: Pairs that are compared at a time: their traits are in memory together.
PAIRS: Final = 4000

#: Sureness by (kind, value), those of registrations among it.
Known = Mapping[tuple[str, str], int]


async def follow(
    ports: Ports,
    tx: Tx,
    workspace: UUID,
    scan: UUID,
    entities: Sequence[EntityFacts],
    relations: Sequence[RelationFacts],
    gone: Sequence[bytes],
) -> None:
    """Take in what a scan says now of some entities and relations, and which of them are ``gone`` (by their ids)."""
    place = Place(workspace, scan)
    new = {_source(trait): trait for trait in collect(entities, relations)}
    statements = {*gone, *(facts.entity.id for facts in entities), *(facts.id for facts in relations)}
    await tx.lock(f"identity|{workspace.hex}|{scan.hex}")
    old = await store.sources_of(tx, place, statements)
    if old == new.keys():
        return
    changed = {source.entity for source in old ^ new.keys()}
    changed |= await store.registered_as(tx, place, changed)
    before = await _known(tx, place, changed)
    await store.change_traits(tx, place, old, new)
    after = await _known(tx, place, changed)
    pairs = await _affected(tx, place, before, after)
    for start in range(0, len(pairs), PAIRS):
        await _compare(tx, place, pairs[start : start + PAIRS])


async def forget(ports: Ports, tx: Tx, workspace: UUID, scan: UUID) -> None:
    """Drop what is proposed in a deleted scan; what people have decided stays, without its support."""
    await store.forget_scan(tx, Place(workspace, scan))


def _source(trait: Trait) -> Source:
    return Source(trait.statement, trait.subject.id, trait.block, trait.weight)


async def _known(view: Reader, place: Place, entities: Collection[bytes]) -> dict[bytes, Traits]:
    """Entities that have traits, those of their registrations among them."""
    subjects, own = await store.traits_of(view, place, entities)
    linked = {bytes.fromhex(value) for traits in own.values() for kind, value in traits if kind == LINK}
    _, theirs = await store.traits_of(view, place, linked - subjects.keys())
    return {entity: Traits(subject, inherit(theirs | own, entity)) for entity, subject in subjects.items()}


async def _affected(tx: Tx, place: Place, before: Mapping[bytes, Traits], after: Mapping[bytes, Traits]) -> list[Pair]:
    """The pairs of which something may be otherwise now; how many have each trait is kept on the way."""
    touched: dict[tuple[str, str], set[bytes]] = {}
    kinds = {entity: traits.subject.type for known in (before, after) for entity, traits in known.items()}
    moves: dict[tuple[bytes, str], int] = {}
    blocks: dict[tuple[str, str], bytes] = {}
    for entity, kind in kinds.items():
        was, now = _by(before, entity), _by(after, entity)
        both = was.keys() | now.keys()
        aside = any(was.get(trait) != now.get(trait) for trait in both if trait[0] in ASIDE)
        for trait in both if kind in TYPES else ():
            if trait[0] in KINDS and (aside or was.get(trait) != now.get(trait)):
                touched.setdefault(trait, set()).add(entity)
                moved = (blocks.setdefault(trait, block_of(*trait)), kind)
                moves[moved] = moves.get(moved, 0) + (trait in now) - (trait in was)
    await store.change_holders(tx, place, moves)
    counts = await store.count_holders(tx, place, list(blocks.values()))
    few = [
        block
        for trait, block in blocks.items()
        if any(
            min(count := counts.get(block, {}).get(kind, 0), count - moves.get((block, kind), 0)) < KINDS[trait[0]].hub
            for kind in {kinds[entity] for entity in touched[trait]}
        )
    ]
    holders = await store.holders_of(tx, place, few)
    found: set[Pair] = set()
    for trait, entities in touched.items():
        now_in = holders.get(blocks[trait])
        if now_in is None and blocks[trait] in counts:
            continue  # a hub, as before
        found.update(_pairs_of_block(trait, entities, now_in or set(), before, kinds))
    return sorted(found)


def _pairs_of_block(
    trait: tuple[str, str],
    entities: Collection[bytes],
    now_in: Collection[tuple[str, bytes]],
    before: Mapping[bytes, Traits],
    kinds: Mapping[bytes, str],
) -> Iterator[Pair]:
    """The pairs of a block as it is and as it was before some of its entities changed."""
    kind = KINDS[trait[0]]
    was_in = {each for each in now_in if each[1] not in entities}
    was_in |= {(kinds[entity], entity) for entity in entities if trait in _by(before, entity)}
    # How many there are matters to all others where it says less the more there are, or where a hub begins or ends.
    all_change = was_in != now_in and (kind.fades or _hubs(was_in, kind.hub) != _hubs(now_in, kind.hub))
    for members in (now_in, was_in):
        for pair in pairs_of(members, kind.hub):
            if all_change or pair[0] in entities or pair[1] in entities:
                yield pair


def _hubs(members: Iterable[tuple[str, bytes]], hub: int) -> set[str]:
    """Of which types there are too many in a block."""
    return {kind for kind, count in Counter(kind for kind, _ in members).items() if count >= hub}


def _by(known: Mapping[bytes, Traits], entity: bytes) -> Known:
    traits = known.get(entity)
    return {} if traits is None else traits.by


async def _compare(tx: Tx, place: Place, pairs: Sequence[Pair]) -> None:
    known = await _known(tx, place, {entity for pair in pairs for entity in pair})
    both = [(known[one], known[other]) for one, other in pairs if one in known and other in known]
    shared = {trait for one, other in both for trait in one.by.keys() & other.by.keys() if trait[0] in KINDS}
    counts = await store.count_holders(tx, place, [block_of(*trait) for trait in shared])
    holders = _by_type(shared, counts)
    found = [compare(one, other, holders[one.subject.type]) for one, other in both if one.subject.type in holders]
    proposed = {each.pair: each for each in found if each is not None}
    await store.write_hypotheses(tx, place, proposed.values(), [pair for pair in pairs if pair not in proposed])


def _by_type(
    traits: Iterable[tuple[str, str]], counts: Mapping[bytes, Mapping[str, int]]
) -> dict[str, dict[tuple[str, str], int]]:
    """How many have each trait, by their type."""
    found: dict[str, dict[tuple[str, str], int]] = {}
    for trait in traits:
        for kind, count in counts[block_of(*trait)].items():
            found.setdefault(kind, {})[trait] = count
    return found
