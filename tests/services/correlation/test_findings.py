"""Which findings there are, where one stands with them, and what becomes of them from scan to scan."""

from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from services.contracts import entities, relations
from services.contracts.claims import Entity
from services.contracts.endpoints import (
    FIND_PATHS,
    GET_FINDING,
    GET_JUDGED,
    LIST_FINDINGS,
    READ_GRAPH,
    SET_FINDING,
    SWEPT_BY_CORRELATION,
)
from services.contracts.facts import Deleted, Started
from services.contracts.resources import ScanId
from services.contracts.resources.correlation import (
    FindingPage,
    FindingRef,
    FindingRow,
    FindingsQuery,
    GraphQuery,
    PathsQuery,
    SetFinding,
)
from services.contracts.resources.storage import EntityFacts, RelationFacts, SaidBy, SaidValue
from services.correlation.domain import evaluating
from services.correlation.domain.reading import read_rule
from services.correlation.store import graph as graphs
from services.kernel.errors import Invalid, NotFound, Unavailable
from services.kernel.messages import now
from tests.services.correlation.observatory import (
    BEGAN,
    DAY,
    ELSEWHERE,
    LATER,
    SCAN,
    WORKSPACE,
    Observatory,
    answered,
    observatory,
)
from tests.stores import Stores

OPEN = read_rule(
    """
id: database_exposed
version: 1
title: A database answers
category: exposure
severity: high
confidence: 90
description: Anybody can ask it.
advice: Close it.
things:
  address: {type: ip_address}
  service: {type: service, key.port: [5432], state: open}
links: [address exposes service]
headline: "{service} is open"
"""
)
WILD = read_rule(
    """
id: wildcard
version: 1
title: Every name answers
category: dns
severity: low
description: It hides which names there are.
things:
  host: {type: hostname, wildcard: true}
headline: "{host} answers for every name"
"""
)

TARGET = entities.domain("example.org")
ADDRESS, HOST = entities.ip_address("192.0.2.7"), entities.hostname("www.example.org")
SERVICE = entities.service("192.0.2.7", "tcp", "5432")
RECORD = bytes(range(32))


def facts(about: Entity, module: str = "tcp_ports", **attributes: object) -> EntityFacts:
    said = (SaidBy(module, 2, BEGAN + 5, 80, TARGET.id, (RECORD,)),)
    return EntityFacts(
        entity=about,
        role="in_scope",
        distance=0,
        first_seen=BEGAN,
        last_seen=BEGAN,
        said=said,
        attributes=tuple(SaidValue(name, value, said) for name, value in attributes.items()),
    )


def tie(source: Entity, target: Entity, module: str = "tcp_ports") -> RelationFacts:
    made = relations.exposes(source, target) if target.type == "service" else relations.resolves_to(source, target)
    said = (SaidBy(module, 2, BEGAN + 6, 100, TARGET.id, (RECORD,)),)
    return RelationFacts(
        type=made.type, source=source, target=target, qualifiers=made.qualifiers, details=made.details, said=said
    )


OPENED = (facts(ADDRESS), facts(SERVICE, state="open"), tie(ADDRESS, SERVICE))


async def begin(watch: Observatory, scan: object = SCAN, at: int = BEGAN) -> None:
    watch.use(OPEN, WILD)
    await watch.start(scan, TARGET, at=at)  # type: ignore[arg-type]


async def listed(watch: Observatory, scan: object = SCAN, **fields: object) -> FindingPage:
    return await watch.ask(LIST_FINDINGS, FindingsQuery(**{"scan": scan, **fields}))  # type: ignore[arg-type]


async def only(watch: Observatory, scan: object = SCAN, **fields: object) -> FindingRow:
    (row,) = (await listed(watch, scan, **fields)).findings
    return row


async def test_a_finding_says_what_it_rests_on_down_to_the_evidence(watch: Observatory) -> None:
    await begin(watch)
    watch.book().put(*OPENED)
    await watch.catch_up()
    row = await only(watch)
    view = await watch.ask(GET_FINDING, FindingRef(finding=str(row.id)[:8]))
    assert (row.title, row.severity, row.status) == ("192.0.2.7:5432/tcp is open", "high", "new")
    # The rule is 90 % sure, and the weakest of its grounds 76 %: 80 % by a source that is right in 95 % of cases.
    assert row.confidence == 68
    assert [entity.value for entity in row.entities] == ["192.0.2.7", "192.0.2.7:5432/tcp"]
    assert (view.description, view.advice, view.matches) == ("Anybody can ask it.", "Close it.", 1)
    grounds = {(ground.entity.value, ground.predicate): ground for ground in view.grounds}
    state = grounds["192.0.2.7:5432/tcp", "state"]
    assert (state.value, state.modules, state.evidence, state.at) == (
        "open",
        ("tcp_ports@2",),
        (RECORD.hex(),),
        BEGAN + 5,
    )
    led = grounds["192.0.2.7", "exposes"]
    assert led.target is not None
    assert led.target.value == "192.0.2.7:5432/tcp"


