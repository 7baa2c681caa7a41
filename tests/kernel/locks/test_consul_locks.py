"""What holds for locks in Consul alone: it may be away, hang or forget, and holders may die."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from services.kernel.consul import Consul, Pair
from services.kernel.errors import Unavailable
from services.kernel.locks import consul as under_test
from services.kernel.locks.consul import GIVE_UP_SECONDS, LOCK_DELAY, ConsulLocks
from services.kernel.server import Server
from tests.servers.running import Server as Running

pytestmark = pytest.mark.server

ROOT = Path(__file__).parents[3]

Open = Callable[[str], ConsulLocks]


@pytest.fixture
async def open_one() -> AsyncIterator[Open]:
    opened: list[ConsulLocks] = []

    def begin(url: str) -> ConsulLocks:
        opened.append(ConsulLocks(Server.parse(url)))
        return opened[-1]

    yield begin
    for locks in opened:
        await locks.close()


@pytest.fixture
async def client(consul_url: str) -> AsyncIterator[Consul]:
    opened = Consul(Server.parse(consul_url))
    yield opened
    await opened.close()


class Holder:
    """A task that holds a lock until it is told to leave, and notes what became of it."""

    def __init__(self, locks: ConsulLocks) -> None:
        self.token = 0
        self.entered = asyncio.Event()
        self.cancelled = asyncio.Event()
        self.ended = asyncio.Event()
        self.leave = asyncio.Event()
        self.task = asyncio.create_task(self._hold(locks))

    async def _hold(self, locks: ConsulLocks) -> None:
        async with locks.held("work") as token:
            self.token = token
            self.entered.set()
            try:
                await self.leave.wait()
            except asyncio.CancelledError:
                self.cancelled.set()
                await asyncio.sleep(0.2)
                self.ended.set()
                raise


async def test_a_lock_whose_session_is_ended_by_force_is_lost_at_once(
    consul_url: str, open_one: Open, client: Consul
) -> None:
    here, there = open_one(consul_url), open_one(consul_url)
    first = Holder(here)
    await first.entered.wait()
    second = Holder(there)
    _, pair = await client.get(f"{client.server.path}/lock/work")
    assert pair is not None
    await client.end_session(pair.session)
    async with asyncio.timeout(20):
        # The lock delay gives it the time to end before another has it.
        await first.ended.wait()
        assert not second.entered.is_set()
        with pytest.raises(Unavailable, match="the lock work was lost"):
            await first.task
        await second.entered.wait()
    assert second.token > first.token
    assert here.measures()["lost"] == 1
    second.leave.set()
    await second.task
    assert there.measures() | {"calls": 0} == {"calls": 0, "held": 0, "taken": 1, "lost": 0}


async def test_a_lock_that_is_given_back_may_be_taken_at_once(consul_url: str, open_one: Open, client: Consul) -> None:
    async with open_one(consul_url).held("work"):
        other = await client.open_session("other", LOCK_DELAY)
        assert not await client.put(f"{client.server.path}/lock/work", b"", acquire=other)
    assert await client.put(f"{client.server.path}/lock/work", b"", acquire=other)
    await client.end_session(other)


@pytest.mark.slow
async def test_a_lock_is_held_for_longer_than_a_session_lasts(consul_url: str, open_one: Open, client: Consul) -> None:
    holder = Holder(open_one(consul_url))
    await holder.entered.wait()
    _, before = await client.get(f"{client.server.path}/lock/work")
    # Long past the time after which Consul ends a session.
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(2.5 * under_test.SESSION_SECONDS):
            await asyncio.shield(holder.task)
    assert (await client.get(f"{client.server.path}/lock/work"))[1] == before
    holder.leave.set()
    await holder.task


async def test_a_holder_keeps_its_lock_while_consul_is_started_again(
    own_server: Callable[[str], Running], open_one: Open
) -> None:
    consul = own_server("consul")
    here, there = open_one(consul.url), open_one(consul.url)
    holder = Holder(here)
    await holder.entered.wait()
    consul.kill()
    with pytest.raises(Unavailable):
        async with there.held("work"):
            pass
    # In a thread: the holder goes on meanwhile.
    await asyncio.to_thread(consul.start)
    second = Holder(there)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await asyncio.shield(second.entered.wait())
    assert not holder.cancelled.is_set()
    holder.leave.set()
    await holder.task
    async with asyncio.timeout(20):
        await second.entered.wait()
    assert second.token > holder.token
    second.leave.set()
    await second.task


async def test_a_holder_gives_up_when_consul_hangs_before_another_can_have_the_lock(
    own_server: Callable[[str], Running], open_one: Open
) -> None:
    consul = own_server("consul")
    here, there = open_one(consul.url), open_one(consul.url)
    holder = Holder(here)
    await holder.entered.wait()
    second = Holder(there)
    while there.measures()["calls"] < 2:  # it knows that the lock is held, and waits for news
        await asyncio.sleep(0.01)
    with consul.held():
        async with asyncio.timeout(60):
            await holder.cancelled.wait()
            with pytest.raises(Unavailable, match="the lock work was lost"):
                await holder.task
    assert not second.entered.is_set()
    assert GIVE_UP_SECONDS < under_test.SESSION_SECONDS + LOCK_DELAY
    async with asyncio.timeout(60):
        await second.entered.wait()
    assert second.token > holder.token
    second.leave.set()
    await second.task


async def test_a_holder_gives_up_when_consul_has_forgotten_the_lock(
    own_server: Callable[[str], Running], open_one: Open
) -> None:
    consul = own_server("consul")
    holder = Holder(open_one(consul.url))
    await holder.entered.wait()
    consul.kill()
    for path in sorted(consul.folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    await asyncio.to_thread(consul.start)
    async with asyncio.timeout(30):
        with pytest.raises(Unavailable, match="the lock work was lost"):
            await holder.task


DYING = """
import asyncio, sys
from services.kernel.locks.consul import ConsulLocks
from services.kernel.server import Server

