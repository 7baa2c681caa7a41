"""Group commit: what many tasks want written is written together; while one group is written, the next gathers."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Generic, TypeVar

from services.kernel.errors import Unavailable, meaning

#: Seconds for which more may come after a group: under load groups get larger, and the first thing never waits.
GATHERS = 0.01

T = TypeVar("T")
R = TypeVar("R")


class GroupCommit(Generic[T, R]):
    """``commit`` gets up to ``most`` things and returns a result for each; `run` must be running.

    When a group fails its things are tried one by one, so that a bad one is alone in failing; not so when it failed
    for what passes by itself.
    """

    def __init__(self, commit: Callable[[Sequence[T]], Awaitable[Sequence[R]]], most: int = 500) -> None:
        self._commit = commit
        self._most = most
        self._waiting: list[tuple[T, asyncio.Future[R]]] = []
        self._filled = asyncio.Event()

    async def put(self, thing: T) -> R:
        """Return the result for ``thing`` once its group is committed; raise what the commit raised."""
        done: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((thing, done))
        self._filled.set()
        return await done

    async def run(self) -> None:
        """Commit group after group."""
        while True:
            await self._filled.wait()
            group, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
            if not self._waiting:
                self._filled.clear()
            if not await self._try(group, alone=len(group) == 1):
                for each in group:
                    await self._try([each], alone=True)
            await asyncio.sleep(GATHERS)

    async def _try(self, group: Sequence[tuple[T, asyncio.Future[R]]], *, alone: bool) -> bool:
        """Commit and tell whoever waits; return False when that is worth trying in parts."""
        try:
            results = await self._commit([thing for thing, _ in group])
        except Exception as error:  # noqa: BLE001  whoever waits is told, and the next group is tried
            if not alone and meaning(error).bus != "pause":
                return False
            _refuse(group, error)
        except BaseException:
            _refuse(group, Unavailable("writing was cut off"))
            raise
        else:
            for (_, done), result in zip(group, results, strict=True):
                if not done.done():
                    done.set_result(result)
        return True


def _refuse(group: Sequence[tuple[Any, asyncio.Future[Any]]], error: Exception) -> None:
    for _, done in group:
        if not done.done():
            done.set_exception(error)
