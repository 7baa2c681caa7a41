import asyncio
import contextlib
import ssl
import time
import zlib

import aiohttp
import dns.exception
import dns.query
import pytest

from lab.faults import KINDS, Fault, Faults, parse_fault
from lab.running import Lab, running_lab
from lab.world import World
from tests.lab.clients import ask, fetch, rcode, say, session, values

SOURCE = "https://crt.sh/?q=halyard-freight.example&output=json"


async def test_a_slow_source_takes_its_time(lab: Lab) -> None:
    lab.faults.set("crtsh", Fault(kind="slow", seconds=0.1))
    async with session(lab) as client:
        begun = time.monotonic()
        assert (await fetch(client, SOURCE))[0] == 200
        assert time.monotonic() - begun >= 0.1


async def test_a_limited_source_says_when_to_come_back_and_then_answers(lab: Lab) -> None:
    lab.faults.set("crtsh", Fault(kind="rate_limited", retry_after=7, skip=1, times=2))
    async with session(lab) as client:
        answers = [await fetch(client, SOURCE) for _ in range(4)]
    assert [status for status, _, _ in answers] == [200, 429, 429, 200]
    assert answers[1][1]["retry-after"] == ["7"]
    assert lab.journal.providers()["crtsh"] == 4


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (Fault(kind="server_error"), 503),
        (Fault(kind="server_error", status=500), 500),
        (Fault(kind="unauthorised"), 401),
        (Fault(kind="forbidden"), 403),
        (Fault(kind="not_found"), 404),
    ],
)
async def test_a_source_may_answer_with_an_error(lab: Lab, fault: Fault, status: int) -> None:
    lab.faults.set("crtsh", fault)
    async with session(lab) as client:
        assert (await fetch(client, SOURCE))[0] == status
        assert (await fetch(client, f"https://www.{lab.target}/"))[0] == 200


async def test_a_source_may_break_its_json(lab: Lab) -> None:
    lab.faults.set("crtsh", "broken_json")
    async with session(lab) as client, client.get(SOURCE) as response:
        with pytest.raises(ValueError, match=r"delimiter|Unterminated|Expecting"):
            await response.json()


@pytest.mark.parametrize("kind", ["endless_body", "gzip_bomb"])
async def test_a_body_may_have_no_end(lab: Lab, kind: str) -> None:
    lab.faults.set("crtsh", Fault(kind=kind))  # type: ignore[arg-type]
    seen = 0
    async with session(lab) as client, client.get(SOURCE) as response:
        async for chunk in response.content.iter_chunked(1 << 16):
            seen += len(chunk)
            if seen > 20 << 20:
                break
    assert seen > 20 << 20


async def test_a_bomb_is_small_on_the_wire(lab: Lab) -> None:
    lab.faults.set("crtsh", Fault(kind="gzip_bomb", size=64 << 20))
    real, port = lab.dial(lab.routing.provider_addresses["crt.sh"], 80)
    reader, writer = await asyncio.open_connection(real, port)
    writer.write(b"GET / HTTP/1.1\r\nHost: crt.sh\r\n\r\n")
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    assert b"Content-Encoding: gzip" in head
    assert len(body) < (64 << 20) // 200
    unpacked = zlib.decompressobj(-15)
    assert len(unpacked.decompress(body[10:])) == 64 << 20


async def test_a_body_or_a_head_may_break_off_or_never_end(lab: Lab) -> None:
    async with session(lab) as client:
        lab.faults.set("crtsh", "truncated_body")
        with pytest.raises(aiohttp.ClientPayloadError):
            await fetch(client, SOURCE)
        for kind in ("endless_headers", "garbage"):
            lab.faults.set("crtsh", kind)  # type: ignore[arg-type]
            with pytest.raises(aiohttp.ClientError):
                await fetch(client, SOURCE)


async def test_redirects_may_go_in_circles_or_to_private_places(lab: Lab) -> None:
    async with session(lab) as client:
        lab.faults.set("crtsh", "redirect_loop")
        _, headers, _ = await fetch(client, SOURCE)
        assert SOURCE.endswith(headers["location"][0])
        lab.faults.set("crtsh", "redirect_private")
        _, headers, _ = await fetch(client, SOURCE)
        assert headers["location"] == ["http://169.254.169.254/latest/meta-data/"]
        lab.faults.set("crtsh", Fault(kind="redirect_private", location="http://[::ffff:10.0.0.1]/"))
        _, headers, _ = await fetch(client, SOURCE)
        assert headers["location"] == ["http://[::ffff:10.0.0.1]/"]


