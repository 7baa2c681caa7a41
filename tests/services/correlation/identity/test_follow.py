"""What is kept bit by bit is what all facts at once give."""

from random import Random

import pytest

from services.contracts.resources.storage import EntityFacts, RelationFacts
from services.correlation.domain.identity import hypotheses, traits
from services.correlation.domain.identity.hypotheses import resolve
from services.correlation.store.identity import TABLES
from services.correlation.usecases import identity
from tests.services.correlation.identity.keeper import LATER, SCAN, Keeper
from tests.services.correlation.identity.worlds import any_facts, any_relation


def id_of(statement: EntityFacts | RelationFacts) -> bytes:
    return statement.entity.id if isinstance(statement, EntityFacts) else statement.id


@pytest.mark.parametrize("hub", [None, 3])
@pytest.mark.parametrize("seed", range(6))
async def test_it_equals_a_full_run_after_every_batch(
    seed: int, hub: int | None, keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever comes, changes and goes, in whatever order; also where blocks become hubs and are none again."""
    if hub is not None:
        low = {name: traits.Kind(kind.weight, hub, kind.words, kind.fades) for name, kind in traits.KINDS.items()}
        for module in (traits, hypotheses, identity):
            monkeypatch.setattr(module, "KINDS", low)
    random = Random(seed)
    stand: dict[bytes, EntityFacts | RelationFacts] = {}
    seen = 0
    for _ in range(25):
        batch = {}
        for _ in range(random.randrange(1, 12)):
            made = any_facts(random) if random.random() < 0.4 else any_relation(random)
            batch[id_of(made)] = made
        gone = [each for each in random.sample([*stand], min(len(stand), random.randrange(6))) if each not in batch]
        await keeper.follow(*batch.values(), gone=gone)
        stand = {each: said for each, said in (stand | batch).items() if each not in gone}
        full = resolve(
            [each for each in stand.values() if isinstance(each, EntityFacts)],
            [each for each in stand.values() if isinstance(each, RelationFacts)],
        )
        kept = await keeper.proposed()
        assert kept == {pair: (each.score, each.evidence) for pair, each in full.items()}
        seen += len(full)
    assert seen > 30
    await keeper.follow(gone=[*stand])
    assert [await keeper.rows(table) for table in TABLES] == [0, 0, 0, 0, 0]


async def test_what_comes_twice_changes_nothing(keeper: Keeper) -> None:
    random = Random(1)
    batch = [any_facts(random) for _ in range(20)] + [any_relation(random) for _ in range(60)]
    batch = [*{id_of(each): each for each in batch}.values()]
    await keeper.follow(*batch)
    before = await keeper.proposed()
    await keeper.follow(*batch[::-1])
    assert await keeper.proposed() == before
    assert before


async def test_scans_are_kept_apart_and_a_deleted_one_leaves_nothing(keeper: Keeper) -> None:
    random = Random(2)
    batch = [any_facts(random) for _ in range(20)] + [any_relation(random) for _ in range(60)]
    batch = [*{id_of(each): each for each in batch}.values()]
    await keeper.follow(*batch)
    await keeper.follow(*batch[:40], scan=LATER)
    kept = await keeper.proposed(LATER)
    await keeper.forget(SCAN)
    assert (await keeper.proposed(SCAN), await keeper.proposed(LATER)) == ({}, kept)
    await keeper.forget(LATER)
    assert [await keeper.rows(table) for table in TABLES] == [0, 0, 0, 0, 0]