async def test_findings_come_the_worst_first_page_by_page_and_are_counted(watch: Observatory) -> None:
    await begin(watch)
    hosts = [facts(entities.hostname(f"h{number}.example.org"), wildcard=True) for number in range(5)]
    watch.book().put(*OPENED, *hosts)
    await watch.catch_up()
    seen: list[FindingRow] = []
    page = await listed(watch, limit=2)
    while True:
        seen += page.findings
        if page.cursor is None:
            break
        page = await listed(watch, limit=2, cursor=page.cursor)
    assert [row.severity for row in seen] == ["high"] + ["low"] * 5
    assert len({row.id for row in seen}) == 6
    assert page.counts == {"high": 1, "low": 5}
    assert [row.rule for row in (await listed(watch, severity="medium")).findings] == ["database_exposed"]
    assert [row.rule for row in (await listed(watch, entity="192.0.2.7")).findings] == ["database_exposed"]
    assert len((await listed(watch, rule="wildcard")).findings) == 5
    with pytest.raises(Invalid, match="cursor"):
        await listed(watch, cursor="AAAA")


async def test_what_changes_while_nobody_looks_is_not_judged_until_it_was(watch: Observatory) -> None:
    await begin(watch)
    watch.book().put(*OPENED)
    await watch.take(watch.book().say(SCAN))
    assert not (await listed(watch)).judged
    await watch.work()
    assert (await listed(watch)).judged
    watch.book().changes += 1  # storage has said something that has not come yet
    assert (await watch.ask(GET_JUDGED, ScanId(SCAN))).waiting == 1


async def test_a_false_positive_is_not_shown_in_any_scan_and_remembers_who_said_so(watch: Observatory) -> None:
    await begin(watch)
    watch.book().put(*OPENED)
    await watch.catch_up()
    row = await only(watch)
    with pytest.raises(Invalid, match="why"):
        await watch.ask(SET_FINDING, SetFinding(finding=str(row.id), status="false_positive"))
    await watch.ask(SET_FINDING, SetFinding(finding=str(row.id), status="false_positive", reason="a honeypot of ours"))
    assert (await listed(watch)).findings == ()
    await begin(watch, LATER, BEGAN + DAY)
    watch.book(LATER).put(*OPENED)
    await watch.catch_up(LATER)
    assert (await listed(watch, LATER)).findings == ()
    assert (await only(watch, LATER, all=True)).reason == "a honeypot of ours"
    (change,) = (await watch.ask(GET_FINDING, FindingRef(finding=str(row.id)))).history
    assert (change.status, change.who, change.reason) == ("false_positive", "operator", "a honeypot of ours")


async def test_what_a_later_scan_of_the_same_does_not_find_is_fixed_and_comes_back_by_itself(
    watch: Observatory,
) -> None:
    await begin(watch)
    watch.book().put(*OPENED)
    await watch.catch_up()
    await watch.finish(SCAN, *answered("tcp_ports"))
    await watch.work()
    await begin(watch, LATER, BEGAN + DAY)
    await watch.catch_up(LATER)
    await watch.finish(LATER, *answered("tcp_ports"))
    await watch.work()
    assert (await only(watch, all=True)).status == "fixed"
    assert (await listed(watch)).findings == ()
    third = uuid4()
    await begin(watch, third, BEGAN + 2 * DAY)
    watch.book(third).put(*OPENED)
    await watch.catch_up(third)
    await watch.finish(third, *answered("tcp_ports"))
    await watch.work()
    assert (await only(watch, third)).status == "reopened"
    assert [each.became for each in await watch.said()] == ["new", "fixed", "reopened"]


