"""The public door: who has the token gets an answer as the service gives it, everybody else a reason."""

import asyncio
import gc
import gzip
import io
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import pytest
from msgspec import structs

from services.contracts.settings import GatewaySettings, Quota
from services.gateway.api import ENDPOINTS, public
from services.gateway.domain import NotAllowed, Routes, without_addresses
from services.gateway.service import service as gateway
from services.gateway.usecases.door import Bodies, Door
from services.gateway.usecases.streams import Streams
from services.kernel import http_calls
from services.kernel.cache.memory import MemoryCache
from services.kernel.calls import LARGEST, LARGEST_OF_KNOWN, Caller, Endpoint, LocalCalls, operator
from services.kernel.directory import Instance
from services.kernel.directory.local import LocalDirectory
from services.kernel.errors import Invalid, NotFound, Unavailable
from services.kernel.http_calls import HttpCalls
from services.kernel.http_questions import Asked
from services.kernel.live import Live
from services.kernel.messages import EVERYWHERE, workspace_id
from services.kernel.openapi import describe
from services.kernel.service import Ports
from services.kernel.settings import Settings
from services.kernel.trail import open_trail
from tests.kernel.asgi import Reply, request
from tests.kernel.keys import GATEWAY, asking, known_by, signer
from tests.kernel.organ import HOLD, KEEP, LISTEN, PLAY, ROLL, SHEET
from tests.kernel.served import DOORS, KNOCK, WAIT_ONCE, Instances, Served

Serve = Callable[[], Awaitable[Served]]
TOKEN = "the-token-of-the-operator"
KNOWN = {"Authorization": f"Bearer {TOKEN}"}
TUNE = "/api/v1/tunes/8398ccbf-6b63-40d8-9bf5-b7210a95b996"


@pytest.fixture
def directory() -> LocalDirectory:
    return LocalDirectory()


@pytest.fixture
async def serve(directory: LocalDirectory) -> AsyncIterator[Serve]:
    instances = Instances(directory)
    yield instances.begin
    await instances.end()


@pytest.fixture(scope="module")
def built() -> Door:
    """Putting the pages together is what takes time; whom it asks is each test's own."""
    routes = Routes((each.method, each.path, each) for each in DOORS)
    nobody = HttpCalls(LocalCalls(), LocalDirectory(), signer())
    return Door(nobody, routes, DOORS, known_by(TOKEN), "/api")


@pytest.fixture
async def door(built: Door, directory: LocalDirectory, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Door]:
    calls = HttpCalls(LocalCalls(), directory, signer())
    monkeypatch.setattr(built, "_calls", calls)
    monkeypatch.setattr(built, "_streams", Streams(calls))
    yield built
    await calls.close()


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ({}, "needs a token"),
        ({"Authorization": "Bearer other"}, "not the one of this server"),
        ({"Authorization": TOKEN}, "not the one of this server"),
    ],
)
async def test_nobody_without_the_token_reaches_a_service(
    door: Door, serve: Serve, headers: dict[str, str], said: str
) -> None:
    served = await serve()
    reply = await request(door, "POST", "/api/v1/strike", headers=headers)
    assert (reply.status, reply.json()["code"], reply.headers["www-authenticate"]) == (401, "unauthenticated", "Bearer")
    assert said in reply.json()["detail"]
    assert served.pipes.struck == 0


