"""The HTTP client against servers that keep no rule: what it takes, what it refuses, and what it holds on to."""

import asyncio
import gzip
import struct
import time
import tracemalloc
import zlib

import pytest

from services.collector.fetch.client import IDLE_PLAIN, NoSuchName
from services.collector.fetch.encoding import Undecodable
from services.kernel.egress import Forbidden, Refused, TimedOut, TlsFailed, Unreachable
from services.kernel.egress.connection import MAX_HEAD, Broken
from services.kernel.egress.location import BadUrl
from services.kernel.egress.proxy import Proxy
from tests.collector.fetch.webs import ADDRESS, Net, page, request, says, serves

OK = b"HTTP/1.1 200 OK\r\n"


async def reset(asked, writer) -> None:
    """Hang up by RST."""
    import socket

    connection = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


# Forms of a response


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (page(b"hello"), b"hello"),
        (page(b""), b""),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\n", b"hello"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\nX-Late: yes\r\n\r\n", b"hello"),
        (OK + b"\r\nhello", b"hello"),
        (b"HTTP/1.0 200 OK\r\n\r\nhello", b"hello"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", b""),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + page(b"hello"), b"hello"),
        (b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", b"ok"),
    ],
    ids=["length", "empty", "chunked", "trailer", "until-close", "1.0", "204", "304", "1xx", "no-reason"],
)
async def test_every_form_of_body_that_the_standard_knows_is_read(net: Net, answer: bytes, body: bytes) -> None:
    await net.serve(says(answer))
    response = await net.client().send(request())
    assert (response.body, response.truncated) == (body, False)
    assert response.peer == f"{ADDRESS}:80"


async def test_the_head_is_kept_as_it_came_without_what_came_before_or_after(net: Net) -> None:
    early = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    fields = b"Server:  x  \r\nSet-Cookie: a\r\nset-cookie: b\r\nTransfer-Encoding: chunked\r\n\r\n"
    await net.serve(says(early + b"HTTP/1.1 404 N\xe9ant\r\n" + fields + b"0\r\nX-Late: yes\r\n\r\n"))
    response = await net.client().send(request())
    assert response.status == 404
    assert response.head.split("\n") == [
        "HTTP/1.1 404 Néant",
        "Server: x",
        "Set-Cookie: a",
        "set-cookie: b",
        "Transfer-Encoding: chunked",
    ]


async def test_no_header_can_write_another_one_into_the_head(net: Net) -> None:
    await net.serve(says(OK + b"X-Folded: one\r\n Set-Cookie: folded\r\nContent-Length: 0\r\n\r\n"))
    try:
        response = await net.client().send(request())
    except Broken:
        return
    assert len(response.head.split("\n")) == 1 + len(response.headers)
    assert not [value for name, value in response.headers if name.lower() == "set-cookie"]


# Limits


@pytest.mark.parametrize(
    "answer",
    [
        OK + b"X-Long: " + b"a" * 400_000,
        OK + b"X-Long: " + b"a" * 400_000 + b"\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 " + b"a" * 400_000,
        OK + b"X: y\r\n" * 300 + b"Content-Length: 0\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 20_000,
        OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\nX-Late: " + b"a" * 400_000 + b"\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + b"X: y\r\n" * 300 + b"\r\n",
    ],
    ids=["endless-header", "long-header", "long-reason", "many-headers", "many-1xx", "long-trailer", "many-trailers"],
)
async def test_a_head_without_measure_is_refused(net: Net, answer: bytes) -> None:
    await net.serve(says(answer, hang_up=False))
    with pytest.raises(Broken):
        await net.client().send(request(timeout=3.0))


async def test_a_head_just_within_the_limit_is_taken(net: Net) -> None:
    await net.serve(says(OK + b"X-Long: " + b"a" * (MAX_HEAD - 200) + b"\r\nContent-Length: 0\r\n\r\n"))
    response = await net.client().send(request())
    assert response.headers[0] == ("X-Long", "a" * (MAX_HEAD - 200))


@pytest.mark.parametrize("kind", ["length", "chunked", "until-close"])
async def test_an_endless_body_is_cut_at_the_limit_in_bounded_memory(net: Net, kind: str) -> None:
    heads = {
        "length": b"Content-Length: 999999999999\r\n\r\n",
        "chunked": b"Transfer-Encoding: chunked\r\n\r\nffffffff\r\n",
        "until-close": b"\r\n",
    }

    async def endless(asked, writer) -> None:
        writer.write(OK + heads[kind])
        while not writer.is_closing():
            writer.write(b"x" * 65_536)
            await writer.drain()

    await net.serve(endless)
    response = await net.client().send(request(limit=100_000))
    assert response.body == b"x" * 100_000
    assert response.truncated


