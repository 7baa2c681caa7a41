import asyncio
import contextlib
import socket
import ssl

import aiohttp
import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from lab.journal import HttpRequest
from lab.running import Lab
from lab.truth import favicon_hash
from lab.world import Host
from tests.lab.clients import fetch, presented, say, session


def a_site(lab: Lab, label: str) -> Host:
    host = lab.world.host(f"{label}.{lab.target}")
    assert host is not None
    assert host.site is not None
    return host


async def test_the_home_page_says_who_they_are(lab: Lab) -> None:
    async with session(lab) as client:
        status, headers, text = await fetch(client, f"https://www.{lab.target}/")
        assert status == 200
        assert "<title>Halyard Freight" in text
        assert headers["server"] == ["edgeray"]
        for part in ("mailto:info@", "tel:+44", "linkedin.com/company", "G-7HLYRD2Q4K", "GTM-5KHLYD8"):
            assert part in text
        _, _, team = await fetch(client, f"https://www.{lab.target}/team")
        assert lab.world.organisation.people[0].email in team


async def test_every_site_is_served_as_the_world_describes_it(lab: Lab) -> None:
    async with session(lab) as client:
        for host in lab.world.hosts:
            if host.site is None or host.site.redirect:
                continue
            scheme = "https" if host.site.certificate else "http"
            status, headers, text = await fetch(client, f"{scheme}://{host.name}/")
            assert status == host.site.status
            assert f"<title>{host.site.title}" in text.replace("&#x27;", "'")
            for product in host.site.technologies:
                assert all(value in headers[name.lower()] for name, value in product.headers)
                assert product.markup in text
                if product.cookie:
                    assert any(product.cookie in value for value in headers["set-cookie"])


async def test_a_site_with_a_certificate_moves_plain_requests_to_it(lab: Lab) -> None:
    async with session(lab) as client:
        status, headers, _ = await fetch(client, f"http://portal.{lab.target}/login?next=1")
        assert (status, headers["location"]) == (301, [f"https://portal.{lab.target}/login"])
        status, headers, _ = await fetch(client, f"https://{lab.target}/")
        assert (status, headers["location"]) == (302, [f"https://www.{lab.target}/"])


async def test_the_well_known_files_are_there(lab: Lab) -> None:
    async with session(lab) as client:
        _, _, robots = await fetch(client, f"https://www.{lab.target}/robots.txt")
        assert robots.startswith("User-agent: *\n")
        _, _, sitemap = await fetch(client, f"https://www.{lab.target}/sitemap.xml")
        assert f"<loc>https://www.{lab.target}/</loc>" in sitemap
        _, _, security = await fetch(client, f"https://www.{lab.target}/.well-known/security.txt")
        assert f"Contact: mailto:security@{lab.target}" in security
        _, _, policy = await fetch(client, f"https://mta-sts.{lab.target}/.well-known/mta-sts.txt")
        assert policy.startswith("version: STSv1\r\n")
        assert f"mx: mx1.{lab.target}\r\n" in policy
        async with client.get(f"https://www.{lab.target}/favicon.ico") as icon:
            known = lab.truth["entities"]["fingerprint"]
            assert ("favicon_mmh3", str(favicon_hash(await icon.read()))) in known
        assert (await fetch(client, f"https://www.{lab.target}/nothing"))[0] == 404


async def test_one_address_serves_many_names_and_nobody_by_default(lab: Lab) -> None:
    by_address: dict[str, list[Host]] = {}
    for host in lab.world.hosts:
        if host.site and host.site.certificate and not host.site.redirect:
            by_address.setdefault(host.addresses[0], []).append(host)
    ip, (first, second, *_) = next(item for item in by_address.items() if len(item[1]) > 1)
    async with session(lab, verify=False) as client:
        real, port = lab.dial(ip, 443)
        url = f"https://{real}:{port}/"
        for host in (first, second):
            assert host.site is not None
            _, _, text = await fetch(client, url, headers={"Host": host.name}, server_hostname=host.name)
            assert host.site.title.split("'")[0] in text
        assert (await fetch(client, url, headers={"Host": "unknown.invalid"}))[0] == 404
        elsewhere = next(other for other in by_address if other != ip)
        real, port = lab.dial(elsewhere, 443)
        status, _, _ = await fetch(client, f"https://{real}:{port}/", headers={"Host": first.name})
        assert status == 404


async def test_certificates_are_chosen_by_sni_and_hold_under_the_labs_authority(lab: Lab) -> None:
    host = a_site(lab, "api")
    async with session(lab) as client:
        assert (await fetch(client, f"https://{host.name}/"))[0] == 200
    leaf = x509.load_der_x509_certificate(await presented(lab, host.addresses[0], host.name))
    assert host.name in leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(
        x509.DNSName
    )
    plain = await presented(lab, host.addresses[0], None)
    assert x509.load_der_x509_certificate(plain).issuer == leaf.issuer
    async with aiohttp.ClientSession() as stranger:
        real, port = lab.dial(host.addresses[0], 443)
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await stranger.get(f"https://{real}:{port}/", server_hostname=host.name)


