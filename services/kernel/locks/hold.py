"""A block of a task that ends when what it holds is lost."""

import asyncio
from types import TracebackType

from services.kernel.errors import Unavailable


class Hold:
    """``with hold:`` runs in the task that made it; `lose` cancels it there, and `Unavailable` comes out of it."""

    def __init__(self, name: str) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._name = name
        self._task = task
        self._cancelling = task.cancelling()
        self._reason = ""
        self._ended = asyncio.Event()

    @property
    def lost(self) -> bool:
        return bool(self._reason)

    def lose(self, reason: str) -> None:
        """Cancel the block, unless it has ended; once."""
        if not self._reason and not self._ended.is_set():
            self._reason = reason
            self._task.cancel()

    async def end(self) -> None:
        """Wait until the block has ended, from another task."""
        if asyncio.current_task() is not self._task:
            await self._ended.wait()

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        if not self._reason:
            return
        # As in asyncio.timeout: who was cancelled from outside as well has to see that.
        cancelled_outside = self._task.uncancel() > self._cancelling
        failed = kind is not None and not issubclass(kind, asyncio.CancelledError)
        if not cancelled_outside and not failed:
            raise Unavailable(f"the lock {self._name} was lost: {self._reason}") from error