async def test_a_body_of_exactly_the_limit_is_whole(net: Net) -> None:
    await net.serve(serves(b"x" * 1000))
    response = await net.client().send(request(limit=1000))
    assert (len(response.body), response.truncated) == (1000, False)


def chunked(chunk: bytes, count: int):
    """An answer in ``count`` chunks that are written in groups, so that none waits for another."""

    async def behave(asked, writer) -> None:
        writer.write(OK + b"Transfer-Encoding: chunked\r\n\r\n")
        for _ in range(count // 1000):
            writer.write(chunk * 1000)
            await writer.drain()
        writer.write(b"0\r\n\r\n")

    return behave


async def test_a_body_in_crumbs_takes_little_more_memory_than_its_size(net: Net) -> None:
    await net.serve(chunked(b"2\r\nxy\r\n", 100_000))
    client = net.client()
    tracemalloc.start()
    try:
        response = await client.send(request(limit=150_000))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (response.body, response.truncated) == (b"xy" * 75_000, True)
    assert peak < 1_500_000  # an object for each chunk made it 6 MB


@pytest.mark.parametrize(
    "chunk", [b"1\r\nx\r\n", b"8;" + b"e" * 1000 + b"\r\nxxxxxxxx\r\n"], ids=["crumbs", "extensions"]
)
async def test_a_body_with_more_around_it_than_in_it_is_given_up(net: Net, chunk: bytes) -> None:
    await net.serve(chunked(chunk, 3_000_000))
    with pytest.raises(Broken, match="more around its body"):
        await net.client().send(request(limit=10_000_000))


async def test_a_gzip_bomb_is_cut_at_the_limit_in_bounded_memory(net: Net) -> None:
    bomb = gzip.compress(gzip.compress(bytes(50_000_000), 9, mtime=0), 9)
    await net.serve(serves(bomb, "200 OK", "Content-Encoding: gzip, gzip"))
    client = net.client()
    tracemalloc.start()
    try:
        response = await client.send(request(limit=1_000_000))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (len(response.body), response.truncated) == (1_000_000, True)
    assert peak < 8_000_000


# Codings


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("gzip", gzip.compress(b"hello", mtime=0)),
        ("X-GZIP", gzip.compress(b"hello", mtime=0)),
        ("deflate", zlib.compress(b"hello")),
        ("deflate", zlib.compress(b"hello", wbits=-15)),
        ("identity", b"hello"),
        ("", b"hello"),
        ("deflate, gzip", gzip.compress(zlib.compress(b"hello"), mtime=0)),
        ("gzip", gzip.compress(b"hel", mtime=0) + gzip.compress(b"lo", mtime=0)),
    ],
)
async def test_codings_are_undone_in_the_reverse_order(net: Net, coding: str, body: bytes) -> None:
    await net.serve(serves(body, "200 OK", f"Content-Encoding: {coding}"))
    response = await net.client().send(request())
    assert (response.body, response.truncated) == (b"hello", False)


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("gzip", b"<html>"),
        ("deflate", b"\xff\xff\xff"),
        ("br", b"\x0b\x02\x80hello\x03"),
        ("gzip, gzip, gzip", gzip.compress(gzip.compress(gzip.compress(b"x", mtime=0), mtime=0), mtime=0)),
        ("gzip" + ", identity" * 20 + ", nonsense", b"hello"),
    ],
)
async def test_a_body_in_another_coding_than_it_says_is_no_answer(net: Net, coding: str, body: bytes) -> None:
    await net.serve(serves(body, "200 OK", f"Content-Encoding: {coding}"))
    with pytest.raises(Undecodable):
        await net.client().send(request())


async def test_a_coding_that_a_trailer_names_is_not_undone(net: Net) -> None:
    chunked = b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nContent-Encoding: gzip\r\n\r\n"
    await net.serve(says(OK + chunked))
    assert (await net.client().send(request())).body == b"hello"


async def test_an_empty_body_is_in_every_coding(net: Net) -> None:
    await net.serve(serves(b"", "200 OK", "Content-Encoding: gzip"))
    response = await net.client().send(request())
    assert (response.body, response.truncated) == (b"", False)


