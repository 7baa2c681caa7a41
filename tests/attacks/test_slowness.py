"""Requests that are too large or too slow, and how much a stranger can have held for him."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress

import psutil
import pytest

from services.kernel.calls import LARGEST_OF_ANYBODY
from services.kernel.http_limits import Limits
from tests.attacks.hulls import PATIENCE, Hull, People, eventually, received, statuses

pytestmark = pytest.mark.slow

HEAD = b"POST /api/v1/sessions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


def memory(hull: Hull) -> int:
    return psutil.Process(hull.pid).memory_info().rss


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 70_000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: a\r\n" * 200 + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"a" * 70_000 + b": x\r\n\r\n", 431),
        (HEAD + b"Content-Length: 999999999999\r\n\r\n", 413),
        (HEAD + b"Content-Length: 16385\r\n\r\n", 413),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n5000\r\n" + b"a" * 0x5000 + b"\r\n0\r\n\r\n", 413),
    ],
    ids=["target", "value", "fields", "name", "length", "a byte too many", "chunks"],
)
def test_what_is_too_large_is_refused_at_once(hull: Hull, raw: bytes, status: int) -> None:
    with hull.connect() as line:
        with suppress(ConnectionError):  # it may hang up before all of it was sent
            line.sendall(raw)
        assert statuses(received(line))[0] == status
    assert hull.ask("GET", "/v1/jwks").status == 200


def test_who_is_not_known_sends_little_whatever_he_says_he_will(hull: Hull, people: People) -> None:
    """A bad token is no way to have more read than without one."""
    body = json.dumps({"content": "A" * 1_000_000}).encode()
    for token in ("", "guess", people.jo.access[:-4] + "AAAA"):
        assert hull.ask("POST", "/v1/blobs", body, token=token).status == 401
    body = json.dumps({"email": "x", "password": "x" * LARGEST_OF_ANYBODY}).encode()
    assert hull.ask("POST", "/v1/sessions", body).status == 413


@pytest.mark.parametrize(
    "text",
    ["[" * 8000, '{"email":' * 1500, '{"email": "' + "\\u0041" * 2000 + '"}', "1" * 16_000, "-" * 16_000],
    ids=["lists", "objects", "escapes", "digits", "signs"],
)
def test_what_is_hard_to_read_is_refused_like_all_else(hull: Hull, text: str) -> None:
    assert hull.ask("POST", "/v1/sessions", text.encode()).status == 400


@pytest.fixture
def crowd(hull: Hull) -> Iterator[list[socket.socket]]:
    """Connections of one stranger, as many as are taken and some more."""
    lines = [hull.connect("127.0.61.1") for _ in range(Limits().connections + 20)]
    yield lines
    for line in lines:
        line.close()
    eventually(lambda: hull.ask("GET", "/v1/jwks").status == 200)


@pytest.mark.slow
def test_slow_heads_are_hung_up_on_and_hold_next_to_nothing(hull: Hull, crowd: list[socket.socket]) -> None:
    """Slowloris: one byte now and then keeps nobody's place longer than a head may take."""
    before, ended = memory(hull), threading.Event()
    silent, dripped = crowd[-5:], crowd[:-5]
    for line in crowd:
        line.settimeout(PATIENCE)
        with suppress(OSError):  # it has made room for a later one
            line.sendall(b"GET /api/v1/jwks HTTP/1.1\r\nHost: localhost\r\nX-")
    dripping = threading.Thread(target=drip, args=(dripped, ended))
    dripping.start()
    try:
        assert [statuses(received(line)) for line in silent] == [[408]] * 5
        assert memory(hull) - before < 64_000_000
        eventually(lambda: hull.ask("GET", "/v1/jwks").status == 200)
        # Not one of them is kept, though each says something every second.
        eventually(lambda: all(is_over(line) for line in dripped))
    finally:
        ended.set()
        dripping.join()


def drip(lines: list[socket.socket], ended: threading.Event) -> None:
    while not ended.wait(1.0):
        for line in lines:
            with suppress(OSError):
                line.send(b"X")


def is_over(line: socket.socket) -> bool:
    """Whether the other side has hung up."""
    try:
        return not line.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) or bool(line.recv(65_536, socket.MSG_DONTWAIT))
    except BlockingIOError:
        return False
    except OSError:
        return True
