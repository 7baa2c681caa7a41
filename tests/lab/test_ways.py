"""Every way in which the world says that a name can be found really finds it, through the running lab."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable

import dns.message
import dns.query
import dns.rdatatype
import dns.reversename
import dns.zone
import pytest
import pytest_asyncio
from cryptography import x509

from lab.dial import loopback
from lab.generate import generate
from lab.running import Lab, running_lab
from lab.world import Host, Way, World
from tests.lab.clients import ask, fetch, presented, rcode, session, values

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def world() -> World:
    """Large enough to have every kind of record, page and header."""
    return generate(400, 1, transfer=True, nsec=True)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lab(world: World) -> AsyncIterator[Lab]:
    """One for all: these tests only read."""
    async with running_lab(world) as running:
        yield running


def found_by(lab: Lab, kind: str, detail: str | Callable[[str], bool] = "") -> list[tuple[Host, Way]]:
    rows = [(host, way) for host in lab.world.hosts for way in host.ways if way.kind == kind]
    fits = detail if callable(detail) else lambda given: detail in ("", given)
    rows = [row for row in rows if fits(row[1].detail)]
    assert rows
    return rows


async def test_every_name_resolves_to_its_addresses(lab: Lab) -> None:
    for host in lab.world.hosts:
        found = values(await ask(lab, host.name), "A") | values(await ask(lab, host.name, "AAAA"), "AAAA")
        assert found == set(host.addresses), host.name


async def test_a_page_names_the_host_that_it_reveals(lab: Lab) -> None:
    async with session(lab) as client:
        for host, way in found_by(lab, "page"):
            status, _, text = await fetch(client, f"https://{way.by}{way.detail}")
            assert status == 200
            assert host.name in text
            if way.detail not in ("/", "/robots.txt", "/sitemap.xml"):
                _, _, front = await fetch(client, f"https://{way.by}/")
                assert way.detail in front


async def test_a_header_names_the_host_that_it_reveals(lab: Lab) -> None:
    async with session(lab) as client:
        for host, way in found_by(lab, "header"):
            _, headers, _ = await fetch(client, f"https://{way.by}/")
            assert any(host.name in value for value in headers[way.detail.lower()])


async def test_a_certificate_names_the_host_that_it_reveals(lab: Lab) -> None:
    for host, way in found_by(lab, "certificate"):
        shower = lab.world.host(way.by)
        assert shower is not None
        certificate = x509.load_der_x509_certificate(await presented(lab, shower.addresses[0], way.by))
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert host.name in names.get_values_for_type(x509.DNSName)


@pytest.mark.parametrize("kind", ["NS", "MX", "SRV", "CNAME", "TXT"])
async def test_a_record_names_the_host_that_it_reveals(lab: Lab, kind: str) -> None:
    for host, way in found_by(lab, "record", kind):
        texts = values(await ask(lab, way.by, kind), kind)
        assert any(re.search(rf"(^|[ /]){re.escape(host.name)}(\.$|[/;]|$)", text) for text in texts)


async def test_an_spf_record_or_one_that_it_includes_names_the_host_that_it_reveals(lab: Lab) -> None:
    texts = {
        text
        for name in (lab.target, f"_spf.{lab.target}")
        for text in values(await ask(lab, name, "TXT", tcp=True), "TXT")
    }
    for host, _ in found_by(lab, "record", "SPF"):
        assert any(f"a:{host.name} " in text for text in texts)


async def test_the_reverse_name_of_a_known_host_is_the_one_it_reveals(lab: Lab) -> None:
    for host, way in found_by(lab, "record", "PTR"):
        (address,) = values(await ask(lab, way.by), "A")
        answer = await ask(lab, str(dns.reversename.from_address(address)), "PTR")
        assert values(answer, "PTR") == {host.name + "."}


async def test_a_zone_that_allows_it_is_transferred_with_the_names_it_reveals(lab: Lab) -> None:
    for host, way in found_by(lab, "transfer"):
        server = next(server for server in lab.world.nameservers if server.name == way.detail)
        messages = dns.query.xfr(
            loopback(server.address), way.by, port=lab.resolver_address[1], relativize=False, timeout=3
        )
        # The client blocks, and the lab runs in this loop.
        zone = await asyncio.to_thread(dns.zone.from_xfr, messages, relativize=False)
        assert dns.name.from_text(host.name) in zone.nodes
        assert f"{way.detail}." in values(await ask(lab, way.by, "NS"), "NS")


async def test_walking_the_zone_that_allows_it_reveals_its_names(lab: Lab) -> None:
    zone = found_by(lab, "nsec")[0][1].by
    walked, name = set(), zone
    while name not in walked:
        walked.add(name)
        (text,) = values(await ask(lab, name, "NSEC"), "NSEC")
        name = text.split()[0].rstrip(".")
    assert walked == {zone} | {host.name for host, _ in found_by(lab, "nsec")}


async def test_elsewhere_transfers_are_refused_and_there_is_no_nsec(lab: Lab) -> None:
    for server in lab.world.nameservers:
        for zone in server.zones:
            if zone not in server.transfers:
                assert rcode(await ask(lab, zone, "AXFR", server=server.address, tcp=True)) == "REFUSED"
    assert not (await ask(lab, lab.target, "NSEC", want_dnssec=True)).answer


async def test_what_only_seems_to_exist_does_not_resolve(lab: Lab) -> None:
    expected = {"nxdomain": "NXDOMAIN", "nodata": "NOERROR", "servfail": "SERVFAIL"}
    for stale in lab.world.stale:
        answer = await ask(lab, stale.name)
        assert rcode(answer) == expected[stale.answer]
        assert not answer.answer
    for dangling in lab.world.dangling:
        answer = await ask(lab, dangling.name)
        assert rcode(answer) == "NXDOMAIN"
        assert values(answer, "CNAME") == {dangling.target + "."}


async def test_any_name_below_a_wildcard_gets_its_answer_in_turn(lab: Lab) -> None:
    for wildcard in lab.world.wildcards:
        seen = set()
        for number in range(2 * len(wildcard.addresses)):
            answer = await ask(lab, f"probe-{number}.{wildcard.owner[2:]}")
            seen |= values(answer, "A")
            assert len(values(answer, "A")) == 1
        assert seen == set(wildcard.addresses)
