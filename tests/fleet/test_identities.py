"""Whatever goes away of a fleet while it is asked: nobody is let in who should not be, and all others are again."""

import asyncio
import logging
import os
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import aiohttp
import pytest
from msgspec import Struct

from services.cli.rendering.jobs import job_name
from services.contracts.access import SCRIPT
from services.contracts.endpoints import RESET_PASSWORD
from services.contracts.resources import Reset
from services.gateway.usecases.identities import SILENCE
from services.kernel.calls import operator
from services.kernel.messages import EVERYWHERE
from services.kernel.scheduler.nomad import Nomad
from services.kernel.tokens import make_token
from tests.fleet.faults import family, held
from tests.fleet.running import PASSWORD, Fleet, eventually, instances

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.timeout(900)]

#: `-o addopts=--import-mode=importlib --log-cli-level=info` shows what it took.
MEASURED = logging.getLogger("measured")
#: Seconds between two questions of one who asks, and for which an answer is waited for.
PAUSE: Final = 0.02
WAITING: Final = 15.0
#: What a question may come to whose asker is good: an answer, or that it cannot be known now, or nobody there.
AWAY: Final = 0
HARMLESS: Final = {200, 503, AWAY}


class Answered(Struct, frozen=True):
    """A question: when it was asked and answered (seconds of one clock), and with which status."""

    asked: float
    at: float
    status: int


class Asking:
    """Asks the gateway again and again by several tokens, each by its name."""

    def __init__(self, server: str, tokens: Mapping[str, str]) -> None:
        self._server = server
        self._tokens = tokens
        self.heard: dict[str, list[Answered]] = {name: [] for name in tokens}

    @asynccontextmanager
    async def going_on(self) -> AsyncIterator[None]:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=WAITING)) as http:
            asking = [asyncio.create_task(self._ask(http, name)) for name in self._tokens]
            try:
                yield
            finally:
                for task in asking:
                    task.cancel()
                await asyncio.gather(*asking, return_exceptions=True)

    async def _ask(self, http: aiohttp.ClientSession, name: str) -> None:
        while True:
            asked = time.monotonic()
            status = await answer(http, f"{self._server}/api/v1/scans", self._tokens[name])
            self.heard[name].append(Answered(asked, time.monotonic(), status))
            await asyncio.sleep(PAUSE)

    async def hears(self, name: str, status: int) -> float:
        """Wait until a question that is asked from now on is answered so; return how long that takes, in seconds."""
        since = time.monotonic()

        async def heard() -> float:
            return next(
                (each.at - since for each in self.heard[name] if each.asked >= since and each.status == status), 0.0
            )

        return await eventually(heard)

    def statuses(self, name: str, since: float = 0.0) -> Counter[int]:
        return Counter(each.status for each in self.heard[name] if each.asked >= since)


async def answer(http: aiohttp.ClientSession, url: str, token: str) -> int:
    try:
        async with http.get(url, headers={"Authorization": f"Bearer {token}"}) as reply:
            await reply.read()
            return reply.status
    except (aiohttp.ClientError, OSError, TimeoutError):
        return AWAY


async def post(fleet: Fleet, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"{fleet.server}/api/v1/{path}", json=body, raise_for_status=True) as reply,
    ):
        answered: dict[str, Any] = await reply.json()
        return answered


async def logged_in(fleet: Fleet, email: str = "jo@example.org") -> dict[str, Any]:
    step = await post(fleet, "sessions", {"email": email, "password": PASSWORD})
    session: dict[str, Any] = step["session"]
    return session


async def end(fleet: Fleet, session: Mapping[str, Any]) -> float:
    """End a session; return when that was answered."""
    async with (
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {session['access']}"}) as http,
        http.delete(f"{fleet.server}/api/v1/session", raise_for_status=True),
    ):
        return time.monotonic()


@asynccontextmanager
async def asking(fleet: Fleet) -> AsyncIterator[Asking]:
    """One who may, one whose session has ended, and one with a token that nobody made; of these two none is let in."""
    here, gone = await logged_in(fleet), await logged_in(fleet)
    await end(fleet, gone)
    tokens = {"good": here["access"], "ended": gone["access"], "made up": make_token(SCRIPT)}
    made = Asking(fleet.server, tokens)
    async with made.going_on():
        await made.hears("ended", 401)
        since = time.monotonic()
        yield made
        await made.hears("good", 200)
    for name in ("ended", "made up"):
        assert made.statuses(name, since)[200] == 0, (name, made.statuses(name, since))
    assert set(made.statuses("good")) <= HARMLESS, made.statuses("good")


