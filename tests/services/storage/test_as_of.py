"""What was answered at an instant is answered again for it, whatever was said, withdrawn or restored since."""

import random
from typing import Any, Final
from uuid import UUID

import pytest

from services.contracts import attributes, entities, relations
from services.contracts import endpoints as e
from services.contracts.claims import Absence, Claim, stated
from services.contracts.facts import Deleted
from services.contracts.resources import ClaimsQuery, EntityQuery, InstantsQuery, Retract, SearchQuery
from services.contracts.resources.storage import FactsQuery
from services.contracts.scope import ROLES
from services.kernel.errors import Invalid
from services.kernel.messages import now
from tests.examples import seeds
from tests.services.storage.depot import ADDRESS, LATER, SCAN, TARGET, WWW, Depot, admitted, result

MODULES: Final = ("dns_records", "brute", "web", "crtsh")
HOSTS: Final = [entities.hostname(f"h{number}.example.org") for number in range(5)]
ADDRESSES: Final = [entities.ip_address(f"192.0.2.{number}") for number in range(1, 4)]
RESOLVES = relations.resolves_to(WWW, ADDRESS, record="A")


async def told(store: Depot, at: int | None) -> dict[str, Any]:
    """All that anybody may read, now or as of an instant."""
    found: dict[str, Any] = {}
    for scan in (SCAN, LATER):
        for form in ("hosts", "jsonl", "csv"):
            found[f"{scan} {form}"] = await store.export(form, scan, as_of=at)
            found[f"{scan} {form} in scope"] = await store.export(form, scan, as_of=at, all=False)
        found[f"{scan} canonical"] = await store.export("jsonl", scan, canonical=True, as_of=at)
        found[f"{scan} claims"] = await store.follow(e.LIST_CLAIMS, ClaimsQuery(scan=scan, as_of=at))
        query = ClaimsQuery(scan=scan, as_of=at, withdrawn=True)
        # Whether one counts is said of now, since when it does not, too.
        found[f"{scan} claims with withdrawn ones"] = [each.key for each in await store.follow(e.LIST_CLAIMS, query)]
        for everything in (True, False):
            pieces = await store.follow(e.READ_FACTS, FactsQuery(scan=scan, all=everything, as_of=at))
            found[f"{scan} facts {everything}"] = [each for one in pieces for each in (*one.entities, *one.relations)]
        for role in (None, *ROLES):
            page = await store.ask(e.FIND_ENTITIES, SearchQuery(scan=scan, role=role, as_of=at))
            found[f"{scan} members {role}"] = page
        found[f"{scan} words"] = await store.ask(e.FIND_ENTITIES, SearchQuery(text="h1", scan=scan, as_of=at))
        for host in (*HOSTS, *ADDRESSES):
            query = EntityQuery(value=host.value, scan=scan, as_of=at)
            found[f"{scan} {host.value}"] = await store.ask(e.GET_ENTITY, query)
    for host in (*HOSTS, *ADDRESSES, TARGET):
        found[host.value] = await store.ask(e.GET_ENTITY, EntityQuery(value=host.value, as_of=at))
    page = await store.ask(e.FIND_ENTITIES, SearchQuery(text="example", as_of=at))
    found["search"] = {(row.value, row.first_seen, row.last_seen) for row in page.entities}
    return found


def claim(rng: random.Random) -> Claim:
    host = rng.choice(HOSTS)
    return rng.choice(
        [
            host,
            relations.resolves_to(host, rng.choice(ADDRESSES), record="A", ttl=rng.randrange(3)),
            attributes.attribute(host, "tag", rng.choice(["mail", "vpn"])),
            attributes.attribute(host, "covered_by_wildcard", rng.random() < 0.5),
            Absence(host, rng.choice(["resolves_to", "runs"])),
        ]
    )


async def happen(store: Depot, rng: random.Random, turn: int) -> None:
    """Let something come, be withdrawn or be restored."""
    scan = rng.choice((SCAN, LATER))
    words = {"module": rng.choice(MODULES), **rng.choice(({}, {"scan": scan}))}
    match rng.randrange(5):
        case 0:
            await store.follow(e.RETRACT, Retract(reason="wrong", **words))
        case 1:
            await store.follow(e.RETRACT, Retract(undo=True, **words))
        case 2:
            place = (rng.choice(HOSTS), rng.choice(ROLES), rng.randrange(3))
            await store.take(admitted(place, of=scan, ordinal=turn), at=rng.randrange(500, 5000))
        case _:
            claims = [claim(rng) for _ in range(rng.randrange(1, 4))]
            subject = rng.choice((TARGET, *HOSTS))
            at = rng.randrange(500, 5000)
            await store.take(result(rng.choice(MODULES), *claims, of=scan, subject=subject, turn=turn, at=at))
    await store.index()