async def test_a_compressed_body_that_ends_too_soon_is_known_to_be_cut(net: Net) -> None:
    whole = gzip.compress(bytes(range(256)) * 40)
    await net.serve(serves(whole[: len(whole) // 2], "200 OK", "Content-Encoding: gzip"))
    response = await net.client().send(request())
    assert response.truncated
    assert (bytes(range(256)) * 40).startswith(response.body)


# Ends


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        OK + b"Content-Length: 10\r\n\r\nhello",
        OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n",
        OK + b"Content-Length: -5\r\n\r\nhello",
        OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        OK + b"X\x00Y: z\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"<html>hello</html>",
        bytes(range(256)),
    ],
    ids=lambda answer: repr(answer[:40]),
)
async def test_what_is_no_whole_answer_is_none(net: Net, answer: bytes) -> None:
    web = await net.serve(says(answer))
    with pytest.raises(Broken):
        await net.client().send(request())
    assert len(web.asked) == 1


@pytest.mark.parametrize("said", [b"", OK, OK + b"Content-Length: 10\r\n\r\nhel", OK + b"\r\nhel"])
async def test_a_connection_that_is_reset_gives_no_answer(net: Net, said: bytes) -> None:
    async def behave(asked, writer) -> None:
        if said:
            writer.write(said)
            await writer.drain()
            await heard.wait()
        await reset(asked, writer)

    heard = asyncio.Event()
    await net.serve(behave)
    sending = asyncio.create_task(net.client().send(request()))
    await asyncio.sleep(0.05)  # let the client read what was said: a reset throws unread bytes away
    heard.set()
    with pytest.raises(Broken):
        await sending


@pytest.mark.parametrize("piece", [b"", b"H", OK + b"X: ", OK + b"Content-Length: 99\r\n\r\n"])
async def test_a_server_that_drips_is_left_when_the_time_is_over(net: Net, piece: bytes) -> None:
    async def drip(asked, writer) -> None:
        writer.write(piece)
        while not (writer.is_closing() or asked.gone()):
            writer.write(b"x" if piece.startswith(OK) else b"")
            await asyncio.sleep(0.02)

    web = await net.serve(drip)
    client = net.client()
    began = time.monotonic()
    with pytest.raises(TimedOut):
        await client.send(request(timeout=0.1))
    assert time.monotonic() - began < 2
    while web.under_way:  # it was hung up on
        await asyncio.sleep(0.01)


async def test_names_and_ports_that_are_not_there_are_told_apart(net: Net) -> None:
    await net.serve(serves())
    net.names["nowhere.example.org"] = ["203.0.113.9"]
    client = net.client()
    with pytest.raises(NoSuchName):
        await client.send(request("http://none.example.org/"))
    with pytest.raises(Refused):
        await client.send(request("http://www.example.org:81/"))
    with pytest.raises(Unreachable):
        await client.send(request("http://nowhere.example.org/"))


async def test_the_next_address_is_tried_but_not_all_of_them(net: Net) -> None:
    await net.serve(serves())
    net.names["www.example.org"] = ["203.0.113.1", ADDRESS]
    net.names["far.example.org"] = [*(f"203.0.113.{number}" for number in range(1, 9)), ADDRESS]
    client = net.client()
    assert (await client.send(request())).status == 200
    with pytest.raises(Unreachable):
        await client.send(request("http://far.example.org/"))


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "::ffff:10.0.0.1"])
async def test_no_name_leads_to_an_address_that_the_guard_refuses(net: Net, address: str) -> None:
    web = await net.serve(serves())
    net.names["www.example.org"] = [address, ADDRESS]
    with pytest.raises(Forbidden):
        await net.client().send(request())
    assert not web.connections


# Requests


async def test_a_request_says_what_it_is_asked_to_and_no_more(net: Net) -> None:
    web = await net.serve(serves(), port=8080)
    url = "http://www.example.org:8080/a%20b/ä?q=ü&x=%41#fragment"
    await net.client().send(request(url, method="POST", headers=(("X-One", "1"),), body=b"data"))
    (asked,) = web.asked
    assert asked.head.split("\r\n") == [
        "POST /a%20b/%C3%A4?q=%C3%BC&x=%41 HTTP/1.1",
        "Host: www.example.org:8080",
        "Accept-Encoding: gzip, deflate",
        "X-One: 1",
        "Content-Length: 4",
    ]
    assert asked.body == b"data"


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "a\nX-Evil: 1", "a\rX-Evil: 1", "a\0b"])
async def test_no_header_can_carry_another_one(net: Net, value: str) -> None:
    web = await net.serve(serves())
    for header in (("X-One", value), (value, "one")):
        with pytest.raises(BadUrl):
            await net.client().send(request(headers=(header,)))
    assert not web.asked