async def test_the_truth_has_the_fingerprint_of_every_certificate_that_is_presented(lab: Lab) -> None:
    known = {parts[0] for parts in lab.truth["entities"]["certificate"]}
    for host in [host for host in lab.world.hosts if host.site and host.site.certificate][:20]:
        leaf = x509.load_der_x509_certificate(await presented(lab, host.addresses[0], host.name))
        assert leaf.fingerprint(hashes.SHA256()).hex() in known


async def test_names_below_a_wildcard_get_a_page_that_says_they_are_none(lab: Lab) -> None:
    wildcard = lab.world.wildcards[0]
    async with session(lab) as client:
        _, _, text = await fetch(client, f"https://whoever.{wildcard.owner[2:]}/")
        assert "No such tenant" in text


async def test_strangers_are_there_and_are_counted_when_touched(lab: Lab) -> None:
    stranger = lab.world.strangers[0]
    async with session(lab, verify=False) as client:
        _, _, text = await fetch(client, f"https://{stranger.name}/")
    assert stranger.name in text
    assert lab.journal.hosts()[stranger.name] == 1
    assert lab.journal.addresses()[stranger.address] == 1
    assert lab.touched() == 1


async def test_requests_are_logged_with_who_asked_what(lab: Lab) -> None:
    async with session(lab) as client:
        await fetch(client, f"https://api.{lab.target}/v1/x?y=1")
        await fetch(client, "https://crt.sh/?q=nothing.example&output=json")
    lab.journal.flush()
    web, source = (
        msgspec.json.decode(line, type=HttpRequest)
        for line in (lab.directory / "log" / "web.jsonl").read_bytes().splitlines()
    )
    assert (web.host, web.method, web.target, web.port, web.status) == (
        f"api.{lab.target}",
        "GET",
        "/v1/x?y=1",
        443,
        404,
    )
    assert web.address in a_site(lab, "api").addresses
    assert source.provider == "crtsh"
    assert lab.journal.providers() == {"crtsh": 1}
    lab.journal.reset()
    assert not lab.journal.hosts()


async def test_many_requests_go_over_one_connection_in_order(lab: Lab) -> None:
    host = a_site(lab, "api")
    real, port = lab.dial(host.addresses[0], 80)
    reader, writer = await asyncio.open_connection(real, port)
    writer.write(b"".join(b"GET /%d HTTP/1.1\r\nHost: %b\r\n\r\n" % (n, host.name.encode()) for n in range(20)))
    for number in range(20):
        head = await reader.readuntil(b"\r\n\r\n")
        assert f"Location: https://{host.name}/{number}\r\n".encode() in head
        await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]))
    writer.close()
    assert len(lab.journal.connections) == 1


async def test_other_ports_say_what_they_are(lab: Lab) -> None:
    mail = lab.world.host(f"mail.{lab.target}")
    assert mail is not None
    assert (await say(lab, mail.addresses[0], 25)).startswith(b"220 ")
    shell = next(a for a in lab.world.addresses if any(port.number == 22 for port in a.ports) and ":" not in a.ip)
    assert (await say(lab, shell.ip, 22)).startswith(b"SSH-2.0-OpenSSH")
    assert await say(lab, lab.world.nameservers[0].address, 22) == b""


async def test_what_does_not_come_to_loopback_is_dropped(lab: Lab) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        # Nothing is sent: connecting a datagram socket only chooses a source address.
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            pytest.skip("this machine has no address but loopback")
        own = probe.getsockname()[0]
    assert not own.startswith("127.")
    for logical in (80, 443):
        _, port = lab.dial(a_site(lab, "api").addresses[0], logical)
        try:
            reader, writer = await asyncio.wait_for(asyncio.open_connection(own, port), 3)
        except OSError:
            continue
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            assert await asyncio.wait_for(reader.read(), 3) == b""
        writer.close()
    assert not lab.journal.requests
    assert not lab.journal.connections


async def test_a_broken_handshake_or_request_ends_only_its_connection(lab: Lab) -> None:
    host = a_site(lab, "api")
    for port in (80, 443):
        assert b"<title>" not in await say(lab, host.addresses[0], port, b"\x00\x01nonsense\r\n\r\n")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    real, port = lab.dial(host.addresses[0], 443)
    with pytest.raises(ssl.SSLError):
        await asyncio.open_connection(real, port, ssl=context, server_hostname=host.name)
    async with session(lab) as client:
        assert (await fetch(client, f"https://{host.name}/"))[0] == 200