@pytest.mark.parametrize("seed", seeds(8))
async def test_what_was_answered_then_is_answered_for_then(store: Depot, seed: int) -> None:
    rng = random.Random(seed)
    answers: list[tuple[int, dict[str, Any]]] = []
    for turn in range(16):
        await happen(store, rng, turn)
        answers.append((now(), await told(store, None)))
    for at, answer in answers:
        then = await told(store, at)
        # The index has what is known now: what of it was known then is what was found then.
        assert {key: then[key] for key in answer if then[key] != answer[key]} == {}
    assert await told(store, now()) == await told(store, None)


async def test_nothing_was_known_before_anything_came(store: Depot) -> None:
    before = now()
    await store.take(result("crtsh", WWW, RESOLVES), admitted((WWW, "in_scope", 0)))
    await store.index()
    assert await store.ask(e.GET_ENTITY, EntityQuery(value=WWW.value, as_of=before)) == ()
    assert await store.export(as_of=before) == ""
    assert (await store.ask(e.FIND_ENTITIES, SearchQuery(text="www", as_of=before))).entities == ()
    assert (await store.ask(e.FIND_ENTITIES, SearchQuery(scan=SCAN, as_of=before))).entities == ()


async def test_a_deleted_scan_is_gone_from_every_instant(store: Depot) -> None:
    await store.take(result("crtsh", WWW), admitted((WWW, "in_scope", 0)))
    await store.follow(e.RETRACT, Retract(module="crtsh", reason="wrong"))
    await store.follow(e.RETRACT, Retract(module="crtsh", undo=True))
    then = now()
    await store.take(Deleted(scan=SCAN))
    assert await store.export(as_of=then) == ""
    assert await store.ask(e.GET_ENTITY, EntityQuery(value=WWW.value, as_of=then)) == ()
    async with store.sql.read() as view:
        for table in ("admission", "withheld"):
            assert await view.fetch(f"SELECT scan FROM {table}") == []


async def test_what_holds_at_an_instant_is_what_its_sources_say_to_hold_then(store: Depot) -> None:
    await store.take(
        result("dns_records", stated(RESOLVES, valid_from=10, valid_to=20)),
        result("web", attributes.attribute(WWW, "tag", "mail")),
        result("crtsh", stated(attributes.attribute(WWW, "tag", "vpn"), valid_from=20)),
    )
    held = {}
    for at in (9, 10, 20, 21):
        (view,) = await store.ask(e.GET_ENTITY, EntityQuery(value=WWW.value, valid_at=at))
        claims = await store.follow(e.LIST_CLAIMS, ClaimsQuery(scan=SCAN, valid_at=at))
        held[at] = {each.value for each in view.attributes} | {each.type for each in view.relations}
        assert len(claims) == len(held[at])
    assert held == {
        9: {"mail"},
        10: {"mail", "resolves_to"},
        20: {"mail", "resolves_to", "vpn"},
        21: {"mail", "vpn"},
    }


async def changes(store: Depot, before: int, after: int, scan: UUID | None = SCAN) -> set[tuple[str, str, str]]:
    query = InstantsQuery(before=before, after=after, scan=scan)
    return {(each.kind, each.value, each.what) for each in await store.follow(e.DIFF_INSTANTS, query)}


async def test_instants_differ_by_what_was_said_withdrawn_and_restored_between_them(store: Depot) -> None:
    start = now()
    await store.take(result("crtsh", WWW, attributes.attribute(WWW, "tag", "mail")))
    first = now()
    await store.take(result("web", RESOLVES, attributes.attribute(WWW, "tag", "vpn")))
    second = now()
    await store.follow(e.RETRACT, Retract(module="crtsh", reason="wrong"))
    third = now()
    await store.follow(e.RETRACT, Retract(module="crtsh", undo=True))
    fourth = now()
    leads = f"{WWW.value} → {ADDRESS.value}"
    both = [("new", leads), ("changed", WWW.value)]
    assert {each[:2] for each in await changes(store, start, first)} == {("new", WWW.value)}
    assert {each[:2] for each in await changes(store, first, second)} == set(both)
    assert await changes(store, second, third) == {("changed", WWW.value, 'no longer tag = "mail"')}
    assert await changes(store, third, fourth) == {("changed", WWW.value, 'now tag = "mail"')}
    assert await changes(store, second, fourth) == await changes(store, fourth, now()) == set()
    assert await changes(store, start, fourth, None) == await changes(store, start, fourth)
    assert await changes(store, start, fourth, LATER) == set()


async def test_what_several_scans_say_is_gone_when_none_says_it_any_more(store: Depot) -> None:
    await store.take(result("crtsh", WWW), result("crtsh", WWW, of=LATER))
    before = now()
    await store.follow(e.RETRACT, Retract(scan=SCAN, reason="wrong"))
    between = now()
    assert await changes(store, before, between) == {("gone", WWW.value, "")}
    assert await changes(store, before, between, None) == set()
    await store.follow(e.RETRACT, Retract(scan=LATER, reason="wrong"))
    assert await changes(store, before, now(), None) == {("gone", WWW.value, "")}


async def test_instants_in_the_wrong_order_are_refused(store: Depot) -> None:
    with pytest.raises(Invalid):
        await changes(store, 2, 1)