# Connections


async def test_a_connection_is_used_again(net: Net) -> None:
    web = await net.serve(serves())
    client = net.client()
    for _ in range(5):
        await client.send(request())
    assert (web.connections, len(web.asked)) == (1, 5)
    assert net.looked_up == ["www.example.org"]


@pytest.mark.parametrize(
    "answer",
    [
        page(b"x", "200 OK", "Connection: close"),
        b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx",
        page(b"x" * 5000),
        page(b"hello") + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
    ],
    ids=["close", "1.0", "cut", "more-than-asked"],
)
async def test_a_connection_whose_end_is_not_known_is_not_used_again(net: Net, answer: bytes) -> None:
    web = await net.serve(says(answer, hang_up=False))
    client = net.client()
    first = await client.send(request(limit=1000))
    second = await client.send(request(limit=1000))
    assert first.body == second.body
    assert web.connections == 2


async def test_an_idle_connection_that_was_closed_is_replaced_without_a_word(net: Net) -> None:
    async def once(asked, writer) -> None:
        if asked.number:
            writer.close()
        else:
            writer.write(page(b"hello"))

    web = await net.serve(once)
    client = net.client()
    for _ in range(3):
        assert (await client.send(request())).body == b"hello"
    assert web.connections == 3


@pytest.mark.parametrize("start", [OK + b"Content-Length: 10\r\n\r\nhel", b"HTTP/1.1 2", b"garbage\r\n\r\n"])
async def test_a_request_that_was_begun_to_be_answered_is_not_made_again(net: Net, start: bytes) -> None:
    async def behave(asked, writer) -> None:
        if not asked.number:
            writer.write(page(b"hello"))
            return
        writer.write(start)
        writer.close()

    web = await net.serve(behave)
    client = net.client()
    await client.send(request())
    with pytest.raises(Broken):
        await client.send(request())
    assert len(web.asked) == 2


async def test_what_an_idle_connection_says_unasked_is_no_answer_to_the_next_request(net: Net) -> None:
    spoken = asyncio.Event()

    async def behave(asked, writer) -> None:
        writer.write(page(b"hello"))
        if not asked.connection:
            await spoken.wait()
            writer.write(page(b"evil"))

    web = await net.serve(behave)
    client = net.client()
    await client.send(request())
    spoken.set()
    async with asyncio.timeout(10):
        while not web.asked[0].gone():
            await asyncio.sleep(0.005)
    assert (await client.send(request())).body == b"hello"
    assert web.connections == 2


async def test_one_thing_at_a_time_is_asked_of_a_target_host_and_four_of_a_source(net: Net) -> None:
    gate = asyncio.Event()

    async def wait(asked, writer) -> None:
        await gate.wait()
        writer.write(page(b"hello"))

    web = await net.serve(wait)
    other = await net.serve(wait, port=8080)
    await net.serve(serves(), port=8081)
    client = net.client()

    async def together(awaited: int, **fields: object) -> tuple[int, int]:
        gate.clear()
        web.most_under_way = other.most_under_way = 0
        urls = ("http://www.example.org/", "http://www.example.org:8080/")
        sending = [client.send(request(url, **fields)) for url in urls for _ in range(6)]
        tasks = [asyncio.create_task(each) for each in sending]
        async with asyncio.timeout(10):
            while web.under_way + other.under_way < awaited:
                await asyncio.sleep(0)
        await net.client().send(request("http://www.example.org:8081/"))  # what one more would have been by now, too
        gate.set()
        await asyncio.gather(*tasks)
        return web.most_under_way + other.most_under_way, web.most_under_way

    at_once, _ = await together(1, verify=False)
    assert at_once <= 2  # one each, and never both together
    assert (await together(4, verify=True))[1] == 4


async def test_waiting_for_a_turn_does_not_use_up_the_time(net: Net) -> None:
    async def slow(asked, writer) -> None:
        await asyncio.sleep(0.06)
        writer.write(page(b"hello"))

    await net.serve(slow)
    client = net.client()
    sending = [client.send(request(verify=False, timeout=0.5)) for _ in range(10)]
    responses = await asyncio.gather(*sending)
    assert {response.body for response in responses} == {b"hello"}


