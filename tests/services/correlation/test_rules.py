"""Rules of a workspace: written, checked, tried on scans, out of force; why one found nothing; what is put aside."""

import pytest

from services.contracts import entities
from services.contracts.endpoints import (
    BACKTEST_RULE,
    CHECK_RULE,
    EXPLAIN_ABSENCE,
    GET_FINDING,
    GET_RISKS,
    GET_RULE,
    LIFT_SUPPRESSION,
    LIST_RULES,
    LIST_SUPPRESSIONS,
    REMOVE_RULE,
    SET_FINDING,
    SET_POLICY,
    SET_RULE,
    SUPPRESS,
    WRITE_RULE,
)
from services.contracts.resources.confidence import PolicyChange
from services.contracts.resources.correlation import (
    Backtest,
    FindingRef,
    RiskQuery,
    RuleRef,
    SetFinding,
    SetRule,
    Suppress,
    SuppressionRef,
    WhyNotQuery,
    WrittenRule,
)
from services.kernel.calls import Nothing
from services.kernel.errors import Conflict, Invalid, NotFound
from services.kernel.messages import now
from tests.services.correlation.observatory import ELSEWHERE, SCAN, Observatory
from tests.services.correlation.test_findings import ADDRESS, HOST, OPENED, begin, facts, listed, only, tie

OURS = """
id: parked_host
version: 1
title: A host is parked
category: dns
severity: medium
description: Nobody uses it.
things:
  host: {type: hostname, parked: true}
  address: {type: ip_address, role: any}
links: [host resolves_to address]
headline: "{host} is parked"
tests:
  - says: a parked one
    facts:
      - host: hostname www.example.org
        parked: true
      - address: ip_address 192.0.2.1
      - host resolves_to address
    finds: [host]
  - says: this should find nothing and does
    facts:
      - host: hostname www.example.org
        parked: true
    finds: []
"""
SPIDERFOOT = """
id: sf_open_port
version: 1
meta:
  name: A port is open
  description: Somebody can ask it.
  risk: HIGH
collections:
  - collect:
      - {method: exact, field: type, value: TCP_PORT_OPEN}
aggregation: {field: data}
headline: "open: {data}"
"""
PARKED = facts(HOST, "web", parked=True)


async def write(watch: Observatory, text: str = OURS) -> None:
    await watch.ask(WRITE_RULE, WrittenRule(text))


async def test_a_rule_that_was_written_judges_scans_that_there_are(watch: Observatory) -> None:
    await begin(watch)
    watch.book().put(*OPENED, PARKED, tie(HOST, ADDRESS, "dns_records"))
    await watch.catch_up()
    await write(watch)
    assert not (await listed(watch)).judged
    await watch.work()
    assert [row.rule for row in (await listed(watch)).findings] == ["database_exposed", "parked_host"]
    await watch.ask(SET_RULE, SetRule(rule="parked_host", enabled=False))
    await listed(watch)
    await watch.work()
    assert [row.rule for row in (await listed(watch)).findings] == ["database_exposed"]


async def test_a_newer_text_of_a_rule_takes_the_place_of_the_old_one(watch: Observatory) -> None:
    await begin(watch)
    watch.book().put(PARKED, facts(ADDRESS), tie(HOST, ADDRESS, "dns_records"))
    await watch.catch_up()
    await write(watch)
    await write(watch, OURS.replace('is parked"', 'lies idle"').replace("severity: medium", "severity: low"))
    await listed(watch)
    await watch.work()
    row = await only(watch)
    assert (row.title, row.severity) == ("www.example.org lies idle", "low")


async def test_a_rule_in_the_form_of_spiderfoot_judges_beside_ours(watch: Observatory) -> None:
    await begin(watch)
    watch.book().put(*OPENED)
    await write(watch, SPIDERFOOT)
    await watch.catch_up()
    await watch.finish(SCAN)  # while it runs, this is done from time to time only
    rows = {row.rule: row for row in (await listed(watch)).findings}
    assert rows["sf_open_port"].title == "open: 192.0.2.7:5432"
    view = await watch.ask(GET_FINDING, FindingRef(finding=str(rows["sf_open_port"].id)))
    assert view.description == "Somebody can ask it."
    assert view.grounds[0].modules == ("tcp_ports@2",)
    watch.book().take_away(*OPENED)
    await watch.catch_up()
    assert (await listed(watch)).findings == ()


