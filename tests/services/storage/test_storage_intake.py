"""What becomes of messages: the same tables whatever comes twice, late or in another order."""

import random
from pathlib import Path

import pytest

from services.contracts import attributes, entities, relations
from services.contracts import endpoints as e
from services.contracts.claims import Absence, Claim, Entity, stated
from services.contracts.facts import Admitted, Collected, Deleted
from services.contracts.resources import EntityQuery, ScanId
from services.kernel.messages import Envelope
from tests.examples import seeds
from tests.services.storage.depot import (
    ADDRESS,
    LATER,
    SCAN,
    TARGET,
    WWW,
    Depot,
    admitted,
    depot,
    record,
    result,
    wrapped,
)

RESOLVES = relations.resolves_to(WWW, ADDRESS, record="A")
MODULES = ("dns_records", "web", "crtsh", "otx")
ROLES = ("target", "in_scope", "affiliate", "external")


def random_world(seed: int) -> list[Envelope]:
    """Messages of two scans: results in parts and turns, shared evidence, admissions that get stronger."""
    rng = random.Random(seed)
    hosts = [entities.hostname(f"n{number}.example.org") for number in range(12)]
    shared = [record(f"GET /shared/{number}") for number in range(4)]

    def claim() -> Claim:
        host = rng.choice(hosts)
        made: Claim = rng.choice(
            (
                host,
                relations.resolves_to(host, entities.ip_address(f"192.0.2.{rng.randrange(5)}"), record="A"),
                relations.alias_of(host, rng.choice([other for other in hosts if other != host])),
                attributes.attribute(host, "covered_by_wildcard", rng.random() < 0.5),
                attributes.attribute(host, "tag", f"tag {rng.randrange(3)}"),
                Absence(host, "resolves_to"),
            )
        )
        return stated(made, valid_from=rng.choice((None, 5, 6)), where=rng.choice(("", "line:1")))

    messages: list[Collected | Admitted] = []
    for scan in (SCAN, LATER):
        for subject in hosts[: rng.randrange(3, 10)]:
            for turn in range(rng.choice((1, 1, 2))):
                module, parts = rng.choice(MODULES), rng.choice((1, 1, 3))
                for part in range(parts):
                    claims = [claim() for _ in range(rng.randrange(6))]
                    records = [*rng.sample(shared, 2), record(f"GET /own/{turn}/{part}")]
                    last = part == parts - 1
                    messages.append(
                        result(
                            module, *claims, of=scan, subject=subject, records=records, turn=turn, part=part,
                            outcome=rng.choice(("found", "unreachable")) if last else None, parts=parts if last else 0,
                            at=rng.randrange(10_000),
                        )
                    )  # fmt: skip
        for ordinal in range(1, rng.randrange(2, 8)):
            places = [(rng.choice(hosts), rng.choice(ROLES), rng.randrange(4)) for _ in range(3)]
            messages.append(admitted(*places, of=scan, ordinal=ordinal))
    return [wrapped(message, at=rng.randrange(10_000)) for message in messages]


