"""Before anything is looked at that somebody asks, it is known who it is, and whether he asks too often."""

import asyncio
import re
from collections.abc import AsyncIterator
from uuid import UUID

import pytest
import structlog
from structlog.testing import capture_logs

from services.contracts.settings import GatewaySettings, Quota
from services.gateway.usecases.proxies import Proxied
from services.kernel.errors import Unavailable
from services.kernel.networks import parse_networks
from services.kernel.request import trace_id
from tests.kernel.asgi import request
from tests.services.gateway.hulls import DRUM, HULLS, Hull, opened

LIMITS = GatewaySettings(people=Quota(20, 3600), scripts=Quota(30, 3600), strangers=Quota(10, 3600))
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture(params=HULLS)
async def hull(request: pytest.FixtureRequest) -> AsyncIterator[Hull]:
    async with opened(request.param, settings=LIMITS) as begun:
        yield begun


async def test_who_is_known_is_limited_by_what_he_is_known_by(hull: Hull) -> None:
    hull.people.add("nightly", kind="token")
    for token, kind, quota in (("jo", "person", 20), ("nightly", "token", 30)):
        for left in range(quota - 1, -1, -1):
            reply = await hull.get(token=token)
            assert reply.status == 200
            assert reply.headers["ratelimit-policy"] == f'"{kind}";q={quota};w=3600'
            assert reply.headers["ratelimit"].startswith(f'"{kind}";r={left};t=')
        reply = await hull.get(token=token)
        assert (reply.status, reply.json()["code"]) == (429, "limited")
        assert reply.headers["ratelimit"] == f'"{kind}";r=0;t={reply.headers["retry-after"]}'
        assert reply.headers["ratelimit-policy"] == f'"{kind}";q={quota};w=3600'


async def test_another_session_from_there_goes_on(hull: Hull) -> None:
    hull.people.add("ann")
    while (await hull.get(token="jo")).status == 200:
        pass
    assert (await hull.get(token="ann")).status == 200


@pytest.mark.parametrize("token", ["", "no-good", "{}"])
async def test_who_is_not_known_is_limited_by_his_address(hull: Hull, token: str) -> None:
    replies = [await hull.get(token=token.format(number)) for number in range(12)]
    assert [reply.status for reply in replies] == [401] * 10 + [429] * 2
    assert replies[0].headers["ratelimit-policy"] == '"address";q=10;w=3600'
    assert replies[-1].headers["ratelimit"] == f'"address";r=0;t={replies[-1].headers["retry-after"]}'
    assert (await hull.get(token="jo")).status == 429, "nobody looks at what strangers bring from there"
    assert hull.people.asked == (10 if token else 0)


async def test_who_is_known_already_is_not_held_up_by_strangers_of_his_address(hull: Hull) -> None:
    assert (await hull.get(token="jo")).status == 200
    while (await hull.get(token="no-good")).status == 401:
        pass
    assert (await hull.get(token="jo")).status == 200


async def test_a_token_that_turns_out_to_be_good_costs_its_address_nothing(hull: Hull) -> None:
    for number in range(50):
        hull.people.add(f"session-{number}")
        assert (await hull.get(token=f"session-{number}")).status == 200
    assert (await hull.get(token="")).headers["ratelimit"].startswith('"address";r=9;')


async def test_all_that_strangers_ask_counts_but_whether_it_lives(hull: Hull) -> None:
    for path in ("/api/docs", "/api/openapi.json", "/api/v1/nowhere", "/api", "/", "/nowhere", "/health/ready"):
        reply = await request(hull.app, "GET", path)
        assert "ratelimit" in reply.headers
    assert reply.headers["ratelimit"].startswith('"address";r=3;')
    for _ in range(20):
        assert (await request(hull.app, "GET", "/health/live")).status == 200
    while (await request(hull.app, "GET", "/api/docs")).status == 200:
        pass
    assert (await request(hull.app, "GET", "/health/live")).status == 200
    assert (await request(hull.app, "GET", "/health/ready")).status == 429