@pytest.mark.parametrize("case", ["source did not answer", "stopped", "other targets", "before"])
async def test_nothing_is_fixed_on_less_than_a_full_answer_to_the_same_question(watch: Observatory, case: str) -> None:
    await begin(watch)
    watch.book().put(*OPENED)
    await watch.catch_up()
    await watch.finish(SCAN, *answered("tcp_ports"))
    await watch.work()
    targets = [entities.domain("example.com")] if case == "other targets" else [TARGET]
    await watch.start(LATER, *targets, at=BEGAN + (-DAY if case == "before" else DAY))
    await watch.catch_up(LATER)
    sources = answered("crtsh") if case == "source did not answer" else answered("tcp_ports")
    await watch.finish(LATER, *sources, state="stopped" if case == "stopped" else "finished")
    await watch.work()
    assert (await only(watch)).status == "new"


async def test_nothing_is_said_of_a_scan_before_it_has_ended_and_all_of_it_was_judged(watch: Observatory) -> None:
    await begin(watch)
    watch.book().put(*OPENED)
    await watch.catch_up()
    assert await watch.said() == []
    watch.book().changes += 1
    await watch.finish(SCAN, *answered("tcp_ports"), at=now())
    await watch.work()
    assert await watch.said() == []
    watch.book().changes -= 1
    await watch.catch_up()
    assert [(each.became, each.rule) for each in await watch.said()] == [("new", "database_exposed")]


async def test_a_deleted_scan_takes_its_findings_along_but_not_those_of_others(watch: Observatory) -> None:
    await begin(watch)
    watch.book().put(*OPENED, facts(HOST, wildcard=True))
    await watch.catch_up()
    await begin(watch, LATER, BEGAN + DAY)
    watch.book(LATER).put(*OPENED)
    await watch.catch_up(LATER)
    wildcard = await only(watch, rule="wildcard")
    opened = await only(watch, rule="database_exposed")
    await watch.take(Deleted(scan=SCAN))
    del watch.scans[SCAN]
    await watch.work()
    assert (await only(watch, LATER)).id == opened.id
    assert (await watch.ask(GET_FINDING, FindingRef(finding=str(opened.id)))).finding.scan == LATER
    with pytest.raises(NotFound):
        await watch.ask(GET_FINDING, FindingRef(finding=str(wildcard.id)))
    with pytest.raises(NotFound):
        await listed(watch, SCAN)
    assert (await watch.ask(SWEPT_BY_CORRELATION, ScanId(SCAN))).swept
    assert not (await watch.ask(SWEPT_BY_CORRELATION, ScanId(LATER))).swept
    assert not (await watch.ask(SWEPT_BY_CORRELATION, ScanId(SCAN), ELSEWHERE)).swept
    await watch.take(watch.book().say(SCAN))  # what was still on its way revives nothing
    await watch.work()
    async with watch.sql.read() as view:
        assert await view.fetch("SELECT 1 FROM occurrence WHERE scan = :scan", scan=SCAN.bytes) == []


async def test_another_rule_in_force_has_a_scan_judged_anew(watch: Observatory) -> None:
    await begin(watch)
    watch.book().put(*OPENED, facts(HOST, wildcard=True))
    await watch.catch_up()
    watch.use(WILD)
    assert not (await listed(watch)).judged
    await watch.work()
    assert [row.rule for row in (await listed(watch)).findings] == ["wildcard"]


async def test_a_scan_of_before_there_were_rules_is_judged_when_somebody_asks(watch: Observatory) -> None:
    watch.use(OPEN, WILD)
    await watch.start(SCAN, TARGET)
    async with watch.sql.begin() as tx:
        await tx.execute("DELETE FROM scan")
    watch.book().put(*OPENED)
    assert not (await listed(watch)).judged
    await watch.work()
    assert [row.rule for row in (await listed(watch)).findings] == ["database_exposed"]


async def test_a_rule_that_fails_does_not_stop_the_others(watch: Observatory, monkeypatch: pytest.MonkeyPatch) -> None:
    from services.correlation.domain import judging

    whole = judging.take_down

    def fail(rule: object, *arguments: object) -> object:
        if rule is OPEN:
            raise ValueError("this rule has a fault")
        return whole(rule, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr("services.correlation.domain.evaluating.take_down", fail)
    await begin(watch)
    watch.book().put(*OPENED, facts(HOST, wildcard=True))
    await watch.catch_up()
    assert [row.rule for row in (await listed(watch)).findings] == ["wildcard"]


async def test_who_dies_at_work_leaves_it_to_the_next(tmp_path: Path, stores: Stores) -> None:
    async with observatory(tmp_path) as first:
        await begin(first)
        first.book().put(*OPENED)
        await first.take(first.book().say(SCAN))

        async def die(*_: object) -> object:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt), pytest.MonkeyPatch.context() as patch:
            patch.setattr("services.correlation.store.pending.drop_pending", die)
            await first.work()
        await first.work()
        assert [row.rule for row in (await listed(first)).findings] == ["database_exposed"]