async def test_what_is_no_rule_is_told_in_words_and_not_kept(watch: Observatory) -> None:
    for text, said in {
        OURS.replace("severity: medium", "severity: dire"): "severity",
        OURS.replace("parked: true", "parkt: true", 1): "did you mean parked?",
        OURS.replace("host resolves_to address", "host presents address", 1): "never leads",
        "id: [": "",
        "- a list": "",
        OURS.replace("headline:", "headlien:"): "did you mean headline?",
        OURS.replace("{host} is parked", "{nobody} is parked"): "nobody",
    }.items():
        checked = await watch.ask(CHECK_RULE, WrittenRule(text))
        assert checked.rule is None
        assert said in checked.fault
        with pytest.raises(Invalid):
            await write(watch, text)
    assert [rule.id for rule in await watch.ask(LIST_RULES, Nothing()) if rule.own] == []


async def test_the_tests_of_a_rule_say_what_they_find_and_should(watch: Observatory) -> None:
    checked = await watch.ask(CHECK_RULE, WrittenRule(OURS.replace("finds: []", "finds: [host]")))
    assert [(each.passed, each.finds, each.found) for each in checked.tests] == [
        (True, ("host",), ("host",)),
        (False, ("host",), ()),
    ]


async def test_a_rule_of_mirage_is_not_written_over_but_can_be_let_out_of_force(watch: Observatory) -> None:
    shipped = next(rule for rule in await watch.ask(LIST_RULES, Nothing()) if not rule.own)
    view = await watch.ask(GET_RULE, RuleRef(shipped.id))
    with pytest.raises(Conflict, match="another id"):
        await write(watch, view.text)
    with pytest.raises(Conflict, match="out of force"):
        await watch.ask(REMOVE_RULE, RuleRef(shipped.id))
    await watch.ask(SET_RULE, SetRule(rule=shipped.id, enabled=False))
    assert not (await watch.ask(GET_RULE, RuleRef(shipped.id))).rule.enabled
    assert (await watch.ask(GET_RULE, RuleRef(shipped.id), ELSEWHERE)).rule.enabled


async def test_rules_and_suppressions_are_those_of_a_workspace(watch: Observatory) -> None:
    await write(watch)
    aside = await watch.ask(SUPPRESS, Suppress(rule="parked_host", reason="ours"))
    assert "parked_host" not in {rule.id for rule in await watch.ask(LIST_RULES, Nothing(), ELSEWHERE)}
    assert await watch.ask(LIST_SUPPRESSIONS, Nothing(), ELSEWHERE) == ()
    with pytest.raises(NotFound):
        await watch.ask(GET_RULE, RuleRef("parked_host"), ELSEWHERE)
    with pytest.raises(NotFound):
        await watch.ask(LIFT_SUPPRESSION, SuppressionRef(aside.id), ELSEWHERE)


async def test_a_backtest_says_what_a_rule_would_find_and_what_people_said_of_it(watch: Observatory) -> None:
    await begin(watch)
    watch.book().put(*OPENED, PARKED, tie(HOST, ADDRESS, "dns_records"))
    await watch.catch_up()
    (tried,) = await watch.follow(BACKTEST_RULE, Backtest(text=OURS, scans=(SCAN,)))
    assert [each.title for each in tried.findings] == ["www.example.org is parked"]
    assert (tried.found, tried.confirmed) == (1, 0)
    assert [row.rule for row in (await listed(watch)).findings] == ["database_exposed"]  # nothing of it was kept
    await write(watch)
    await listed(watch)
    await watch.work()
    row = await only(watch, rule="parked_host")
    await watch.ask(SET_FINDING, SetFinding(finding=str(row.id), status="confirmed"))
    (tried,) = await watch.follow(BACKTEST_RULE, Backtest(text=OURS, scans=(SCAN,)))
    assert (tried.confirmed, tried.false_positives) == (1, 0)


