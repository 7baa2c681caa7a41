"""Who works on a batch: one at a time, though a bus that was killed gives out again what it had given out before."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final
from uuid import UUID, uuid4

from services.collector import store
from services.kernel.errors import Exhausted, Unavailable
from services.kernel.messages import now
from services.kernel.sql import Sql

#: Seconds from one renewal to the next, and after which a hold that was not renewed is anybody's: less than those
#: after which the bus gives out again what a process had that has died. Clocks differ by less.
RENEW_EVERY: Final = 5.0
STALE: Final = 15.0


class Holds:
    """The batches that this process works on; `follow` must be running."""

    def __init__(self, sql: Sql) -> None:
        self._sql = sql
        self._holder = uuid4()
        self._held: set[tuple[UUID, UUID]] = set()

    @asynccontextmanager
    async def hold(self, workspace: UUID, batch: UUID) -> AsyncIterator[bool]:
        """Hold a batch while this is open; what is yielded says whether it is: it is not where somebody has it."""
        place = workspace, batch
        if place in self._held:
            yield False
            return
        self._held.add(place)
        try:
            if self._sql.sole_writer:
                yield True
                return
            held = await self._take(workspace, batch)
            try:
                yield held
            finally:
                if held:
                    await self._release(workspace, batch)
        finally:
            self._held.discard(place)

    async def follow(self) -> None:
        """Keep what is held, as long as the process runs."""
        while True:
            await asyncio.sleep(RENEW_EVERY)
            if self._held and not self._sql.sole_writer:
                with suppress(Unavailable, Exhausted):
                    async with self._sql.begin() as tx:
                        await store.renew_holds(tx, self._holder, now())

    async def _take(self, workspace: UUID, batch: UUID) -> bool:
        at = now()
        async with self._sql.begin() as tx:
            return await store.take_hold(tx, workspace, batch, self._holder, at, at - int(STALE * 1_000_000))

    async def _release(self, workspace: UUID, batch: UUID) -> None:
        with suppress(Unavailable, Exhausted):  # it is anybody's soon
            async with self._sql.begin() as tx:
                await store.release_hold(tx, workspace, batch, self._holder)