async def test_nobody_sees_the_findings_of_another_workspace(watch: Observatory) -> None:
    await begin(watch)
    watch.book().put(*OPENED)
    await watch.catch_up()
    row = await only(watch)
    assert (await watch.ask(LIST_FINDINGS, FindingsQuery(scan=SCAN, all=True), ELSEWHERE)).findings == ()
    with pytest.raises(NotFound):
        await watch.ask(GET_FINDING, FindingRef(finding=str(row.id)), ELSEWHERE)
    with pytest.raises(NotFound):
        await watch.ask(SET_FINDING, SetFinding(finding=str(row.id), status="confirmed"), ELSEWHERE)
    with pytest.raises(NotFound):
        await watch.ask(FIND_PATHS, PathsQuery(scan=SCAN, source="192.0.2.7", target="www.example.org"), ELSEWHERE)


async def test_a_path_names_who_said_each_step(watch: Observatory) -> None:
    await begin(watch)
    watch.book().put(*OPENED, facts(HOST), tie(HOST, ADDRESS, "dns_records"))
    await watch.catch_up()
    query = PathsQuery(scan=SCAN, source="www.example.org", target="192.0.2.7:5432/tcp", target_type="service")
    (path,) = await watch.ask(FIND_PATHS, query)
    assert path.start.value == "www.example.org"
    assert [(step.type, step.forward, step.to.value, step.modules) for step in path.steps] == [
        ("resolves_to", True, "192.0.2.7", ("dns_records@2",)),
        ("exposes", True, "192.0.2.7:5432/tcp", ("tcp_ports@2",)),
    ]
    with pytest.raises(NotFound, match="nowhere"):
        await watch.ask(FIND_PATHS, PathsQuery(scan=SCAN, source="nowhere.example.org", target="192.0.2.7"))


async def test_the_graph_of_a_scan_and_what_is_around_an_entity(watch: Observatory) -> None:
    await begin(watch)
    watch.book().put(*OPENED, facts(HOST), tie(HOST, ADDRESS, "dns_records"))
    await watch.catch_up()
    whole = await watch.follow(READ_GRAPH, GraphQuery(scan=SCAN))
    assert sorted(node.value for piece in whole for node in piece.nodes) == [
        "192.0.2.7",
        "192.0.2.7:5432/tcp",
        "www.example.org",
    ]
    assert sorted(edge.type for piece in whole for edge in piece.edges) == ["exposes", "resolves_to"]
    near = await watch.follow(READ_GRAPH, GraphQuery(scan=SCAN, around=HOST.id.hex()))
    assert sorted(node.value for piece in near for node in piece.nodes) == ["192.0.2.7", "www.example.org"]


async def test_what_led_to_a_thing_has_to_be_asked_again_too_before_its_finding_is_fixed(watch: Observatory) -> None:
    await begin(watch)
    watch.book().put(*OPENED, facts(HOST), tie(HOST, ADDRESS, "dns_records"))
    await watch.catch_up()
    await watch.finish(SCAN, *answered("tcp_ports", "dns_records"))
    await watch.work()
    await begin(watch, LATER, BEGAN + DAY)
    await watch.catch_up(LATER)
    await watch.finish(LATER, *answered("tcp_ports"))  # who knew of the address was not to be asked
    await watch.work()
    assert (await only(watch)).status == "new"


async def test_a_finding_that_comes_and_goes_within_a_scan_is_still_that_of_the_scan_before(watch: Observatory) -> None:
    await begin(watch)
    watch.book().put(*OPENED)
    await watch.catch_up()
    row = await only(watch)
    await begin(watch, LATER, BEGAN + DAY)
    watch.book(LATER).put(*OPENED)
    await watch.catch_up(LATER)
    watch.book(LATER).take_away(*OPENED)
    await watch.catch_up(LATER)
    assert (await watch.ask(GET_FINDING, FindingRef(finding=str(row.id)))).finding.scan == SCAN
    said = await watch.ask(SET_FINDING, SetFinding(finding=str(row.id), status="accepted", reason="known"))
    assert said.status == "accepted"


