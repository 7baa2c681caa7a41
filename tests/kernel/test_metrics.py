"""What a process measures is written as Prometheus reads it, and nothing before somebody wants it."""

import asyncio
import re
from collections.abc import Iterable

import pytest

from services.kernel import metrics
from services.kernel.errors import Conflict, Unavailable
from services.kernel.metrics import Sample
from tests.kernel.asgi import request
from tests.kernel.organ import Organ, compose_app


@pytest.fixture(autouse=True)
def _none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "_metrics", None)


async def lines(name: str) -> dict[str, float]:
    """The samples that begin so: what is in braces, and the value."""
    found = re.findall(rf"(?m)^{name}(?:{{(.*)}})? (\S+)$", (await metrics.render()).decode())
    return {labels: float(value) for labels, value in found}


async def test_nothing_is_measured_before_it_is_wanted() -> None:
    async def read() -> Iterable[Sample]:
        raise AssertionError

    metrics.read_with(read)()
    with metrics.batch("ear__listen", 3), metrics.call("ear", "heard"):
        metrics.request("heard", 200, 0.1)
    assert await metrics.render() == b""


async def test_batches_and_calls_are_counted_by_how_they_ended() -> None:
    metrics.start()
    with metrics.batch("ear__listen", 3), metrics.call("ear", "heard"):
        pass
    for error in (Conflict, ZeroDivisionError, asyncio.CancelledError):
        with pytest.raises(error), metrics.batch("ear__listen", 3), metrics.call("ear", "heard"):
            raise error
    outcomes = ("ok", "conflict", "internal", "cancelled")
    assert await lines("mirage_messages_total") == {
        f'consumer="ear__listen",outcome="{outcome}"': 3.0 for outcome in outcomes
    }
    assert await lines("mirage_call_seconds_count") == {
        f'endpoint="heard",outcome="{outcome}",service="ear"': 1.0 for outcome in outcomes
    }


async def test_what_is_read_when_somebody_looks_is_as_it_is_then() -> None:
    metrics.start()
    now = [1.0]

    async def read() -> Iterable[Sample]:
        return [
            Sample("level", now[0]),
            Sample("waiting", now[0], {"consumer": "a"}),
            Sample("waiting", 9, {"consumer": "b"}),
        ]

    end = metrics.read_with(read)
    assert await lines("mirage_level") == {"": 1.0}
    now[0] = 2.0
    assert await lines("mirage_waiting") == {'consumer="a"': 2.0, 'consumer="b"': 9.0}
    end()
    end()
    assert await lines("mirage_level") == {}


@pytest.mark.parametrize("away", ["says so", "hangs"])
async def test_what_cannot_be_measured_hides_nothing_else(away: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "READING", 0.01)
    metrics.start()

    async def level() -> Iterable[Sample]:
        return [Sample("level", 1.0)]

    async def of_a_server_that_is_away() -> Iterable[Sample]:
        if away == "hangs":
            await asyncio.Event().wait()
        raise Unavailable("it is away")

    metrics.read_with(of_a_server_that_is_away)
    metrics.read_with(level)
    assert await lines("mirage_level") == {"": 1.0}


async def test_requests_are_counted_by_endpoint_and_status_whatever_their_path() -> None:
    metrics.start()
    app = compose_app(Organ())
    for path in ("/v1/errors/Conflict", "/v1/errors/NotFound", "/v1/notes", "/nowhere/at/all"):
        await request(app, "GET", path)
    assert await lines("mirage_request_seconds_count") == {
        'endpoint="fail",status="409"': 1.0,
        'endpoint="fail",status="404"': 1.0,
        'endpoint="listen",status="200"': 1.0,
        'endpoint="other",status="404"': 1.0,
    }
    reply = await request(app, "GET", "/metrics")
    assert (reply.status, reply.headers["content-type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    assert b"process_cpu_seconds_total" in reply.body
