import asyncio
import socket
import time
from collections import Counter
from ipaddress import ip_network

import dns.flags
import dns.message
import pytest

from services.collector.resolve import Answer, Resolver, TransferFailed, system_resolvers
from services.collector.resolve.answer import Addresses
from services.collector.resolve.cache import FAILURE_TTL, lifetime, size
from services.collector.resolve.chunk import ROOM, ROOM_EACH
from services.collector.resolve.upstream import CHANNELS
from services.collector.resolve.wire import MOST_ADDRESSES, build_question
from services.kernel.egress import DialTable, Egress, Forbidden, Guard, Refused, TimedOut, TooMuch
from services.kernel.egress.dial import Entry
from services.kernel.errors import Unavailable
from tests.collector.resolve.nameserver import address, answer, nxdomain

LOOPBACK = Guard([ip_network("127.0.0.0/8")])


def silent(question):
    return None


def truncated(question):
    if question.transport == "tcp":
        return address(question)
    message = dns.message.make_response(question.message)
    message.flags |= dns.flags.TC
    return message


def failing(rcode):
    return lambda question: answer(question, rcode=rcode)


def garbled(question):
    """The right question, then an answer that runs out of the message."""
    wire = address(question).to_wire()
    return wire[: len(question.name) + 25]


# One question


async def test_a_name_is_found(nameserver, resolver) -> None:
    server = await nameserver(address)
    found = await resolver(server).ask("WWW.Example.", "a")
    assert (found.name, found.type, found.status) == ("www.example", "A", "found")
    assert found.values == ("198.18.0.1",)
    assert found.server == server.label
    assert found.elapsed > 0
    assert dns.message.from_wire(found.wire).answer
    asked = server.asked[0].message
    assert (asked.edns, asked.payload, asked.flags) == (0, 1232, dns.flags.RD)


async def test_a_name_that_cannot_be_asked_is_broken_and_not_sent(nameserver, resolver) -> None:
    server = await nameserver(address)
    resolve = resolver(server)
    for name, kind in (("ä.example", "A"), ("a..example", "A"), ("a" * 64 + ".example", "A"), ("a.example", "NONE")):
        found = await resolve.ask(name, kind)
        assert (found.name, found.status, found.rcode) == (name, "broken", -1)
    assert not server.asked


async def test_a_truncated_response_is_asked_for_again_over_tcp(nameserver, resolver) -> None:
    server = await nameserver(truncated)
    found = await resolver(server).ask("www.example", "A")
    assert found.values == ("198.18.0.1",)
    assert [question.transport for question in server.asked] == ["udp", "tcp"]


async def test_what_is_truncated_even_over_tcp_is_broken_off(nameserver, resolver) -> None:
    def always(question):
        message = dns.message.make_response(question.message)
        message.flags |= dns.flags.TC
        return message

    server = await nameserver(always)
    found = await resolver(server, timeouts=(1, 1)).ask("www.example", "A")
    assert (found.status, found.asked) == ("timeout", False)


async def test_forged_and_stray_responses_are_not_taken(nameserver, resolver) -> None:
    def forge(question):
        real = address(question)
        wrong_id = answer(question, f"{question.name} 300 A 198.18.6.6")
        wrong_id.id ^= 1
        other = dns.message.make_query("other.example.", "A", id=question.message.id)
        wrong_name = dns.message.make_response(other)
        other = dns.message.make_query(question.name + ".", "AAAA", id=question.message.id)
        wrong_type = dns.message.make_response(other)
        echo = question.message.to_wire()
        return [wrong_id, wrong_name, wrong_type, echo, b"", b"\0", echo[:2], b"\xff" * 40, real, wrong_name]

    server = await nameserver(forge)
    resolve = resolver(server, timeouts=(5,))
    for name in ("a.example", "b.example"):
        assert (await resolve.ask(name, "A")).values == ("198.18.0.1",)


@pytest.mark.usefixtures("short_ticks")
async def test_a_lost_query_is_asked_again(nameserver, resolver) -> None:
    server = await nameserver(lambda question: None if question.number == 0 else address(question))
    found = await resolver(server, timeouts=(0.05, 5)).ask("www.example", "A")
    assert found.status == "found"
    assert len(server.asked) == 2
    assert server.asked[0].message.id != server.asked[1].message.id