async def test_an_older_scan_that_is_judged_anew_brings_nothing_back(watch: Observatory) -> None:
    await begin(watch)
    watch.book().put(*OPENED)
    await watch.catch_up()
    await watch.finish(SCAN, *answered("tcp_ports"))
    await watch.work()
    await begin(watch, LATER, BEGAN + DAY)
    await watch.catch_up(LATER)
    await watch.finish(LATER, *answered("tcp_ports"))
    await watch.work()
    watch.use(OPEN)
    await listed(watch)
    await watch.work()
    assert (await only(watch, all=True)).status == "fixed"


async def test_a_scan_of_which_a_change_is_the_first_that_is_heard_is_taken_in_as_a_whole(watch: Observatory) -> None:
    watch.use(OPEN, WILD)
    await watch.start(SCAN, TARGET)
    async with watch.sql.begin() as tx:
        await tx.execute("DELETE FROM scan")
    watch.book().put(*OPENED)
    watch.book().say(SCAN)  # to nobody
    watch.book().put(facts(HOST, wildcard=True))
    await watch.catch_up()
    page = await listed(watch)
    assert page.judged
    assert [row.rule for row in page.findings] == ["database_exposed", "wildcard"]


async def test_an_end_that_is_heard_before_the_beginning_counts(watch: Observatory) -> None:
    watch.use(OPEN, WILD)
    book = watch.book()
    began = Started(scan=SCAN, run=1, targets=(TARGET,), profile="passive", target_count=1)
    await watch.start(SCAN, TARGET)
    async with watch.sql.begin() as tx:
        await tx.execute("DELETE FROM scan")
    book.put(*OPENED)
    await watch.finish(SCAN, *answered("tcp_ports"))
    await watch.take(began)
    await watch.catch_up()
    assert [each.became for each in await watch.said()] == ["new"]


async def test_a_scan_that_is_deleted_while_it_is_judged_leaves_nothing(
    watch: Observatory, monkeypatch: pytest.MonkeyPatch
) -> None:
    await begin(watch)
    watch.book().put(*OPENED)
    await watch.take(watch.book().say(SCAN))
    judged = evaluating.find_hits

    async def find(*arguments: Any) -> Any:
        if watch.scans:
            watch.scans.clear()
            await watch.take(Deleted(scan=SCAN))
            assert not (await watch.ask(SWEPT_BY_CORRELATION, ScanId(SCAN))).swept
        return await judged(*arguments)

    monkeypatch.setattr("services.correlation.usecases.judge.find_hits", find)
    monkeypatch.setattr("services.correlation.domain.evaluating.find_hits", find)
    await watch.work()
    assert (await watch.ask(SWEPT_BY_CORRELATION, ScanId(SCAN))).swept
    async with watch.sql.read() as view:
        for table in ("occurrence", "finding", "about", "pending", "heard"):
            assert await view.fetch(f"SELECT 1 FROM {table}") == [], table
    counts = await watch.graph.counts(graphs.space_of(WORKSPACE, SCAN))
    assert (counts.nodes, counts.edges) == ({}, {})


async def test_a_removal_that_was_cut_short_after_the_graph_is_judged_all_the_same(
    watch: Observatory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.correlation.usecases.follow.STEP", 1)
    await begin(watch)
    watch.book().put(*OPENED)
    await watch.catch_up()
    assert len((await listed(watch)).findings) == 1
    watch.book().take_away(OPENED[2])
    await watch.take(watch.book().say(SCAN))
    with monkeypatch.context() as patch:

        async def fail(*_: object) -> None:
            raise Unavailable("the store is away")

        patch.setattr("services.correlation.usecases.judge.judge_touched", fail)
        with pytest.raises(Unavailable):
            await watch.work()
    await watch.work()
    assert (await listed(watch)).findings == ()


async def test_what_a_stranger_wrote_at_length_can_be_a_group(watch: Observatory) -> None:
    rule = read_rule(
        """
id: same_issuer
version: 1
title: t
category: certificate
severity: low
description: d
things: {certificate: {type: certificate, issuer: {said: true}}}
group: {by: certificate.issuer, count: certificate, least: 1}
headline: "{count} of one issuer"
"""
    )
    await begin(watch)
    watch.use(rule)
    watch.book().put(facts(entities.certificate("ab" * 32), issuer="CN=" + "".join(map(str, range(1300)))))
    await watch.catch_up()
    assert (await only(watch)).title == "1 of one issuer"