async def test_who_is_refused_here_is_told_to_the_audit_trail_unless_nobody_knows_him(
    door: Door, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    jo = Caller(workspace_id("ours"), "jo", account=UUID(int=3))
    asks, told = [jo, Caller(EVERYWHERE, "nobody"), operator(workspace_id("ours"))], []

    async def identify(headers: object, address: str) -> Caller:
        return asks[0]

    monkeypatch.setattr(door, "_identify", identify)
    monkeypatch.setattr(door, "_refused", lambda endpoint, caller: told.append((endpoint.name, caller)))
    await serve()
    statuses = []
    while asks:
        statuses.append((await request(door, "GET", TUNE)).status)
        asks.pop(0)
    assert statuses == [403, 401, 200]
    assert told == [(PLAY.name, jo)]


async def test_an_answer_comes_back_as_the_service_gave_it(door: Door, serve: Serve) -> None:
    served = await serve()
    reply = await request(door, "GET", f"{TUNE}?key=d&by=Bach%20J.S.", headers={**KNOWN, "Mirage-Workspace": "ours"})
    direct = await request_of(served, f"{TUNE.removeprefix('/api')}?key=d&by=Bach%20J.S.", "ours")
    assert (reply.status, reply.json()) == (200, direct)
    assert reply.headers["mirage-instance"] == served.instance.id
    assert reply.headers["content-type"] == "application/json"


async def request_of(served: Served, target: str, workspace: str) -> Any:
    import aiohttp

    async with (
        aiohttp.ClientSession() as session,
        session.get(
            f"http://{served.instance.address}{target}", headers=asking("organ", operator(workspace_id(workspace)))
        ) as answer,
    ):
        return await answer.json()


async def test_a_refusal_of_the_service_comes_back_too(door: Door, serve: Serve) -> None:
    await serve()
    reply = await request(door, "GET", f"{TUNE}?key=h", headers=KNOWN)
    assert (reply.status, reply.json()["code"]) == (400, "invalid")
    reply = await request(door, "GET", "/api/v1/errors/Conflict", headers=KNOWN)
    assert (reply.status, reply.json()["detail"]) == (409, "the reason")


async def test_a_body_arrives_as_it_was_sent(door: Door, serve: Serve) -> None:
    await serve()
    content = "QUJD" * 200_000
    reply = await request(
        door, "PUT", "/api" + KEEP.path.format(name="a%20b"), headers=KNOWN, body={"content": content}
    )
    assert (reply.status, reply.json()) == (200, {"name": "a b", "content": content})


async def test_a_stream_passes_and_goes_on_where_it_was(door: Door, serve: Serve) -> None:
    await serve()
    reply = await request(door, "GET", "/api" + LISTEN.path, headers=KNOWN)
    assert reply.events() == [("", '{"pitch":1}'), ("", '{"pitch":2}'), ("end", "")]
    reply = await request(door, "GET", "/api" + ROLL.path, headers={**KNOWN, "Last-Event-ID": "2"})
    assert [data for _, data in reply.events()] == ['{"sequence":3}', '{"sequence":4}', ""]


async def test_a_file_passes_as_the_file_that_it_is(door: Door, serve: Serve) -> None:
    await serve()
    path = "/api" + SHEET.path.format(name="one")
    reply = await request(door, "GET", path, headers={**KNOWN, "Accept": "*/*"})
    assert (reply.status, reply.body) == (200, b"\x00\xffda")
    assert reply.headers["content-type"] == "application/x-notes"
    assert reply.headers["content-disposition"] == 'attachment; filename="sheet.notes"'
    assert reply.headers["x-content-type-options"] == "nosniff"
    events = await request(door, "GET", path, headers={**KNOWN, "Accept": "text/event-stream"})
    assert events.events()[-1] == ("end", "")


async def test_a_stream_whose_instance_goes_away_ends_with_an_event_that_says_so(door: Door, serve: Serve) -> None:
    served = await serve()
    dying: list[asyncio.Task[None]] = []

    def die_when_begun(reply: Reply) -> bool:
        if b"pitch" in reply.body and not dying:
            dying.append(asyncio.create_task(served.die()))
        return False

    reply = await request(door, "GET", "/api" + HOLD.path, headers=KNOWN, leave_when=die_when_begun)
    await dying[0]
    (_, first), (name, last) = reply.events()
    assert (first, name) == ('{"pitch":1}', "problem")
    assert '"code":"unavailable"' in last
    assert served.instance.address not in last


async def test_who_leaves_a_stream_ends_it_at_the_service(door: Door, serve: Serve) -> None:
    served = await serve()
    reply = await request(
        door, "GET", "/api" + HOLD.path, headers=KNOWN, leave_when=lambda reply: b"pitch" in reply.body
    )
    assert reply.left
    async with asyncio.timeout(10):
        await served.pipes.closed.wait()


async def test_what_has_not_changed_is_not_sent_again_and_what_is_large_is_compressed(door: Door, serve: Serve) -> None:
    await serve()
    first = await request(door, "GET", TUNE, headers=KNOWN)
    again = await request(door, "GET", TUNE, headers={**KNOWN, "If-None-Match": first.headers["etag"]})
    assert (first.status, again.status, again.body) == (200, 304, b"")
    assert again.headers["cache-control"] == "no-cache, private"
    other = await request(door, "GET", f"{TUNE}?key=d", headers={**KNOWN, "If-None-Match": first.headers["etag"]})
    assert (other.status, other.json()["key"]) == (200, "d")
    head = await request(door, "HEAD", TUNE, headers=KNOWN)
    assert (head.status, head.body, head.headers["etag"]) == (200, b"", first.headers["etag"])
    large = await request(
        door, "GET", f"{TUNE}?by={'a' * 2000}", headers={**KNOWN, "Accept-Encoding": "br, gzip;q=0.5"}
    )
    assert large.headers["content-encoding"] == "gzip"
    assert json.loads(gzip.decompress(large.body))["by"] == "a" * 2000


async def test_what_may_let_somebody_in_is_kept_by_nobody(door: Door, serve: Serve) -> None:
    await serve()
    body = {"content": "QUJD" * 1000}
    reply = await request(door, "PUT", "/api/v1/knocks/a", headers={"Accept-Encoding": "gzip"}, body=body)
    assert (reply.status, reply.headers["cache-control"], reply.json()["content"]) == (200, "no-store", "QUJD" * 1000)
    assert "content-encoding" not in reply.headers


async def test_a_service_that_is_away_is_named(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_calls, "PATIENCE", 0.05)
    reply = await request(door, "GET", TUNE, headers=KNOWN)
    assert (reply.status, reply.json()["code"]) == (503, "unavailable")
    assert reply.json()["detail"] == "organ: no instance of organ is well"


async def test_where_the_servers_are_is_not_told_outside(
    door: Door, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_calls, "PATIENCE", 0.2)
    served = await serve()
    served.pipes.error = Unavailable("the database at 10.0.0.7:5432 does not answer")
    reply = await request(door, "POST", "/api/v1/strike", headers=KNOWN)
    assert (reply.status, reply.json()["detail"]) == (503, "organ: the database does not answer")
    await served.die()
    reply = await request(door, "GET", TUNE, headers=KNOWN)
    assert reply.status == 503
    assert served.instance.address.encode() not in reply.body
    assert served.instance.id in reply.json()["detail"]


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("nats://bus.internal:4222 is away", "a server is away"),
        ("none of 10.0.0.7:5432, db.inner:5432 answers", "none of a server answers"),
        ("redis at [fd00::1]:6379 is away", "redis is away"),
        ("https://es:9200/entities/_search timed out", "a server timed out"),
        ("organ:10.0.0.7:5432 is away", "organ:a server is away"),
        ("it took 30 s at 12:30; 3 of 4:15 are left", "it took 30 s at 12:30; 3 of 4:15 are left"),
        ("organ: 7 questions wait", "organ: 7 questions wait"),
    ],
)
def test_an_address_is_left_out_and_all_else_said(said: str, told: str) -> None:
    assert without_addresses(said) == told


