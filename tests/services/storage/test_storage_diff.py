"""Differences of two scans: what is new, changed, gone, and what nobody can say any more."""

from collections.abc import Callable
from typing import Any

import pytest
from msgspec import structs

from services.contracts import attributes, entities, relations
from services.contracts import endpoints as e
from services.contracts.claims import Absence, Claim
from services.contracts.facts import Collected
from services.contracts.plan import Plan
from services.contracts.resources import Change, DiffQuery
from services.contracts.scope import scope
from services.contracts.subjects import NamesDigest
from tests.services.storage.depot import ADDRESS, ELSEWHERE, LATER, SCAN, TARGET, WWW, Depot, record, result

API = entities.hostname("api.example.org")
RESOLVES = relations.resolves_to(WWW, ADDRESS, record="A")
MAIL, WEB = attributes.attribute(WWW, "tag", "mail"), attributes.attribute(WWW, "tag", "web")


async def changes(store: Depot, *results: Collected) -> list[tuple[str, str, str, str]]:
    """Kind, type, value and what, in no order."""
    await store.take(*results)
    found = await store.follow(e.DIFF, DiffQuery(SCAN, LATER))
    return sorted((each.kind, each.type, each.value, each.what) for each in found)


def before(module: str, *claims: Claim, **fields) -> Collected:
    return result(module, *claims, **fields)


def after(module: str, *claims: Claim, **fields) -> Collected:
    return result(module, *claims, of=LATER, **fields)


async def test_equal_scans_have_no_differences(store: Depot) -> None:
    said = (WWW, RESOLVES, MAIL, Absence(TARGET, "resolves_to"))
    assert await changes(store, before("web", *said), after("web", *reversed(said), at=99)) == []
    assert await store.follow(e.DIFF, DiffQuery(SCAN, SCAN)) == []


async def test_what_only_the_later_scan_says_is_new(store: Depot) -> None:
    found = await changes(store, before("web", WWW), after("web", WWW, API, RESOLVES))
    assert found == [
        ("new", "hostname", "api.example.org", ""),
        ("new", "resolves_to", "www.example.org → 192.0.2.1", found[1][3]),
    ]


async def test_what_its_source_no_longer_says_is_gone(store: Depot) -> None:
    found = await changes(store, before("web", WWW, API, RESOLVES), after("web", WWW))
    assert [each[:3] for each in found] == [
        ("gone", "hostname", "api.example.org"),
        ("gone", "resolves_to", "www.example.org → 192.0.2.1"),
    ]


async def test_who_said_that_something_of_it_is_absent_does_not_answer_for_it(store: Depot) -> None:
    absent = before("crtsh", Absence(API, "resolves_to"))
    found = await changes(store, before("web", WWW, API), absent, after("web", WWW), after("crtsh", outcome="failed"))
    assert found == [("gone", "hostname", "api.example.org", "")]


NOT_ANSWERED = [
    [],
    [after("web", outcome="unreachable")],
    [after("web", outcome="rate_limited")],
    [after("web", outcome="failed")],
    [after("web", outcome="skipped")],
    [after("web", outcome="truncated")],
    [after("web", WWW, outcome=None)],
    [after("web", outcome="found", part=1, parts=2)],
    [after("crtsh", outcome="empty")],
    [after("web", subject=API, outcome="empty")],
]


@pytest.mark.parametrize("results", NOT_ANSWERED, ids=lambda each: repr([(r.module, r.outcome) for r in each]))
async def test_what_its_source_did_not_answer_about_is_unknown(store: Depot, results: list[Collected]) -> None:
    found = await changes(store, before("web", API), *results)
    assert ("unknown", "hostname", "api.example.org", "") in found
    assert not any(kind == "gone" for kind, *_ in found)


def module_with(name: str, **fields: Any) -> Callable[[Plan], Plan]:
    def change(plan: Plan) -> Plan:
        modules = [structs.replace(each, **fields) if each.id == name else each for each in plan.modules]
        return structs.replace(plan, modules=tuple(modules))

    return change


ASKED_OTHERWISE = {
    "another version": ("web", module_with("web", version=2)),
    "other options": ("web", module_with("web", options={"pages": 1})),
    "without its key": ("crtsh", module_with("crtsh", missing_key="crtsh")),
    "not planned": ("web", lambda plan: structs.replace(plan, modules=())),
    "other words": ("brute", lambda plan: structs.replace(plan, words=b"words")),
    "other resolvers": ("dns_records", lambda plan: structs.replace(plan, resolvers=("192.0.2.53",))),
    "other names ruled out": (
        "brute",
        lambda plan: structs.replace(plan, scope=scope((TARGET,), excludes=("api.example.org",))),
    ),
}


@pytest.mark.parametrize("how", ASKED_OTHERWISE)
async def test_what_its_source_was_asked_in_another_way_is_unknown(store: Depot, how: str) -> None:
    module, change = ASKED_OTHERWISE[how]
    store.planned[LATER] = change
    assert await changes(store, before(module, API), after(module, outcome="empty")) == [
        ("unknown", "hostname", "api.example.org", "")
    ]


