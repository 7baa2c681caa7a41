"""Endpoints over HTTP: one form of question, of answer, of error, of stream, and nobody from elsewhere."""

import asyncio
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

import pytest
from msgspec import Struct
from msgspec.structs import replace

from services.kernel import app as app_module
from services.kernel import errors, events
from services.kernel.app import DOCS, LARGE_AT_ONCE, create_app, identify_operator, serve_hosts
from services.kernel.calls import ANYBODY, LARGEST_OF_KNOWN, Caller, LocalCalls, Nothing
from services.kernel.errors import MEANING, MirageError, Unavailable
from services.kernel.messages import EVERYWHERE, workspace_id
from services.kernel.openapi import MEANT, describe
from services.kernel.request import seconds_left
from tests.kernel.asgi import Reply, request
from tests.kernel.organ import COMPOSE, DOORS, EVERYBODY, KEEP, LISTEN, PLAY, App, Organ, compose_app, endpoint


@pytest.fixture
def organ() -> Organ:
    return Organ()


@pytest.fixture
def app(organ: Organ) -> App:
    return compose_app(organ, "/api")


NUMBER = UUID("8398ccbf-6b63-40d8-9bf5-b7210a95b996")


def is_problem(reply: Reply, code: str, status: int) -> bool:
    said = reply.json()
    return (
        reply.headers["content-type"] == "application/problem+json"
        and (said["code"], said["status"], reply.status) == (code, status, status)
        and bool(said["title"] and said["detail"])
    )


async def test_a_question_is_made_of_path_and_query(app: App) -> None:
    reply = await request(app, "GET", f"/api/v1/tunes/{NUMBER}?key=d&volume=7&loud=true&by=Bach%20J.S.")
    assert reply.json() == {
        "number": str(NUMBER), "key": "d", "volume": 7, "loud": True, "by": "Bach J.S.",
        "workspace": str(workspace_id("default")),
    }  # fmt: skip


async def test_a_question_is_made_of_path_and_body(app: App) -> None:
    reply = await request(app, "POST", f"/api/v1/tunes/{NUMBER}", body={"volume": 3, "by": None})
    assert reply.status == 200
    assert (reply.json()["number"], reply.json()["volume"], reply.json()["key"]) == (str(NUMBER), 3, "c")


@pytest.mark.parametrize(
    ("method", "url", "body"),
    [
        ("GET", "/api/v1/tunes/none", b""),
        ("GET", f"/api/v1/tunes/{NUMBER}?volume=much", b""),
        ("GET", f"/api/v1/tunes/{NUMBER}?key=h", b""),
        ("GET", f"/api/v1/tunes/{NUMBER}?loud=perhaps", b""),
        ("GET", f"/api/v1/tunes/{NUMBER}?volum=5", b""),
        ("GET", f"/api/v1/tunes/{NUMBER}?volume=5&volume=6", b""),
        ("GET", f"/api/v1/tunes/{NUMBER}?number={NUMBER}", b""),
        ("POST", f"/api/v1/tunes/{NUMBER}?key=c", {}),
        ("POST", f"/api/v1/tunes/{NUMBER}", {"volume": "3"}),
        ("POST", f"/api/v1/tunes/{NUMBER}", {"volum": 3}),
        ("POST", f"/api/v1/tunes/{NUMBER}", [1]),
        ("POST", f"/api/v1/tunes/{NUMBER}", b"{"),
        ("POST", f"/api/v1/tunes/{NUMBER}", b""),
        ("POST", f"/api/v1/tunes/{NUMBER}", b"[" * 5000),
        ("PUT", "/api/v1/files/a", {"content": "not base64!"}),
    ],
)
async def test_a_question_is_decoded_strictly(app: App, method: str, url: str, body: object) -> None:
    reply = await request(app, method, url, body=body)
    assert is_problem(reply, "invalid", 400), reply


async def test_bytes_are_base64(app: App) -> None:
    reply = await request(app, "PUT", "/api/v1/files/a", body={"content": "AAH/"})
    assert reply.json() == {"name": "a", "content": "AAH/"}


@pytest.mark.parametrize("error", [error for error in MEANING if error.__name__ in vars(errors)])
async def test_an_error_is_a_problem_with_its_code(app: App, error: type[MirageError]) -> None:
    reply = await request(app, "GET", f"/api/v1/errors/{error.__name__}")
    assert is_problem(reply, MEANING[error].code, MEANING[error].status)
    assert reply.json()["detail"] == "the reason"


