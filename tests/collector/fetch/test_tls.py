"""What a handshake has to be like, what is only said of it, and that there is no more than one."""

import ssl
from collections.abc import Callable

import pytest

from services.collector.fetch.tls import context, mismatch
from tests.collector.fetch.authority import Signer
from tests.collector.fetch.webs import ADDRESS, Net, request, serves

HOST = "www.example.org"


def shaken(client: ssl.SSLContext, server: ssl.SSLContext, host: str) -> ssl.SSLObject:
    """The client's end of a handshake in memory."""
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = (
        client.wrap_bio(back, there, server_hostname=host),
        server.wrap_bio(there, back, server_side=True),
    )
    done: set[int] = set()
    while len(done) < 2:
        for place, end in enumerate(ends):
            try:
                end.do_handshake()
                done.add(place)
            except ssl.SSLWantReadError:
                continue
    return ends[0]


@pytest.mark.parametrize(
    ("name", "host"),
    [
        (HOST, HOST),
        ("WWW.Example.ORG", HOST),
        (HOST, "WWW.Example.ORG"),
        ("example.org", HOST),
        ("www.example.org.evil.example", HOST),
        ("*.example.org", HOST),
        ("*.example.org", "example.org"),
        ("*.example.org", "a.b.example.org"),
        ("*.example.org", "xn--bcher-kva.example.org"),
        ("w*.example.org", HOST),
        ("*w.example.org", HOST),
        ("www.*.org", HOST),
        ("*.*.org", HOST),
        ("*.org", "example.org"),
        ("*", "localhost"),
        ("localhost", "localhost"),
        ("198.51.100.7", "198.51.100.7"),
        ("198.51.100.8", "198.51.100.7"),
        ("*.51.100.7", "198.51.100.7"),
        ("2001:db8::1", "2001:db8:0:0:0:0:0:1"),
        ("2001:db8::1", "2001:db8::2"),
        (HOST, "198.51.100.7"),
        ("198.51.100.7", HOST),
    ],
)
def test_what_is_said_of_a_name_is_what_openssl_says(signer: Signer, name: str, host: str) -> None:
    server, strict = signer.context(name), context(str(signer.file), "name")
    strict.hostname_checks_common_name = False
    try:
        shaken(strict, server, host)
        verdict = ""
    except ssl.SSLCertVerificationError as error:
        verdict = error.verify_message.rstrip(".").lower()
    certificate = shaken(context(str(signer.file), "chain"), server, host).getpeercert()
    assert certificate is not None
    assert mismatch(certificate, host) == verdict


@pytest.fixture
def counted(signer: Signer) -> Callable[..., tuple[ssl.SSLContext, list[object]]]:
    """A server's context, and a list that grows with every handshake that is begun."""

    def make(name: str = HOST, *protocols: str, **flaw: object) -> tuple[ssl.SSLContext, list[object]]:
        tls, begun = signer.context(name, **flaw), []
        tls.sni_callback = lambda *begins: begun.append(begins[1])
        if protocols:
            tls.set_alpn_protocols(list(protocols))
        return tls, begun

    return make


async def test_a_name_that_does_not_fit_costs_no_second_handshake(net: Net, counted) -> None:
    tls, begun = counted("other.example.org")
    await net.serve(serves(), 443, tls=tls)
    client = net.client()
    answer = await client.send(request(f"https://{HOST}/", verify=False))
    assert answer.tls_error == f"hostname mismatch, certificate is not valid for '{HOST}'"
    shown = await client.shake(ADDRESS, 443, HOST, timeout=5.0, allow=None)
    assert shown.tls_error == f"hostname mismatch, certificate is not valid for '{HOST}'"
    assert len(begun) == 2


async def test_a_chain_that_does_not_hold_is_tried_once_and_then_known(net: Net, counted) -> None:
    tls, begun = counted(days=(-9, -2))
    await net.serve(serves(b"hello", "200 OK", "Connection: close"), 443, tls=tls)
    client = net.client()
    for handshakes in (2, 3, 4):
        answer = await client.send(request(f"https://{HOST}/", verify=False))
        assert answer.tls_error == "certificate has expired"
        assert len(begun) == handshakes


@pytest.mark.parametrize("protocols", [(), ("http/1.1",), ("http/1.1", "h2")])
async def test_the_host_is_asked_over_the_connection_that_showed_its_certificate(net: Net, counted, protocols) -> None:
    tls, begun = counted(HOST, *protocols)
    web = await net.serve(serves(), 443, tls=tls)
    client = net.client()
    shown = await client.shake(ADDRESS, 443, HOST, timeout=5.0, allow=None)
    assert (len(shown.chain), shown.alpn, shown.tls_error) == (1, (protocols or ("",))[0], "")
    assert (await client.send(request(f"https://{HOST}/", verify=False))).body == b"hello"
    assert (len(begun), web.connections) == (1, 1)
    await client.send(request(f"https://{HOST}/"))
    assert len(begun) == 2, "who verifies gets a connection of that kind"


async def test_a_host_is_asked_at_its_first_address_whichever_showed_its_certificate_last(net: Net, counted) -> None:
    other = "198.51.100.8"
    net.names[HOST] = [ADDRESS, other]
    tls, _ = counted(HOST)
    web = await net.serve(serves(b"first"), 443, tls=tls)
    await net.serve(serves(b"other"), 443, other, tls=tls)
    client = net.client()
    for address in (other, ADDRESS, other):
        await client.shake(address, 443, HOST, timeout=5.0, allow=None)
    answers = [await client.send(request(f"https://{HOST}/", verify=False)) for _ in range(2)]
    assert [answer.body for answer in answers] == [b"first", b"first"]
    assert web.connections == 1


async def test_a_connection_that_speaks_something_else_is_not_kept(net: Net, counted) -> None:
    client = net.client()
    for port, protocols in ((443, ("h2",)), (8443, ())):
        tls, begun = counted(HOST, *protocols)
        await net.serve(serves(), port, tls=tls)
        client = net.client()
        await client.shake(ADDRESS, port, HOST, timeout=5.0, allow=None)
        assert not len(client._idle["https"])
        await client.send(request(f"https://{HOST}:{port}/", verify=False))
        assert len(begun) == 2


async def test_what_a_certificate_is_like_is_looked_at_anew_each_time(net: Net, signer: Signer) -> None:
    tls = signer.context(HOST, days=(-9, -2))
    await net.serve(serves(), 443, tls=tls)
    client = net.client()
    assert (await client.shake(ADDRESS, 443, HOST, timeout=5.0, allow=None)).tls_error == "certificate has expired"
    mended = signer.context(HOST)
    tls.sni_callback = lambda session, name, old: setattr(session, "context", mended)
    assert (await client.shake(ADDRESS, 443, HOST, timeout=5.0, allow=None)).tls_error == ""


async def test_idle_connections_keep_nothing_of_their_handshake(net: Net, signer: Signer) -> None:
    await net.serve(serves(), 443, tls=signer.context(HOST))
    client = net.client()
    await client.shake(ADDRESS, 443, HOST, timeout=5.0, allow=None)
    (((_, connection),),) = client._idle["https"]._waiting.values()
    assert (connection.session, connection.certificate) == (None, {})