@pytest.mark.parametrize("seed", seeds(4))
@pytest.mark.usefixtures("stores")
async def test_any_order_and_repetition_of_messages_makes_the_same_tables(tmp_path: Path, seed: int) -> None:
    envelopes = random_world(seed)
    rng = random.Random(seed)
    told = []
    for attempt in range(3):
        folder = tmp_path / str(attempt)
        folder.mkdir()
        async with depot(folder) as store:
            shuffled = envelopes + rng.sample(envelopes, len(envelopes) // 2)
            if attempt:
                rng.shuffle(shuffled)
            while shuffled:
                size = rng.randrange(len(shuffled) // 3 + 1, len(shuffled) + 1) if attempt else len(shuffled)
                await store.deliver(shuffled[:size])
                shuffled = shuffled[size:]
            told.append((await store.tables("recorded_at"), await store.export(), await store.export(canonical=True)))
    assert told[0] == told[1] == told[2]


async def test_the_first_and_the_last_time_are_the_widest_that_anybody_saw(store: Depot) -> None:
    for at in (500, 300, 900, 700):
        await store.take(result("web", WWW, subject=WWW, at=at))
    await store.take(result("web", WWW, subject=WWW, of=LATER, at=100))
    (view,) = await store.ask(e.GET_ENTITY, EntityQuery(value="www.example.org"))
    assert (view.first_seen, view.last_seen) == (100, 900)
    await store.take(admitted((TARGET, "target", 0)), at=2000)
    (view,) = await store.ask(e.GET_ENTITY, EntityQuery(value="example.org"))
    assert (view.first_seen, view.last_seen) == (2000, 2000)


async def test_two_sources_are_two_claims_and_two_values_are_two(store: Depot) -> None:
    one, other = attributes.attribute(WWW, "tag", "mail"), attributes.attribute(WWW, "tag", "web")
    await store.take(result("web", WWW, one), result("crtsh", WWW, one, other, subject=WWW))
    (view,) = await store.ask(e.GET_ENTITY, EntityQuery(value="www.example.org"))
    assert sorted(each.module for each in view.assertions) == ["crtsh", "web"]
    assert {each.value: sorted(said.module for said in each.assertions) for each in view.attributes} == {
        "mail": ["crtsh", "web"],
        "web": ["crtsh"],
    }


async def test_what_is_said_with_another_validity_stands_beside_it(store: Depot) -> None:
    periods = [stated(RESOLVES, valid_from=start, valid_to=start + 10) for start in (100, 200)]
    await store.take(result("otx", *periods))
    (view,) = await store.ask(e.GET_ENTITY, EntityQuery(value="www.example.org"))
    said = {(each.valid_from, each.valid_to) for each in view.relations[0].assertions}
    assert said == {(100, 110), (200, 210)}


@pytest.mark.parametrize("first", ["result", "admission"])
async def test_a_place_in_a_scan_does_not_depend_on_who_came_first(store: Depot, first: str) -> None:
    messages: list[Collected | Admitted] = [result("web", WWW), admitted((WWW, "in_scope", 1))]
    for message in messages if first == "result" else reversed(messages):
        await store.take(message)
    (view,) = await store.ask(e.GET_ENTITY, EntityQuery(value="www.example.org", scan=SCAN))
    assert (view.scope_role, view.distance) == ("in_scope", 1)
    (other,) = await store.ask(e.GET_ENTITY, EntityQuery(value="www.example.org"))
    assert (other.scope_role, other.distance) == (None, None)


async def test_a_role_gets_only_stronger_and_a_distance_only_smaller(store: Depot) -> None:
    places = [("affiliate", 2), ("external", 1), ("in_scope", 3), ("affiliate", 0), ("external", 9)]
    for ordinal, place in enumerate(places, 1):
        await store.take(admitted((WWW, *place), ordinal=ordinal))
    (view,) = await store.ask(e.GET_ENTITY, EntityQuery(value="www.example.org", scan=SCAN))
    assert (view.scope_role, view.distance) == ("in_scope", 0)


async def test_a_result_counts_when_all_its_parts_are_here(store: Depot) -> None:
    parts = [
        result("web", WWW, part=part, outcome="found" if part == 2 else None, parts=3 if part == 2 else 0)
        for part in range(3)
    ]
    for part, complete in ((parts[2], 0), (parts[0], 0), (parts[1], 1)):
        await store.take(part)
        assert (await store.ask(e.GET_STORED, ScanId(SCAN))).results == complete
    await store.take(result("web", WWW, turn=1), admitted((WWW, "in_scope", 0)), admitted((TARGET, "target", 0)))
    stored = await store.ask(e.GET_STORED, ScanId(SCAN))
    assert (stored.results, stored.admissions) == (2, 2)
    assert stored.entities == {"domain": 1, "hostname": 1}


async def test_a_relation_brings_its_ends(store: Depot) -> None:
    await store.take(result("dns_records", RESOLVES))
    stored = await store.ask(e.GET_STORED, ScanId(SCAN))
    assert stored.entities == {"hostname": 1, "ip_address": 1}
    assert stored.claims == 1


HOSTILE = ["\u202eevil", "a\tb", "'; DROP TABLE claim; --", "=cmd()", '"quoted"', "{{7*7}}", "ünïcödé \U0001f600", "%s"]


@pytest.mark.parametrize("text", HOSTILE)
async def test_hostile_text_is_stored_and_found_as_it_is(store: Depot, text: str) -> None:
    said = attributes.attribute(WWW, "description", text)
    await store.take(result("web", WWW, stated(said, where=text), records=[record(text, head=text, error=text)]))
    (view,) = await store.ask(e.GET_ENTITY, EntityQuery(value="www.example.org"))
    assert [each.value for each in view.attributes] == [said.value]
    assert view.attributes[0].assertions[0].where == text
    assert (await store.follow(e.LIST_RECORDS, ScanId(SCAN)))[0].record.request == text


async def test_nothing_of_a_batch_is_stored_when_one_message_fails(
    store: Depot, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken(Exception):
        pass

    async def fail(*_: object) -> None:
        raise Broken

    monkeypatch.setattr("services.storage.store.intake._write_entities", fail)
    with pytest.raises(Broken):
        await store.take(result("web", WWW))
    assert not any((await store.tables()).values())


async def test_a_message_that_cannot_be_stored_is_alone_in_failing(
    store: Depot, monkeypatch: pytest.MonkeyPatch
) -> None:
    from services.kernel import inbox
    from services.kernel.bus.sqlite import SqliteBus
    from services.kernel.inbox import Inbox
    from services.kernel.streams import consumers_of, streams_of
    from services.storage.consumers import CONSUMERS
    from services.storage.service import service

    monkeypatch.setattr(inbox, "RETRY_AFTER", 0.001)
    bad = stated(Entity("hostname", ("bad.example.org",)), where="a\0b")  # the database takes no NUL
    envelopes = [wrapped(result("web", claim, subject=claim)) for claim in (WWW, bad, TARGET)]
    bus = SqliteBus(store.folder / "bus.db")
    store.ports.bus = bus
    await bus.declare(streams_of([service]), consumers_of({"storage": CONSUMERS}))
    await bus.publish(envelopes)
    inbox = Inbox(store.ports, store.ports.outbox, next(each for each in CONSUMERS if each.takes is Collected))
    import asyncio

    running = asyncio.create_task(inbox.run())
    async with asyncio.timeout(20):
        while not await bus.dead():
            await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await bus.close()
    assert (await store.ask(e.GET_STORED, ScanId(SCAN))).entities == {"domain": 1, "hostname": 1}


async def test_what_comes_for_a_deleted_scan_is_dropped(store: Depot) -> None:
    await store.take(Deleted(scan=SCAN))
    await store.take(result("web", WWW), result("web", WWW, of=LATER), admitted((WWW, "target", 0)))
    stored = await store.ask(e.GET_STORED, ScanId(SCAN))
    assert (stored.results, stored.admissions, stored.claims, stored.entities) == (0, 0, 0, {})
    assert (await store.ask(e.GET_STORED, ScanId(LATER))).claims == 1