async def process(fleet: Fleet, nomad: Nomad, service: str) -> int:
    """The process of the one instance of a service."""

    async def found() -> int:
        (allocation,) = await instances(nomad, service)
        return fleet.process_of(allocation)

    return await eventually(found)


async def test_what_is_revoked_lets_nobody_in_from_a_moment_on(fleet: Fleet) -> None:
    took = []
    for _ in range(5):
        session = await logged_in(fleet)
        made = Asking(fleet.server, {"it": session["access"]})
        async with made.going_on():
            await made.hears("it", 200)
            ended = await end(fleet, session)
            await made.hears("it", 401)
        last = max((each.asked for each in made.heard["it"] if each.status == 200), default=ended)
        took.append(max(0.0, last - ended))
        first = next(index for index, each in enumerate(made.heard["it"]) if each.status == 401)
        assert {each.status for each in made.heard["it"][first:]} == {401}
    MEASURED.info(f"let in for {max(took):.2f} s at most after a session was ended")


async def test_without_auth_nobody_is_let_in_who_was_not_and_after_a_while_nobody_at_all(fleet: Fleet) -> None:
    nomad = fleet.nomad()
    try:
        async with fleet.unscaled(), asking(fleet) as made:
            with held([await process(fleet, nomad, "auth")]):
                held_since = time.monotonic()
                await made.hears("good", 503)
                silent = time.monotonic()
                await asyncio.sleep(2 * PAUSE)
                assert made.statuses("good", silent)[200] == 0
                assert silent - held_since > SILENCE - 1.5, "it is well for as long as a heartbeat is good"
            MEASURED.info(f"let in again {await made.hears('good', 200):.1f} s after auth went on")
            os.kill(await process(fleet, nomad, "auth"), signal.SIGKILL)
            await eventually(fleet.well)
    finally:
        await nomad.close()


async def test_a_gateway_that_begins_anew_knows_what_was_revoked_before_it_lets_anybody_in(fleet: Fleet) -> None:
    nomad = fleet.nomad()
    try:
        async with fleet.unscaled(), asking(fleet) as made:
            os.kill(killed := await process(fleet, nomad, "gateway"), signal.SIGKILL)
            await made.hears("good", AWAY)

            async def another() -> bool:
                return await process(fleet, nomad, "gateway") != killed

            await eventually(another)
            await made.hears("good", 200)
    finally:
        await nomad.close()


async def test_what_was_revoked_while_a_gateway_stood_still_lets_nobody_in_after_it(fleet: Fleet) -> None:
    """It does not know for how long it has stood; a session that others have ended meanwhile is over for it, too."""
    nomad = fleet.nomad()
    try:
        async with fleet.unscaled():
            code = fleet.ask("members", "invite", "mo@example.org").strip()
            await post(fleet, "accounts", {"code": code, "name": "Mo", "password": PASSWORD})
            session = await logged_in(fleet, "mo@example.org")
            made = Asking(fleet.server, {"it": session["access"]})
            async with made.going_on():
                await made.hears("it", 200)
                gateway = await process(fleet, nomad, "gateway")
                code = fleet.fleet("reset", "mo@example.org").stdout.strip()
                with held([gateway]):
                    await choose(fleet, code)
                    await asyncio.sleep(SILENCE + 1)
                    gone_on = time.monotonic()
                await made.hears("it", 401)
            assert made.statuses("it", gone_on)[200] == 0, made.statuses("it", gone_on)
    finally:
        await nomad.close()


async def choose(fleet: Fleet, code: str) -> None:
    """Choose the same password again by a code, which ends all sessions: asked of auth itself, past the gateway."""
    async with fleet.deployment.calls() as calls:
        await calls.ask(RESET_PASSWORD, Reset(reset=code, password=PASSWORD), operator(EVERYWHERE))


async def test_without_redis_all_goes_on(fleet: Fleet) -> None:
    nomad = fleet.nomad()
    try:
        (redis,) = [each.id for each in (await nomad.status(job_name("redis"))).allocations if each.runs]
        processes = family(fleet.process_of(redis))
        async with asking(fleet) as made:
            with held(processes):
                since = time.monotonic()
                await made.hears("good", 200)
                assert (await logged_in(fleet))["access"]
            for each in processes:
                os.kill(each, signal.SIGKILL)
            await made.hears("good", 200)
            assert made.statuses("good", since)[503] == 0, made.statuses("good", since)
            await eventually(fleet.well)
    finally:
        await nomad.close()
