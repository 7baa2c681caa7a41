"""What a consumer takes in until it is drained: its waiting ends then, its work does not."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class Intake:
    """``over``: nothing more is to be taken in. `ended` is set by the consumer when nothing is in work any more."""

    def __init__(self) -> None:
        self.over = False
        self.ended = asyncio.Event()
        self._waiting: asyncio.Future[Any] | None = None

    async def wait(self, work: Coroutine[Any, Any, T]) -> T | None:
        """Wait for ``work`` to be done; None when it is over before."""
        if self.over:
            work.close()
            return None
        self._waiting = waiting = asyncio.ensure_future(work)
        try:
            return await waiting
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if self.over and not (task and task.cancelling()):
                return None
            raise
        finally:
            self._waiting = None

    async def drain(self, seconds: float) -> bool:
        """Let it be over, and say whether all work ended within ``seconds``."""
        self.over = True
        if self._waiting is not None:
            self._waiting.cancel()
        try:
            async with asyncio.timeout(seconds):
                await self.ended.wait()
        except TimeoutError:
            return False
        return True