async def main():
    async with ConsulLocks(Server.parse(sys.argv[1])).held("work") as token:
        print(token, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.mark.slow
async def test_the_lock_of_a_holder_that_died_goes_to_another(consul_url: str, open_one: Open) -> None:
    dying = await asyncio.create_subprocess_exec(
        sys.executable, "-c", DYING, consul_url, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert dying.stdout is not None
    token = int(await dying.stdout.readline())
    dying.kill()
    await dying.wait()
    holder = Holder(open_one(consul_url))
    async with asyncio.timeout(90):
        await holder.entered.wait()
    assert holder.token > token
    holder.leave.set()
    await holder.task


class Leaping(asyncio.SelectorEventLoop):
    """A loop whose clock leaps to when the next thing is due, so that a slow server is slow by as much, and no more."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0
        self._select, self._selector.select = self._selector.select, self._leap  # type: ignore[attr-defined]

    def time(self) -> float:
        return self._now

    def _leap(self, timeout: float | None = None) -> Any:
        self._now += timeout or 0.0
        return self._select(0)


class SlowConsul:
    """Grants everything, each call after so many seconds."""

    def __init__(self, seconds: float) -> None:
        self.renewed = 0
        self._seconds = seconds
        self._session = ""

    async def get(self, key: str, index: int = 0, wait: float = 0.0) -> tuple[int, Pair | None]:
        await asyncio.sleep(wait if index else self._seconds)
        return 5, Pair(key, b"", 5, 1, self._session) if self._session else None

    async def open_session(self, name: str, lock_delay: int) -> str:
        await asyncio.sleep(self._seconds)
        return "session"

    async def put(self, key: str, value: bytes, *, acquire: str = "", release: str = "") -> bool:
        await asyncio.sleep(self._seconds)
        self._session = acquire
        return True

    async def renew_session(self, id: str) -> None:
        await asyncio.sleep(self._seconds)
        self.renewed += 1

    async def end_session(self, id: str) -> None: ...

    async def close(self) -> None: ...


@pytest.mark.parametrize("seconds", [0.0, 0.7, 1.2])
def test_a_lock_can_be_kept_where_consul_is_slow(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    slow = SlowConsul(seconds)
    monkeypatch.setattr(under_test, "Consul", lambda _: slow)

    async def hold() -> None:
        locks = ConsulLocks(Server.parse("consul://localhost"))
        async with locks.held("work"):
            await asyncio.sleep(100)
        await locks.close()

    with asyncio.Runner(loop_factory=Leaping) as runner:
        runner.run(hold())
    assert slow.renewed > 20


async def test_a_lock_that_nobody_keeps_any_more_is_lost(consul_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: object) -> None:
        raise KeyError("a fault")

    monkeypatch.setattr(under_test.Consul, "renew_session", fail)
    monkeypatch.setattr(under_test, "RENEW_SECONDS", 0.0)
    locks = ConsulLocks(Server.parse(consul_url))
    async with asyncio.timeout(30):
        with pytest.raises(Unavailable, match="the lock work was lost"):
            async with locks.held("work"):
                await asyncio.Event().wait()
    await locks.close()
