"""Following what answers when something has changed: one task for each question, any number of readers.

The rules are those of Consul's blocking queries (https://developer.hashicorp.com/consul/api-docs/features/blocking).
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Final, Generic, TypeVar

import structlog
from msgspec import Struct

from services.kernel.errors import MirageError, Unavailable
from services.kernel.pauses import pauses

T = TypeVar("T")

#: Seconds between two tries while nobody answers.
LONGEST_PAUSE: Final = 2.0
#: An answer that comes sooner than this, in seconds, and says nothing new is not asked for again at once.
SOON: Final = 1.0

_log = structlog.get_logger(__name__)


class Answer(Struct, Generic[T], frozen=True):
    """What there is by its name; ``unwell``: names of what is known and does not count now."""

    found: dict[str, T]
    unwell: frozenset[str] = frozenset()


class LongPoll(Generic[T]):
    """The last good answer to one question.

    ``ask`` takes the index after which something has to be new, 0 for an answer at once, and the seconds that it may
    wait; it returns the index and what there is.

    For ``patience`` seconds after the server was away an answer takes nothing away that the server has not named since,
    nor what it calls unwell: one that has lost its memory learns within that time what there is, and one that has just
    started calls everything unwell that it has not looked at.
    """

    def __init__(
        self,
        ask: Callable[[int, float], Awaitable[tuple[int, Answer[T]]]],
        *,
        wait: float,
        patience: float,
    ) -> None:
        self._ask = ask
        self._wait = wait
        self._patience = patience
        self._answer: dict[str, T] | None = None
        self._error: MirageError | None = None
        self._failed_at: float | None = None
        self._doubted_until = 0.0
        self._named: set[str] = set()
        self._index = 0
        self._waiting: list[asyncio.Future[None]] = []
        self._served: list[asyncio.Future[None]] = []
        self._wake = asyncio.Event()
        self._readers: set[asyncio.Event] = set()
        self._asking: asyncio.Future[tuple[int, Answer[T]]] | None = None
        self._closed = False
        self._running = asyncio.get_running_loop().create_task(self._run())

    @property
    def away(self) -> float:
        """Seconds since the server was last heard of, 0 while it answers."""
        return 0.0 if self._failed_at is None else asyncio.get_running_loop().time() - self._failed_at

    async def latest(self) -> dict[str, T]:
        """Return the last good answer by name; the first one is waited for.

        Raises:
            MirageError: there is none yet, and asking failed.
        """
        if self._answer is None:
            self._check_open()
            self._wake.set()
            await self._told(self._served)
        if self._answer is None:
            error = self._error or Unavailable("it was closed")
            raise type(error)(*error.args) from error
        return self._answer

    async def refresh(self) -> None:
        """Ask anew; return when that was answered, or has failed."""
        self._check_open()
        answered = self._told(self._waiting)
        self._wake.set()
        if self._asking is not None:
            self._asking.cancel()
        await answered

    async def changes(self) -> AsyncGenerator[dict[str, T], None]:
        """Yield the answer now and whenever it has changed; one who is slow gets the latest, not each between.

        Raises:
            Unavailable: it was closed.
        """
        changed = asyncio.Event()
        changed.set()
        self._readers.add(changed)
        last: dict[str, T] | None = None
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
        self._running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._running
        self._served += self._waiting
        self._tell()
        for reader in self._readers:
            reader.set()

    async def _run(self) -> None:
        failing, idle = pauses(longest=LONGEST_PAUSE), pauses(0.02, LONGEST_PAUSE)
        while True:
            asked = self._now()
            self._served, self._waiting = self._served + self._waiting, []
            self._wake.clear()
            try:
                answered = await self._once(0 if self._served else self._index)
                news = answered is not None and self._take(answered)
            except Exception as error:  # noqa: BLE001  else all who read wait for ever
                self._fail(_ours(error))
                self._tell()
                await self._pause(next(failing))
                continue
            if answered is None:
                continue
            failing = pauses(longest=LONGEST_PAUSE)
            self._tell()
            if news or self._now() - asked > SOON:
                idle = pauses(0.02, LONGEST_PAUSE)
            else:
                await self._pause(next(idle))

    async def _pause(self, seconds: float) -> None:
        """Wait, unless somebody wants an answer."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()

    async def _once(self, index: int) -> tuple[int, Answer[T]] | None:
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

    def _take(self, answered: tuple[int, Answer[T]]) -> bool:
        """Publish an answer; say whether it is news."""
        self._index, answer = answered
        now = self._now()
        if self._failed_at is not None and self._answer is not None:
            self._doubted_until = now + self._patience
            self._named.clear()
        self._failed_at = self._error = None
        if now >= self._doubted_until:
            self._doubted_until = 0.0
        found = self._believed(answer)
        if found == self._answer:
            return False
        self._answer = found
        for reader in self._readers:
            reader.set()
        return True

    def _believed(self, answer: Answer[T]) -> dict[str, T]:
        if not self._doubted_until or self._answer is None:
            return answer.found
        self._named.update(answer.found, answer.unwell)
        kept = {
            name: value
            for name, value in self._answer.items()
            if name not in answer.found and (name in answer.unwell or name not in self._named)
        }
        return dict(sorted({**kept, **answer.found}.items()))

    def _fail(self, error: MirageError) -> None:
        self._error = error
        self._lose()

    def _lose(self) -> None:
        """Begin anew: a server that comes back, or another one, may count from elsewhere."""
        self._index = 0
        if self._failed_at is None:
            self._failed_at = self._now()

    @staticmethod
    def _told(waiting: list[asyncio.Future[None]]) -> asyncio.Future[None]:
        waiting.append(told := asyncio.get_running_loop().create_future())
        return told

    def _tell(self) -> None:
        """Tell those for whom the last question was asked."""
        for told in self._served:
            if not told.done():
                told.set_result(None)
        self._served.clear()

    def _check_open(self) -> None:
        if self._closed:
            raise Unavailable("it was closed")

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()


def _ours(error: Exception) -> MirageError:
    """What readers are told, also of a fault of ours, which a next answer may not meet."""
    if isinstance(error, MirageError):
        return error
    _log.error("an answer was not understood", exc_info=error)
    return Unavailable(f"an answer was not understood: {error!r}")
