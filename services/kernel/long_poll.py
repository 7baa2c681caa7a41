"""Following what answers when something has changed: one task for each question, any number of readers.

The rules are those of Consul's blocking queries (https://developer.hashicorp.com/consul/api-docs/features/blocking).
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Final, Generic, TypeVar

from services.kernel.errors import MirageError, Unavailable
from services.kernel.pauses import pauses

T = TypeVar("T")

#: Seconds between two tries while nobody answers.
LONGEST_PAUSE: Final = 2.0
#: An answer that comes sooner than this, in seconds, and says nothing new is not asked for again at once.
SOON: Final = 1.0


class LongPoll(Generic[T]):
    """The last good answer to one question.

    ``ask`` takes the index after which something has to be new, 0 for an answer at once, and the seconds that it may
    wait; it returns index and answer. ``union`` adds to an answer what only the one before it has: after the server was
    away, an answer that lacks something is believed only when ``patience`` seconds have passed, because a server
    that has lost its memory learns within that time what there is.
    """

    def __init__(
        self,
        ask: Callable[[int, float], Awaitable[tuple[int, T]]],
        union: Callable[[T, T], T],
        *,
        wait: float,
        patience: float,
    ) -> None:
        self._ask = ask
        self._union = union
        self._wait = wait
        self._patience = patience
        self._answer: T | None = None
        self._error: MirageError | None = None
        self._failed_at: float | None = None
        self._doubted_until = 0.0
        self._index = 0
        self._waiting: list[asyncio.Future[None]] = []
        self._wake = asyncio.Event()
        self._readers: set[asyncio.Event] = set()
        self._asking: asyncio.Future[tuple[int, T]] | None = None
        self._closed = False
        self._running = asyncio.get_running_loop().create_task(self._run())

    @property
    def away(self) -> float:
        """Seconds since the server was last heard of, 0 while it answers."""
        return 0.0 if self._failed_at is None else asyncio.get_running_loop().time() - self._failed_at

    async def latest(self) -> T:
        """Return the last good answer; the first one is waited for.

        Raises:
            MirageError: there is none yet, and asking failed.
        """
        if self._answer is None and self._error is None:
            await self._answered()
        if self._answer is None:
            raise self._error or Unavailable("nobody has answered yet")
        return self._answer

    async def refresh(self) -> None:
        """Ask anew; return when that was answered, or has failed."""
        self._check_open()
        answered = self._answered()
        if self._asking is not None:
            self._asking.cancel()
        await answered

    async def changes(self) -> AsyncGenerator[T, None]:
        """Yield the answer now and whenever it has changed; one who is slow gets the latest, not each between.

        Raises:
            Unavailable: it was closed.
        """
        changed = asyncio.Event()
        changed.set()
        self._readers.add(changed)
        last: T | None = None
        try:
            while True:
                await changed.wait()
                self._check_open()
                changed.clear()
                if self._answer is not None and self._answer != last:
                    last = self._answer
                    yield last
        finally:
            self._readers.discard(changed)

    async def close(self) -> None:
        self._closed = True
        self._error = self._error or Unavailable("it was closed")
        self._running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._running
        self._tell_waiting(self._waiting)
        for reader in self._readers:
            reader.set()

    async def _run(self) -> None:
        failing, idle = pauses(longest=LONGEST_PAUSE), pauses(0.02, LONGEST_PAUSE)
        while True:
            asked = self._now()
            waiting, self._waiting = self._waiting, []
            self._wake.clear()
            try:
                answered = await self._once(0 if waiting else self._index)
            except MirageError as error:
                self._fail(error)
                self._tell_waiting(waiting)
                await self._pause(next(failing))
                continue
            if answered is None:
                self._waiting = waiting + self._waiting
                continue
            failing = pauses(longest=LONGEST_PAUSE)
            news = self._take(answered)
            self._tell_waiting(waiting)
            if news or self._now() - asked > SOON:
                idle = pauses(0.02, LONGEST_PAUSE)
            else:
                await self._pause(next(idle))

    async def _pause(self, seconds: float) -> None:
        """Wait, unless somebody wants an answer."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()

    async def _once(self, index: int) -> tuple[int, T] | None:
        """Ask once; None when the answer is not wanted any more, or comes from a server that counts anew."""
        wait = self._wait
        if (doubted := self._doubted_until - self._now()) > 0:
            wait = min(wait, max(doubted, 0.1))
        elif self._doubted_until:
            index = 0
        self._asking = asyncio.ensure_future(self._ask(index, wait))
        try:
            await asyncio.wait({self._asking})
            if self._asking.cancelled():
                return None
            found, answer = self._asking.result()
        finally:
            self._asking.cancel()
            await asyncio.wait({self._asking})
            self._asking = None
        if found < index:
            self._lose()
            return None
        return max(found, 1), answer

    def _take(self, answered: tuple[int, T]) -> bool:
        """Publish an answer; say whether it is news."""
        self._index, answer = answered
        now = self._now()
        if self._failed_at is not None and self._answer is not None:
            self._doubted_until = now + self._patience
        self._failed_at = self._error = None
        if self._doubted_until:
            whole = answer if self._answer is None else self._union(self._answer, answer)
            if whole == answer or now >= self._doubted_until:
                self._doubted_until = 0.0
            else:
                answer = whole
        if answer == self._answer:
            return False
        self._answer = answer
        for reader in self._readers:
            reader.set()
        return True

    def _fail(self, error: MirageError) -> None:
        self._error = error
        self._lose()

    def _lose(self) -> None:
        """Begin anew: a server that comes back, or another one, may count from elsewhere."""
        self._index = 0
        if self._failed_at is None:
            self._failed_at = self._now()

    def _answered(self) -> asyncio.Future[None]:
        """What is done when the next question is answered."""
        self._waiting.append(told := asyncio.get_running_loop().create_future())
        self._wake.set()
        return told

    @staticmethod
    def _tell_waiting(waiting: list[asyncio.Future[None]]) -> None:
        for told in waiting:
            if not told.done():
                told.set_result(None)

    def _check_open(self) -> None:
        if self._closed:
            raise Unavailable("it was closed")

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()