@pytest.mark.parametrize("how", ["other words", "other resolvers"])
async def test_sources_that_words_and_resolvers_do_not_touch_are_compared(store: Depot, how: str) -> None:
    store.planned[LATER] = ASKED_OTHERWISE[how][1]
    found = await changes(store, before("crtsh", API), after("crtsh", outcome="empty"))
    assert found == [("gone", "hostname", "api.example.org", "")]


async def test_what_was_guessed_from_other_names_is_unknown(store: Depot) -> None:
    store.modules["permutations"] = "guess"
    one, other = (NamesDigest("example.org", digest * 64, 3) for digest in "ab")
    said = before("permutations", API, subject=one)
    assert await changes(store, said, after("permutations", outcome="empty", subject=other)) == [
        ("unknown", "hostname", "api.example.org", "")
    ]
    assert await changes(store, after("permutations", outcome="empty", subject=one)) == [
        ("gone", "hostname", "api.example.org", "")
    ]


@pytest.mark.parametrize("outcome", ["unreachable", "rate_limited", "failed", "skipped", "truncated", None])
async def test_what_its_source_did_not_answer_about_before_is_not_new(store: Depot, outcome: Any) -> None:
    told = [] if outcome is None else [before("web", outcome=outcome)]
    assert await changes(store, *told, after("web", API)) == [("newly_known", "hostname", "api.example.org", "")]


@pytest.mark.parametrize("how", ASKED_OTHERWISE)
async def test_what_its_source_was_asked_in_another_way_before_is_not_new(store: Depot, how: str) -> None:
    module, change = ASKED_OTHERWISE[how]
    store.planned[SCAN] = change
    assert await changes(store, before(module, outcome="empty"), after(module, API)) == [
        ("newly_known", "hostname", "api.example.org", "")
    ]


async def test_what_two_say_is_new_only_when_both_had_answered(store: Depot) -> None:
    said = [after("web", API), after("crtsh", API)]
    assert await changes(store, before("web", outcome="empty"), *said) == [
        ("newly_known", "hostname", "api.example.org", "")
    ]
    assert await changes(store, before("crtsh", outcome="empty")) == [("new", "hostname", "api.example.org", "")]


async def test_an_attribute_that_nobody_could_ask_about_before_is_newly_known(store: Depot) -> None:
    said = [before("crtsh", WWW), before("web", outcome="unreachable")]
    assert await changes(store, *said, after("crtsh", WWW), after("web", MAIL)) == [
        ("newly_known", "hostname", "www.example.org", 'now tag = "mail"')
    ]


@pytest.mark.parametrize(("outcome", "kind"), [("empty", "new"), ("unreachable", "newly_known")])
async def test_what_is_said_of_a_thing_that_was_not_known_is_as_new_as_the_thing(
    store: Depot, outcome: Any, kind: str
) -> None:
    address = relations.resolves_to(API, ADDRESS, record="A")
    block = relations.part_of(ADDRESS, entities.netblock("192.0.2.0/24"))
    told = [after("crtsh", API), after("dns_records", address, subject=API), after("web", block, subject=ADDRESS)]
    found = await changes(store, before("crtsh", outcome=outcome), *told)
    assert [each[:2] for each in found] == [(kind, "hostname"), (kind, "part_of"), (kind, "resolves_to")]


async def test_what_is_said_of_a_target_that_the_earlier_scan_had_not_is_newly_known(store: Depot) -> None:
    found = await changes(store, before("web", outcome="empty"), after("web", MAIL, subject=WWW))
    assert [each[0] for each in found] == ["newly_known"]


async def test_things_that_only_name_each_other_do_not_hold_up_a_comparison(store: Depot) -> None:
    found = await changes(store, after("web", API, subject=WWW), after("web", WWW, subject=API))
    assert {each[0] for each in found} <= {"new", "newly_known"}


async def test_what_two_said_is_gone_only_when_both_answered(store: Depot) -> None:
    said = [before("web", API), before("crtsh", API)]
    assert await changes(store, *said, after("web", outcome="empty")) == [
        ("unknown", "hostname", "api.example.org", "")
    ]
    assert await changes(store, after("crtsh", outcome="empty")) == [("gone", "hostname", "api.example.org", "")]


async def test_what_another_source_says_now_is_not_gone(store: Depot) -> None:
    assert await changes(store, before("web", API), after("web", outcome="empty"), after("crtsh", API)) == []


async def test_an_answer_in_any_turn_is_an_answer(store: Depot) -> None:
    turns = [after("web", outcome="rate_limited"), after("web", outcome="empty", turn=1)]
    assert await changes(store, before("web", API), *turns) == [("gone", "hostname", "api.example.org", "")]


async def test_a_changed_value_is_said_once_with_all_who_say_it(store: Depot) -> None:
    await store.take(before("web", WWW, MAIL), before("otx", MAIL), after("web", WWW, WEB), after("otx", WEB))
    found = await store.follow(e.DIFF, DiffQuery(SCAN, LATER))
    assert found == [
        Change(kind="changed", layer="entity", type="hostname", value=WWW.value, what=what, modules=("otx", "web"))
        for what in ('now tag = "web"', 'no longer tag = "mail"')
    ]