async def test_a_fault_says_nothing_of_itself(app: App) -> None:
    reply = await request(app, "GET", "/api/v1/errors/none")
    assert is_problem(reply, "internal", 500)
    assert "reason" not in reply.body.decode()


async def test_what_is_not_there_or_not_allowed_is_a_problem_too(app: App) -> None:
    assert is_problem(await request(app, "GET", "/api/v1/nothing"), "not_found", 404)
    assert is_problem(await request(app, "GET", "/elsewhere"), "not_found", 404)
    refused = await request(app, "DELETE", f"/api/v1/tunes/{NUMBER}")
    assert is_problem(refused, "not_allowed", 405)
    assert "GET" in refused.headers["allow"]


@pytest.mark.parametrize("host", ["localhost", "localhost:8080", "127.0.0.1", "[::1]:8080", "LOCALHOST"])
async def test_the_server_is_called_by_its_own_names(app: App, host: str) -> None:
    assert (await request(app, "GET", f"/api/v1/tunes/{NUMBER}", headers={"Host": host})).status == 200


@pytest.mark.parametrize("path", [f"/api/v1/tunes/{NUMBER}", "/health/live", "/api/docs", "/nothing"])
@pytest.mark.parametrize(
    "headers",
    [
        [("Host", "rebound.example")],
        [("Host", "localhost.rebound.example")],
        [("Host", "localhost@rebound.example")],
        [("Host", "")],
        [("Host", "[")],
        [("Host", "localhost"), ("Host", "rebound.example")],
        [("Host", "localhost"), ("Origin", "http://elsewhere.example")],
        [("Host", "localhost:8080"), ("Origin", "http://localhost:3000")],
        [("Host", "localhost"), ("Origin", "null")],
        [("Host", "localhost"), ("Origin", "http://localhost"), ("Origin", "http://elsewhere.example")],
    ],
    ids=str,
)
async def test_a_page_from_elsewhere_reaches_nothing(app: App, path: str, headers: list[tuple[str, str]]) -> None:
    assert is_problem(await request(app, "GET", path, headers=headers), "denied", 403)


async def test_a_page_of_the_server_itself_reaches_it(app: App) -> None:
    headers = {"Host": "localhost:8080", "Origin": "http://localhost:8080"}
    assert (await request(app, "POST", f"/api/v1/tunes/{NUMBER}", headers=headers, body={})).status == 200


def test_an_address_that_is_every_address_is_no_name_to_be_called_by() -> None:
    assert serve_hosts("0.0.0.0:8080") == serve_hosts("[::]:8080") == {"localhost", "127.0.0.1", "::1"}
    assert "192.0.2.7" in serve_hosts("192.0.2.7:8080")


@pytest.mark.parametrize(
    ("named", "workspace"),
    [
        ("acme", workspace_id("acme")),
        ("café", workspace_id("café")),
        (str(NUMBER), NUMBER),
        (NUMBER.hex, workspace_id(NUMBER.hex)),
    ],
)
async def test_the_workspace_of_a_request_is_named_by_its_header(app: App, named: str, workspace: UUID) -> None:
    reply = await request(app, "GET", f"/api/v1/tunes/{NUMBER}", headers={"Mirage-Workspace": named})
    assert reply.json()["workspace"] == str(workspace)


@pytest.mark.parametrize("default", ["default", "café"])
async def test_a_request_that_names_no_workspace_is_in_that_of_the_server(default: str) -> None:
    calls = LocalCalls()
    calls.serve(Organ(), DOORS)
    app = create_app(
        calls, calls.endpoints, hosts=serve_hosts("127.0.0.1:8080"), identify=identify_operator(default), prefix="/api"
    )
    reply = await request(app, "GET", f"/api/v1/tunes/{NUMBER}")
    assert reply.json()["workspace"] == str(workspace_id(default))


@pytest.mark.parametrize("named", ["", "x" * 201, str(EVERYWHERE)])
async def test_what_names_no_workspace_is_refused(app: App, named: str) -> None:
    reply = await request(app, "GET", f"/api/v1/tunes/{NUMBER}", headers={"Mirage-Workspace": named})
    assert is_problem(reply, "invalid", 400)