@pytest.mark.parametrize(
    "hostile",
    [
        "a" * 100_000,
        "7" * 100_000,
        "a." * 50_000,
        "a-1" * 33_333,
        "a+" * 50_000,
        "a://" * 25_000,
        "a:1" * 33_333,
        "[::" * 33_333,
        "[" + ":" * 100_000,
        "1.1.1." * 16_666,
        " at" * 33_333,
        "a:80," * 20_000,
        "é" * 100_000,
    ],
    ids=lambda hostile: hostile[:6],
)
def test_in_a_long_text_of_whatever_shape_addresses_are_left_out_too(hostile: str) -> None:
    told = without_addresses(f"{hostile} nats://bus.internal:4222 and db at 10.0.0.7:5432 {hostile} es:9200")
    assert not any(address in told for address in ("bus.internal", "10.0.0.7", "es:9200"))
    assert " and db " in told


async def test_a_workspace_is_the_one_that_its_name_says(door: Door, serve: Serve) -> None:
    await serve()
    for named in ("ours", "täglich", "工作"):
        for header in (named, str(workspace_id(named))):
            reply = await request(door, "GET", TUNE, headers={**KNOWN, "Mirage-Workspace": header})
            assert reply.json()["workspace"] == str(workspace_id(named))
    reply = await request(door, "GET", TUNE, headers={**KNOWN, "Mirage-Workspace": "x" * 201})
    assert (reply.status, reply.json()["code"]) == (400, "invalid")