@pytest.mark.usefixtures("short_ticks")
async def test_silence_is_a_timeout_and_not_an_answer(nameserver, resolver) -> None:
    server = await nameserver(silent)
    found = await resolver(server, timeouts=(0.02, 0.02, 0.02)).ask("www.example", "A")
    assert (found.status, found.asked, found.rcode, found.server) == ("timeout", False, -1, server.label)
    assert len(server.asked) == 3


@pytest.mark.usefixtures("short_ticks")
async def test_a_late_response_is_not_taken_for_another_query(nameserver, resolver) -> None:
    late = []

    def delay(question):
        late.append(answer(question, f"{question.name} 300 A 198.18.6.6"))
        return [] if len(late) == 1 else [late[0], address(question)]

    server = await nameserver(delay)
    found = await resolver(server, timeouts=(0.05, 5)).ask("www.example", "A")
    assert found.values == ("198.18.0.1",)


@pytest.mark.parametrize(
    ("behave", "status", "times"),
    [
        (failing("SERVFAIL"), "servfail", 1),
        (failing("REFUSED"), "refused", 1),
        (failing("NOTIMP"), "broken", 1),
        (garbled, "broken", 3),
    ],
)
async def test_a_failure_is_said_as_it_is(nameserver, resolver, behave, status, times) -> None:
    server = await nameserver(behave)
    found = await resolver(server).ask("www.example", "A")
    assert (found.status, found.asked) == (status, False)
    assert len(server.asked) == times


@pytest.mark.usefixtures("short_ticks")
@pytest.mark.parametrize("behave", [silent, garbled, failing("SERVFAIL"), failing("REFUSED")])
async def test_what_one_upstream_fails_another_is_asked(nameserver, resolver, behave) -> None:
    bad, good = await nameserver(behave), await nameserver(address)
    resolve = resolver(bad, good, timeouts=(0.03, 0.5, 10))
    for number in range(4):
        found = await resolve.ask(f"n{number}.example", "A")
        assert (found.status, found.server) == ("found", good.label)
    assert bad.asked


@pytest.mark.usefixtures("short_ticks")
async def test_a_failing_upstream_is_left_out_and_taken_back(nameserver, resolver, monkeypatch) -> None:
    monkeypatch.setattr("services.collector.resolve.upstream.SHORTEST_EJECTION", 60)
    broken, ahead = True, 0
    monkeypatch.setattr("services.collector.resolve.dispatch.monotonic", lambda: time.monotonic() + ahead)
    bad = await nameserver(lambda question: None if broken else address(question))
    good = await nameserver(address)
    resolve = resolver(bad, good, timeouts=(0.05, 5))
    for number in range(8):
        await resolve.ask(f"a{number}.example", "A")
    before = len(bad.asked)
    assert 0 < before < 5
    answers = await resolve.ask_all([(f"b{number}.example", "A") for number in range(50)])
    assert all(each.server == good.label for each in answers)
    assert len(bad.asked) == before
    broken, ahead = False, 61
    async with asyncio.timeout(10):
        number = 0
        while (await resolve.ask(f"c{number}.example", "A")).server != bad.label:
            number += 1


@pytest.mark.usefixtures("short_ticks")
@pytest.mark.parametrize("behave", [failing("SERVFAIL"), garbled, silent])
async def test_a_single_try_is_a_single_try(nameserver, resolver, behave) -> None:
    servers = [await nameserver(behave) for _ in range(2)]
    assert not (await resolver(*servers, timeouts=(0.1,)).ask("www.example", "A")).asked
    assert sum(len(server.asked) for server in servers) == 1


async def test_without_upstreams_everything_is_a_timeout(resolver) -> None:
    assert (await resolver().ask("www.example", "A")).status == "timeout"


async def test_light_work_is_shared_by_the_upstreams(nameserver, resolver) -> None:
    servers = [await nameserver(address) for _ in range(2)]
    resolve = resolver(*servers)
    for number in range(20):
        await resolve.ask(f"a{number}.example", "A")
    assert [len(server.asked) for server in servers] == [10, 10]


