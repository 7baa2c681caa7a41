"""Confidence of what storage has, and a workspace's own policy of it."""

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import pytest

from services.contracts import attributes, entities, relations
from services.contracts import endpoints as e
from services.contracts.claims import Absence, Claim, stated
from services.contracts.facts import Collected
from services.contracts.resources import Retract
from services.contracts.resources.confidence import (
    ConfidenceQuery,
    ConfidenceStatement,
    ConfidenceView,
    PolicyChange,
    PolicyView,
)
from services.correlation.api import DOORS
from services.correlation.domain.origins import SOURCES
from services.correlation.service import service
from services.kernel.calls import CallsOf, LocalCalls, Nothing, operator
from services.kernel.errors import Invalid
from services.kernel.messages import now
from services.kernel.once_store import MIGRATIONS
from services.kernel.outbox import Outbox
from services.kernel.service import Ports
from services.kernel.sql import migrations
from services.storage.api import DOORS as STORAGE
from tests.services.storage import depot as storage
from tests.services.storage.depot import ELSEWHERE, LATER, SCAN, TARGET, WORKSPACE, Depot, depot
from tests.stores import Stores, open_store


class Judged:
    """Correlation beside a storage that has something; both on real stores."""

    def __init__(self, ports: Ports, calls: LocalCalls, store: Depot) -> None:
        self.ports = ports
        self.calls = calls
        self.store = store

    async def confidence(self, **fields: object) -> ConfidenceView:
        asked = ConfidenceQuery(**{"value": TARGET.value, **fields})  # type: ignore[arg-type]
        (view,) = await self.calls.ask(e.GET_CONFIDENCE, asked, operator(WORKSPACE))
        return view

    async def winner(self, predicate: str) -> ConfidenceStatement:
        (found,) = [each for each in (await self.confidence(predicate=predicate)).statements if each.wins]
        return found

    async def set_policy(self, **fields: object) -> PolicyView:
        return await self.calls.ask(e.SET_POLICY, PolicyChange(**fields), operator(WORKSPACE))  # type: ignore[arg-type]


@pytest.fixture
async def judged(tmp_path: Path, stores: Stores) -> AsyncIterator[Judged]:
    async with depot(tmp_path) as store:
        sql = open_store(tmp_path / "correlation.db")
        await sql.migrate([*MIGRATIONS, *migrations.load("services.correlation.migrations")])
        calls = LocalCalls({"correlation": service.asks})
        ports = Ports("correlation", sql=sql, calls=CallsOf("correlation", calls))
        ports.outbox = Outbox(sql, None, "correlation")  # type: ignore[arg-type]
        calls.serve(ports, DOORS)
        calls.serve(store.ports, STORAGE)
        yield Judged(ports, calls, store)
        await sql.close()


def result(module: str, *claims: Claim, of: UUID = SCAN, after: int = 0) -> Collected:
    """What a module says now, or some microseconds later."""
    return storage.result(module, *claims, of=of, at=now() + after)


def registrar(name: str) -> attributes.Attribute:
    return attributes.attribute(TARGET, "registrar", name)


async def test_a_changed_reliability_flips_the_winner_without_another_scan(judged: Judged) -> None:
    await judged.store.take(result("rdap_domain", registrar("A")), result("otx", registrar("B")))
    both = (await judged.confidence(predicate="registrar")).statements
    assert [(each.value, each.wins) for each in both] == [("A", True), ("B", False)]
    await judged.set_policy(reliability={"rdap_domain": "D"}, reason="its dates are wrong")
    other = await judged.winner("registrar")
    assert (other.value, other.terms[0].set_here) == ("B", False)
    after = (await judged.confidence(predicate="registrar")).statements
    assert {each.value for each in after} == {"A", "B"}
    assert [term.set_here for each in after if each.value == "A" for term in each.terms] == [True]
    await judged.set_policy(reset=True)
    assert (await judged.winner("registrar")).value == "A"


async def test_every_number_opens_into_terms_that_make_it(judged: Judged) -> None:
    hosts = [entities.hostname(f"{label}.example.org") for label in ("a", "b")]
    await judged.store.take(
        result("rdap_domain", registrar("A"), TARGET),
        result("otx", registrar("B"), relations.uses_nameserver(TARGET, hosts[0])),
        result("dns_records", TARGET, relations.uses_nameserver(TARGET, hosts[1]), Absence(TARGET, "uses_mailserver")),
        result("internetdb", stated(TARGET, confidence=60), Absence(TARGET, "exists")),
    )
    view = await judged.confidence()
    assert {each.predicate for each in view.statements} == {"exists", "registrar", "uses_nameserver", "uses_mailserver"}
    for each in view.statements:
        disbelief = 1.0
        for term in each.terms:
            assert term.strength == pytest.approx(min(term.reliability * term.stated / 100 * term.freshness, 0.99))
            disbelief *= 1 if term.omitted else 1 - term.strength
        assert each.support == pytest.approx(1 - disbelief)
        assert each.odds == pytest.approx((1 - disbelief) / disbelief)
        assert each.exact == pytest.approx(each.odds / (1 + each.odds + each.against))
        assert each.number == min(99, int(100 * each.exact + 0.5))
        assert all(term.evidence for term in each.terms)