async def test_who_may_get_something_is_told_that_he_may_ask_for_its_head(hull: Hull) -> None:
    for path, said in (("looks", {"GET", "HEAD"}), ("drums/a", {"POST"})):
        reply = await request(hull.app, "DELETE", f"/api/v1/{path}", headers={"Authorization": "Bearer jo"})
        allowed = set(reply.headers["allow"].split(", ")) - {"OPTIONS"}
        assert (reply.status, reply.json()["code"], allowed) == (405, "not_allowed", said)


@pytest.mark.parametrize("key", ["a", "83-c_f", '"in quotes"', "a/b:c+d=", "~" * 255, "a b", '"', "", "x" * 256, "é"])
async def test_the_document_says_which_keys_are_taken(hull: Hull, key: str) -> None:
    described = (await request(hull.app, "GET", "/api/openapi.json")).json()
    parameters = described["paths"][f"/api{DRUM.path}"]["post"]["parameters"]
    (pattern,) = (each["schema"]["pattern"] for each in parameters if each["name"] == "Idempotency-Key")
    reply = await hull.post("drums/a", key=key)
    assert reply.status == (200 if re.search(pattern, key) else 400)


async def test_a_spoofed_address_gets_nobody_another_quota(hull: Hull) -> None:
    async def ask(number: int, *trusted: str) -> int:
        app = Proxied(hull.app, parse_networks(trusted))
        headers = {"X-Forwarded-For": f"198.51.100.{number}, 192.0.2.7", "Forwarded": f"for=198.51.100.{number}"}
        return (await request(app, "GET", "/api/v1/looks", headers=headers)).status

    assert [await ask(number) for number in range(12)] == [401] * 10 + [429] * 2
    assert [await ask(number, "127.0.0.0/8") for number in range(12)] == [401] * 10 + [429] * 2


async def test_who_asks_is_in_the_workspace_and_at_the_address_that_are_his(hull: Hull) -> None:
    hull.people.add("elsewhere", workspace=UUID(int=8))
    replies = await asyncio.gather(*(hull.post("drums/a", token=token) for token in ("jo", "elsewhere") * 8))
    assert {reply.status for reply in replies} == {200}


# Request ids


async def test_every_answer_says_an_id_that_is_in_every_log(hull: Hull) -> None:
    hull.drums.error = Unavailable("away")
    with capture_logs(processors=[structlog.contextvars.merge_contextvars]) as logged:
        replies = [
            await hull.get(),
            await hull.get(token="no-good"),
            await hull.get("nowhere"),
            await hull.post("drums/a"),
            await hull.post("drums/a", key="a b"),
            await request(hull.app, "GET", "/api/docs"),
            await request(hull.app, "GET", "/health/live"),
        ]
        while (limited := await hull.get()).status != 429:
            pass
    for reply in (*replies[:-1], limited):
        lines = [
            line for line in logged if line["event"] == "request" and line["trace"] == reply.headers["x-request-id"]
        ]
        assert lines, reply
        if reply.status >= 400:
            assert reply.json()["request_id"] == reply.headers["x-request-id"]
    assert len({reply.headers["x-request-id"] for reply in replies}) == len(replies)


async def test_an_id_is_of_the_trace_of_who_asks_and_no_text_of_his(hull: Hull) -> None:
    async def ids(**headers: str) -> str:
        said = {name.replace("_", "-"): value for name, value in headers.items()}
        return (await request(hull.app, "GET", "/api/v1/looks", headers=said)).headers["x-request-id"]

    assert await ids(traceparent=TRACE) == trace_id(TRACE)
    for hostile in ("no trace", "00-" + "0" * 32 + "-b7ad6b7169203331-01", TRACE.upper(), TRACE + "\r\nX: y"):
        made = await ids(traceparent=hostile, x_request_id="a text of his")
        assert len(made) == 32
        assert int(made, 16)
        assert made not in hostile.lower()
