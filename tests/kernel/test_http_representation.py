"""Answers as people get them: told whether they have changed, compressed, and kept by nobody where they are secret."""

import asyncio
import gzip
import json
import random
import zlib
from collections.abc import Sequence
from typing import Any

import pytest
from msgspec.structs import replace

from services.kernel.app import create_app, identify_operator, serve_hosts
from services.kernel.calls import Endpoint, LocalCalls
from services.kernel.http_coding import takes_gzip
from services.kernel.http_representation import LARGEST, PIECE, Represented, note_keeping
from tests.kernel.asgi import Reply, request
from tests.kernel.organ import DOORS, HOLD, LISTEN, PLAY, Organ

NUMBER = "8398ccbf-6b63-40d8-9bf5-b7210a95b996"
GZIP = {"Accept-Encoding": "gzip"}
LONG = json.dumps([{"name": f"host-{number}.example.org"} for number in range(100)]).encode()


def answering(*pieces: bytes, kind: str = "application/json", status: int = 200, of: Endpoint | None = None) -> Any:
    """An application that answers these pieces, as those of an endpoint where one is named."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if of is not None:
            note_keeping(scope, of)
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", kind.encode())]})
        for piece in pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    return Represented(app)


async def get(app: Any, headers: dict[str, str] | None = None, method: str = "GET") -> Reply:
    return await request(app, method, "/", headers=headers)


# --- whether it has changed ---


async def test_who_has_an_answer_already_is_told_so_and_nothing_else() -> None:
    app = answering(b'{"a":', b"1}", of=PLAY)
    first = await get(app)
    assert (first.status, first.body, first.headers["content-length"]) == (200, b'{"a":1}', "7")
    again = await get(app, {"If-None-Match": first.headers["etag"]})
    assert (again.status, again.body) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]
    assert again.headers["cache-control"] == "no-cache, private"
    assert not {"content-type", "content-length", "content-encoding"} & again.headers.keys()


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ("{}", 304),
        ('"other", W/{} , "third"', 304),
        ("*", 304),
        ('"other"', 200),
        ("other", 200),
        ("", 200),
    ],
)
async def test_one_tag_of_several_is_enough_and_another_one_is_none(said: str, status: int) -> None:
    app = answering(LONG)
    tag = (await get(app)).headers["etag"]
    assert (await get(app, {"If-None-Match": said.replace("{}", tag)})).status == status


async def test_another_answer_has_another_tag_and_the_same_one_the_same() -> None:
    tags = [(await get(answering(body))).headers["etag"] for body in (LONG, LONG, LONG[:-1] + b" ]")]
    assert tags[0] == tags[1] != tags[2]


async def test_a_tag_is_of_one_coding_and_lets_either_be_known() -> None:
    app = answering(LONG)
    plain, coded = await get(app), await get(app, GZIP)
    assert plain.headers["etag"] != coded.headers["etag"]
    for had in (plain, coded):
        for asked, expected in (({}, plain), (GZIP, coded)):
            again = await get(app, {**asked, "If-None-Match": had.headers["etag"]})
            assert (again.status, again.headers["etag"]) == (304, expected.headers["etag"])
            assert again.headers["vary"] == "Accept-Encoding"


@pytest.mark.parametrize("status", [201, 404, 503])
async def test_only_what_is_there_has_a_tag(status: int) -> None:
    reply = await get(answering(LONG, status=status), {"If-None-Match": "*"})
    assert reply.status == status
    assert "etag" not in reply.headers


async def test_what_is_too_large_to_be_held_has_no_tag_and_arrives() -> None:
    for headers in ({}, GZIP):
        reply = await get(answering(b"[", b"1," * LARGEST, b"1]"), {**headers, "If-None-Match": "*"})
        assert reply.status == 200
        assert "etag" not in reply.headers
        assert plain(reply) == b"[" + b"1," * LARGEST + b"1]"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
async def test_what_is_not_asked_with_get_is_left_as_it_is(method: str) -> None:
    reply = await get(answering(LONG, of=PLAY), {**GZIP, "If-None-Match": "*"}, method)
    assert (reply.status, reply.body, reply.headers["cache-control"]) == (200, LONG, "no-cache, private")
    assert not {"etag", "content-encoding", "vary"} & reply.headers.keys()


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_an_answer_that_breaks_off_while_it_is_held_is_a_reason_instead(method: str) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await answering(b"[1, 2")(scope, receive, send_first(send))
        raise ConnectionError("10.0.0.7:5432 went away")

    reply = await get(Represented(app), method=method)
    assert (reply.status, reply.json()["code"]) == (503, "unavailable")
    assert "10.0.0.7" not in reply.json()["detail"]


async def test_an_answer_that_breaks_off_while_it_is_sent_breaks_off() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await answering(b"1," * LARGEST)(scope, receive, send_first(send))
        raise ConnectionError

    with pytest.raises(ConnectionError):
        await get(Represented(app))


def send_first(send: Any) -> Any:
    """Sends all but the end."""

    async def send_some(message: Any) -> None:
        if message.get("more_body", True):
            await send(message)

    return send_some


# --- compressed ---


def plain(reply: Reply) -> bytes:
    return gzip.decompress(reply.body) if reply.headers.get("content-encoding") == "gzip" else reply.body


@pytest.mark.parametrize(
    ("said", "taken"),
    [
        ("gzip", True),
        ("GZIP", True),
        ("br, gzip;q=0.5", True),
        ("x-gzip", True),
        ("*", True),
        ("gzip;q=1.0, identity;q=0.5", True),
        ("gzip ; q=0.001", True),
        ("identity;q=0, gzip;q=0.3", True),
        ("", False),
        ("br, zstd", False),
        ("gzip;q=0", False),
        ("gzip;q=0.000, *", False),
        ("*;q=0", False),
        ("identity, gzip;q=0.5", False),
        ("gzip;q=2", False),
        ("gzip;level=9", False),
        ("gzip" * 1000, False),
    ],
)
async def test_an_answer_is_compressed_for_who_takes_that(said: str, taken: bool) -> None:
    assert takes_gzip(said) is taken
    reply = await get(answering(LONG), {"Accept-Encoding": said})
    assert ("content-encoding" in reply.headers) is taken
    assert plain(reply) == LONG
    assert reply.headers["content-length"] == str(len(reply.body))
    assert (len(reply.body) < len(LONG) / 3) is taken
    assert reply.headers["vary"] == "Accept-Encoding"


@pytest.mark.parametrize(
    ("kind", "coded"),
    [
        ("application/json", True),
        ("application/problem+json", True),
        ("application/openapi+json; charset=utf-8", True),
        ("text/html; charset=utf-8", True),
        ("text/javascript", True),
        ("text/csv", True),
        ("application/jsonl", True),
        ("text/event-stream", False),
        ("application/octet-stream", False),
        ("image/png", False),
    ],
)
async def test_texts_are_compressed_and_events_never(kind: str, coded: bool) -> None:
    reply = await get(answering(LONG, kind=kind), GZIP)
    assert ("content-encoding" in reply.headers) is coded
    assert plain(reply) == LONG


async def test_what_is_small_is_not_compressed() -> None:
    assert "content-encoding" not in (await get(answering(b"[" + b" " * 1000 + b"]"), GZIP)).headers


async def test_what_comes_piece_by_piece_can_be_read_as_it_comes() -> None:
    lines = [b'{"line":%d}\n' % number for number in range(5)]
    read, pieces = zlib.decompressobj(31), list[bytes]()

    async def send(message: Any) -> None:
        if message["type"] == "http.response.body":
            pieces.append(read.decompress(message["body"]))

    scope = {"type": "http", "method": "GET", "headers": [(b"accept-encoding", b"gzip")]}
    await answering(*lines, kind="application/jsonl")(scope, None, send)
    assert pieces == [*lines, b""]
    assert read.eof


async def test_much_is_compressed_beside_others_and_not_before_them() -> None:
    """The loop goes on while a large answer is compressed."""
    turns, done = 0, asyncio.Event()

    async def count() -> None:
        nonlocal turns
        while not done.is_set():
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    body = LONG * (LARGEST // len(LONG))
    reply = await get(answering(body), GZIP)
    done.set()
    await counting
    assert plain(reply) == body
    assert turns > 10


# --- secrets ---


@pytest.mark.parametrize("needs", ["anybody", "account", ""])
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE"])
async def test_what_may_let_somebody_in_is_kept_by_nobody_and_never_compressed(needs: str, method: str) -> None:
    app = answering(LONG, of=replace(PLAY, needs=needs))
    reply = await get(app, {**GZIP, "If-None-Match": "*"}, method)
    assert (reply.status, reply.headers["cache-control"]) == (200, "no-store")
    assert not {"etag", "content-encoding", "vary"} & reply.headers.keys()
    assert reply.body == (b"" if method == "HEAD" else LONG)


async def test_a_refusal_is_kept_no_longer_than_what_was_asked_for() -> None:
    assert (await get(answering(b"{}", status=404, of=PLAY))).headers["cache-control"] == "no-cache, private"
    secret = replace(PLAY, needs="account")
    assert (await get(answering(b"{}", status=404, of=secret))).headers["cache-control"] == "no-store"


# --- HEAD ---


@pytest.mark.parametrize("headers", [{}, GZIP])
async def test_a_head_is_what_a_get_is_without_its_body(headers: dict[str, str]) -> None:
    for app in (answering(LONG), answering(b"x" * 5000, kind="text/csv"), answering(b"1," * LARGEST)):
        head, whole = await get(app, headers, "HEAD"), await get(app, headers)
        assert (head.status, head.body, head.headers) == (whole.status, b"", whole.headers)
    tag = (await get(answering(LONG))).headers["etag"]
    assert (await get(answering(LONG), {"If-None-Match": tag}, "HEAD")).status == 304


# --- before the doors of services ---


@pytest.fixture
def doors() -> Sequence[Any]:
    organ, calls = Organ(), LocalCalls()
    calls.serve(organ, DOORS)
    app = create_app(
        calls,
        calls.endpoints,
        hosts=serve_hosts("127.0.0.1:80"),
        identify=identify_operator(),
        prefix="/api",
        public=True,
    )
    return app, organ


async def test_doors_for_people_answer_so(doors: Sequence[Any]) -> None:
    app, _ = doors
    reply = await request(app, "GET", f"/api/v1/tunes/{NUMBER}", headers=GZIP)
    assert (reply.status, reply.headers["cache-control"]) == (200, "no-cache, private")
    again = await request(app, "GET", f"/api/v1/tunes/{NUMBER}", headers={"If-None-Match": reply.headers["etag"]})
    assert again.status == 304
    head = await request(app, "HEAD", f"/api/v1/tunes/{NUMBER}")
    assert (head.status, head.body, head.headers["etag"]) == (200, b"", reply.headers["etag"])
    for path in ("/api/docs/rapidoc.js", "/api/openapi.json"):
        page = await request(app, "GET", path, headers=GZIP)
        assert (page.headers["content-encoding"], page.headers["cache-control"]) == ("gzip", "no-cache")
        again = await request(app, "GET", path, headers={"If-None-Match": page.headers["etag"]})
        assert again.status == 304


async def test_events_pass_through_doors_for_people_one_by_one(doors: Sequence[Any]) -> None:
    app, organ = doors
    reply = await request(app, "GET", "/api" + LISTEN.path, headers=GZIP)
    assert reply.events() == [("", '{"pitch":1}'), ("", '{"pitch":2}'), ("end", "")]
    assert "content-encoding" not in reply.headers
    assert reply.headers["cache-control"] == "no-store"
    begun = await request(app, "GET", "/api" + HOLD.path, leave_when=lambda reply: b"pitch" in reply.body)
    assert begun.left
    organ.closed.clear()
    head = await request(app, "HEAD", "/api" + HOLD.path)
    assert (head.status, head.body) == (200, b"")
    assert organ.closed.is_set()


async def test_doors_for_services_answer_as_they_are() -> None:
    calls = LocalCalls()
    calls.serve(Organ(), DOORS)
    app = create_app(calls, calls.endpoints, hosts=serve_hosts("127.0.0.1:80"), identify=identify_operator())
    reply = await request(app, "GET", f"/v1/tunes/{NUMBER}", headers={**GZIP, "If-None-Match": "*"})
    assert reply.status == 200
    assert not {"etag", "content-encoding", "vary", "cache-control"} & reply.headers.keys()


@pytest.mark.parametrize("kind", ["application/json", "text/plain"])
@pytest.mark.parametrize("size", [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE, LARGEST + 1])
@pytest.mark.parametrize("coded", [False, True])
async def test_what_was_held_is_sent_in_pieces(size: int, kind: str, coded: bool) -> None:
    """So that one who takes nothing has no whole answer waiting for him."""
    content, sent = random.Random(size).randbytes(size), list[dict[str, Any]]()
    scope = {"type": "http", "method": "GET", "headers": [(b"accept-encoding", b"gzip")] if coded else []}

    async def send(message: Any) -> None:
        sent.append(message)

    await answering(content, kind=kind)(scope, None, send)
    pieces = sent[1:]
    assert max(len(each["body"]) for each in pieces) <= PIECE
    assert [each["more_body"] for each in pieces] == [True] * (len(pieces) - 1) + [False]
    whole = b"".join(each["body"] for each in pieces)
    is_coded = (b"content-encoding", b"gzip") in sent[0]["headers"]
    assert (gzip.decompress(whole) if is_coded else whole) == content
