"""`blobs` in MongoDB: small ones in packs, large ones in GridFS; how they lie and why that is safe: `mongo_packs`.

What a call was answered for is kept by a majority, on disk. A put that is cancelled goes on and ends.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Collection, Coroutine, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from services.kernel.blobs import Blob, Blobs
from services.kernel.blobs.coding import Coded, decode, encode
from services.kernel.blobs.mongo_packs import ENTRIES, Packs, Plan, digest_of, entry_id, new_put, put_of
from services.kernel.blobs.mongo_reclaim import Reclaimer
from services.kernel.errors import Corrupt, NotFound
from services.kernel.mongo import CALLS, Database, Mongo, Scan
from services.kernel.pauses import pauses
from services.kernel.server import Server

LISTED: Final = 1000
DROPPED: Final = 1000
#: Contents of this size are hashed and compressed, or the reverse, on a thread.
THREADED_BYTES: Final = 64 << 10
TRIES: Final = 3
#: Seconds that a put waits for another that is open and has entries it needs too: for one that began earlier, and for
#: one that began later. The later of two that wait for each other gives way.
PATIENCE: Final = 2.0
IMPATIENCE: Final = 0.2


class MongoBlobs(Blobs):
    """Blobs in the database that the server's URL names, or ``mirage``."""

    def __init__(self, server: Server, *, calls: int = CALLS) -> None:
        self._mongo = Mongo(server, calls=calls)
        self._packs = Packs()
        self._reclaimer = Reclaimer(self._mongo, self._packs)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._given_up: deque[str] = deque(maxlen=1000)
        self._fenced = 0

    async def put(self, workspace: UUID, blobs: Sequence[Blob]) -> None:
        self._mongo.check_open()
        if not blobs:
            return
        large = sum(len(blob.content) for blob in blobs) > THREADED_BYTES
        coded = await asyncio.to_thread(_encoded, blobs) if large else _encoded(blobs)
        await self._finish(self._put(workspace, coded))
        self._reclaimer.sweep_soon()

    async def get(self, workspace: UUID, digest: bytes) -> bytes:
        async with self._mongo.call() as database:
            coded = await self._read(database, workspace, digest)
        if coded.size > THREADED_BYTES:
            return await asyncio.to_thread(decode, digest, coded)
        return decode(digest, coded)

    async def drop(self, workspace: UUID, digests: Sequence[bytes]) -> None:
        self._mongo.check_open()
        ordered = sorted(set(digests))
        for start in range(0, len(ordered), DROPPED):
            await self._finish(self._drop(workspace, ordered[start : start + DROPPED]))
        self._reclaimer.sweep_soon()

    async def digests(self, workspace: UUID) -> AsyncIterator[list[bytes]]:
        low, high = workspace.hex, workspace.hex + "g"
        scan = Scan(self._mongo, ENTRIES, low, high, fields=["place"], batch=LISTED)
        try:
            while entries := await scan.take(LISTED):
                async with self._mongo.call() as database:
                    states = await self._packs.states(database, {put_of(entry["place"]) for entry in entries})
                kept = [digest_of(each["_id"]) for each in entries if states[put_of(each["place"])] == "kept"]
                if kept:
                    yield kept
        finally:
            await scan.close()

    async def ping(self) -> None:
        await self._mongo.ping()

    async def close(self) -> None:
        await self._reclaimer.close()
        await self._mongo.close()

    def measures(self) -> dict[str, float]:
        return {
            **self._mongo.measures(),
            "puts_fenced_total": self._fenced,
            "blobs_moved_total": self._reclaimer.moved,
            "puts_reclaimed_total": self._reclaimer.reclaimed,
        }

    async def _finish(self, work: Coroutine[Any, Any, None]) -> None:
        """Do what must not be left half done, whoever no longer waits for it."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        await asyncio.shield(task)

    def _finished(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # whoever waits has it too; if nobody does, the put comes again

    async def _put(self, workspace: UUID, coded: Mapping[bytes, Coded]) -> None:
        async with self._mongo.call() as database:
            while True:
                plan = Plan.of(workspace, coded)
                await self._packs.begin(database, plan.put, "put", plan.listed(coded))
                try:
                    mine = await self._claim(database, plan)
                    if not mine or await self._packs.keep(database, plan, mine):
                        await self._packs.end(database, plan.put)
                        return
                except BaseException:
                    self._given_up.append(plan.put)
                    raise
                self._given_up.append(plan.put)  # it was fenced

    async def _claim(self, database: Database, plan: Plan) -> set[bytes]:
        """Enter what is to be put; return what is not kept elsewhere, all of which is then entered as ours."""
        waiting = await self._packs.claim(database, plan, plan.coded.keys())
        mine = set(plan.coded) - waiting
        began, steps = time.monotonic(), pauses(0.005, 0.1)
        while waiting:
            places = await self._packs.places(database, plan.workspace, waiting)
            if gone := waiting - places.keys():
                mine |= gone - await self._packs.claim(database, plan, gone)
            mine |= {digest for digest, place in places.items() if put_of(place) == plan.put}
            others = {digest: place for digest, place in places.items() if put_of(place) != plan.put}
            states = await self._packs.states(database, set(map(put_of, others.values())))
            for put in [put for put, state in states.items() if state == "open"]:
                if self._is_late(plan.put, put, time.monotonic() - began):
                    states[put] = await self._packs.fence(database, put)
                    self._fenced += 1
            dead = {digest: place for digest, place in others.items() if states[put_of(place)] == "dead"}
            if dead:
                await self._packs.redirect(database, plan, dead, set(dead.values()))
            kept = {digest for digest, place in others.items() if states[put_of(place)] == "kept"}
            waiting -= mine | kept
            if waiting and not dead:
                await asyncio.sleep(next(steps))
        return mine

    def _is_late(self, ours: str, other: str, waited: float) -> bool:
        if other in self._given_up:
            return True
        return waited > (PATIENCE if other < ours else IMPATIENCE)

    async def _read(self, database: Database, workspace: UUID, digest: bytes) -> Coded:
        for _ in range(TRIES):
            entry = await database[ENTRIES].find_one({"_id": entry_id(workspace, digest)})
            if entry is None:
                break
            place = entry["place"]
            coded = await self._packs.read(database, place, digest)
            if coded is not None and place.endswith(":0"):
                return coded
            if (await self._packs.states(database, [put_of(place)]))[put_of(place)] != "kept":
                break
            if coded is not None:
                return coded
        else:  # else it was moved between looking up and reading
            raise Corrupt(f"what holds the blob {digest.hex()} is missing")
        raise NotFound(f"there is no blob {digest.hex()}")

    async def _drop(self, workspace: UUID, digests: Sequence[bytes]) -> None:
        async with self._mongo.call() as database:
            left: Collection[bytes] = digests
            while left:
                places = await self._packs.places(database, workspace, left)
                states = await self._packs.states(database, set(map(put_of, places.values())))
                there = {digest: place for digest, place in places.items() if states[put_of(place)] == "kept"}
                if not there:
                    return
                note, puts = new_put(), sorted(set(map(put_of, there.values())))
                await self._packs.begin(database, note, "drop", {"puts": puts})
                # Only where it still lies there: what is moved meanwhile is looked for again.
                query = {
                    "_id": {"$in": [entry_id(workspace, digest) for digest in there]},
                    "place": {"$in": sorted(set(there.values()))},
                }
                deleted = (await database[ENTRIES].delete_many(query)).deleted_count
                self._reclaimer.reclaim_soon(note, puts)
                left = there if deleted < len(there) else ()


def _encoded(blobs: Sequence[Blob]) -> dict[bytes, Coded]:
    return {blob.digest: encode(blob.digest, blob.content) for blob in blobs}