async def test_who_waits_a_second_is_not_made_to_wait_longer(
    door: Door, directory: LocalDirectory, serve: Serve
) -> None:
    asked, release = asyncio.Event(), asyncio.Event()

    async def hang(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await release.wait()
        writer.close()

    async with await asyncio.start_server(hang, "127.0.0.1", 0) as hanging:
        instance = Instance("organ", "organ-1", f"127.0.0.1:{hanging.sockets[0].getsockname()[1]}", {})
        await directory.register(instance)
        reply = await request(door, "POST", "/api" + WAIT_ONCE.path, headers={**KNOWN, "Mirage-Seconds": "0.2"})
        assert (reply.status, reply.json()["detail"]) == (503, "organ did not answer wait_once within 0.2 s")
        assert asked.is_set()
        await directory.deregister("organ", "organ-1")
        release.set()
    await serve()
    reply = await request(door, "GET", TUNE, headers={**KNOWN, "Mirage-Seconds": "soon"})
    assert (reply.status, reply.json()["code"]) == (400, "invalid")


# --- what a request may cost ---

FILE = "/api" + KEEP.path.format(name="a")


@pytest.fixture
def narrow(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """One large body at a time; large is what has more than 1,000 bytes."""
    monkeypatch.setattr(door, "_bodies", Bodies(largest=5000, large=1000, at_once=1, seconds=0.1))
    monkeypatch.setattr(door, "_turns", asyncio.Semaphore(1))


@pytest.mark.usefixtures("narrow")
@pytest.mark.parametrize("headers", [{"Content-Length": "6002"}, {"Transfer-Encoding": "chunked"}, {}])
async def test_a_body_that_is_too_large_is_not_taken(door: Door, serve: Serve, headers: dict[str, str]) -> None:
    await serve()
    sent = asyncio.Event()
    if "Content-Length" not in headers:  # one that says how large it is need not come
        sent.set()
    body = {"content": "QUJD" * 1500}
    reply = await request(door, "PUT", FILE, headers={**KNOWN, **headers}, body=body, sent=sent)
    assert (reply.status, reply.json()["code"]) == (413, "too_large")
    assert (await request(door, "PUT", FILE, headers=KNOWN, body={"content": "QUJD"})).status == 200


@pytest.mark.usefixtures("narrow")
async def test_a_large_body_that_does_not_come_gives_its_turn_back(
    door: Door, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "_bodies", structs.replace(door._bodies, patient=0.05))
    await serve()
    body, chunked = {"content": "QUJD" * 500}, {**KNOWN, "Transfer-Encoding": "chunked"}
    for _ in range(2):
        reply = await request(door, "PUT", FILE, headers=chunked, body=body, sent=asyncio.Event())
        assert (reply.status, reply.json()["detail"]) == (400, "the request did not come within 0.05 s")
    assert (await request(door, "PUT", FILE, headers=chunked, body=body)).status == 200


async def test_a_body_is_as_large_as_its_endpoint_takes_it(
    door: Door, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    await serve()
    headers = {**KNOWN, "Content-Length": str(LARGEST_OF_KNOWN + 1)}
    small, large = structs.replace(KEEP, needs="organ.play"), structs.replace(KEEP, needs="organ.play", large=True)
    assert (small.largest, large.largest) == (LARGEST_OF_KNOWN, LARGEST)
    monkeypatch.setattr(door, "_routes", Routes([(KEEP.method, KEEP.path, small)]))
    assert (await request(door, "PUT", FILE, headers=headers, body={})).status == 413
    monkeypatch.setattr(door, "_routes", Routes([(KEEP.method, KEEP.path, large)]))
    assert (await request(door, "PUT", FILE, headers=headers, body={"content": "QUJD"})).status == 200


@pytest.mark.parametrize("headers", [{"Content-Length": "22000"}, {"Transfer-Encoding": "chunked"}, {}])
async def test_who_is_not_known_says_little_and_at_once(
    door: Door, serve: Serve, headers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "_bodies", Bodies(hasty=0.1))
    monkeypatch.setattr(door, "_turns", asyncio.Semaphore(0))  # whatever others say
    served = await serve()
    knock = "/api/v1/knocks/door"
    reply = await request(door, "PUT", knock, headers=headers, body={"content": "QUJD" * 5000})
    assert (reply.status, reply.json()["code"]) == (413, "too_large")
    slow = await request(door, "PUT", knock, headers=headers, body={"content": "QUJD"}, sent=asyncio.Event())
    assert slow.status == (413 if headers == {"Content-Length": "22000"} else 400)
    said = {} if "Content-Length" in headers else headers
    assert (await request(door, "PUT", knock, headers=said, body={"content": "QUJD"})).json()["content"] == "QUJD"
    assert (await request(door, "POST", "/api/v1/strike")).status == 401
    assert served.pipes.struck == 0


@pytest.mark.usefixtures("narrow")
@pytest.mark.parametrize("large", [{"Content-Length": "2015"}, {"Transfer-Encoding": "chunked"}])
async def test_large_bodies_are_held_only_so_many_at_once_and_small_ones_wait_for_none(
    door: Door, serve: Serve, large: dict[str, str]
) -> None:
    await serve()
    sent, body = asyncio.Event(), {"content": "QUJD" * 500}
    first = asyncio.create_task(request(door, "PUT", FILE, headers={**KNOWN, **large}, body=body, sent=sent))
    await asyncio.sleep(0)
    reply = await request(door, "PUT", FILE, headers={**KNOWN, **large}, body=body)
    assert (reply.status, reply.json()["code"]) == (503, "unavailable")
    small = await request(door, "PUT", FILE, headers={**KNOWN, "Content-Length": "14"}, body={"content": "QUJD"})
    assert small.status == 200
    sent.set()
    assert (await first).status == 200
    assert (await request(door, "PUT", FILE, headers={**KNOWN, **large}, body=body)).status == 200


@pytest.mark.usefixtures("narrow")
async def test_a_large_body_is_held_until_its_answer_has_begun_and_not_for_as_long_as_that_lasts(
    door: Door, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    await serve()
    chunked, begun, asked = {**KNOWN, "Transfer-Encoding": "chunked"}, asyncio.Event(), list[Asked]()
    forward = door._calls.forward

    def note(endpoint: Endpoint, question: Asked, *rest: Any, **named: Any) -> Any:
        asked.append(question)
        return forward(endpoint, question, *rest, **named)

    def look(reply: Reply) -> bool:
        if b"pitch" in reply.body:
            begun.set()
        return False

    monkeypatch.setattr(door._calls, "forward", note)
    body = b" " * 4321
    following = asyncio.create_task(
        request(door, "GET", "/api" + HOLD.path, headers=chunked, body=body, leave_when=look)
    )
    await asyncio.wait_for(begun.wait(), 20)
    assert asked[0].body is None
    assert body not in [each.getvalue() for each in gc.get_objects() if type(each) is io.BytesIO and not each.closed]
    assert (await request(door, "PUT", FILE, headers=chunked, body={"content": "QUJD"})).status == 200
    assert not following.done()
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)


@pytest.mark.usefixtures("narrow")
async def test_a_large_body_whose_question_fails_is_held_no_longer(door: Door, serve: Serve) -> None:
    served = await serve()
    chunked = {**KNOWN, "Transfer-Encoding": "chunked"}
    served.pipes.error = Unavailable("the database is away")
    assert (await request(door, "POST", "/api/v1/strike", headers=chunked, body=b" " * 4321)).status == 503
    await served.die()
    assert (await request(door, "POST", "/api/v1/strike", headers={**chunked, "Mirage-Seconds": "0.1"})).status == 503
    assert (await request(door, "PUT", FILE, headers=chunked, body={"content": "A" * 9000})).status == 413
    assert door._turns._value == 1


@pytest.mark.parametrize("path", ["/api/v1/nothing", "/api/v2/tunes/1", "/api/v1/tunes/1/2", "/api/v1/", "/other"])
async def test_what_is_not_there_is_not_found(door: Door, path: str) -> None:
    assert (await request(door, "GET", path, headers=KNOWN)).status == 404


async def test_how_it_may_be_asked_is_said(door: Door) -> None:
    reply = await request(door, "DELETE", TUNE, headers=KNOWN)
    assert (reply.status, reply.headers["allow"]) == (405, "GET, HEAD, POST")


async def test_the_pages_that_describe_it_need_no_token(door: Door) -> None:
    assert (await request(door, "GET", "/api/docs")).status == 200
    described = (await request(door, "GET", "/api/openapi.json")).json()
    assert f"/api{PLAY.path}" in described["paths"]


# --- routes ---


def test_a_word_goes_before_a_parameter_whatever_the_order() -> None:
    entries = [("POST", "/v1/scans/{scan}", 1), ("POST", "/v1/scans/preview", 2)]
    for order in (entries, entries[::-1]):
        routes = Routes(order)
        assert (routes.find("POST", "/v1/scans/preview"), routes.find("POST", "/v1/scans/other")) == (2, 1)


def test_a_parameter_is_one_segment_and_not_empty() -> None:
    routes = Routes([("GET", "/v1/x/{id}", 1)])
    for path in ("/v1/x/", "/v1/x/a/b", "/v1/x", "/v1/xy", "/v1/x/a%2Fb", "/v1/x/%2f", "/v1%2Fx/a"):
        with pytest.raises(NotFound):
            routes.find("GET", path)
    assert routes.find("GET", "/v1/x/%2e%20..") == 1
    with pytest.raises(NotAllowed) as refused:
        routes.find("PUT", "/v1/x/1")
    assert refused.value.allowed == ("GET",)


def test_every_endpoint_of_every_service_is_found() -> None:
    routes = Routes((each.method, each.path, each) for each in ENDPOINTS)
    for each in ENDPOINTS:
        assert routes.find(each.method, each.path.replace("{", "").replace("}", "")) is each


# --- what it needs to open ---


async def test_without_a_directory_it_does_not_open() -> None:
    with pytest.raises(Invalid, match="MIRAGE_DIRECTORY"):
        public(Ports("gateway", calls=LocalCalls()))


def ports_of(directory: LocalDirectory, **settings: Any) -> Ports:
    """What a gateway has."""
    calls = HttpCalls(LocalCalls(), directory, signer("gateway"))
    live = Live("gateway", GatewaySettings)
    ports = Ports("gateway", calls=calls, settings=Settings(**settings), cache=MemoryCache(), live=live, bus=None)
    open_trail(gateway, ports)
    return ports


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "MIRAGE_SIGNING_KEYS"),
        ({"signing_keys": (GATEWAY,), "trusted_proxies": ("proxy.example.org",)}, "is no network"),
    ],
)
async def test_without_a_key_or_with_a_proxy_that_is_none_it_does_not_open(
    directory: LocalDirectory, settings: dict[str, Any], said: str
) -> None:
    with pytest.raises(Invalid, match=said):
        public(ports_of(directory, **settings))


