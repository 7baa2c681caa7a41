"""What nothing holds up any more is hidden, transitively, and is back when something does; and nobody misses that."""

import asyncio
import random
import tempfile
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.contracts import endpoints as e
from services.contracts import entities, relations
from services.contracts.claims import Entity, claim_line
from services.contracts.facts import Changed
from services.contracts.resources import ClaimsQuery, EntityQuery, Retract
from services.contracts.resources.storage import EntityFacts, FactsOf, FactsQuery
from services.contracts.subjects import Level
from services.kernel.messages import message_type, now
from services.storage.domain import Marks
from services.storage.usecases import support as supporting
from tests.examples import examples, seeds
from tests.services.storage.depot import ADDRESS, LATER, SCAN, TARGET, WWW, Depot, admitted, depot, result
from tests.services.storage.support_worlds import World, world

API = entities.hostname("api.example.org")
DEEP = entities.hostname("deep.api.example.org")
LINK = relations.resolves_to(API, ADDRESS, record="A")


def plain(fact: Any) -> Any:
    """A fact but for when an entity was seen and who named it in relations, of which nobody is told."""
    if isinstance(fact, EntityFacts):
        return msgspec.structs.replace(fact, first_seen=0, last_seen=0, named=())
    return fact


class Follower:
    """Has the facts of a scan by hearing what changed and asking for that alone."""

    def __init__(self, store: Depot, scan: UUID) -> None:
        self._store = store
        self._scan = scan
        self._heard = 0
        self.facts: dict[Any, Any] = {}

    async def catch_up(self) -> None:
        async with self._store.sql.read() as view:
            rows = await view.fetch("SELECT data FROM outbox WHERE type = :type", type=message_type(Changed))
        said = [msgspec.json.decode(data, type=Changed) for (data,) in rows]
        fresh = [each for each in said if each.scan == self._scan and each.ordinal > self._heard]
        for message in sorted(fresh, key=lambda each: each.ordinal):
            assert message.ordinal == self._heard + 1
            self._heard = message.ordinal
            query = FactsOf(scan=self._scan, entities=message.entities, relations=message.relations)
            for key in (*message.entities, *message.relations):
                self.facts.pop(key, None)
            for piece in await self._store.follow(e.READ_FACTS_OF, query):
                self.facts.update({each.entity.id: plain(each) for each in piece.entities})
                self.facts.update({(each.source.id, each.id): each for each in piece.relations})


async def play(store: Depot, rng: random.Random) -> None:
    """Let a world happen, and see after each event that what is shown is what counts, and that it is for then later."""
    known, followers = World(), {scan: Follower(store, scan) for scan in (SCAN, LATER)}
    then: list[tuple[int, UUID, set[tuple[str, int, str]], set[Entity]]] = []
    for happened in world(rng):
        known.add(happened)
        if isinstance(happened, Retract):
            await store.follow(e.RETRACT, happened)
        else:
            await store.take(happened)
            await store.settle()
        for scan, follower in followers.items():
            claims, members = known.visible(scan)
            shown = await store.follow(e.LIST_CLAIMS, ClaimsQuery(scan=scan))
            assert {(each.module, each.version, claim_line(each.claim)) for each in shown} == claims
            pieces = await store.follow(e.READ_FACTS, FactsQuery(scan=scan, all=True))
            facts = {each.entity.id: plain(each) for one in pieces for each in one.entities}
            assert {each.entity for each in facts.values()} == members
            facts |= {(each.source.id, each.id): each for one in pieces for each in one.relations}
            await follower.catch_up()
            assert follower.facts == facts
            then.append((now(), scan, claims, members))
    for at, scan, claims, members in then:
        shown = await store.follow(e.LIST_CLAIMS, ClaimsQuery(scan=scan, as_of=at))
        assert {(each.module, each.version, claim_line(each.claim)) for each in shown} == claims
        pieces = await store.follow(e.READ_FACTS, FactsQuery(scan=scan, all=True, as_of=at))
        assert {each.entity for one in pieces for each in one.entities} == members


@pytest.mark.slow
@given(st.randoms(use_true_random=False))
@examples(40, deadline=None)
def test_what_is_shown_is_what_stands_and_is_supported(rng: random.Random) -> None:
    async def run() -> None:
        with tempfile.TemporaryDirectory() as folder:
            async with depot(Path(folder)) as store:
                await play(store, rng)

    asyncio.run(run())


@pytest.mark.slow
@pytest.mark.parametrize("stores", [pytest.param("postgres", marks=pytest.mark.server)], indirect=True)
@pytest.mark.parametrize("seed", seeds(3))
async def test_what_is_shown_on_a_server_is_what_stands_and_is_supported(store: Depot, seed: int) -> None:
    await play(store, random.Random(seed))