async def test_the_failures_of_a_zone_are_not_held_against_an_upstream(nameserver, resolver) -> None:
    servers = [await nameserver(failing("SERVFAIL")) for _ in range(2)]
    resolve = resolver(*servers)
    answers = await resolve.ask_all([(f"a{number}.example", "A") for number in range(200)])
    assert {each.status for each in answers} == {"servfail"}
    assert [len(set(server.names())) for server in servers] == [200, 200]
    answers = await resolve.ask_all([(f"b{number}.example", "A") for number in range(20)])
    assert all(len(set(server.names())) == 220 for server in servers)


@pytest.mark.usefixtures("short_ticks")
@pytest.mark.parametrize("listens", [True, False])
async def test_nobody_is_waited_for_who_never_answers(nameserver, resolver, monkeypatch, listens) -> None:
    monkeypatch.setattr("services.collector.resolve.upstream.DEAD", 0.05)
    server = await nameserver(silent)
    resolve = resolver(server if listens else ("127.0.0.1", 1), timeouts=(0.05, 0.05))
    statuses = set()
    chunks = ([(f"a{number}.b{chunk}.example", "A") for number in range(1000)] for chunk in range(20))
    for answers in await asyncio.gather(*map(resolve.ask_all, chunks)):
        statuses |= {each.status for each in answers}
    assert statuses == {"timeout"}
    assert len(server.asked) < 1000


@pytest.mark.usefixtures("short_ticks")
async def test_an_upstream_that_comes_up_later_is_heard(nameserver, resolver) -> None:
    server = await nameserver(address)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    resolve = resolver(("127.0.0.1", port), timeouts=(5, 5))
    for number in range(CHANNELS + 1):
        assert (await resolve.ask(f"a{number}.example", "A")).status == "timeout"
    late, _ = await asyncio.get_running_loop().create_datagram_endpoint(lambda: server, ("127.0.0.1", port))
    server.transport.close()
    server.transport = late
    for number in range(CHANNELS + 1):
        assert (await resolve.ask(f"b{number}.example", "A")).status == "found"


@pytest.mark.usefixtures("short_ticks")
async def test_what_came_while_this_process_was_held_up_is_not_late(resolver) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        resolve = resolver(server.getsockname(), timeouts=(0.03,))
        asking = asyncio.create_task(resolve.ask_all([(f"n{number}.example", "A") for number in range(50)]))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        for _ in range(50):
            wire, client = server.recvfrom(4096)
            server.sendto(dns.message.make_response(dns.message.from_wire(wire)).to_wire(), client)
        time.sleep(0.06)  # noqa: ASYNC251  holding the event loop up is the point
        assert {each.status for each in await asking} == {"nodata"}


@pytest.mark.usefixtures("short_ticks")
async def test_a_closed_port_hands_over_to_the_other_upstream(nameserver, resolver) -> None:
    server = await nameserver(address)
    resolve = resolver(("127.0.0.1", 1), server)
    answers = await resolve.ask_all([(f"a{number}.example", "A") for number in range(300)])
    assert {each.status for each in answers} == {"found"}


async def test_without_any_way_out_everything_is_a_timeout_at_once(resolver) -> None:
    resolve = resolver(("localhost", 53), ("", 53))
    answers = await resolve.ask_all([(f"a{number}.example", "A") for number in range(300)])
    assert {each.status for each in answers} == {"timeout"}
    assert {each.server for each in answers} == {""}


# Many questions


async def test_a_chunk_is_answered_in_its_order(nameserver, resolver) -> None:
    server = await nameserver(lambda question: nxdomain(question) if "7" in question.name else address(question))
    pairs = [(f"n{number}.example", "A") for number in range(500)]
    answers = await resolver(server).ask_all(pairs)
    assert [(each.name, each.type) for each in answers] == pairs
    assert all((each.status == "nxdomain") == ("7" in each.name) for each in answers)


async def test_nothing_asked_is_nothing_answered(nameserver, resolver) -> None:
    resolve = resolver(await nameserver(address))
    assert await resolve.ask_all([]) == []


