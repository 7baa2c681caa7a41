"""DNS as a module sees it: chunks with their evidence, wildcards probed once for all, name servers asked themselves."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import dns.message
import dns.rcode
import dns.rrset
import pytest

from services.collector.context import DnsAnswer, Skipped, Unreachable
from services.collector.item.dns import ItemDns, ScanWildcards
from services.collector.item.permit import Permit
from services.collector.modules import brute
from services.collector.resolve import Resolver
from services.collector.traces import trace
from services.contracts.claims import Attribute, Claim
from services.contracts.evidence import EvidenceRecord
from services.contracts.plan import Plan
from services.contracts.resources import Trace, TraceQuery
from services.contracts.subjects import Level
from services.kernel.egress import DialTable, Egress, Guard
from services.kernel.egress.dial import Entry
from services.kernel.errors import Invalid
from services.kernel.messages import derive
from tests.collector.resolve.nameserver import Nameserver, Question, answer, nxdomain
from tests.collector.workshop import ELSEWHERE, SCAN, WORKSPACE, Workshop, manifest, plan, workshop

SERVER = "198.51.100.53"
CHUNK = 50
#: The item that the probes of a scan are journalled under.
WILDCARDS = derive(SCAN, "wildcards").int
#: The length of a label that a probe makes up.
PROBE = 16
WILD = "wild.example.com"


def zone(question: Question):
    """www and mail are there; whatever is below ``wild`` has the same two addresses, but for a real host."""
    hosts = {"www.example.com": "198.51.100.1", "mail.example.com": "198.51.100.2", f"real.{WILD}": "198.51.100.9"}
    name, kind = question.name, question.type
    if kind == "A" and name in hosts:
        return answer(question, f"{name} 60 A {hosts[name]}")
    if kind == "A" and name.endswith(f".{WILD}"):
        return answer(question, f"{name} 60 A 198.51.100.80", f"{name} 60 A 198.51.100.81")
    if name in hosts or name.endswith(f".{WILD}"):
        return answer(question, negative=True)
    if name == "broken.example.com":
        return answer(question, rcode="SERVFAIL")
    return nxdomain(question)


class Place:
    """A process with its resolver, asked by items of one scan."""

    def __init__(self, shop: Workshop, server: Nameserver) -> None:
        table = DialTable([Entry(SERVER, transport, 53, "127.0.0.1", server.port) for transport in ("udp", "tcp")])
        self.shop = shop
        self.server = server
        self.resolver = Resolver(Egress(Guard(), table), [(SERVER, 53)], timeouts=(2.0, 4.0))
        self._wildcards: dict[bool, ScanWildcards] = {}

    async def item(
        self,
        number: int = 1,
        activity: str = "dns",
        planned: Plan | None = None,
        *,
        turn: int = 0,
        offline: bool = False,
    ) -> ItemDns:
        made = manifest("probe", activity)
        exchanges = await self.shop.exchanges(made, number, turn=turn, offline=offline)
        if offline not in self._wildcards:
            probes = await self.shop.exchanges(manifest("probes", "dns"), WILDCARDS, offline=offline)
            self._wildcards[offline] = ScanWildcards(self.resolver, probes, "salt")
        return ItemDns(self.resolver, exchanges, Permit(made, planned or plan(), 1), self._wildcards[offline])

    async def records(self, number: int = 1) -> list[EvidenceRecord]:
        return await self.shop.records(number)


@pytest.fixture
async def server() -> AsyncIterator[Nameserver]:
    made = Nameserver(zone)
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def place(tmp_path: Path, server: Nameserver) -> AsyncIterator[Place]:
    async with workshop(tmp_path) as shop:
        made = Place(shop, server)
        yield made
        await made.resolver.close()


async def swept(dns: ItemDns, names: Iterable[str]) -> list[DnsAnswer]:
    return [chunk async for chunk in dns.sweep(names)]


def found(chunks: Iterable[DnsAnswer]) -> dict[str, str]:
    return {answer.name: answer.status for chunk in chunks for answer in chunk.resolutions}


async def test_every_outcome_is_an_answer_and_one_record(place: Place) -> None:
    dns = await place.item()
    for name, status in (("www", "found"), ("none", "nxdomain"), ("broken", "servfail")):
        asked = await dns.ask(f"{name}.example.com", "A", "AAAA")
        assert [each.type for each in asked.resolutions] == ["A", "AAAA"]
        assert asked.resolutions[0].status == status
        assert len(asked.records) == 1
    assert [record.request for record in await place.records()] == [
        f"A,AAAA {name}.example.com" for name in ("www", "none", "broken")
    ]


async def test_an_answer_is_the_same_from_the_wire_and_from_the_journal(place: Place, server: Nameserver) -> None:
    names = ["www.example.com", "none.example.com", f"x.{WILD}", f"real.{WILD}", "broken.example.com"]
    live = await place.item()
    first = [await live.ask(name, "A", "AAAA") for name in names], await swept(live, names)
    asked = len(server.asked)
    again = await place.item(offline=True)
    second = [await again.ask(name, "A", "AAAA") for name in names], await swept(again, names)
    assert len(server.asked) == asked
    plain = [[[(r.name, r.type, r.status, r.records) for r in each.resolutions] for each in all_of] for all_of in first]
    assert plain == [
        [[(r.name, r.type, r.status, r.records) for r in each.resolutions] for each in all_of] for all_of in second
    ]
    for before, after in zip([*first[0], *first[1]], [*second[0], *second[1]], strict=True):
        assert (before.records, before.members, before.at) == (after.records, after.members, after.at)


@pytest.fixture
def short_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.collector.item.dns.CHUNK", CHUNK)


@pytest.mark.usefixtures("short_chunks")
async def test_a_sweep_is_cut_into_chunks_and_each_is_one_exchange(place: Place) -> None:
    names = [f"n{number}.example.com" for number in range(2 * CHUNK + 1)] + ["www.example.com"]
    chunks = await swept(await place.item(), names)
    assert sorted(len(chunk.resolutions) for chunk in chunks) == [2, CHUNK, CHUNK]
    assert found(chunks) == {**dict.fromkeys(names, "nxdomain"), "www.example.com": "found"}
    assert len(await place.records()) == 3


@pytest.mark.usefixtures("short_chunks")
async def test_a_sweep_that_is_given_up_asks_no_further(place: Place, server: Nameserver) -> None:
    def names():
        for number in range(1_000_000):
            taken.append(number)
            yield f"n{number}.example.com"

    taken: list[int] = []
    sweeping = (await place.item()).sweep(names())
    await anext(sweeping)
    await sweeping.aclose()
    assert len(taken) <= 40 * CHUNK


@pytest.mark.usefixtures("short_chunks")
async def test_all_sweeps_together_hold_no_more_chunks_than_there_is_room_for(place: Place) -> None:
    def names(sweep: int):
        for number in range(4 * CHUNK):
            taken[sweep] = number // CHUNK + 1
            held.append(sum(taken) - sum(given))
            yield f"n{number}.s{sweep}.example.com"

    async def take(sweep: int) -> None:
        async for _ in (await place.item(sweep + 1)).sweep(names(sweep)):
            given[sweep] += 1

    place.resolver.room = asyncio.Semaphore(3)
    taken, given, held = [0] * 5, [0] * 5, list[int]()
    async with asyncio.TaskGroup() as group:
        for sweep in range(5):
            group.create_task(take(sweep))
    assert given == [4] * 5, "each of them comes to its end"
    assert max(held) <= 3

    sweeping = (await place.item(9)).sweep(names(0))
    await anext(sweeping)
    await sweeping.aclose()
    for _ in range(3):
        assert not place.resolver.room.locked(), "whoever gives up gives its room back"
        await place.resolver.room.acquire()


async def test_members_of_a_wildcard_are_told_from_hosts_below_it(place: Place) -> None:
    names = [f"a.{WILD}", f"real.{WILD}", "www.example.com", "none.example.com"]
    (chunk,) = await swept(await place.item(), names)
    assert chunk.members == {f"a.{WILD}"}
    shown = {record.id: record.request for record in await place.records(WILDCARDS)}
    assert f"probes below {WILD}" in {shown[identity] for identity in chunk.records if identity in shown}
    asked = await (await place.item(2)).ask(f"b.{WILD}", "A")
    assert asked.members == {f"b.{WILD}"}
    assert set(asked.records) & set(shown)


def no_probe_is_answered(question: Question):
    """As `zone`, but whoever asks for a name below ``wild`` that nobody made up by hand hears of a failure."""
    made_up = question.name.endswith(f".{WILD}") and len(question.name.partition(".")[0]) == PROBE
    return answer(question, rcode="SERVFAIL") if made_up else zone(question)


async def test_names_whose_level_cannot_be_probed_are_neither_hosts_nor_members(
    place: Place, server: Nameserver
) -> None:
    server.behave = no_probe_is_answered
    names = [f"a.{WILD}", f"real.{WILD}", "www.example.com"]
    (chunk,) = await swept(await place.item(), names)
    assert (chunk.unjudged, chunk.members) == ({f"a.{WILD}", f"real.{WILD}"}, frozenset())
    shown = {record.id: record.request for record in await place.records(WILDCARDS)}
    assert f"probes below {WILD}" in {shown[identity] for identity in chunk.records if identity in shown}
    again = await swept(await place.item(offline=True), names)
    assert [each.unjudged for each in again] == [chunk.unjudged]


async def test_in_the_next_turn_a_level_of_which_no_probe_was_answered_is_probed_again(
    place: Place, server: Nameserver
) -> None:
    server.behave = no_probe_is_answered
    assert (await (await place.item()).ask(f"a.{WILD}", "A")).unjudged == {f"a.{WILD}"}
    server.behave = zone
    asked = len(server.asked)
    assert (await (await place.item(2)).ask(f"b.{WILD}", "A")).unjudged == {f"b.{WILD}"}
    assert len(server.asked) == asked + 1, "in the same turn it is not probed again"
    for offline, forgotten in ((False, False), (False, True), (True, True)):
        if forgotten:
            place._wildcards.clear()
        judged = await (await place.item(turn=1, offline=offline)).ask(f"a.{WILD}", "A")
        assert (judged.unjudged, judged.members) == (frozenset(), {f"a.{WILD}"})


async def test_a_host_by_one_type_is_one_though_another_cannot_be_probed(place: Place, server: Nameserver) -> None:
    def behave(question: Question):
        if len(question.name.partition(".")[0]) == PROBE:
            return nxdomain(question) if question.type == "A" else answer(question, rcode="SERVFAIL")
        address = "198.51.100.1" if question.type == "A" else "2001:db8::1"
        return answer(question, f"{question.name} 60 {question.type} {address}")

    server.behave = behave
    both = await (await place.item()).ask("both.example.com", "A", "AAAA")
    only = await (await place.item()).ask("only.example.com", "AAAA")
    assert (both.unjudged, only.unjudged) == (frozenset(), {"only.example.com"})


async def test_a_word_list_finds_no_host_where_a_wildcard_may_be_all_there_is(place: Place, server: Nameserver) -> None:
    server.behave = no_probe_is_answered
    world: Any = SimpleNamespace(
        dns=await place.item(activity="guess"), options={"words": 9}, wordlist=lambda: iter(("a", "real", "www.sub"))
    )
    claims: list[Claim] = []
    with pytest.raises(Unreachable, match=f"a.{WILD}: no answer for the names beside it"):
        async for given in brute.collect(Level(WILD), world):
            claims += brute.parse(given, Level(WILD))
    assert [claim for claim in claims if not isinstance(claim, Attribute)] == []


async def test_a_level_is_probed_once_for_all_items_and_kept_for_the_next_process(
    place: Place, server: Nameserver
) -> None:
    items = [await place.item(number) for number in range(20)]
    answers = await asyncio.gather(*(dns.ask(f"n{number}.{WILD}", "A") for number, dns in enumerate(items)))
    assert all(answer.members == {f"n{number}.{WILD}"} for number, answer in enumerate(answers))
    probes = [name for name in server.names() if not name.startswith("n")]
    assert len(probes) == len(set(probes)) > 0
    place._wildcards.clear()
    later = await (await place.item(50)).ask(f"late.{WILD}", "A")
    assert later.members == {f"late.{WILD}"}
    assert [name for name in server.names() if not name.startswith("n")] == [*probes, f"late.{WILD}"]


async def test_probes_that_were_cut_off_are_made_again_and_found_in_a_replay(place: Place, server: Nameserver) -> None:
    held = asyncio.Event()
    server.behave = lambda question: zone(question) if held.is_set() or question.name.startswith("n") else None
    cut = asyncio.create_task((await place.item(1)).ask(f"n1.{WILD}", "A"))
    while len(server.asked) < 3:
        await asyncio.sleep(0.01)
    cut.cancel()
    await asyncio.gather(cut, return_exceptions=True)
    held.set()
    assert (await (await place.item(2)).ask(f"n2.{WILD}", "A")).members == {f"n2.{WILD}"}
    assert (await (await place.item(2, offline=True)).ask(f"n2.{WILD}", "A")).members == {f"n2.{WILD}"}


async def test_levels_and_types_are_probed_in_any_order_to_the_same_end(place: Place) -> None:
    orders = ([f"a.{WILD}", "www.example.com", f"b.sub.{WILD}"], [f"b.sub.{WILD}", f"a.{WILD}", "www.example.com"])
    for number, name in enumerate(orders[0]):
        await (await place.item(number)).ask(name, "A", "AAAA")
    members = {}
    for name in orders[1]:
        asked = await (await place.item(orders[0].index(name), offline=True)).ask(name, "A", "AAAA")
        members[name] = asked.members
    assert members == {f"a.{WILD}": {f"a.{WILD}"}, f"b.sub.{WILD}": {f"b.sub.{WILD}"}, "www.example.com": frozenset()}


async def test_nobody_outside_the_scope_is_probed(place: Place, server: Nameserver) -> None:
    server.behave = lambda question: answer(question, f"{question.name} 60 A 198.51.100.1")
    asked = await (await place.item()).ask("www.example.net", "A")
    assert asked.resolutions[0].status == "found"
    assert server.names() == ["www.example.net"]


async def test_of_two_attempts_at_a_chunk_the_first_written_is_what_both_see(place: Place, server: Nameserver) -> None:
    addresses = iter(("198.51.100.1", "198.51.100.2"))
    server.behave = lambda question: answer(question, f"{question.name} 0 A {next(addresses)}")
    items = [await place.item(), await place.item()]
    values = [(await each.ask("www.example.net", "A")).resolutions[0].values for each in items]
    assert values == [("198.51.100.1",), ("198.51.100.1",)]


async def test_addresses_are_told_from_none_and_from_nobody_knows(place: Place) -> None:
    dns = await place.item()
    assert await dns.addresses("www.example.com") == ("198.51.100.1",)
    assert await dns.addresses("none.example.com") == ()
    with pytest.raises(Unreachable):
        await dns.addresses("broken.example.com")
    offline = await place.item(offline=True)
    assert await offline.addresses("www.example.com") == ("198.51.100.1",)
    with pytest.raises(Skipped, match="not recorded"):
        await offline.addresses("mail.example.com")


# Name servers themselves


async def test_a_name_server_is_asked_by_active_modules_only(place: Place, server: Nameserver) -> None:
    for activity in ("passive", "dns", "guess"):
        dns = await place.item(activity=activity)
        for asking in (dns.ask_at(SERVER, "www.example.com", "A"), dns.transfer(SERVER, "example.com")):
            with pytest.raises(Skipped):
                await asking
    assert not server.asked
    active = await place.item(activity="active")
    asked = await active.ask_at(SERVER, "www.example.com", "A", "TXT")
    assert [each.status for each in asked.resolutions] == ["found", "nodata"]
    assert (await place.records())[0].request == f"A,TXT www.example.com @{SERVER}"


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.53", "198.51.100.99"])
async def test_a_name_server_at_a_forbidden_or_excluded_address_is_not_asked(place: Place, address: str) -> None:
    active = await place.item(activity="active", planned=plan(excludes=["198.51.100.96/27"]))
    with pytest.raises(Skipped):
        await active.ask_at(address, "www.example.com", "A")
    with pytest.raises(Skipped):
        await active.transfer(address, "example.com")


SOA = "example.com. 60 IN SOA ns.example.com. root.example.com. 1 3600 600 86400 60"


def transferred(question: Question, *records: str, ends: bool = True):
    response = dns.message.make_response(question.message)
    for record in (SOA, *records, *([SOA] if ends else [])):
        owner, ttl, _, kind, data = record.split(" ", 4)
        response.answer.append(dns.rrset.from_text(owner, int(ttl), "IN", kind, data))
    return response


async def test_a_refused_transfer_is_an_answer_without_records(place: Place, server: Nameserver) -> None:
    server.behave = lambda question: answer(question, rcode="REFUSED")
    for offline in (False, True):
        active = await place.item(activity="active", offline=offline)
        asked = await active.transfer(SERVER, "example.com")
        assert [(each.status, each.type, each.records) for each in asked.resolutions] == [("refused", "AXFR", ())]
    (record,) = await place.records()
    assert record.error == ""


async def test_a_zone_that_is_given_is_kept_as_it_came(place: Place, server: Nameserver) -> None:
    server.behave = lambda question: transferred(question, "www.example.com. 60 IN A 198.51.100.1")
    seen = []
    for offline in (False, True):
        active = await place.item(activity="active", offline=offline)
        (part,) = (await active.transfer(SERVER, "example.com")).resolutions
        seen.append([(record.owner, record.type, record.data) for record in part.records])
    assert seen[0] == seen[1]
    assert ("www.example.com", "A", "198.51.100.1") in seen[0]


async def test_a_transfer_that_breaks_off_keeps_what_came(place: Place, server: Nameserver) -> None:
    server.behave = lambda question: [
        transferred(question, "www.example.com. 60 IN A 198.51.100.1", ends=False),
        b"\x00" * 20,
    ]
    active = await place.item(activity="active")
    asked = await active.transfer(SERVER, "example.com")
    assert "www.example.com" in {record.owner for part in asked.resolutions for record in part.records}


async def test_a_zone_without_end_is_cut(place: Place, server: Nameserver) -> None:
    def endless(question: Question):
        yield transferred(question, ends=False)
        for number in range(500):
            response = dns.message.make_response(question.message)
            response.answer.append(dns.rrset.from_text(f"n{number}.example.com.", 60, "IN", "A", "198.51.100.1"))
            yield response

    server.behave = endless
    active = await place.item(activity="active")
    asked = await active.transfer(SERVER, "example.com", max_records=50)
    assert 50 <= sum(len(part.records) for part in asked.resolutions) <= 60


async def test_a_server_that_is_not_there_is_unreachable(place: Place) -> None:
    active = await place.item(activity="active")
    with pytest.raises(Unreachable):
        await active.transfer("203.0.113.1", "example.com")
    (record,) = await place.records()
    assert record.error.startswith("unreachable")


# Traces


async def traced(place: Place, name: str, *items: int, workspace: UUID = WORKSPACE) -> list[Trace]:
    query = TraceQuery(scan=SCAN, items=tuple(UUID(int=item) for item in items), name=name)
    return list(await trace(place.shop.journal, workspace, query))


@pytest.mark.usefixtures("short_chunks")
async def test_a_name_is_found_in_the_chunk_that_asked_for_it(place: Place) -> None:
    names = [f"n{number}.example.com" for number in range(3 * CHUNK)]
    chunks = await swept(await place.item(), [*names, "www.example.com"])
    (record,) = {chunk.records[0].hex() for chunk in chunks if any(a.name == names[-1] for a in chunk.resolutions)}
    (found_there,) = await traced(place, names[-1], 1)
    assert [(each.status, each.record, each.probes) for each in found_there.answers] == [("nxdomain", record, ())]
    assert (found_there.names, found_there.failures) == (3 * CHUNK + 1, ())


async def test_a_name_that_was_not_asked_for_is_not_found_and_the_others_are_counted(place: Place) -> None:
    await swept(await place.item(), ["www.example.com", "none.example.com"])
    assert [(each.names, each.answers) for each in await traced(place, "other.example.com", 1)] == [(2, ())]
    assert await traced(place, "www.example.com", 2) == []
    assert await traced(place, "www.example.com", 1, workspace=ELSEWHERE) == []


async def test_with_an_answer_come_the_probes_that_tell_a_wildcard(place: Place) -> None:
    await swept(await place.item(), [f"a.{WILD}", "www.example.com"])
    probes = {record.id.hex() for record in await place.records(WILDCARDS) if record.request == f"probes below {WILD}"}
    ((answer_of_it,),) = [each.answers for each in await traced(place, f"a.{WILD}", 1)]
    assert (answer_of_it.status, set(answer_of_it.probes)) == ("found", probes)
    assert probes


async def test_what_could_not_be_asked_is_a_failure(place: Place) -> None:
    active = await place.item(activity="active")
    with pytest.raises(Unreachable):
        await active.transfer("203.0.113.1", "example.com")
    (record,) = await place.records()
    assert [each.failures for each in await traced(place, "www.example.com", 1)] == [(record.id.hex(),)]


async def test_only_so_many_items_are_looked_through_at_a_time(place: Place) -> None:
    with pytest.raises(Invalid):
        await traced(place, "www.example.com", *range(1001))
