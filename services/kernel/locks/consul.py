"""`locks` in Consul: a key that a session holds, as https://developer.hashicorp.com/consul/docs/dynamic-app-config/sessions
says, given up by the holder itself well before Consul gives it to another.

The token is the key's ``LockIndex``. It begins anew when Consul has lost its data.
"""

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import structlog
from msgspec import Struct

from services.kernel.consul import SESSION_SECONDS, WAIT_SECONDS, Consul, jittered
from services.kernel.errors import MirageError, NotFound, Unavailable
from services.kernel.locks import Locks, check_name
from services.kernel.locks.hold import Hold
from services.kernel.pauses import pauses
from services.kernel.server import Server

#: Seconds for which nobody gets a lock whose session has ended without giving it back.
LOCK_DELAY: Final = 1
#: Seconds after the last renewal that was answered was asked for, until the next one and until a lock is given up; a
#: slow Consul puts neither off. It ends a session after `SESSION_SECONDS` at the earliest, after twice that at the
#: latest.
RENEW_SECONDS: Final = SESSION_SECONDS / 3
GIVE_UP_SECONDS: Final = SESSION_SECONDS / 2
#: Seconds that giving back a lock may take.
RELEASE_SECONDS: Final = 2.0

_log = structlog.get_logger(__name__)


class _Taken(Struct, frozen=True):
    """A lock that is ours; ``since``: when Consul was last asked for something about its session that it granted."""

    key: str
    session: str
    token: int
    since: float


class ConsulLocks(Locks):
    """A path in the URL goes before each key, for fleets that share a Consul."""

    def __init__(self, server: Server, *, wait: float = WAIT_SECONDS) -> None:
        self._consul = Consul(server)
        self._root = f"{server.path}/lock/" if server.path else "lock/"
        self._wait = wait
        self._holder = f"{socket.gethostname()} {os.getpid()}".encode()
        self._holds: set[Hold] = set()
        self._giving_back: set[asyncio.Event] = set()
        self._taken = 0
        self._lost = 0
        self._closed = False

    @asynccontextmanager
    async def held(self, name: str) -> AsyncIterator[int]:
        self._check_open()
        check_name(name)
        taken = await self._take(self._root + name)
        hold, given_back = Hold(name), asyncio.Event()
        self._holds.add(hold)
        self._giving_back.add(given_back)
        self._taken += 1
        keeping = asyncio.create_task(self._keep(hold, taken))
        try:
            with hold:
                yield taken.token
        finally:
            self._holds.discard(hold)
            self._lost += hold.lost
            keeping.cancel()
            await asyncio.wait({keeping})
            try:
                await self._give_back(taken.key, taken.session)
            finally:
                given_back.set()
                self._giving_back.discard(given_back)

    async def ping(self) -> None:
        self._check_open()
        await self._consul.ping()

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        for hold in tuple(self._holds):
            hold.lose("the locks were closed")
            await hold.end()
        for given_back in tuple(self._giving_back):
            await given_back.wait()
        await self._consul.close()

    def measures(self) -> dict[str, float]:
        return {"calls": self._consul.calls, "held": len(self._holds), "taken": self._taken, "lost": self._lost}

    async def _take(self, key: str) -> _Taken:
        tries = pauses(LOCK_DELAY / 4, LOCK_DELAY)
        while True:
            await self._free(key)
            if (taken := await self._try(key)) is not None:
                return taken
            # Another was faster, or its session ended without giving the lock back, and nobody gets it yet.
            await asyncio.sleep(next(tries))

    async def _free(self, key: str) -> None:
        """Wait until no session holds the lock."""
        index = 0
        while True:
            found, pair = await self._consul.get(key, index, jittered(self._wait))
            self._check_open()
            if pair is None or not pair.session:
                return
            index = 0 if found < index else max(found, 1)

    async def _try(self, key: str) -> _Taken | None:
        since = _now()
        session = await self._consul.open_session(key, LOCK_DELAY)
        try:
            if await self._consul.put(key, self._holder, acquire=session):
                _, pair = await self._consul.get(key)
                if pair is not None and pair.session == session:
                    return _Taken(key, session, pair.lock_index, since)
        except BaseException:
            await self._give_back(key, session)
            raise
        await self._give_back(key, session)
        return None

    async def _give_back(self, key: str, session: str) -> None:
        """Let others have the lock at once; where that fails, they have it when the session has run out."""
        with contextlib.suppress(MirageError, TimeoutError):
            async with asyncio.timeout(RELEASE_SECONDS):
                await self._consul.put(key, b"", release=session)
                await self._consul.end_session(session)

    async def _keep(self, hold: Hold, taken: _Taken) -> None:
        """Lose ``hold`` when its session is not renewed in time, or the key says that another has the lock."""
        reason = "keeping it failed"
        try:
            async with contextlib.AsyncExitStack() as stack:
                watching = {asyncio.create_task(each) for each in (self._renew(taken), self._watch(taken))}
                for task in watching:
                    stack.callback(task.cancel)
                done, _ = await asyncio.wait(watching, return_when=asyncio.FIRST_COMPLETED)
            reason = done.pop().result()
        except Exception:  # noqa: BLE001  whatever it is, nobody keeps the lock any more
            _log.exception("a lock is lost by a fault of ours", key=taken.key)
        finally:
            hold.lose(reason)

    async def _renew(self, taken: _Taken) -> str:
        """Renew the session for as long as that works; return why it does not any more."""
        answered = taken.since
        failing = pauses(longest=0.5)
        reason = "its renewal was not answered in time"
        due = answered + RENEW_SECONDS
        try:
            while True:
                async with asyncio.timeout_at(answered + GIVE_UP_SECONDS):
                    await asyncio.sleep(max(0.0, due - _now()))
                    asked = _now()
                    try:
                        await self._consul.renew_session(taken.session)
                    except NotFound:
                        return "its session has ended"
                    except MirageError as error:
                        reason, due = str(error), _now() + next(failing)
                    else:
                        answered, due, failing = asked, asked + RENEW_SECONDS, pauses(longest=0.5)
        except TimeoutError:
            return reason

    async def _watch(self, taken: _Taken) -> str:
        """Return when the key is not held by our session any more; Consul being away says nothing about that."""
        index = 0
        failing = pauses(longest=1.0)
        while True:
            try:
                found, pair = await self._consul.get(taken.key, index, jittered(self._wait))
            except MirageError:
                index = 0
                await asyncio.sleep(next(failing))
                continue
            failing = pauses(longest=1.0)
            if found < index:
                index = 0
            elif pair is None or pair.session != taken.session:
                return "somebody took it away"
            else:
                index = max(found, 1)

    def _check_open(self) -> None:
        if self._closed:
            raise Unavailable("the locks are closed")


def _now() -> float:
    return asyncio.get_running_loop().time()