@pytest.mark.parametrize(
    ("rule", "entity", "stopped"),
    [
        ("wildcard", "www.example.org", "host.wildcard is True: nobody says one"),
        ("wildcard", "192.0.2.7", "it is a ip_address, and the rule is about a hostname"),
        ("wildcard", "nowhere.example.org", "the scan has no such entity"),
        ("database_exposed", "192.0.2.9", "address exposes service: there is none"),
        ("database_exposed", "192.0.2.8", "service.state is open: it is closed"),
    ],
)
async def test_why_a_rule_does_not_fire_is_the_first_condition_that_does_not_hold(
    watch: Observatory, rule: str, entity: str, stopped: str
) -> None:
    await begin(watch)
    closed = entities.service("192.0.2.8", "tcp", "5432")
    other, bare = entities.ip_address("192.0.2.8"), entities.ip_address("192.0.2.9")
    watch.book().put(*OPENED, facts(HOST), facts(other), facts(bare), facts(closed, state="closed"), tie(other, closed))
    await watch.catch_up()
    told = await watch.ask(EXPLAIN_ABSENCE, WhyNotQuery(rule=rule, scan=SCAN, entity=entity))
    assert not told.fires
    assert stopped in told.stopped


async def test_a_rule_that_fires_is_said_to(watch: Observatory) -> None:
    await begin(watch)
    watch.book().put(*OPENED)
    await watch.catch_up()
    told = await watch.ask(EXPLAIN_ABSENCE, WhyNotQuery(rule="database_exposed", scan=SCAN, entity="192.0.2.7"))
    assert (told.fires, told.stopped) == (True, "")


async def test_findings_that_are_put_aside_are_not_shown_until_it_ends(watch: Observatory) -> None:
    await begin(watch)
    watch.book().put(*OPENED)
    await watch.catch_up()
    with pytest.raises(Invalid, match="why"):
        await watch.ask(SUPPRESS, Suppress(rule="database_exposed", reason=" "))
    with pytest.raises(Invalid, match="ended"):
        await watch.ask(SUPPRESS, Suppress(rule="database_exposed", reason="r", ends=now() - 1))
    other = await watch.ask(SUPPRESS, Suppress(entity="192.0.2.99", reason="not this one"))
    assert len((await listed(watch)).findings) == 1
    aside = await watch.ask(SUPPRESS, Suppress(rule="database_exposed", entity="192.0.2.7", reason="a replica"))
    page = await listed(watch)
    assert (page.findings, page.counts) == ((), {})
    assert (await only(watch, all=True)).suppressed == "a replica"
    await watch.ask(LIFT_SUPPRESSION, SuppressionRef(aside.id))
    assert len((await listed(watch)).findings) == 1
    assert [each.id for each in await watch.ask(LIST_SUPPRESSIONS, Nothing())] == [other.id]
    async with watch.sql.begin() as tx:
        await tx.execute("UPDATE suppression SET ends = :ends, rule = 'database_exposed', entity = NULL", ends=1)
    assert len((await listed(watch)).findings) == 1


async def test_risk_adds_up_by_what_findings_are_about_and_of_all(watch: Observatory) -> None:
    await begin(watch)
    watch.book().put(*OPENED, facts(HOST, wildcard=True))
    await watch.catch_up()
    risks = await watch.ask(GET_RISKS, RiskQuery(scan=SCAN))
    scores = {each.entity.value: each.score for each in risks.entities if each.entity}
    assert list(scores) == ["192.0.2.7", "www.example.org"]
    assert scores["192.0.2.7"] > scores["www.example.org"] > 0
    assert risks.whole.score >= scores["192.0.2.7"]
    assert risks.whole.counts == {"high": 1, "low": 1}


async def test_another_reliability_of_a_source_changes_how_sure_findings_are(watch: Observatory) -> None:
    await begin(watch)
    watch.book().put(*OPENED)
    await watch.catch_up()
    before = (await only(watch)).confidence
    await watch.ask(SET_POLICY, PolicyChange(reliability={"tcp_ports": 0.2}, reason="it was wrong before"))
    assert not (await listed(watch)).judged
    await watch.work()
    assert (await only(watch)).confidence < before
