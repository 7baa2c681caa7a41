"""What people decide of hypotheses: it stays, is taken back without loss, and contradictions are told."""

from uuid import UUID

import pytest

from services.contracts import endpoints as e
from services.contracts import entities, relations
from services.contracts.claims import Entity
from services.contracts.resources.identity import (
    ClusterQuery,
    ClusterView,
    DecideHypothesis,
    HypothesesQuery,
    HypothesisView,
)
from services.correlation.domain.identity.hypotheses import hypothesis_id
from services.kernel.errors import Invalid, NotFound
from tests.services.correlation.identity.keeper import ELSEWHERE, LATER, SCAN, WORKSPACE, Keeper
from tests.services.correlation.identity.worlds import facts, related

ACME = entities.organization("name", "Acme GmbH", "DE")
LEI = entities.organization("lei", "5493001KJTIIGC8Y1R12")
LTD = entities.organization("name", "Acme Ltd")


def one_key(number: int) -> Entity:
    return entities.crypto_key("pgp", f"{number:040x}")


async def propose(keeper: Keeper, *pairs: tuple[Entity, Entity], scan: UUID = SCAN) -> None:
    """Have each pair share a key that nobody else has."""
    keys = {(one, other): one_key(number) for number, (one, other) in enumerate(pairs)}
    said = [related(relations.controls(end, key)) for pair, key in keys.items() for end in pair]
    await keeper.follow(*(facts(end) for pair in pairs for end in pair), *said, scan=scan)


async def decide(keeper: Keeper, one: Entity, other: Entity, verdict: str, reason: str = "") -> HypothesisView:
    asked = DecideHypothesis(hypothesis=hypothesis_id(one.id, other.id), verdict=verdict, reason=reason)  # type: ignore[arg-type]
    return await keeper.ask(e.DECIDE_HYPOTHESIS, asked)


async def clusters(keeper: Keeper, entity: Entity) -> tuple[ClusterView, ...]:
    return await keeper.ask(e.GET_CLUSTER, ClusterQuery(value=entity.value))


async def listed(keeper: Keeper, **fields: object) -> list[HypothesisView]:
    return list((await keeper.ask(e.LIST_HYPOTHESES, HypothesesQuery(**fields))).hypotheses)  # type: ignore[arg-type]


async def test_every_score_is_made_of_its_terms(keeper: Keeper) -> None:
    await propose(keeper, (ACME, LTD), (ACME, LEI))
    for each in await listed(keeper):
        left, taken = 1.0, 1.0
        for term in each.evidence:
            left *= 1 if term.against else 1 - term.term
            taken *= 1 - term.term if term.against else 1
        assert each.score == pytest.approx((1 - left) * taken, abs=1e-6)
        assert each.status == "proposed"


async def test_who_decides_when_and_why_is_kept_and_all_that_was_decided_before(keeper: Keeper) -> None:
    await propose(keeper, (ACME, LTD))
    accepted = await decide(keeper, ACME, LTD, "accept", "one register number")
    assert (accepted.status, accepted.who, accepted.reason, accepted.at > 0) == (
        "accepted", "operator", "one register number", True,
    )  # fmt: skip
    await decide(keeper, ACME, LTD, "reject", "that was another")
    await decide(keeper, ACME, LTD, "reset", "who knows")
    (found,) = await listed(keeper, entity=ACME.value)
    assert found.status == "proposed"
    assert [(each.status, each.reason) for each in found.history] == [
        ("proposed", "who knows"), ("rejected", "that was another"), ("accepted", "one register number"),
    ]  # fmt: skip


async def test_a_decision_outlives_what_spoke_for_it(keeper: Keeper) -> None:
    """Through more data, a second scan, retraction of all that it rests on, and the scan's deletion."""
    await propose(keeper, (ACME, LTD))
    await decide(keeper, ACME, LTD, "accept")
    await propose(keeper, (ACME, LTD), (ACME, LEI), scan=LATER)
    (found,) = await listed(keeper, status="accepted")
    assert found.supported
    await keeper.forget(SCAN)
    assert (await listed(keeper, status="accepted"))[0].scan == LATER
    gone = [related(relations.controls(end, one_key(0))).id for end in (ACME, LTD)]
    await keeper.follow(gone=[*gone, ACME.id, LTD.id], scan=LATER)
    (found,) = await listed(keeper, status="accepted")
    assert (found.supported, found.score, found.one.value != "") == (False, 0.0, True)
    ((cluster),) = await clusters(keeper, ACME)
    assert [link.supported for link in cluster.links] == [False]
    await propose(keeper, (ACME, LTD), scan=SCAN)
    (found,) = await listed(keeper, status="accepted")
    assert found.supported


async def test_merged_then_added_to_then_split_both_have_their_own(keeper: Keeper) -> None:
    """A merge is a view: what is proposed, and of whom, is as if nobody had ever merged."""
    await propose(keeper, (ACME, LTD))
    await decide(keeper, ACME, LTD, "accept")
    mail, phone = entities.email_address("info@acme.example"), entities.phone_number("+4930123456")
    third = entities.organization("peeringdb", "42")
    added = [
        related(relations.has_contact(ACME, mail, role="public")),
        related(relations.has_contact(third, mail, role="public")),
        related(relations.has_contact(LTD, phone, role="public")),
    ]
    await keeper.follow(*added, facts(third))
    together = await keeper.proposed()
    (cluster,) = await clusters(keeper, LTD)
    assert {member.value for member in cluster.members} == {ACME.value, LTD.value}
    await decide(keeper, ACME, LTD, "reset")
    assert await clusters(keeper, LTD) == ()
    assert await keeper.proposed() == together
    assert {pair for pair in together if third.id in pair} == {(min(ACME.id, third.id), max(ACME.id, third.id))}