async def test_a_connection_that_was_left_alone_for_long_is_not_used_again(
    net: Net, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.collector.fetch.client.IDLE_SECONDS", 0.0)
    web = await net.serve(serves())
    client = net.client()
    for number in range(1, 4):
        await client.send(request())
        assert (web.connections, len(client._idle["http"])) == (number, 1)


async def test_whose_turn_it_is_at_a_host_is_forgotten_with_its_last_request(net: Net) -> None:
    await net.serve(serves())
    client = net.client()
    await asyncio.gather(*(client.send(request(f"http://www.example.org/{number}")) for number in range(9)))
    net.names["gone.example.org"] = []
    with pytest.raises(NoSuchName):
        await client.send(request("http://gone.example.org/"))
    assert not client._turns


async def test_few_idle_connections_are_kept(net: Net) -> None:
    web = await net.serve(serves())
    many = IDLE_PLAIN + 20
    for number in range(many):
        net.names[f"h{number}.example.org"] = [ADDRESS]
    client = net.client()
    for number in range(many):
        await client.send(request(f"http://h{number}.example.org/"))
    await client.send(request(f"http://h{many - 1}.example.org/"))
    assert web.connections == many
    await client.send(request("http://h0.example.org/"))
    assert web.connections == many + 1
    assert len(client._idle["http"]) == IDLE_PLAIN


# TLS


async def test_a_certificate_that_holds_is_verified(net: Net, certified) -> None:
    await net.serve(serves(), 443, tls=certified("www.example.org"))
    client = net.client()
    for verify in (True, False):
        response = await client.send(request("https://www.example.org/", verify=verify))
        assert (response.body, response.tls_error) == (b"hello", "")


@pytest.mark.parametrize(
    ("flaw", "reason"),
    [
        ({"days": (-9, -2)}, "expired"),
        ({"trusted": False}, "self-signed"),
        ({"name": "other.example.org"}, "not valid for 'www.example.org'"),
    ],
    ids=["expired", "self-signed", "wrong-name"],
)
async def test_broken_tls_keeps_a_source_out_and_is_told_of_a_target(net: Net, certified, flaw, reason: str) -> None:
    tls = certified(**{"name": "www.example.org", **flaw})
    web = await net.serve(serves(), 443, tls=tls)
    client = net.client()
    with pytest.raises(TlsFailed, match=reason):
        await client.send(request("https://www.example.org/"))
    assert not web.asked
    for _ in range(2):
        response = await client.send(request("https://www.example.org/", verify=False))
        assert response.body == b"hello"
        assert reason in response.tls_error
    with pytest.raises(TlsFailed):  # the connection that was opened without verifying serves nobody who verifies
        await client.send(request("https://www.example.org/"))


async def test_a_certificate_that_was_mended_is_no_longer_called_broken(net: Net, certified, monkeypatch) -> None:
    monkeypatch.setattr("services.collector.fetch.client.TLS_ERRORS_KEPT", 0.0)
    context = certified("www.example.org", days=(-9, -2))
    await net.serve(says(page(b"hello")), 443, tls=context)
    client = net.client()
    assert (await client.send(request("https://www.example.org/", verify=False))).tls_error
    mended = certified("www.example.org")
    context.sni_callback = lambda session, name, old: setattr(session, "context", mended)
    assert (await client.send(request("https://www.example.org/", verify=False))).tls_error == ""


async def test_a_port_that_speaks_no_tls_has_none(net: Net) -> None:
    await net.serve(says(b"220 mail.example.org ESMTP\r\n"), 443)
    for verify in (True, False):
        with pytest.raises((TlsFailed, TimedOut)):
            await net.client().send(request("https://www.example.org/", verify=verify, timeout=0.1))


# Proxy


async def test_a_proxy_is_used_for_those_who_may_use_it_and_sees_the_checked_address(net: Net) -> None:
    async def relay(asked, writer) -> None:
        if asked.line.startswith("CONNECT"):
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        else:
            writer.write(page(b"by proxy"))

    proxy = await net.serve(relay, 3128, "198.51.100.99")
    web = await net.serve(serves(b"directly"))
    client = net.client(Proxy.parse("http://user:secret@198.51.100.99:3128"))
    assert (await client.send(request(via_proxy=True))).body == b"by proxy"
    assert (await client.send(request())).body == b"directly"
    assert [asked.line for asked in proxy.asked] == [f"CONNECT 127.0.0.1:{web.port} HTTP/1.1", "GET / HTTP/1.1"]
    assert len(web.asked) == 1