async def test_a_withdrawn_source_leaves_the_numbers_of_one_that_never_spoke(judged: Judged) -> None:
    await judged.store.take(result("rdap_domain", registrar("A")))
    alone = await judged.winner("registrar")
    await judged.store.take(result("otx", registrar("B")))
    assert (await judged.winner("registrar")).exact < alone.exact
    await judged.store.follow(e.RETRACT, Retract(module="otx", reason="poisoned"))
    again = await judged.winner("registrar")
    assert again.against == 0
    assert again.exact == pytest.approx(alone.exact, rel=1e-6)  # some milliseconds older


async def test_what_a_source_said_in_an_earlier_scan_does_not_contradict_what_it_says_now(judged: Judged) -> None:
    await judged.store.take(result("whois", registrar("Old")))
    await judged.store.take(result("whois", registrar("New"), of=LATER, after=5_000))
    old, new = sorted((await judged.confidence(predicate="registrar")).statements, key=lambda each: each.wins)
    assert (new.value, new.against, old.number) == ("New", 0, 0)
    assert [(term.omitted, term.scan) for term in old.terms] == [("superseded", SCAN)]
    assert (await judged.confidence(predicate="registrar", scan=SCAN)).statements[0].value == "Old"


async def test_relations_are_judged_by_what_they_lead_to_and_from(judged: Judged) -> None:
    server = entities.hostname("ns.example.net")
    await judged.store.take(result("dns_records", relations.uses_nameserver(TARGET, server)))
    (found,) = (await judged.confidence(predicate="uses_nameserver")).statements
    assert (found.target_type, found.target_value, found.outward) == ("hostname", "ns.example.net", True)
    back = (await judged.confidence(value="ns.example.net", predicate="uses_nameserver")).statements
    assert [(each.target_value, each.outward) for each in back] == [("example.org", False)]


async def test_a_policy_is_of_its_workspace_and_says_who_has_set_it(judged: Judged) -> None:
    made = await judged.set_policy(reliability={"crtsh": 0.1}, half_lives={"resolves_to": 3}, reason="we know")
    assert (made.reliability, made.half_lives, made.who, made.reason) == (
        {"crtsh": 0.1},
        {"resolves_to": 3},
        "operator",
        "we know",
    )
    assert {each.module for each in made.sources} == SOURCES.keys()
    assert [each.reliability for each in made.sources if each.module == "crtsh"] == [0.1]
    assert [each.days for each in made.fading if each.predicate == "resolves_to"] == [3]
    assert await judged.calls.ask(e.GET_POLICY, Nothing(), operator(WORKSPACE)) == made
    elsewhere = await judged.calls.ask(e.GET_POLICY, Nothing(), operator(ELSEWHERE))
    assert (elsewhere.reliability, elsewhere.at) == ({}, 0)


async def test_what_is_set_stays_when_something_else_is_until_it_is_taken_back(judged: Judged) -> None:
    await judged.set_policy(reliability={"crtsh": 0.1})
    both = await judged.set_policy(reliability={"passive_dns": "E"})
    assert both.reliability == {"crtsh": 0.1, "passive_dns": 0.0}
    assert (await judged.set_policy(reliability={"crtsh": None})).reliability == {"passive_dns": 0.0}
    assert (await judged.set_policy(reset=True)).reliability == {}


@pytest.mark.parametrize(
    "change",
    [
        PolicyChange(reliability={"crtsh": 1.1}),
        PolicyChange(reliability={"crtsh": -0.1}),
        PolicyChange(reliability={"crtsh": float("nan")}),
        PolicyChange(reliability={"crtsh": "G"}),
        PolicyChange(reliability={"crt": 0.5}),
        PolicyChange(half_lives={"resolves": 5}),
        PolicyChange(half_lives={"resolves_to": -1}),
        PolicyChange(half_lives={"resolves_to": float("inf")}),
        PolicyChange(reason="a" * 2_000),
        PolicyChange(reason="two\nlines"),
    ],
)
async def test_what_makes_no_sense_is_refused_and_changes_nothing(change: PolicyChange, judged: Judged) -> None:
    with pytest.raises(Invalid):
        await judged.calls.ask(e.SET_POLICY, change, operator(WORKSPACE))
    assert (await judged.calls.ask(e.GET_POLICY, Nothing(), operator(WORKSPACE))).at == 0


async def test_a_slip_of_the_pen_is_told_the_nearest_name(judged: Judged) -> None:
    with pytest.raises(Invalid, match="did you mean crtsh"):
        await judged.set_policy(reliability={"crtch": 0.5})