async def test_what_is_accepted_in_a_chain_is_one_with_one_that_stands_for_it(keeper: Keeper) -> None:
    await propose(keeper, (ACME, LTD), (ACME, LEI))
    await decide(keeper, LTD, ACME, "accept")
    await decide(keeper, ACME, LEI, "accept")
    for start in (ACME, LTD, LEI):
        (cluster,) = await clusters(keeper, start)
        assert [member.value for member in cluster.members] == [LEI.value, LTD.value, ACME.value]
        assert (len(cluster.links), cluster.conflicts) == (2, ())


async def test_decisions_that_contradict_one_another_are_told_and_left_as_they_are(keeper: Keeper) -> None:
    await propose(keeper, (ACME, LTD), (ACME, LEI), (LTD, LEI))
    await decide(keeper, ACME, LTD, "accept")
    await decide(keeper, ACME, LEI, "accept")
    await decide(keeper, LTD, LEI, "reject", "other owners")
    (cluster,) = await clusters(keeper, ACME)
    assert len(cluster.members) == 3
    assert [(each.status, each.reason) for each in cluster.conflicts] == [("rejected", "other owners")]


async def test_a_pair_that_was_rejected_stays_so_whatever_comes(keeper: Keeper) -> None:
    await propose(keeper, (ACME, LTD))
    await decide(keeper, ACME, LTD, "reject")
    await propose(keeper, (ACME, LTD), scan=LATER)
    assert [each.status for each in await listed(keeper)] == ["rejected"]
    assert await listed(keeper, status="proposed") == []
    assert await clusters(keeper, ACME) == ()


async def test_pages_have_each_pair_once_the_likeliest_first(keeper: Keeper) -> None:
    others = [entities.organization("peeringdb", str(number)) for number in range(7)]
    await propose(keeper, *((ACME, other) for other in others), (ACME, LTD))
    await propose(keeper, (ACME, others[0]), scan=LATER)
    await decide(keeper, ACME, others[3], "accept")
    whole = await listed(keeper)
    cursor, pages = None, []
    while True:
        page = await keeper.ask(e.LIST_HYPOTHESES, HypothesesQuery(limit=3, cursor=cursor))
        pages += page.hypotheses
        cursor = page.cursor
        if cursor is None:
            break
    assert [each.id for each in pages] == [each.id for each in whole]
    assert len({each.id for each in pages}) == 8
    assert [each.score for each in whole] == sorted((each.score for each in whole), reverse=True)
    with pytest.raises(Invalid):
        await keeper.ask(e.LIST_HYPOTHESES, HypothesesQuery(cursor="never given"))


async def test_it_is_narrowed_to_a_scan_a_score_a_status_and_the_beginning_of_an_id(keeper: Keeper) -> None:
    await propose(keeper, (ACME, LTD), (ACME, LEI))
    await propose(keeper, (ACME, LEI), scan=LATER)
    (found,) = await listed(keeper, scan=LATER)
    assert found.id == hypothesis_id(LEI.id, ACME.id)
    assert await listed(keeper, least=0.999) == []
    assert [each.id for each in await listed(keeper, id=str(found.id)[:13])] == [found.id]
    assert [each.id for each in await listed(keeper, entity=LEI.value, other=ACME.value)] == [found.id]
    with pytest.raises(Invalid):
        await listed(keeper, id="' OR 1=1 --")


async def test_it_is_found_by_what_somebody_would_write(keeper: Keeper) -> None:
    await propose(keeper, (ACME, LTD))
    assert len(await listed(keeper, entity="ACME  GmbH (de)", other="Acme LTD")) == 1
    await decide(keeper, ACME, LTD, "accept")
    assert len(await keeper.ask(e.GET_CLUSTER, ClusterQuery(value="Acme Ltd", type="organization"))) == 1
    assert await keeper.ask(e.GET_CLUSTER, ClusterQuery(value="Acme Ltd", type="person")) == ()


async def test_nobody_decides_of_what_is_in_another_workspace_or_nowhere(keeper: Keeper) -> None:
    await propose(keeper, (ACME, LTD))
    asked = DecideHypothesis(hypothesis=hypothesis_id(ACME.id, LTD.id), verdict="accept")
    with pytest.raises(NotFound):
        await keeper.ask(e.DECIDE_HYPOTHESIS, asked, ELSEWHERE)
    await keeper.ask(e.DECIDE_HYPOTHESIS, asked, WORKSPACE)
    assert await keeper.ask(e.GET_CLUSTER, ClusterQuery(value=ACME.value), ELSEWHERE) == ()
    assert (await keeper.ask(e.LIST_HYPOTHESES, HypothesesQuery(), ELSEWHERE)).hypotheses == ()