async def test_a_slow_name_holds_up_only_its_own_chunk(nameserver, resolver) -> None:
    held = []

    def hold(question):
        if question.name == "n5.example":
            held.append(question)
            return None
        if question.number == 199:
            server.transport.sendto(address(held[0]).to_wire(), ("127.0.0.1", held[0].port))
        return address(question)

    server = await nameserver(hold)
    pairs = [(f"n{number}.example", "A") for number in range(200)]
    resolve, order = resolver(server, timeouts=(10,)), []

    async def ask(at: int) -> None:
        order.append((await resolve.ask_all(pairs[at : at + 10]))[0].name)

    await asyncio.gather(*map(ask, range(0, 200, 10)))
    assert len(order) == 20
    assert order.index("n0.example") >= 15


@pytest.mark.parametrize("status", ["timeout", "servfail", "refused", "broken"])
def test_that_nobody_answered_is_believed_for_a_moment(status) -> None:
    answers = (Answer("www.example", "A", status), Answer("www.example", "AAAA", status))
    assert lifetime(Addresses("www.example", (), (), answers)) == FAILURE_TTL


async def test_an_abandoned_chunk_leaves_the_resolver_usable(nameserver, resolver) -> None:
    server = await nameserver(address)
    resolve = resolver(server)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await resolve.ask_all([(f"m{number}.example", "A") for number in range(5000)])
    later = await resolve.ask_all([(f"later{number}.example", "A") for number in range(20)])
    assert {each.status for each in later} == {"found"}
    assert len(server.asked) < 2000, "what was abandoned would have come before"


async def test_ids_and_ports_are_many(nameserver, resolver) -> None:
    server = await nameserver(address)
    await resolver(server).ask_all([(f"n{number}.example", "A") for number in range(300)])
    ids = [question.message.id for question in server.asked]
    assert len(set(ids)) > 290
    assert ids != sorted(ids)
    assert len({question.port for question in server.asked}) == CHANNELS


async def test_a_worn_port_is_replaced(nameserver, resolver, monkeypatch) -> None:
    monkeypatch.setattr("services.collector.resolve.upstream.CHANNEL_QUERIES", 20)
    server = await nameserver(address)
    answers = await resolver(server).ask_all([(f"n{number}.example", "A") for number in range(500)])
    assert {each.status for each in answers} == {"found"}
    assert len({question.port for question in server.asked}) > CHANNELS


@pytest.mark.usefixtures("short_ticks")
async def test_losses_do_not_lose_answers(nameserver, resolver) -> None:
    tries = Counter()

    def lose(question):
        tries[question.name] += 1
        return None if question.number % 7 == 0 and tries[question.name] < 3 else address(question)

    server = await nameserver(lose)
    pairs = [(f"n{number}.example", "A") for number in range(50)]
    answers = await resolver(server, timeouts=(0.05, 0.1, 5, 10)).ask_all(pairs)
    assert sum(tries.values()) > 50
    assert {each.status for each in answers} == {"found"}


