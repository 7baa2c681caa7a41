"""Merging, adding data and splitting, in whatever order: both halves keep their own, and nothing else changes."""

from random import Random

import pytest

from services.contracts import endpoints as e
from services.contracts.resources.identity import ClusterQuery, DecideHypothesis, HypothesesQuery
from services.contracts.resources.storage import EntityFacts, RelationFacts
from services.correlation.domain.identity.hypotheses import hypothesis_id, resolve
from tests.services.correlation.identity.keeper import Keeper
from tests.services.correlation.identity.worlds import any_facts, any_relation


def said(random: Random, number: int) -> dict[bytes, EntityFacts | RelationFacts]:
    things = [any_facts(random) for _ in range(number)]
    joined = [any_relation(random) for _ in range(2 * number)]
    return {**{each.entity.id: each for each in things}, **{each.id: each for each in joined}}


def full(stand: dict[bytes, EntityFacts | RelationFacts]) -> dict[tuple[bytes, bytes], float]:
    """What would be proposed had nobody ever decided anything."""
    things = [each for each in stand.values() if isinstance(each, EntityFacts)]
    joined = [each for each in stand.values() if isinstance(each, RelationFacts)]
    return {pair: each.score for pair, each in resolve(things, joined).items()}


async def scores(keeper: Keeper) -> dict[tuple[bytes, bytes], float]:
    return {pair: score for pair, (score, _) in (await keeper.proposed()).items()}


@pytest.mark.parametrize("seed", range(3))
async def test_what_is_merged_and_split_again_is_as_if_it_never_was(seed: int, keeper: Keeper) -> None:
    random = Random(seed)
    stand = said(random, 15)
    await keeper.follow(*stand.values())
    merged: set[tuple[bytes, bytes]] = set()
    for _ in range(4):
        proposed = await scores(keeper)
        for pair in random.sample(sorted(proposed), min(6, len(proposed))):
            verdict = random.choice(("accept", "accept", "reject"))
            await keeper.ask(e.DECIDE_HYPOTHESIS, DecideHypothesis(hypothesis=hypothesis_id(*pair), verdict=verdict))  # type: ignore[arg-type]
            merged.add(pair)
        more = said(random, 6)
        gone = [each for each in random.sample(sorted(stand), 5) if each not in more]
        await keeper.follow(*more.values(), gone=gone)
        stand = {each: fact for each, fact in (stand | more).items() if each not in gone}
        assert await scores(keeper) == full(stand)
    accepted = (await keeper.ask(e.LIST_HYPOTHESES, HypothesesQuery(status="accepted", limit=1_000))).hypotheses
    assert accepted
    for each in accepted:
        found = await keeper.ask(e.GET_CLUSTER, ClusterQuery(value=each.one.value, type=each.type))
        assert any({each.one, each.other} <= set(cluster.members) for cluster in found)
    for pair in merged:
        await keeper.ask(e.DECIDE_HYPOTHESIS, DecideHypothesis(hypothesis=hypothesis_id(*pair), verdict="reset"))
    assert await scores(keeper) == full(stand)
    listed = (await keeper.ask(e.LIST_HYPOTHESES, HypothesesQuery(limit=1_000))).hypotheses
    assert {each.status for each in listed} == {"proposed"}
    assert {each.id for each in listed} == {hypothesis_id(*pair) for pair in full(stand)}
    for each in listed:
        assert await keeper.ask(e.GET_CLUSTER, ClusterQuery(value=each.one.value)) == ()
