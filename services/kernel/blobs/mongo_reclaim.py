"""How room comes back: puts of which less than half is still entered are moved and removed, dead ones are cleaned up.

It runs beside puts, gets and drops of the same blobs, in every process that has the adapter open, and may end anywhere:
notes say what is left to do, and whoever sweeps next does it.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from services.kernel.blobs.coding import Coded
from services.kernel.blobs.mongo_packs import (
    ENTRIES,
    NOTES,
    PACKS,
    Listed,
    Packs,
    Plan,
    entry_id,
    pieces,
    put_of,
)
from services.kernel.errors import MirageError
from services.kernel.messages import now
from services.kernel.mongo import Database, Mongo

#: Stored bytes that are moved in one put.
MOVED_BYTES: Final = 4 << 20
#: Microseconds: how old a note is until somebody else acts on it, how long no call lasts, and between sweeps.
STALE: Final = 600_000_000
DAY: Final = 86_400_000_000
SWEEP: Final = 600_000_000


class Reclaimer:
    """One task at a time, begun when there is something to do. What fails is done by a later sweep."""

    def __init__(self, mongo: Mongo, packs: Packs, clock: Callable[[], int] = now) -> None:
        self._mongo = mongo
        self._packs = packs
        self._clock = clock
        self._swept = 0
        self._waiting: list[tuple[str, Sequence[str]]] = []
        self._task: asyncio.Task[None] | None = None
        self._closed = False
        self.moved = 0
        self.reclaimed = 0

    def reclaim_soon(self, note: str, puts: Sequence[str]) -> None:
        """Look at puts of which something was dropped, and then forget the note of it."""
        self._waiting.append((note, puts))
        self._run()

    def sweep_soon(self) -> None:
        """Sweep unless that was done lately."""
        if self._clock() - self._swept > SWEEP:
            self._run()

    async def settled(self) -> None:
        """Wait until there is nothing left to do that is known of."""
        while self._task is not None and not self._task.done():
            await asyncio.wait([self._task])

    async def close(self) -> None:
        """End; what is left to do is noted."""
        self._closed = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _run(self) -> None:
        if not self._closed and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._work())

    async def _work(self) -> None:
        with contextlib.suppress(MirageError):
            while self._waiting:
                note, puts = self._waiting.pop()
                async with self._mongo.call() as database:
                    await self._reclaim_dropped(database, note, puts)
            if self._clock() - self._swept > SWEEP:
                self._swept = self._clock()
                async with self._mongo.call() as database:
                    await self.sweep(database)

    async def _reclaim_dropped(self, database: Database, note: str, puts: Sequence[str]) -> None:
        """Reclaim puts of which something was dropped; one that is being moved to is left to a sweep after that."""
        moving = await self._packs.moving(database, puts)
        for put in puts:
            if put not in moving:
                await self.reclaim(database, put)
        if not moving:
            await self._packs.end(database, note)

    async def sweep(self, database: Database) -> None:
        """Do what notes say that nobody seems to do any more."""
        async for note in database[NOTES].find({"at": {"$lt": self._clock() - STALE}}):
            if note["kind"] == "drop":
                await self._reclaim_dropped(database, note["_id"], note["puts"])
            else:
                await self._settle(database, note, old=note["at"] < self._clock() - DAY)

    async def _settle(self, database: Database, note: Mapping[str, Any], *, old: bool) -> None:
        put = note["_id"]
        state = (await self._packs.states(database, [put]))[put]
        if state == "open":
            state = await self._packs.fence(database, put)
        if state == "dead":
            await self._clean_up(database, Listed.read(note), old=old)
        elif note["kind"] == "put" or old:
            # Entries are directed to a move after it holds: until nobody can still be doing that, it is left alone.
            await self.reclaim(database, put)
            await self._packs.end(database, put)

    async def _clean_up(self, database: Database, listed: Listed, *, old: bool) -> None:
        """Remove what a dead put left; that it is dead is forgotten when nobody can believe otherwise any more."""
        for piece in pieces([entry_id(listed.workspace, digest) for digest in listed.sizes]):
            await database[ENTRIES].delete_many({"_id": {"$in": piece}, "place": {"$in": listed.places}})
        await self._packs.forget_contents(database, listed)
        if old:
            await database[PACKS].delete_one({"_id": listed.put})
            await self._packs.end(database, listed.put)

    async def reclaim(self, database: Database, put: str) -> None:
        """Remove a put that holds if little of it is entered, after moving that."""
        listed = await self._packs.listed(database, put)
        if listed is None:
            return
        live = await self._live(database, listed)
        if sum(listed.sizes[digest] for digest in live) * 2 >= listed.total and live:
            return
        for piece in _of_size(live, listed.sizes):
            await self._move(database, listed.workspace, {digest: live[digest] for digest in piece})
        if await self._live(database, listed):
            return  # its bytes are missing: it is Corrupt, not a blob that never was
        await self._packs.forget_contents(database, listed)
        await database[PACKS].delete_one({"_id": put})  # last: it says what there is to remove
        self.reclaimed += 1

    async def _live(self, database: Database, listed: Listed) -> dict[bytes, str]:
        places = await self._packs.places(database, listed.workspace, listed.sizes)
        return {digest: place for digest, place in places.items() if put_of(place) == listed.put}

    async def _move(self, database: Database, workspace: UUID, places: Mapping[bytes, str]) -> None:
        coded: dict[bytes, Coded] = {}
        for digest, place in places.items():
            found = await self._packs.read(database, place, digest)
            if found is not None:
                coded[digest] = found
        if not coded:
            return
        plan = Plan.of(workspace, coded)
        await self._packs.begin(database, plan.put, "move", plan.listed(coded))
        if not await self._packs.keep(database, plan, coded):
            return  # somebody took us for dead
        moved = await self._packs.redirect(database, plan, coded, set(places.values()))
        self.moved += moved
        if moved < len(coded):
            await self.reclaim(database, plan.put)
        await self._packs.end(database, plan.put)


def _of_size(digests: Mapping[bytes, str], sizes: Mapping[bytes, int]) -> list[list[bytes]]:
    """Cut what is to be moved into pieces that memory can hold."""
    cut: list[list[bytes]] = []
    room = 0
    for digest in sorted(digests):
        if not cut or sizes[digest] > room:
            cut.append([])
            room = MOVED_BYTES
        cut[-1].append(digest)
        room -= sizes[digest]
    return cut
