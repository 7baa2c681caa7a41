"""`locks` of one process."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.kernel.errors import Unavailable
from services.kernel.locks import Locks, check_name
from services.kernel.locks.hold import Hold


class LocalLocks(Locks):
    def __init__(self) -> None:
        self._locks: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._tokens: dict[str, int] = defaultdict(int)
        self._holds: set[Hold] = set()
        self._closed = False

    @asynccontextmanager
    async def held(self, name: str) -> AsyncIterator[int]:
        self._check_open()
        check_name(name)
        async with self._locks[name]:
            self._check_open()
            self._tokens[name] += 1
            hold = Hold(name)
            self._holds.add(hold)
            try:
                with hold:
                    yield self._tokens[name]
            finally:
                self._holds.discard(hold)

    async def ping(self) -> None:
        self._check_open()

    async def close(self) -> None:
        self._closed = True
        for hold in tuple(self._holds):
            hold.lose("the locks were closed")
            await hold.end()

    def _check_open(self) -> None:
        if self._closed:
            raise Unavailable("the locks are closed")