async def test_what_the_world_reaches_has_limits_by_what_is_set_and_says_what_it_is_known_by(
    directory: LocalDirectory,
) -> None:
    ports = ports_of(directory, signing_keys=(GATEWAY,), trusted_proxies=("127.0.0.1",))
    app = public(ports)
    ports.live.now = GatewaySettings(strangers=Quota(10, 3600))
    for address in ("198.51.100.7", "198.51.100.8"):
        headers = {"X-Forwarded-For": address}
        replies = [await request(app, "GET", "/api/v1/scans", headers=headers) for _ in range(11)]
        assert [reply.status for reply in replies] == [401] * 10 + [429]
        assert replies[-1].headers["ratelimit-policy"] == '"address";q=10;w=3600'
        assert replies[-1].json()["request_id"] == replies[-1].headers["x-request-id"]


async def test_a_stream_ends_when_what_it_was_asked_by_is_good_no_more(
    door: Door, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    revoked = asyncio.Event()

    @contextmanager
    def watched(_: Caller) -> Iterator[asyncio.Event]:
        yield revoked

    def seen(reply: Reply) -> bool:
        revoked.set()
        return False

    monkeypatch.setattr(door, "_watched", watched)
    served = await serve()
    async with asyncio.timeout(20):
        reply = await request(door, "GET", "/api" + HOLD.path, headers=KNOWN, leave_when=seen)
        await served.pipes.closed.wait()
    assert reply.status == 200
    assert b"event: problem" in reply.body
    assert b'"code":"unauthenticated"' in reply.body


def test_what_is_described_says_who_may_ask_it() -> None:
    described = describe([KNOCK, PLAY, LISTEN, WAIT_ONCE], "/api")
    assert described["security"] == [{"token": []}]
    assert described["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
    assert described["paths"]["/api/v1/knocks/{name}"]["put"]["security"] == []
    assert "security" not in described["paths"]["/api" + PLAY.path]["get"]
    assert "/api" + WAIT_ONCE.path not in described["paths"], "it is for services and operators"
