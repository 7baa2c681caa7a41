import asyncio
import random
import socket

import dns.edns
import dns.flags
import dns.message
import dns.rdatatype
import msgspec
import pytest

from lab.dial import loopback
from lab.dns.catalog import Catalog
from lab.dns.server import DnsServer
from lab.faults import Faults
from lab.journal import Journal, Query
from lab.running import Lab
from tests.lab.clients import ask, rcode, values


async def test_the_resolver_recurses_and_name_servers_answer_only_for_their_zones(lab: Lab) -> None:
    own = next(server for server in lab.world.nameservers if server.owner == "target")
    recursive, authoritative = await ask(lab, lab.target), await ask(lab, lab.target, server=own.address)
    assert recursive.flags & dns.flags.RA
    assert not recursive.flags & dns.flags.AA
    assert authoritative.flags & dns.flags.AA
    assert not authoritative.flags & dns.flags.RA
    assert values(recursive, "A") == values(authoritative, "A")
    assert rcode(await ask(lab, "crt.sh", server=own.address)) == "REFUSED"
    assert values(await ask(lab, "crt.sh"), "A")


async def test_a_name_server_refers_to_those_of_a_delegated_zone(lab: Lab) -> None:
    own = next(server for server in lab.world.nameservers if server.owner == "target")
    answer = await ask(lab, f"anything.yard.{lab.target}", server=own.address)
    assert not answer.answer
    assert not answer.flags & dns.flags.AA
    assert {value.to_text() for rrset in answer.authority for value in rrset} == {
        "ns1.brightquay.example.",
        "ns2.brightquay.example.",
    }


async def test_a_name_that_does_not_exist_is_denied_with_the_zones_soa(lab: Lab) -> None:
    for name, zone in ((f"nothing-here.{lab.target}", lab.target), ("nothing.at.all.test", "")):
        answer = await ask(lab, name)
        assert rcode(answer) == "NXDOMAIN"
        (soa,) = answer.authority
        assert soa.rdtype == dns.rdatatype.SOA
        assert soa.name.to_text() == zone + "."


async def test_a_level_without_records_exists(lab: Lab) -> None:
    for level in ("eu", "core.eu"):
        answer = await ask(lab, f"{level}.{lab.target}")
        if not answer.answer:
            assert rcode(answer) == "NOERROR"
            assert answer.authority


async def test_an_alias_is_followed_across_zones(lab: Lab) -> None:
    www = lab.world.host(f"www.{lab.target}")
    assert www is not None
    answer = await ask(lab, www.name)
    assert values(answer, "CNAME") == {f"{www.cname}."}
    assert values(answer, "A") == set(www.addresses)
    assert values(await ask(lab, www.name, "CNAME"), "CNAME") == {f"{www.cname}."}


async def test_the_case_of_a_question_is_kept_and_does_not_matter(lab: Lab) -> None:
    mixed = "".join(random.Random(1).choice((str.lower, str.upper))(letter) for letter in f"www.{lab.target}")
    answer = await ask(lab, mixed)
    assert values(answer, "A")
    assert answer.question[0].name.to_text() == mixed + "."


async def test_what_does_not_fit_is_cut_and_comes_whole_over_tcp(lab: Lab) -> None:
    cut = await ask(lab, lab.target, "TXT")
    assert cut.flags & dns.flags.TC
    assert not cut.answer
    whole = await ask(lab, lab.target, "TXT", tcp=True)
    assert len(values(whole, "TXT")) >= 5
    extended = await ask(lab, lab.target, "TXT", use_edns=0, payload=1232)
    assert values(extended, "TXT") == values(whole, "TXT")
    assert extended.edns == 0


async def test_reverse_names_are_answered_for_addresses_and_denied_for_others(lab: Lab) -> None:
    named = next(address for address in lab.world.addresses if address.ptr and ":" not in address.ip)
    reverse = ".".join(named.ip.split(".")[::-1]) + ".in-addr.arpa"
    assert values(await ask(lab, reverse, "PTR"), "PTR") == {f"{named.ptr}."}
    assert rcode(await ask(lab, "9.9.9.9.in-addr.arpa", "PTR")) == "NXDOMAIN"


async def test_questions_are_counted_and_logged_by_server_name_and_type(lab: Lab) -> None:
    own = next(server for server in lab.world.nameservers if server.owner == "target")
    for _ in range(3):
        await ask(lab, f"WWW.{lab.target}", "A")
    await ask(lab, f"www.{lab.target}", "AAAA", tcp=True)
    await ask(lab, f"www.{lab.target}", "A", server=own.address)
    name = f"www.{lab.target}"
    assert lab.journal.names("resolver")[name, "A"] == 3
    assert lab.journal.names("resolver")[name, "AAAA"] == 1
    assert lab.journal.names(own.name) == {(name, "A"): 1}
    assert lab.journal.dns(name) == 5
    assert lab.journal.servers()[own.name] == 1
    lab.journal.flush()
    lines = (lab.directory / "log" / f"dns-{own.name}.jsonl").read_bytes().splitlines()
    (line,) = [msgspec.json.decode(line, type=Query) for line in lines]
    assert (line.name, line.type, line.transport, line.server) == (name, "A", "udp", own.name)
    assert line.peer.startswith("127.")


async def test_the_target_is_touched_by_its_name_servers_and_not_by_the_resolver(lab: Lab) -> None:
    await ask(lab, lab.target)
    assert lab.touched() == 0
    await ask(lab, lab.target, server=lab.world.nameservers[0].address)
    assert lab.touched() == 1


@pytest.mark.parametrize(
    "garbage",
    [b"", b"\0" * 5, b"\xff" * 40, b"ab\x01\0\0\1\0\0\0\0\0\0" + b"\x3f" * 30, b"ab\x01\0\0\2\0\0\0\0\0\0\0\0\1\0\1"],
)
async def test_garbage_neither_stops_a_server_nor_is_answered_as_a_question(lab: Lab, garbage: bytes) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.sendto(garbage, lab.resolver_address)
    assert values(await ask(lab, lab.target), "A")


async def test_a_server_listens_on_loopback_only(lab: Lab) -> None:
    server = DnsServer("elsewhere", Catalog(lab.world), Journal(), Faults())
    with pytest.raises(ValueError, match="loopback"):
        await server.start("0.0.0.0", 0)


async def test_many_questions_at_once_are_all_answered(lab: Lab) -> None:
    """As many as fit into the socket's buffer: a scanner sends in bursts."""
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.setblocking(False)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 21)
        client.connect(lab.resolver_address)
        queries = [dns.message.make_query(f"n{number}.{lab.target}", "A", id=number) for number in range(150)]
        for query in queries:
            client.send(query.to_wire())
        answered = {int.from_bytes((await loop.sock_recv(client, 4096))[:2]) for _ in queries}
    assert answered == set(range(150))


async def test_a_name_server_is_at_an_address_of_its_own(lab: Lab) -> None:
    addresses = {server.address for server in lab.world.nameservers}
    assert len(addresses) == len(lab.world.nameservers)
    assert "192.0.2.53" not in addresses
    assert loopback("192.0.2.53") == lab.resolver_address[0]