async def chained(store: Depot) -> None:
    """crtsh names api, whose address the DNS knows, of which rdap knows more; api names itself, too."""
    await store.take(
        admitted((TARGET, "target", 0)),
        result("crtsh", API, WWW, subject=TARGET),
        result("dns_records", LINK, API, subject=API),
        result("rdap_ip", ADDRESS, subject=ADDRESS),
        result("web", DEEP, subject=LINK),
        result("brute", DEEP, subject=Level("api.example.org")),
        result("dns_records", WWW, subject=WWW),
    )


async def members(store: Depot, **fields: Any) -> set[str]:
    pieces = await store.follow(e.READ_FACTS, FactsQuery(scan=SCAN, all=True, **fields))
    return {each.entity.value for one in pieces for each in one.entities}


async def test_what_was_found_by_what_is_withdrawn_goes_with_it_and_comes_back(store: Depot) -> None:
    await chained(store)
    everything, before = await members(store), now()
    assert everything == {TARGET.value, API.value, WWW.value, ADDRESS.value, DEEP.value}
    batches = await store.follow(e.RETRACT, Retract(module="crtsh", reason="wrong"))
    assert (sum(each.claims for each in batches), sum(each.derived for each in batches)) == (2, 6)
    assert await members(store) == {TARGET.value}
    assert await members(store, as_of=before) == everything
    hidden = now()
    await store.take(result("crtname", API, subject=TARGET))
    await store.settle()
    assert await members(store) == everything - {WWW.value}
    await store.follow(e.RETRACT, Retract(module="crtsh", undo=True))
    assert await members(store) == everything
    assert await members(store, as_of=hidden) == {TARGET.value}


async def test_late_results_about_what_is_unsupported_are_hidden_as_they_come(store: Depot) -> None:
    await chained(store)
    await store.follow(e.RETRACT, Retract(module="crtsh", reason="wrong"))
    await store.take(result("urlscan", DEEP, subject=API), result("dns_records", DEEP, subject=API, part=1))
    assert await members(store) == {TARGET.value}


async def test_claims_that_do_not_count_are_listed_for_who_asks_for_them(store: Depot) -> None:
    await chained(store)
    await store.follow(e.RETRACT, Retract(module="crtsh", reason="wrong"))
    listed = await store.follow(e.LIST_CLAIMS, ClaimsQuery(scan=SCAN, withdrawn=True))
    why = {(each.module, each.retracted_at is not None, each.unsupported_at is not None) for each in listed}
    assert why == {
        ("crtsh", True, False), ("dns_records", False, True), ("rdap_ip", False, True), ("web", False, True),
        ("brute", False, True),
    }  # fmt: skip
    assert await store.ask(e.GET_ENTITY, EntityQuery(value=API.value)) == ()
    (shown,) = await store.ask(e.GET_ENTITY, EntityQuery(value=API.value, withdrawn=True))
    said = {each.module: each for each in shown.assertions}
    assert said["crtsh"].retracted_at is not None
    assert said["dns_records"].unsupported_at is not None


async def test_what_a_crash_left_is_worked_out_by_the_service(store: Depot, monkeypatch: pytest.MonkeyPatch) -> None:
    await chained(store)

    def crash(*_: object, **__: object) -> None:
        raise RuntimeError

    with monkeypatch.context() as patched:
        patched.setattr(supporting.support, "note_worked_out", crash)
        patched.setattr(supporting, "_withhold", crash)
        with pytest.raises(RuntimeError):
            await store.follow(e.RETRACT, Retract(module="crtsh", reason="wrong"))
    assert await members(store) != {TARGET.value}
    await store.settle()
    assert await members(store) == {TARGET.value}


async def test_a_scan_of_which_nothing_is_withdrawn_is_not_gone_through(store: Depot) -> None:
    await chained(store)
    assert not await supporting.work_out_all(store.ports)
    await store.follow(e.RETRACT, Retract(module="crtsh", reason="wrong"))
    await store.follow(e.RETRACT, Retract(module="crtsh", undo=True))
    await store.take(result("urlscan", DEEP, subject=API))
    assert not await supporting.work_out_all(store.ports)


@given(st.lists(st.integers(0, 1 << 40)))
def test_marks_are_a_set(numbers: list[int]) -> None:
    marks, marked = Marks(), set[int]()
    for number in numbers:
        assert marks.add(number) is (number not in marked)
        marked.add(number)
    assert all((near in marks) is (near in marked) for number in numbers for near in (number - 1, number, number + 1))
