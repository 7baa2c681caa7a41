"""Request smuggling: whatever frames a request oddly, nothing in its body is ever taken for a request.

https://portswigger.net/web-security/request-smuggling has most of these, RFC 9112 (6.3, 11.2) why.
"""

import time
from contextlib import suppress

import pytest

from tests.attacks.hulls import Hull, received, statuses

pytestmark = pytest.mark.slow

POST = b"POST /api/v1/sessions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
#: What an attacker would have answered to whoever comes next; nobody but him ever asks it in these tests.
SMUGGLED = b"GET /api/v1/jwks HTTP/1.1\r\nHost: localhost\r\n\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"

#: Heads, or the beginnings of bodies, of which no end is agreed on: nothing that follows is looked at.
REFUSED = {
    "both lengths": POST + b"Content-Length: 6\r\n" + CHUNKED + b"\r\n0\r\n\r\n",
    "both lengths, chunks first": POST + CHUNKED + b"Content-Length: 6\r\n\r\n0\r\n\r\n",
    "no length, and chunks": POST + b"Content-Length: 0\r\n" + CHUNKED + b"\r\n0\r\n\r\n",
    "two lengths": POST + b"Content-Length: 2\r\nContent-Length: 40\r\n\r\n{}",
    "one length twice": POST + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
    "a list of lengths": POST + b"Content-Length: 2, 2\r\n\r\n{}",
    "a length with a plus": POST + b"Content-Length: +2\r\n\r\n{}",
    "a length below nothing": POST + b"Content-Length: -2\r\n\r\n{}",
    "a length with an underscore": POST + b"Content-Length: 0_2\r\n\r\n{}",
    "a hexadecimal length": POST + b"Content-Length: 0x2\r\n\r\n{}",
    "a length in other digits": POST + "Content-Length: ٢\r\n\r\n{}".encode(),
    "a length beyond all numbers": POST + b"Content-Length: 18446744073709551618\r\n\r\n{}",
    "an empty length": POST + b"Content-Length:\r\n\r\n{}",
    "a blank before the colon": POST + b"Content-Length : 2\r\n\r\n{}",
    "a blank before the colon of chunks": POST + b"Transfer-Encoding : chunked\r\nContent-Length: 2\r\n\r\n{}",
    "chunks by another name": POST + b"Transfer-Encoding: xchunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "chunks behind a control": POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "chunks in quotes": POST + b'Transfer-Encoding: "chunked"\r\n\r\n2\r\n{}\r\n0\r\n\r\n',
    "chunks and then as it is": POST + b"Transfer-Encoding: chunked, identity\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "chunks twice": POST + CHUNKED + CHUNKED + b"\r\n2\r\n{}\r\n0\r\n\r\n",
    "chunks of what is compressed": POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "as it is, and a length": POST + b"Transfer-Encoding: identity\r\nContent-Length: 2\r\n\r\n{}",
    "chunks in HTTP/1.0": POST.replace(b"1.1", b"1.0") + CHUNKED + b"\r\n2\r\n{}\r\n0\r\n\r\n",
    "a chunk with a plus": POST + CHUNKED + b"\r\n+2\r\n{}\r\n0\r\n\r\n",
    "a chunk below nothing": POST + CHUNKED + b"\r\n-1\r\n{}\r\n0\r\n\r\n",
    "a chunk with an underscore": POST + CHUNKED + b"\r\n0_2\r\n{}\r\n0\r\n\r\n",
    "a chunk with a prefix": POST + CHUNKED + b"\r\n0x2\r\n{}\r\n0\r\n\r\n",
    "a chunk beyond all numbers": POST + CHUNKED + b"\r\nffffffffffffffff2\r\n{}\r\n0\r\n\r\n",
    "a chunk with a blank": POST + CHUNKED + b"\r\n2 \r\n{}\r\n0\r\n\r\n",
    "chunks with bare line feeds": POST + CHUNKED + b"\r\n2\n{}\n0\n\n",
    "a chunk that ends in a carriage return": POST + CHUNKED + b"\r\n2\r{}\r\n0\r\n\r\n",
    "a chunk longer than it says": POST + CHUNKED + b"\r\n2\r\n{}xx0\r\n\r\n",
    "a chunk extension with a line feed": POST + CHUNKED + b"\r\n2;\n{}\r\n0\r\n\r\n",
    "a length after the chunks": POST + CHUNKED + b"\r\n2\r\n{}\r\n0\r\nContent-Length: 5\r\n\r\n",
    "bare line feeds": POST.replace(b"\r\n", b"\n") + b"Content-Length: 2\n\n{}",
    "a line feed in a value": POST + b"X: a\nContent-Length: 50\r\nContent-Length: 2\r\n\r\n{}",
    "a carriage return in a value": POST + b"X: a\rContent-Length: 50\r\nContent-Length: 2\r\n\r\n{}",
    "a value that goes on in the next line": POST + b"Transfer-Encoding:\r\n chunked\r\nContent-Length: 2\r\n\r\n{}",
    "a blank before the first name": POST.replace(b"Host", b" Host") + b"Content-Length: 2\r\n\r\n{}",
    "a name without a value": POST + b"Foo\r\nContent-Length: 2\r\n\r\n{}",
    "no name": POST + b": x\r\nContent-Length: 2\r\n\r\n{}",
    "two hosts": SMUGGLED.replace(b"\r\n\r\n", b"\r\nHost: elsewhere\r\n\r\n"),
    "no host": b"GET /api/v1/jwks HTTP/1.1\r\n\r\n",
    "two tokens": SMUGGLED.replace(b"\r\n\r\n", b"\r\nAuthorization: Bearer x\r\nAuthorization: Bearer y\r\n\r\n"),
    "two workspaces": SMUGGLED.replace(b"\r\n\r\n", b"\r\nMirage-Workspace: a\r\nMirage-Workspace: b\r\n\r\n"),
    "two types": POST + b"Content-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}",
    "no version": b"GET /api/v1/jwks\r\n\r\n",
    "another version": SMUGGLED.replace(b"1.1", b"2.0"),
    "another protocol, and a length": POST + b"Connection: Upgrade\r\nUpgrade: x\r\nContent-Length: 50\r\n\r\n",
    "another protocol, and chunks": POST + b"Connection: Upgrade\r\nUpgrade: h2c\r\n" + CHUNKED + b"\r\n",
}
#: Those whose end is where they say it is, though few send them so; one more request in the connection is a request.
UNDERSTOOD = {
    "a chunk with an extension": POST + CHUNKED + b'\r\n2;a="b"\r\n{}\r\n0\r\n\r\n',
    "chunks behind a tab": POST + b"Transfer-Encoding:\tchunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "a length that names itself for one hop": POST + b"Connection: content-length\r\nContent-Length: 2\r\n\r\n{}",
    "a name with an underscore": POST + b"Content_Length: 50\r\nContent-Length: 2\r\n\r\n{}",
    "a body that nobody expects": b"PUT /api/v1/jwks HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n"
    % len(SMUGGLED)
    + SMUGGLED,
    "a body in chunks that nobody expects": b"GET /api/docs HTTP/1.1\r\nHost: localhost\r\n"
    + CHUNKED
    + b"\r\n%x\r\n" % len(SMUGGLED)
    + SMUGGLED
    + b"\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("apart", [False, True], ids=["at once", "bit by bit"])
def test_what_nobody_agrees_on_is_refused_with_all_that_comes_behind_it(hull: Hull, *, apart: bool) -> None:
    seen = {}
    for name, raw in REFUSED.items():
        with hull.connect() as line:
            head, blank, body = raw.partition(b"\r\n\r\n")
            for part in (head + blank, body + SMUGGLED) if apart else (raw + SMUGGLED,):
                try:
                    line.sendall(part)
                except ConnectionError:
                    break  # it hung up already
                time.sleep(0.02 * apart)  # so that it is read by itself
            answers = received(line)
        seen[name] = (statuses(answers), b'"keys"' in answers)
        assert hull.ask("GET", "/v1/jwks").status == 200
    assert seen == dict.fromkeys(REFUSED, ([400], False))


def test_what_is_understood_ends_where_it_says(hull: Hull) -> None:
    for name, raw in UNDERSTOOD.items():
        with hull.connect() as line:
            line.sendall(raw)
            first = b""
            while not statuses(first):
                first += line.recv(65_536)
            line.settimeout(0.2)
            first += received(line, 0.2)
            assert len(statuses(first)) == 1, name
            assert b'"keys"' not in first, name
            line.sendall(SMUGGLED)
            line.settimeout(30)
            second = received(line, 0.2)
            assert statuses(second) == [200], name
            assert b'"keys"' in second, name


def test_who_asks_for_another_protocol_is_answered_in_this_one_and_asks_nothing_more(hull: Hull) -> None:
    upgrade = SMUGGLED.replace(b"\r\n\r\n", b"\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n")
    with hull.connect() as line:
        line.sendall(upgrade + SMUGGLED)
        answers = b""
        while not statuses(answers):
            answers += line.recv(65_536)
        with suppress(ConnectionError):  # it hangs up
            line.sendall(SMUGGLED)
            answers += received(line)
    assert statuses(answers) == [200]


def test_the_answers_in_one_connection_are_in_the_order_of_the_questions(hull: Hull) -> None:
    asked = [b"/api/v1/jwks", b"/api/v1/nothing", b"/api/openapi.json", b"/api/v1/scans", b"/api/v1/jwks"]
    heads = [b"GET " + path + b" HTTP/1.1\r\nHost: localhost\r\n" for path in asked]
    raw = b"\r\n".join(heads) + b"Connection: close\r\n\r\n"
    with hull.connect() as line:
        line.sendall(raw)
        answers = b""
        while more := line.recv(65_536):
            answers += more
    assert statuses(answers) == [200, 404, 200, 401, 200]