async def test_connections_may_be_reset_or_hang(lab: Lab) -> None:
    www = lab.world.host(f"api.{lab.target}")
    assert www is not None
    ip = www.addresses[0]
    lab.faults.set(ip, "reset")
    with contextlib.suppress(ConnectionResetError):
        assert await say(lab, ip, 80, b"GET / HTTP/1.1\r\n\r\n") == b""
    lab.faults.set(ip, "hang")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(say(lab, ip, 80, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"), 0.1)
    lab.faults.set(ip)
    lab.faults.set(www.name, "hang")
    async with session(lab) as client:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(fetch(client, f"https://{www.name}/"), 0.1)
        lab.faults.set(www.name, "reset")
        with pytest.raises(aiohttp.ClientError):
            await fetch(client, f"https://{www.name}/")


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("tls_expired", "certificate has expired"),
        ("tls_wrong_name", "Hostname mismatch"),
        ("tls_self_signed", "self-signed certificate"),
    ],
)
async def test_certificates_may_be_bad_in_each_way(lab: Lab, kind: str, message: str) -> None:
    lab.faults.set("crtsh", kind)  # type: ignore[arg-type]
    async with session(lab) as client:
        with pytest.raises(aiohttp.ClientConnectorCertificateError, match=message):
            await fetch(client, SOURCE)
    lab.faults.clear()
    async with session(lab) as client:
        assert (await fetch(client, SOURCE))[0] == 200


async def test_a_handshake_may_fail(lab: Lab) -> None:
    lab.faults.set(f"www.{lab.target}", "tls_handshake_failure")
    async with session(lab) as client:
        with pytest.raises(aiohttp.ClientConnectorSSLError) as caught:
            await fetch(client, f"https://www.{lab.target}/")
    assert isinstance(caught.value.os_error, ssl.SSLError)


async def test_names_may_fail_in_each_way(lab: Lab) -> None:
    name = f"www.{lab.target}"
    lab.faults.set(name, "dns_servfail")
    assert rcode(await ask(lab, name)) == "SERVFAIL"
    lab.faults.set(name, "dns_refused")
    assert rcode(await ask(lab, name)) == "REFUSED"
    lab.faults.set(name, "dns_truncated")
    assert not (await ask(lab, name)).answer
    assert values(await ask(lab, name, tcp=True), "A")
    for kind in ("dns_silent", "dns_wrong_id"):
        lab.faults.set(name, kind)  # type: ignore[arg-type]
        with pytest.raises((dns.exception.Timeout, TimeoutError, dns.query.BadResponse)):
            await asyncio.wait_for(ask(lab, name), 0.1)
    lab.faults.set("resolver", Fault(kind="dns_slow", seconds=0.1))
    begun = time.monotonic()
    assert values(await ask(lab, name), "A")
    assert time.monotonic() - begun >= 0.1


async def test_a_rebinding_name_is_public_once_and_private_from_then_on(lab: Lab) -> None:
    name = f"portal.{lab.target}"
    lab.faults.set(name, Fault(kind="rebinding", location="127.0.0.1"))
    host = lab.world.host(name)
    assert host is not None
    assert values(await ask(lab, name), "A") < set(host.addresses) | {"x"}
    for _ in range(2):
        assert values(await ask(lab, name), "A") == {"127.0.0.1"}


async def test_a_fault_may_concern_some_paths_only(lab: Lab) -> None:
    lab.faults.set(f"www.{lab.target}", Fault(kind="server_error", path="/team"))
    async with session(lab) as client:
        assert (await fetch(client, f"https://www.{lab.target}/"))[0] == 200
        assert (await fetch(client, f"https://www.{lab.target}/team"))[0] == 503


async def test_faults_are_set_and_counts_read_from_another_process(lab: Lab) -> None:
    async with aiohttp.ClientSession() as control, session(lab) as client:
        url = lab.control.url
        fault = {"kind": "server_error", "status": 502}
        assert (await control.put(f"{url}/faults/crtsh", json=fault)).status == 200
        assert (await fetch(client, SOURCE))[0] == 502
        assert (await control.put(f"{url}/faults/crtsh", json={"kind": "nonsense"})).status == 400
        await control.delete(f"{url}/faults")
        assert (await fetch(client, SOURCE))[0] == 200
        counts = await (await control.get(f"{url}/counts")).json()
        assert counts["providers"] == {"crtsh": 2}
        assert counts["touched"] == 0
        names = await (await control.get(f"{url}/names?server=resolver")).json()
        assert ["crt.sh", "A", 2] in names
        requests = await (await control.get(f"{url}/requests")).json()
        assert requests == [["crt.sh", "GET", SOURCE.removeprefix("https://crt.sh"), 2]]
        await control.post(f"{url}/reset")
        assert not lab.journal.providers()
        stranger = await control.get(f"{url}/counts", headers={"Host": "rebound.example"})
        assert stranger.status == 403


async def test_faults_may_be_there_from_the_start(world: World) -> None:
    async with running_lab(world, faults={"crtsh": "server_error"}) as lab, session(lab) as client:
        assert (await fetch(client, SOURCE))[0] == 503


def test_a_fault_is_read_from_the_command_line() -> None:
    assert parse_fault("crtsh=slow,seconds=3,times=2") == ("crtsh", Fault(kind="slow", seconds=3, times=2))
    for text in ("crtsh", "crtsh=nonsense", "=slow", "crtsh=slow,seconds=x", "crtsh=slow,colour=red"):
        with pytest.raises(ValueError, match=r".+"):
            parse_fault(text)


def test_faults_are_counted_by_kind_and_key() -> None:
    faults = Faults()
    faults.set("a", Fault(kind="slow", times=1), Fault(kind="reset"))
    found = [faults.find(("b", "a"), frozenset(KINDS)) for _ in range(3)]
    assert [fault.kind for fault in found if fault] == ["slow", "reset", "reset"]
    faults.set("a")
    assert not faults