async def test_a_body_is_as_large_as_its_endpoint_takes_it_and_large_ones_come_in_time(
    organ: Organ, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls, hosts = LocalCalls(), serve_hosts("127.0.0.1:8080")
    small, large = (
        replace(KEEP, needs="organ.play"),
        replace(KEEP, needs="organ.play", path="/v1/large/{name}", large=True),
    )
    calls.serve(organ, {small: DOORS[KEEP], large: DOORS[KEEP]})
    app = create_app(calls, [small, large], hosts=hosts, identify=EVERYBODY)
    body = {"content": "QUJD" * (LARGEST_OF_KNOWN // 4)}
    assert is_problem(await request(app, "PUT", "/v1/files/a", body=body), "too_large", 413)
    assert (await request(app, "PUT", "/v1/large/a", body=body)).status == 200
    monkeypatch.setattr(app_module, "LARGE_SECONDS", 0.05)
    for _ in range(LARGE_AT_ONCE + 1):  # each gives its turn back
        slow = await request(app, "PUT", "/v1/large/a", body=body, sent=asyncio.Event())
        assert is_problem(slow, "invalid", 400)


async def test_a_stream_is_server_sent_events(app: App) -> None:
    reply = await request(app, "GET", "/api/v1/notes")
    assert reply.headers["content-type"].startswith("text/event-stream")
    assert reply.events() == [("", '{"pitch":1}'), ("", '{"pitch":2}'), ("end", "")]


def holes(reply: Reply) -> list[str]:
    return re.findall(r"id: (\d+)\r\ndata: \{", reply.body.decode())


async def test_a_stream_that_can_be_resumed_goes_on_after_the_last_event_that_was_seen(app: App) -> None:
    whole = await request(app, "GET", "/api/v1/roll")
    assert holes(whole) == ["1", "2", "3", "4"]
    assert whole.events()[-1] == ("end", "")
    assert holes(await request(app, "GET", "/api/v1/roll?after=2")) == ["3", "4"]
    again = await request(app, "GET", "/api/v1/roll?after=1", headers={"Last-Event-ID": "3"})
    assert holes(again) == ["4"], "a browser asks at the same address and says in a header what it has seen since"
    assert is_problem(await request(app, "GET", "/api/v1/roll", headers={"Last-Event-ID": "x"}), "invalid", 400)
    assert b"id:" not in (await request(app, "GET", "/api/v1/notes", headers={"Last-Event-ID": "1"})).body


async def test_a_stream_that_cannot_begin_is_an_ordinary_error(app: App) -> None:
    assert is_problem(await request(app, "GET", "/api/v1/stumbles/first"), "not_found", 404)


async def test_a_stream_that_fails_later_says_so_in_its_last_event(app: App) -> None:
    reply = await request(app, "GET", "/api/v1/stumbles/later")
    assert reply.status == 200
    (_, note), (name, problem) = reply.events()
    assert (note, name) == ('{"pitch":1}', "problem")
    assert '"code":"conflict"' in problem


async def test_a_fault_in_a_stream_says_nothing_of_itself(app: App) -> None:
    reply = await request(app, "GET", "/api/v1/stumbles/faulty")
    name, problem = reply.events()[-1]
    assert name == "problem"
    assert '"code":"internal"' in problem
    assert "secret" not in problem


async def test_a_stream_is_closed_when_its_client_goes_away(app: App, organ: Organ) -> None:
    reply = await request(app, "GET", "/api/v1/long", leave_when=lambda reply: b"pitch" in reply.body)
    assert reply.left
    assert organ.closed.is_set()


async def test_a_stream_ends_when_who_asked_is_let_in_no_more_and_is_watched_until_then(organ: Organ) -> None:
    calls, revoked, watching = LocalCalls(), asyncio.Event(), []
    calls.serve(organ, DOORS)

    @contextmanager
    def watched(caller: Caller) -> Iterator[asyncio.Event]:
        watching.append(caller)
        yield revoked
        watching.remove(caller)

    def seen(reply: Reply) -> bool:
        assert len(watching) == 1
        if b"pitch" in reply.body:
            revoked.set()
        return False

    hosts = serve_hosts("127.0.0.1:8080")
    app = create_app(calls, calls.endpoints, hosts=hosts, identify=EVERYBODY, watched=watched)
    reply = await request(app, "GET", "/v1/long", leave_when=seen)
    name, problem = reply.events()[-1]
    assert (name, '"code":"unauthenticated"' in problem) == ("problem", True)
    assert organ.closed.is_set()
    assert watching == []


async def test_a_silent_stream_says_now_and_then_that_it_lives(
    app: App, organ: Organ, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "PING_SECONDS", 0.001)
    reply = await request(app, "GET", "/api/v1/long", leave_when=lambda reply: reply.body.count(b"nothing new") > 1)
    assert reply.events()[:2] == [("", '{"pitch":1}'), ("", "nothing new")]
    assert organ.closed.is_set()


async def test_a_stream_that_is_slow_to_begin_begins_all_the_same(
    app: App, organ: Organ, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "FIRST_SECONDS", 0.0)
    assert (await request(app, "GET", "/api/v1/notes")).events()[0] == ("", '{"pitch":1}')


async def test_the_document_describes_every_endpoint_and_every_reference_leads_somewhere(app: App) -> None:
    document = (await request(app, "GET", "/api/openapi.json")).json()
    assert document == describe(sorted(DOORS, key=lambda door: (door.path, door.method)), "/api")
    operations = {operation["operationId"] for methods in document["paths"].values() for operation in methods.values()}
    assert operations == {"playTune", "composeTune", "fail", "keep", "listen", "stumble", "hold", "sheet", "roll"}
    assert set(document["components"]["schemas"]) == {
        *("Played", "Nothing", "Upload", "Note", "Hole", "Piece", "Problem")
    }
    references = set(re.findall(r'"#/components/schemas/(\w+)"', str(document).replace("'", '"')))
    assert references <= set(document["components"]["schemas"])


def test_the_document_tells_path_query_and_body_apart() -> None:
    document = describe([PLAY, COMPOSE], "")
    play, compose = document["paths"]["/v1/tunes/{number}"].values()
    assert {(one["name"], one["in"]) for one in play["parameters"]} == {
        ("number", "path"), ("key", "query"), ("volume", "query"), ("loud", "query"), ("by", "query"),
        ("If-None-Match", "header"), ("Mirage-Workspace", "header"),
    }  # fmt: skip
    assert [one["name"] for one in compose["parameters"]] == ["number", "Idempotency-Key", "Mirage-Workspace"]
    body = compose["requestBody"]["content"]["application/json"]["schema"]
    assert set(body["properties"]) == {"key", "volume", "loud", "by"}
    assert body["additionalProperties"] is False
    assert set(play["responses"]) == {
        "200", "304", "400", "401", "403", "404", "409", "413", "415", "429", "500", "503", "507",
    }  # fmt: skip
    assert set(compose["responses"]) ^ set(play["responses"]) == {"304", "422"}


def test_the_document_names_304_only_where_an_answer_has_a_tag() -> None:
    secret = replace(PLAY, needs=ANYBODY, path="/v1/secret")
    paths = describe([PLAY, secret, LISTEN, COMPOSE], "")["paths"]
    tagged = {path for path, methods in paths.items() for each in methods.values() if "304" in each["responses"]}
    assert tagged == {PLAY.path}


class Refrain(Struct, frozen=True):
    """What comes again.

    At the end of
    each verse.
    """

    verse: int = 1


def test_what_is_described_in_code_loses_the_indentation_of_code() -> None:
    sing = endpoint("sing", "GET", "/v1/refrain", Refrain, Refrain)
    document = describe([sing], "")
    said = "What comes again.\n\nAt the end of\neach verse."
    assert document["paths"]["/v1/refrain"]["get"]["description"] == said
    assert document["components"]["schemas"]["Refrain"]["description"] == said


async def test_a_bare_address_leads_to_the_page_of_the_api(app: App) -> None:
    for path in ("/", "/api"):
        reply = await request(app, "GET", path)
        assert (reply.status, reply.headers["location"]) == (302, "/api/docs")


async def test_the_pages_of_the_api_need_nothing_from_elsewhere(app: App) -> None:
    page = await request(app, "GET", "/api/docs")
    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'self'" in page.headers["content-security-policy"]
    assert "http" not in re.sub(r"<!--.*?-->", "", page.body.decode())
    named = re.findall(r'(?:src|spec-url)="([^"]+)"', page.body.decode())
    assert named == ["/api/docs/rapidoc.js", "/api/openapi.json"]
    script = await request(app, "GET", named[0])
    assert script.body == (DOCS / "rapidoc-min.js").read_bytes()


async def test_health_tells_living_from_being_ready() -> None:
    ready = True

    without: list[str] = []

    async def check() -> list[str]:
        if not ready:
            raise Unavailable("the database is away")
        return without

    app = create_app(LocalCalls(), [], hosts=serve_hosts("127.0.0.1:1"), identify=EVERYBODY, ready=check)
    answered = await request(app, "GET", "/health/ready")
    assert (answered.status, json.loads(answered.body)) == (200, {"status": "ready"})
    without.append("bus: it is away")
    answered = await request(app, "GET", "/health/ready")
    assert answered.status == 200
    assert json.loads(answered.body) == {"status": "degraded", "without": ["bus: it is away"]}
    ready = False
    assert (await request(app, "GET", "/health/live")).status == 200
    assert is_problem(await request(app, "GET", "/health/ready"), "unavailable", 503)


async def test_an_instance_is_not_ready_in_the_name_of_another() -> None:
    here = frozenset({("scans", "scans-a"), ("storage", "storage-a")})
    app = create_app(LocalCalls(), [], hosts=serve_hosts("127.0.0.1:1"), identify=EVERYBODY, instances=here)
    for query in ("", "?service=scans&instance=scans-a", "?service=storage&instance=storage-a"):
        assert (await request(app, "GET", f"/health/ready{query}")).status == 200
    for query in ("service=scans&instance=scans-b", "service=storage&instance=scans-a", "service=scans"):
        assert is_problem(await request(app, "GET", f"/health/ready?{query}"), "not_found", 404)


async def test_a_question_for_another_service_is_refused_before_it_is_read() -> None:
    here = frozenset({("organ", "organ-a"), ("storage", "storage-a")})
    app = App(LocalCalls(), serve_hosts("127.0.0.1:1"), instances=here)
    for headers in ({}, {MEANT: "organ"}, {MEANT: "storage"}):
        assert (await request(app, "GET", "/health/live", headers=headers)).status == 200
    for path in ("/health/live", "/v1/anything"):
        assert is_problem(await request(app, "GET", path, headers={MEANT: "scans"}), "misdirected", 421)


# How long the caller waits


async def left(headers: dict[str, str]) -> tuple[int, dict[str, object]]:
    async def look(organ: Organ, caller: Caller, question: Nothing) -> Left:
        return Left(seconds_left(1000.0))

    calls = LocalCalls()
    calls.serve(Organ(), {LEFT: look})
    reply = await request(App(calls, serve_hosts("127.0.0.1:1")), "GET", "/v1/left", headers=headers)
    return reply.status, reply.json()


class Left(Struct):
    seconds: float


LEFT = endpoint("left", "GET", "/v1/left", Nothing, Left)


@pytest.mark.parametrize(
    ("said", "least", "most"),
    [("4.5", 4.0, 4.5), ("1e9", 29.0, 30.0), ("inf", 29.0, 30.0), ("nan", 0.0, 30.0), (None, 29.0, 30.0)],
)
async def test_a_question_has_the_time_that_its_caller_gives_it_and_no_more_than_any(
    said: str | None, least: float, most: float
) -> None:
    status, answer = await left({"Mirage-Seconds": said} if said else {})
    assert status == 200
    assert least <= answer["seconds"] <= most


@pytest.mark.parametrize("said", ["soon", "", "1,5"])
async def test_what_is_no_number_of_seconds_is_refused(said: str) -> None:
    status, answer = await left({"Mirage-Seconds": said})
    assert (status, answer["code"]) == (400, "invalid")


async def test_who_has_no_time_left_is_told_so() -> None:
    async def wait(organ: Organ, caller: Caller, question: Nothing) -> Left:
        await asyncio.Event().wait()
        raise AssertionError

    calls = LocalCalls()
    calls.serve(Organ(), {LEFT: wait})
    for said in ("-5", "0", "0.01"):
        reply = await request(
            App(calls, serve_hosts("127.0.0.1:1")), "GET", "/v1/left", headers={"Mirage-Seconds": said}
        )
        assert is_problem(reply, "unavailable", 503)