async def test_a_first_attribute_of_a_known_thing_is_a_change(store: Depot) -> None:
    assert await changes(store, before("web", WWW), after("web", WWW, MAIL)) == [
        ("changed", "hostname", "www.example.org", 'now tag = "mail"')
    ]


async def test_a_value_that_nobody_could_ask_about_has_not_changed(store: Depot) -> None:
    said = [before("web", WWW, MAIL), before("crtsh", WWW)]
    assert await changes(store, *said, after("web", outcome="unreachable"), after("crtsh", WWW)) == []


async def test_a_denial_is_no_sign_of_life(store: Depot) -> None:
    denied = after("web", Absence(API, "resolves_to"))
    assert await changes(store, before("web", API), denied) == [("gone", "hostname", "api.example.org", "")]
    assert await changes(store, after("otx", Absence(WWW, "resolves_to"))) == [
        ("gone", "hostname", "api.example.org", "")
    ]


async def test_many_differences_are_streamed_each_once(store: Depot) -> None:
    hosts = [entities.hostname(f"n{number}.example.org") for number in range(1200)]
    await store.take(before("web", *hosts[:800], records=[]), after("web", *hosts[400:], records=[]))
    found = await store.follow(e.DIFF, DiffQuery(SCAN, LATER))
    kinds = {each.value: each.kind for each in found}
    assert len(kinds) == len(found) == 800
    assert {kinds[host.value] for host in hosts[:400]} == {"gone"}
    assert {kinds[host.value] for host in hosts[800:]} == {"new"}


async def test_another_workspace_sees_no_differences(store: Depot) -> None:
    await store.take(before("web", WWW), after("web", API))
    assert await store.follow(e.DIFF, DiffQuery(SCAN, LATER), ELSEWHERE) == []


# A name that leads to another address each time

HERE, THERE = entities.service("192.0.2.1", "tcp", 443), entities.service("192.0.2.2", "tcp", 443)
PLAIN = entities.service("192.0.2.1", "tcp", 80)


def met(scan: Callable[..., Collected], address: str, *claims: Claim, module: str = "web") -> Collected:
    """What came of asking the name, which led to an address."""
    records = [record(f"GET / at {address}", peer=f"{address}:443")]
    return scan(module, *claims, subject=WWW, records=records)


def led(scan: Callable[..., Collected], *addresses: str) -> Collected:
    to = [relations.resolves_to(WWW, entities.ip_address(address), record="A") for address in addresses]
    return scan("dns_records", WWW, *to, subject=WWW)


async def test_a_service_at_an_address_to_which_the_name_did_not_lead_is_unknown_and_one_there_newly_known(
    store: Depot,
) -> None:
    tag = attributes.attribute(HERE, "banner", "one")
    found = await changes(
        store, met(before, "192.0.2.1", WWW, HERE, tag), met(after, "192.0.2.2", WWW, THERE), after("crtsh", HERE)
    )
    assert [each for each in found if each[1] == "service"] == [("newly_known", "service", "192.0.2.2:443/tcp", "")]
    found = await changes(store, met(after, "192.0.2.2", HERE, module="tls_certificate"))
    assert ("newly_known", "service", "192.0.2.2:443/tcp", "") in found


async def test_a_service_that_no_longer_answers_where_the_name_led_is_gone(store: Depot) -> None:
    found = await changes(store, met(before, "192.0.2.1", WWW, HERE, PLAIN), met(after, "192.0.2.1", WWW, HERE))
    assert found == [("gone", "service", "192.0.2.1:80/tcp", "")]


async def test_a_relation_of_a_service_elsewhere_is_unknown(store: Depot) -> None:
    exposes = relations.exposes(WWW, HERE)
    found = await changes(store, met(before, "192.0.2.1", WWW, HERE, exposes), met(after, "192.0.2.2", WWW))
    assert {each[:2] for each in found} == {("unknown", "service"), ("unknown", "exposes")}


@pytest.mark.parametrize(
    ("addresses", "kind"),
    [(("192.0.2.1",), "gone"), (("192.0.2.1", "192.0.2.2"), "unknown"), (("192.0.2.2",), "unknown"), ((), "gone")],
    ids=repr,
)
async def test_without_an_answer_the_service_is_gone_only_if_the_name_led_there_alone(
    store: Depot, addresses: tuple[str, ...], kind: str
) -> None:
    found = await changes(
        store,
        met(before, "192.0.2.1", WWW, HERE),
        led(before, "192.0.2.1"),
        after("web", subject=WWW, outcome="empty"),
        led(after, *addresses),
    )
    assert (kind, "service", "192.0.2.1:443/tcp", "") in found


async def test_where_a_source_was_met_says_nothing_of_what_it_speaks_of(store: Depot) -> None:
    told = (met(before, "198.51.100.1", WWW, HERE, module="crtsh"), met(after, "198.51.100.2", WWW, module="crtsh"))
    assert await changes(store, *told) == [("gone", "service", "192.0.2.1:443/tcp", "")]
