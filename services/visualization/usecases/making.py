"""What takes long is made once for all who ask for it at the same time, and beside the event loop.

A layout is some seconds of one core and its graph up to 150 MB: two at a time, read and laid out. What nobody waits for
any more ends at its next step.
"""

import asyncio
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar

from services.kernel.service import Ports

T = TypeVar("T")

#: Layouts that are made at the same time, in one process.
AT_ONCE: Final = 2
#: Seconds within which what fails is told before a file of it begins.
MOMENT: Final = 1.0
_STATE: Final = "visualization.making"


class Abandoned(Exception):
    """Nobody waits for what is being made."""


class Making:
    """What is being made, by what it is."""

    def __init__(self) -> None:
        #: Held by who reads a graph and lays it out.
        self.turn = asyncio.Semaphore(AT_ONCE)
        self._made: dict[Any, _Made] = {}

    async def share(self, what: Any, make: Callable[[], Awaitable[T]]) -> T:
        """Return what ``make`` does, of which there is one under way for each ``what``; it ends with the last asker."""
        made = self._made.get(what)
        if made is None or made.task.done():
            made = self._made[what] = _Made(asyncio.ensure_future(make()))
        made.waiting += 1
        try:
            return await asyncio.shield(made.task)
        finally:
            made.waiting -= 1
            if not made.waiting:
                made.task.cancel()
                if self._made.get(what) is made:
                    del self._made[what]

    async def beside(self, work: Callable[[Callable[[], None]], T]) -> T:
        """Run ``work`` in a thread; what it is given raises once whoever asked is gone."""
        gone = threading.Event()

        def check() -> None:
            if gone.is_set():
                raise Abandoned

        running = asyncio.get_running_loop().run_in_executor(None, work, check)
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            gone.set()
            # Whoever is next has his turn when this one has ended, which is one step away.
            await asyncio.wait([running])
            running.exception()
            raise


@asynccontextmanager
async def begun(work: Coroutine[Any, Any, T]) -> AsyncGenerator["asyncio.Task[T]", None]:
    """``work`` under way for a moment, or already done; it ends with the block."""
    task = asyncio.create_task(work)
    try:
        done, _ = await asyncio.wait({task}, timeout=MOMENT)
        if done:
            task.result()
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


class _Made:
    def __init__(self, task: "asyncio.Future[Any]") -> None:
        self.task = task
        self.waiting = 0


def making_of(ports: Ports) -> Making:
    """What is being made in this process."""
    making = ports.state.setdefault(_STATE, None) or Making()
    ports.state[_STATE] = making
    assert isinstance(making, Making)
    return making