async def test_closing_ends_what_is_being_asked(nameserver, resolver) -> None:
    resolve = resolver(await nameserver(silent))
    asking = asyncio.create_task(resolve.ask_all([(f"n{number}.example", "A") for number in range(1000)]))
    looking = asyncio.create_task(resolve.addresses("www.example"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await resolve.close()
    for task in (asking, looking):
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_closing_ends_what_is_being_asked_over_tcp(nameserver, resolver) -> None:
    asked = asyncio.Event()

    def stall(question):
        if question.transport == "udp":
            return truncated(question)
        asked.set()
        return None

    resolve = resolver(await nameserver(stall))
    asking = asyncio.create_task(resolve.ask("www.example", "A"))
    await asyncio.wait_for(asked.wait(), 5)
    await resolve.close()
    with pytest.raises(asyncio.CancelledError):
        await asking


async def test_an_upstream_behind_the_dial_table_is_asked(nameserver) -> None:
    server = await nameserver(truncated)
    entries = [Entry("192.0.2.53", transport, 53, "127.0.0.1", server.port) for transport in ("udp", "tcp")]
    resolve = Resolver(Egress(Guard(), DialTable(entries)), [("192.0.2.53", 53)])
    found = await resolve.ask("www.example", "A")
    assert (found.values, found.server) == (("198.18.0.1",), "192.0.2.53:53")
    await resolve.close()
    outside = Resolver(Egress(Guard(), DialTable(entries)), [("192.0.2.54", 53), ("127.0.0.1", 53)])
    assert (await outside.ask("www.example", "A")).status == "timeout"
    await outside.close()
    assert len(server.asked) == 2


# Addresses for those who dial


async def test_addresses_come_with_their_chain_and_are_asked_for_once(nameserver, resolver) -> None:
    def behave(question):
        alias = f"{question.name} 300 CNAME edge.example.net."
        data = {"A": "A 198.18.0.1", "AAAA": "AAAA 2001:db8::1"}[question.type]
        return answer(question, alias, f"edge.example.net 300 {data}")

    server = await nameserver(behave)
    resolve = resolver(server)
    found = await asyncio.gather(*(resolve.addresses("www.example") for _ in range(20)))
    assert all(each == ["198.18.0.1", "2001:db8::1"] for each in found)
    looked_up = await resolve.look_up("WWW.example.")
    assert looked_up.chain == ("edge.example.net",)
    assert [each.type for each in looked_up.answers] == ["A", "AAAA"]
    assert len(server.asked) == 2


async def test_addresses_are_forgotten_with_their_ttl(nameserver, resolver, monkeypatch) -> None:
    clock = [1000.0]
    monkeypatch.setattr("services.collector.resolve.cache.monotonic", lambda: clock[0])
    server = await nameserver(
        lambda question: answer(question, *[f"{question.name} 30 A 198.18.0.1"] * (question.type == "A"))
    )
    resolve = resolver(server)
    for clock[0], times in ((1000.0, 2), (1029.0, 2), (1031.0, 4)):
        assert await resolve.addresses("www.example") == ["198.18.0.1"]
        assert len(server.asked) == times


@pytest.mark.usefixtures("short_ticks")
async def test_one_who_gives_up_waiting_does_not_spoil_it_for_others(nameserver, resolver) -> None:
    server = await nameserver(lambda question: None if question.number < 2 else address(question))
    resolve = resolver(server, timeouts=(0.05, 5))
    first = asyncio.create_task(resolve.addresses("www.example"))
    second = asyncio.create_task(resolve.addresses("www.example"))
    await asyncio.sleep(0)
    first.cancel()
    assert await second == ["198.18.0.1"]


async def test_an_address_is_its_own_address(nameserver, resolver) -> None:
    server = await nameserver(address)
    assert await resolver(server).addresses("192.0.2.1") == ["192.0.2.1"]
    assert await resolver(server).addresses("2001:DB8::1") == ["2001:db8::1"]
    assert not server.asked


async def test_a_name_without_addresses_has_none(nameserver, resolver) -> None:
    assert await resolver(await nameserver(nxdomain)).addresses("www.example") == []


# Name servers themselves


async def test_a_name_server_is_asked_itself_and_without_recursion(nameserver, resolver) -> None:
    upstream, server = await nameserver(nxdomain), await nameserver(address)
    found = await resolver(upstream).ask_at("127.0.0.1", "WWW.example", "A", port=server.port, allow=LOOPBACK)
    assert (found.status, found.values, found.server) == ("found", ("198.18.0.1",), server.label)
    assert not server.asked[0].message.flags & dns.flags.RD
    assert not upstream.asked


async def test_a_name_server_is_judged_by_the_guard(nameserver, resolver) -> None:
    server = await nameserver(address)
    resolve = resolver(server)
    with pytest.raises(Forbidden):
        await resolve.ask_at("127.0.0.1", "www.example", "A", port=server.port)
    with pytest.raises(Forbidden):
        await anext(resolve.transfer("127.0.0.1", "example", port=server.port))
    assert not server.asked


async def test_a_truncated_response_of_a_name_server_is_asked_for_over_tcp(nameserver, resolver) -> None:
    server = await nameserver(truncated)
    found = await resolver(server).ask_at("127.0.0.1", "www.example", "A", port=server.port, allow=LOOPBACK)
    assert found.values == ("198.18.0.1",)


async def test_a_server_without_edns_is_asked_without(nameserver, resolver) -> None:
    def old(question):
        if question.message.edns >= 0:
            return question.message.to_wire()[:2] + b"\x80\x01" + bytes(8)  # FORMERR, not even the question
        return address(question)

    server = await nameserver(old)
    found = await resolver(server).ask_at("127.0.0.1", "www.example", "A", port=server.port, allow=LOOPBACK)
    assert found.values == ("198.18.0.1",)


@pytest.mark.parametrize(
    ("behave", "status"),
    [(silent, "timeout"), (garbled, "broken"), (failing("REFUSED"), "refused"), (failing("SERVFAIL"), "servfail")],
)
async def test_a_name_server_s_failure_is_an_answer(nameserver, resolver, behave, status) -> None:
    server = await nameserver(behave)
    resolve = resolver(server, timeouts=(0.05, 0.05))
    found = await resolve.ask_at("127.0.0.1", "www.example", "A", port=server.port, allow=LOOPBACK)
    assert (found.status, found.server) == (status, server.label)


async def test_where_no_name_server_is_the_answer_is_a_timeout(resolver, nameserver) -> None:
    resolve = resolver(await nameserver(address))
    begun = time.monotonic()
    found = await resolve.ask_at("127.0.0.1", "www.example", "A", port=1, allow=LOOPBACK)
    assert found == Answer("www.example", "A", "timeout", server="127.0.0.1:1", at=found.at)
    assert time.monotonic() - begun < 1


@pytest.mark.usefixtures("short_ticks")
async def test_questions_wait_for_descriptors_to_ask_them_with(nameserver, resolver, monkeypatch) -> None:
    server = await nameserver(address)
    real, tries = Egress.datagram_socket, 0

    def scarce(*given, **fields):
        nonlocal tries
        tries += 1
        if tries < 3:
            raise Unavailable("as many open as may be")
        return real(*given, **fields)

    monkeypatch.setattr(Egress, "datagram_socket", scarce)
    assert (await resolver(server).ask("www.example", "A")).status == "found"
    assert tries >= 3


def huge(question):
    """4,000 addresses for every name, over TCP."""
    if question.transport == "udp":
        return truncated(question)
    head = question.message.id.to_bytes(2, "big") + bytes([0x85, 0x80, 0, 1, 0x0F, 0xA0, 0, 0, 0, 0])
    record = b"\xc0\x0c\0\1\0\1\0\0\1\x2c\0\4"
    records = b"".join(record + number.to_bytes(4, "big") for number in range(0xC6120000, 0xC6120000 + 4_000))
    return head + build_question(question.name.removesuffix("."), question.type) + records


async def test_a_chunk_of_huge_answers_is_kept_within_a_bound(nameserver, resolver) -> None:
    server = await nameserver(huge)
    resolve = resolver(server)
    answers = await resolve.ask_all([(f"n{number}.example", "A") for number in range(60)])
    kept = [answer for answer in answers if answer.status == "found"]
    assert 0 < sum(len(answer.wire) for answer in answers) <= ROOM + 60 * ROOM_EACH
    assert {len(answer.records) for answer in kept} == {MOST_ADDRESSES}
    lost = [answer for answer in answers if answer.status != "found"]
    assert {(answer.status, answer.asked, answer.records, answer.wire) for answer in lost} == {
        ("broken", False, (), b"")
    }


async def test_the_cache_of_addresses_keeps_no_more_than_its_bytes(nameserver, resolver, monkeypatch) -> None:
    monkeypatch.setattr("services.collector.resolve.cache.MOST_BYTES", 200_000)
    resolve = resolver(await nameserver(huge))
    for number in range(6):
        await resolve.look_up(f"n{number}.example")
    kept = [size(found) for _, found in resolve._cache._known.values()]
    assert sum(kept) == resolve._cache._size
    assert 0 < sum(kept) - kept[-1] <= 200_000


# Zone transfers

APEX = "example 300 SOA ns.example. root.example. 1 3600 600 86400 60"


def zone(size: int, per_message: int = 100):
    def behave(question):
        records = [APEX, *(f"h{number}.example 300 A 198.18.0.{number % 256}" for number in range(size)), APEX]
        for at in range(0, len(records), per_message):
            yield answer(question, *records[at : at + per_message])

    return behave


async def test_a_zone_is_transferred_message_by_message(nameserver, resolver) -> None:
    server = await nameserver(zone(250))
    parts = [
        part async for part in resolver(server).transfer("127.0.0.1", "Example.", port=server.port, allow=LOOPBACK)
    ]
    records = [record for part in parts for record in part.records]
    assert len(parts) == 3
    assert len(records) == 252
    assert records[1].owner == "h0.example"
    assert all(dns.message.from_wire(part.wire, xfr=True) for part in parts)
    assert (server.asked[0].type, server.asked[0].transport) == ("AXFR", "tcp")


@pytest.mark.parametrize(
    ("behave", "status"),
    [
        (failing("REFUSED"), "refused"),
        (failing("NOTAUTH"), "refused"),
        (failing("SERVFAIL"), "servfail"),
        (failing("NOTIMP"), "broken"),
        (answer, "refused"),
        (lambda question: answer(question, "h1.example 300 A 198.18.0.1"), "broken"),
        (lambda question: b"\0" * 20, "broken"),
        (lambda question: b"", "broken"),
    ],
)
async def test_a_transfer_that_is_not_given_says_why(nameserver, resolver, behave, status) -> None:
    server = await nameserver(behave)
    with pytest.raises(TransferFailed) as failure:
        async for _ in resolver(server).transfer("127.0.0.1", "example", port=server.port, allow=LOOPBACK):
            pass
    assert failure.value.status == status


async def test_a_transfer_has_limits(nameserver, resolver) -> None:
    server = await nameserver(zone(1500))
    resolve = resolver(server)
    with pytest.raises(TooMuch):
        async for _ in resolve.transfer("127.0.0.1", "example", port=server.port, allow=LOOPBACK, max_bytes=20_000):
            pass
    stalled = await nameserver(lambda question: answer(question, APEX))
    with pytest.raises(TimedOut):
        async for _ in resolve.transfer("127.0.0.1", "example", port=stalled.port, allow=LOOPBACK, timeout=0.05):
            pass
    with pytest.raises(Refused):
        await anext(resolve.transfer("127.0.0.1", "example", port=1, allow=LOOPBACK))


async def test_a_transfer_that_breaks_off_gives_what_came_before(nameserver, resolver) -> None:
    server = await nameserver(lambda question: [next(zone(250)(question)), b"\0" * 5])
    transfer = resolver(server).transfer("127.0.0.1", "example", port=server.port, allow=LOOPBACK)
    assert len((await anext(transfer)).records) == 100
    with pytest.raises(TransferFailed):
        await anext(transfer)


async def test_a_transfer_ends_at_a_message_without_records(nameserver, resolver) -> None:
    server = await nameserver(lambda question: [answer(question, APEX), *[answer(question)] * 1000])
    transfer = resolver(server).transfer("127.0.0.1", "example", port=server.port, allow=LOOPBACK)
    assert len((await anext(transfer)).records) == 1
    with pytest.raises(TransferFailed, match="without records"):
        await anext(transfer)


async def test_small_messages_of_a_transfer_count_as_much_as_they_take(nameserver, resolver) -> None:
    server = await nameserver(zone(500, per_message=1))
    transfer = resolver(server).transfer("127.0.0.1", "example", port=server.port, allow=LOOPBACK, max_bytes=51_200)
    count = 0
    with pytest.raises(TooMuch):
        async for _ in transfer:
            count += 1
    assert count == 100


# The system's resolvers


def test_the_system_s_resolvers_are_read(tmp_path) -> None:
    path = tmp_path / "resolv.conf"
    lines = [
        "# nameserver 192.0.2.9",
        "search example",
        "nameserver 192.0.2.53",
        "nameserver 2001:db8::53 ",
        "nameserver",
    ]
    path.write_text("\n".join(lines))
    assert system_resolvers(str(path)) == [("192.0.2.53", 53), ("2001:db8::53", 53)]
    path.write_text("options edns0\n")
    assert system_resolvers(str(path)) == [("127.0.0.1", 53)]
    assert system_resolvers(str(tmp_path / "missing")) == [("127.0.0.1", 53)]
