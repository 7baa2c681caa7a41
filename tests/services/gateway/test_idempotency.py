"""With a key a question is done once in both hulls, and whoever asks again is told what came of it."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from uuid import UUID

import pytest

from services.gateway.usecases import idempotency as module
from services.gateway.usecases.idempotency import (
    CLAIMED,
    IN_FLEET,
    IN_PROCESS,
    KEPT,
    KEPT_NO,
    LARGEST,
    LEAST,
    KeptAnswer,
    KeptAnswers,
)
from services.kernel.cache import Bucket
from services.kernel.cache.memory import MAX_BYTES, MAX_VALUES, MemoryCache
from services.kernel.calls import Caller
from services.kernel.errors import Conflict, Denied, Invalid, Limited, MirageError, Unavailable
from tests.kernel.asgi import Reply
from tests.services.gateway.hulls import HULLS, Hull, opened

KEY = "8e03978e-40d5-43dd-bc93-6894a57f9324"
SECRET = "a-secret-that-is-shown-once"


class Cache(MemoryCache):
    """A cache that may be away, and shows what is in it."""

    def __init__(self) -> None:
        self.seconds = 1000.0
        super().__init__(clock=lambda: self.seconds)
        self.away = False
        self.forgets = False
        self.kept: dict[str, bytes] = {}

    async def get(self, key: str) -> bytes | None:
        self._look()
        return await super().get(key)

    async def set(self, key: str, value: bytes, seconds: float) -> None:
        self._look()
        if self.forgets:
            raise Unavailable("there is no room")
        self.kept[key] = value
        await super().set(key, value, seconds)

    def _look(self) -> None:
        if self.away:
            raise Unavailable("the cache is away")


@pytest.fixture
def cache() -> Cache:
    return Cache()


@pytest.fixture(params=HULLS)
async def hull(request: pytest.FixtureRequest, cache: Cache) -> AsyncIterator[Hull]:
    async with opened(request.param, cache=cache) as begun:
        yield begun


def replayed(reply: Reply) -> bool:
    return reply.headers.get("idempotent-replayed") == "true"


@pytest.mark.parametrize("again", [KEY, f'"{KEY}"'])
async def test_the_same_again_gets_the_same_answer_and_is_done_once(hull: Hull, again: str) -> None:
    first = await hull.post("drums/a", {"sound": "bang"}, key=KEY)
    second = await hull.post("drums/a", {"sound": "bang"}, key=again)
    assert (first.status, first.json()) == (200, {"number": 1, "sound": "bang"})
    assert (second.status, second.body, second.headers["content-type"]) == (
        200, first.body, first.headers["content-type"]
    )  # fmt: skip
    assert (replayed(first), replayed(second)) == (False, True)
    assert hull.drums.beaten == 1


async def test_without_a_key_it_is_done_as_often_as_it_is_asked(hull: Hull) -> None:
    assert [(await hull.post("drums/a")).json()["number"] for _ in range(3)] == [1, 2, 3]


@pytest.mark.parametrize("again", [{"sound": "bong"}, {"sound": "boom", "times": 1}])
async def test_another_question_with_that_key_is_refused(hull: Hull, again: dict[str, object]) -> None:
    await hull.post("drums/a", {"sound": "boom"}, key=KEY)
    reply = await hull.post("drums/a", again, key=KEY)
    assert (reply.status, reply.json()["code"], reply.headers["content-type"]) == (
        422, "key_reused", "application/problem+json"
    )  # fmt: skip
    assert hull.drums.beaten == 1


async def test_what_is_being_done_is_not_begun_again(hull: Hull) -> None:
    hull.drums.gate.clear()
    first = asyncio.create_task(hull.post("drums/a", key=KEY))
    await asyncio.wait_for(hull.drums.begun.wait(), 30)
    reply = await hull.post("drums/a", key=KEY)
    assert (reply.status, reply.json()["code"], reply.headers["retry-after"]) == (409, "in_progress", "1")
    hull.drums.gate.set()
    assert (await first).status == 200
    assert replayed(await hull.post("drums/a", key=KEY))
    assert hull.drums.beaten == 1


async def test_of_many_at_once_one_is_done(hull: Hull) -> None:
    replies = await asyncio.gather(*(hull.post("drums/a", key=KEY) for _ in range(20)))
    assert {reply.status for reply in replies} <= {200, 409}
    assert hull.drums.beaten == 1


async def test_what_somebody_left_is_done_to_its_end_and_told_him_when_he_comes_again(hull: Hull) -> None:
    hull.drums.gate.clear()
    leaving = asyncio.Event()

    async def leave() -> None:
        await hull.drums.begun.wait()
        leaving.set()
        await asyncio.sleep(0)
        hull.drums.gate.set()

    left = asyncio.create_task(leave())
    await hull.post("drums/a", {"sound": "bang"}, key=KEY, leaving=leaving)
    await left
    reply = await hull.post("drums/a", {"sound": "bang"}, key=KEY)
    assert (replayed(reply), reply.json()) == (True, {"number": 1, "sound": "bang"})


async def test_whoever_else_asks_with_that_key_asks_something_else(hull: Hull) -> None:
    jo = hull.people.known["Bearer jo"]
    hull.people.add("jo-elsewhere", account=jo.account, workspace=UUID(int=8))
    hull.people.add("ann")
    hull.people.add("script", kind="token", account=jo.account)
    hull.people.add("other-script", kind="token", account=jo.account)
    for token in hull.people.known:
        assert not replayed(await hull.post("drums/a", key=KEY, token=token.removeprefix("Bearer ")))
    assert not replayed(await hull.post("drums/b", key=KEY))
    assert not replayed(await hull.post("knocks/a", key=KEY))
    assert not replayed(await hull.post("drums/a", key=KEY[:-1]))
    assert hull.drums.beaten == len(hull.people.known) + 3


async def test_a_person_who_logged_in_again_is_the_same(hull: Hull) -> None:
    jo = hull.people.known["Bearer jo"]
    await hull.post("drums/a", key=KEY)
    hull.people.add("jo-later", account=jo.account, workspace=jo.workspace)
    assert replayed(await hull.post("drums/a", key=KEY, token="jo-later"))


@pytest.mark.parametrize("error", [Unavailable("away"), Limited("too often"), MirageError("a fault")])
async def test_what_failed_may_be_tried_again(hull: Hull, error: MirageError) -> None:
    hull.drums.error = error
    assert (await hull.post("drums/a", key=KEY)).status in {429, 500, 503}
    hull.drums.error = None
    reply = await hull.post("drums/a", key=KEY)
    assert (reply.status, replayed(reply)) == (200, False)
    assert replayed(await hull.post("drums/a", key=KEY))


@pytest.mark.parametrize("error", [Conflict("it cannot be"), Invalid("it makes no sense"), Denied("you may not")])
async def test_a_no_is_an_answer(hull: Hull, error: MirageError) -> None:
    hull.drums.error = error
    first = await hull.post("drums/a", key=KEY)
    hull.drums.error = None
    second = await hull.post("drums/a", key=KEY)
    assert (second.status, second.json()["detail"], replayed(second)) == (first.status, str(error), True)


async def test_who_may_not_ask_any_more_is_not_told_either(hull: Hull) -> None:
    await hull.post("drums/a", key=KEY)
    jo = hull.people.known["Bearer jo"]
    hull.people.add("jo", account=jo.account, workspace=jo.workspace)
    hull.people.known["Bearer jo"] = type(jo)(jo.workspace, "jo", account=jo.account, session=jo.session)
    assert (await hull.post("drums/a", key=KEY)).status == 403


async def test_who_is_not_known_has_no_keys(hull: Hull) -> None:
    for _ in range(2):
        assert (await hull.post("knocks/a", key=KEY, token="")).status == 200
    assert hull.drums.beaten == 2


async def test_a_day_later_it_is_another_question(hull: Hull, cache: Cache) -> None:
    await hull.post("drums/a", key=KEY)
    cache.seconds += KEPT - 1
    assert replayed(await hull.post("drums/a", key=KEY))
    cache.seconds += 2
    assert not replayed(await hull.post("drums/a", key=KEY))


@pytest.mark.parametrize("times", [LARGEST, 4 * LARGEST])
async def test_an_answer_that_is_too_large_is_given_once_and_not_done_twice(hull: Hull, times: int) -> None:
    body = {"sound": "b", "times": times}
    first = await hull.post("drums/a", body, key=KEY)
    assert first.json()["sound"] == "b" * times
    second = await hull.post("drums/a", body, key=KEY)
    assert (second.status, second.json()["code"]) == (409, "conflict")
    assert "was done before" in second.json()["detail"]
    assert hull.drums.beaten == 1


async def test_a_stream_is_no_answer_that_is_kept(hull: Hull) -> None:
    for _ in range(2):
        reply = await hull.post("marches/a", {"times": 2}, key=KEY)
        assert [name for name, _ in reply.events()] == ["", "", "end"]
    assert hull.drums.beaten == 2


async def test_what_is_shown_once_is_not_in_the_cache(hull: Hull, cache: Cache) -> None:
    for token in ("jo", "ann"):
        hull.people.add(token)
        reply = await hull.post("drums/a", {"sound": SECRET}, key=SECRET, token=token)
        assert SECRET in reply.body.decode()
    assert len(cache.kept) == 2
    seen = repr(cache.kept) + repr(cache._counters) + repr(cache._levels)
    assert SECRET not in seen
    one, other = cache.kept.values()
    assert one[12:28] != other[12:28]


async def test_an_answer_that_was_altered_or_put_in_the_place_of_another_is_none(hull: Hull, cache: Cache) -> None:
    await hull.post("drums/a", key="one")
    await hull.post("drums/a", key="other")
    one, other = cache.kept
    await cache.set(one, cache.kept[other], KEPT)
    reply = await hull.post("drums/a", key="one")
    assert (reply.status, reply.json()["code"]) == (409, "conflict")
    assert hull.drums.beaten == 2


async def test_while_the_cache_is_away_nothing_is_done_twice(hull: Hull, cache: Cache) -> None:
    await hull.post("drums/a", key=KEY)
    cache.away = True
    reply = await hull.post("drums/a", key=KEY)
    assert (reply.status, reply.json()["code"]) == (503, "unavailable")
    assert (await hull.post("drums/a", key="new")).status == 503
    assert hull.drums.beaten == 1
    assert (await hull.post("drums/a")).status == 200
    cache.away = False
    assert replayed(await hull.post("drums/a", key=KEY))
    assert (await hull.post("drums/a", key="new")).status == 200


async def test_an_answer_that_cannot_be_kept_is_given(hull: Hull, cache: Cache) -> None:
    cache.forgets = True
    assert (await hull.post("drums/a", key=KEY)).status == 200
    assert (await hull.post("drums/a", key=KEY)).status == 409
    cache.seconds += CLAIMED
    assert (await hull.post("drums/a", key=KEY)).json()["number"] == 2


async def test_no_account_fills_the_cache(hull: Hull, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ROOM", Bucket(rate=1.0, burst=2000))
    body = {"sound": "b", "times": 2000}
    assert (await hull.post("drums/a", body, key="first")).status == 200
    assert (await hull.post("drums/a", body, key="first")).json()["code"] == "conflict"
    for key in ("second", "third"):
        assert (await hull.post("drums/a", key=key)).status == 200
    reply = await hull.post("drums/a", key="fourth")
    assert (reply.status, reply.json()["code"]) == (429, "limited")
    assert int(reply.headers["retry-after"]) > 10
    assert hull.drums.beaten == 3
    assert replayed(await hull.post("drums/a", key="second"))
    hull.people.add("ann")
    assert (await hull.post("drums/a", key="fourth", token="ann")).status == 200


async def test_a_no_is_kept_for_some_minutes_only(hull: Hull, cache: Cache) -> None:
    hull.drums.error = Conflict("it cannot be")
    await hull.post("drums/a", key=KEY)
    hull.drums.error = None
    cache.seconds += KEPT_NO - 1
    assert replayed(await hull.post("drums/a", key=KEY))
    cache.seconds += 2
    assert (await hull.post("drums/a", key=KEY)).status == 200


@pytest.mark.parametrize("size", [LARGEST, LEAST])
async def test_no_answer_is_forgotten_because_of_those_of_others(size: int) -> None:
    cache = Cache()
    answers = KeptAnswers(cache, os.urandom(32), IN_PROCESS)
    kept, refused = list[str](), 0
    for step in range(24):  # each hour of a day somebody keeps as much as he can
        for number in range(10_000):
            name = f"{step}-{number}"
            try:
                assert await answers.claim(name, f"account {step}-{number // 3000}")
            except Limited:
                refused += 1
                break
            await answers.keep(name, f"account {step}-{number // 3000}", KeptAnswer(b"d", 200, (), bytes(size)))
            kept.append(name)
        cache.seconds += 3599.0
    assert refused
    assert len(kept) > 100
    assert all([await answers.find(name) is not None for name in kept])


def test_what_may_be_kept_of_all_is_well_below_what_there_is_room_for() -> None:
    assert 2 * IN_PROCESS.burst / LEAST < MAX_VALUES
    assert 3 * IN_PROCESS.burst <= MAX_BYTES
    assert 4 * IN_FLEET.burst <= 100 << 20, "half of Redis, as jobs/infra/redis.nomad.hcl has it"


async def test_who_asks_again_while_it_is_done_takes_no_more_room(hull: Hull, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ROOM", Bucket(rate=0.001, burst=2 * LEAST))
    hull.drums.gate.clear()
    first = asyncio.create_task(hull.post("drums/a", key=KEY))
    await asyncio.wait_for(hull.drums.begun.wait(), 30)
    assert {(await hull.post("drums/a", key=KEY)).status for _ in range(5)} == {409}
    hull.drums.gate.set()
    await first
    assert (await hull.post("drums/a", key="another")).status == 200


async def test_whoever_is_refused_a_key_may_take_it_once_there_is_room(
    hull: Hull, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ROOM", Bucket(rate=100.0, burst=LEAST))
    assert (await hull.post("drums/a", key="one")).status == 200
    assert (await hull.post("drums/a", key="two")).status == 429
    cache.seconds += LEAST / 100
    assert (await hull.post("drums/a", key="two")).status == 200


async def test_what_is_being_done_for_whom_something_is_revoked_is_not_begun_again(
    cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    revoked = asyncio.Event()

    @contextmanager
    def watched(_: Caller) -> Iterator[asyncio.Event]:
        yield revoked

    async with opened("fleet", cache=cache) as hull:
        monkeypatch.setattr(hull.app, "_watched", watched)
        hull.drums.gate.clear()
        first = asyncio.create_task(hull.post("drums/a", key=KEY))
        await asyncio.wait_for(hull.drums.begun.wait(), 30)
        revoked.set()
        assert (await first).status == 401
        revoked.clear()
        again = await hull.post("drums/a", key=KEY)
        assert (again.status, again.json()["code"]) == (409, "in_progress")
        assert hull.drums.beaten == 1
        hull.drums.gate.set()
        cache.seconds += CLAIMED
        assert (await hull.post("drums/a", key=KEY)).status == 200


@pytest.mark.parametrize("wrong", ["", '""', "a b", 'a"b', '"a', "é", "a" * 256, '"a\tb"'])
async def test_what_is_no_key_is_refused(hull: Hull, wrong: str) -> None:
    reply = await hull.post("drums/a", key=wrong)
    assert (reply.status, reply.json()["code"]) == (400, "invalid")
    assert hull.drums.beaten == 0
