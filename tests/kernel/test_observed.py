"""Every request is one line of the log and belongs to a trace; those of whoever looks after a process are silent."""

import structlog
from structlog.testing import capture_logs
from structlog.typing import EventDict

from services.kernel.observed import Observed
from services.kernel.request import current_trace, trace_id
from tests.kernel.asgi import request
from tests.kernel.organ import Organ, compose_app

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


async def lines(path: str) -> list[EventDict]:
    with capture_logs(processors=[structlog.contextvars.merge_contextvars]) as logged:
        await request(compose_app(Organ()), "GET", path, headers={"traceparent": TRACE})
    return [line for line in logged if line["event"] == "request"]


async def test_a_request_is_one_line_with_its_trace() -> None:
    (line,) = await lines("/v1/notes?secret=word")
    assert line["ms"] >= 0
    wanted = {"method": "GET", "path": "/v1/notes", "endpoint": "listen", "status": 400, "trace": trace_id(TRACE)}
    assert {name: line[name] for name in wanted} == wanted
    assert "word" not in str(line)


async def test_who_looks_after_a_process_makes_no_lines_unless_it_is_unwell() -> None:
    for path in ("/health/live", "/health/ready", "/metrics"):
        assert await lines(path) == []

    async def fail(scope: object, receive: object, send: object) -> None:
        await send({"type": "http.response.start", "status": 503, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    with capture_logs() as logged:
        await request(Observed(fail), "GET", "/health/ready")
    assert [line["status"] for line in logged] == [503]


async def test_a_trace_goes_on_within_and_one_is_begun_where_there_is_none() -> None:
    seen: list[str] = []

    async def look(scope: object, receive: object, send: object) -> None:
        seen.append(current_trace())
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    for headers in ({"traceparent": TRACE}, {"traceparent": "no trace"}, {}):
        await request(Observed(look), "GET", "/", headers=headers)
    assert trace_id(seen[0]) == trace_id(TRACE)
    assert seen[0] != TRACE
    assert len({trace_id(each) for each in seen}) == 3


async def test_every_answer_says_the_id_of_its_trace_and_so_does_a_problem() -> None:
    app = compose_app(Organ())
    for path, status in (("/v1/roll", 200), ("/v1/notes?secret=word", 400), ("/nowhere", 404), ("/health/live", 200)):
        reply = await request(app, "GET", path, headers={"traceparent": TRACE})
        assert (reply.status, reply.headers["x-request-id"]) == (status, trace_id(TRACE))
        if status >= 400:
            assert reply.json()["request_id"] == trace_id(TRACE)
    refused = await request(app, "GET", "/v1/roll", headers={"Host": "elsewhere.example", "traceparent": TRACE})
    assert (refused.status, refused.headers["x-request-id"]) == (403, trace_id(TRACE))
    failed = await request(app, "GET", "/v1/stumbles/later", headers={"traceparent": TRACE})
    assert f'"request_id":"{trace_id(TRACE)}"' in failed.events()[-1][1]


async def test_what_is_no_request_passes() -> None:
    passed: list[str] = []

    async def note(scope: dict[str, str], receive: object, send: object) -> None:
        passed.append(scope["type"])

    await Observed(note)({"type": "lifespan"}, None, None)
    assert passed == ["lifespan"]
