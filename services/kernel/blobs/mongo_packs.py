"""How blobs lie in MongoDB, and the steps in which they are put, found and let go.

A *put* has an id of its own, which is never used again. What it keeps lies in packs of some hundred kB, many blobs in
one document, and in files of GridFS where a blob is larger than 64 KiB; an *entry* for each blob says in which.

| collection | ``_id`` | holds |
| --- | --- | --- |
| blobs.notes | put | what is being done, by whom nobody knows: first in, last out |
| blobs.entries | workspace and digest in hexadecimal | ``place``: ``<put>:<number>`` or ``<put>:file`` |
| blobs.packs | put | its list of blobs, and pack 0 of them; or ``dead`` |
| blobs.packs | ``<put>:<number>`` | the further packs |
| blobs.files, .chunks | ``<put>:<digest>``, the same with ``:<n>`` | as GridFS has them; chunks are read by ``_id`` |

What a put is, by its note and its document in ``blobs.packs``:

| note | document | meaning |
| --- | --- | --- |
| yes | none | open: it is being done, or whoever did it died; its entries do not hold |
| yes | its own | kept: its entries hold; who did it, or a sweep, removes the note |
| none | its own | kept, and done |
| yes | dead | dead: it can never come to hold; a sweep removes what it wrote, and after a `DAY` these two |
| none | none | it was never begun, or all of it was let go: no entry says it |

A put writes its note, its entries, its further packs and files, and last its document in ``blobs.packs``: that insert
is what makes all of it visible, at once. Until then its note is there. So an entry holds when there is no note of its
put, or when there is and the put's document too. Whoever is in the way of a put that died inserts that document first,
as dead: then it can never come to hold, and who inserts second knows it. A put that others are moved to holds before
their entries say it: as long as it has its note, nobody removes it for little of it being entered. No step rests on a
clock, but for one: no call lasts a `DAY`.
"""

import os
import struct
import time
from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Literal, NamedTuple, Self
from uuid import UUID

from services.kernel.blobs.coding import Coded
from services.kernel.messages import now
from services.kernel.mongo import QUICK, Database, insert_new, insert_one

#: A blob that is larger when compressed is a file; so large is a pack, and a chunk of a file (which is GridFS's own).
FILE_BYTES: Final = 64 << 10
PACK_BYTES: Final = 128 << 10
CHUNK_BYTES: Final = 255 << 10
CHUNKS_READ: Final = 32
ASKED: Final = 1000
KNOWN: Final = 20_000
NOTES, ENTRIES, PACKS = "blobs.notes", "blobs.entries", "blobs.packs"
FILES, CHUNKS = "blobs.files", "blobs.chunks"
DIGEST_BYTES: Final = 32
_HEAD: Final = struct.Struct(">?Q")

Kind = Literal["put", "move", "drop"]
State = Literal["open", "kept", "dead"]


class Plan(NamedTuple):
    """What a put keeps, and where each of it is to lie."""

    put: str
    workspace: UUID
    coded: Mapping[bytes, Coded]
    places: Mapping[bytes, str]
    packs: int

    @classmethod
    def of(cls, workspace: UUID, coded: Mapping[bytes, Coded]) -> Self:
        put = new_put()
        places: dict[bytes, str] = {}
        number, room = 0, PACK_BYTES
        for digest in sorted(coded):
            size = len(coded[digest].stored)
            if size > FILE_BYTES:
                places[digest] = f"{put}:file"
                continue
            if size > room:
                number, room = number + 1, PACK_BYTES
            room -= size
            places[digest] = f"{put}:{number}"
        return cls(put, workspace, coded, places, number + 1)

    def listed(self, digests: Iterable[bytes]) -> dict[str, Any]:
        """As a note and a put's document say it."""
        ordered = sorted(digests)
        sizes = [len(self.coded[digest].stored) for digest in ordered]
        return {
            "workspace": self.workspace.hex,
            "digests": b"".join(ordered),
            "sizes": struct.pack(f">{len(sizes)}Q", *sizes),
            "packs": self.packs,
        }


class Listed(NamedTuple):
    """What a put has, or was to have: digests with their stored sizes."""

    put: str
    workspace: UUID
    sizes: dict[bytes, int]
    packs: int

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Self:
        digests, sizes = document["digests"], document["sizes"]
        cut = [digests[start : start + DIGEST_BYTES] for start in range(0, len(digests), DIGEST_BYTES)]
        numbers = struct.unpack(f">{len(cut)}Q", sizes)
        return cls(
            document["_id"], UUID(document["workspace"]), dict(zip(cut, numbers, strict=True)), document["packs"]
        )

    @property
    def places(self) -> list[str]:
        return [f"{self.put}:{number}" for number in range(self.packs)] + [f"{self.put}:file"]

    @property
    def total(self) -> int:
        return sum(self.sizes.values())


def new_put() -> str:
    """Ids of later puts are larger, as far as clocks agree."""
    return f"{time.time_ns() // 1_000_000:012x}{os.urandom(10).hex()}"


def put_of(place: str) -> str:
    return place.partition(":")[0]


def entry_id(workspace: UUID, digest: bytes) -> str:
    return workspace.hex + digest.hex()


def digest_of(entry: str) -> bytes:
    return bytes.fromhex(entry[32:])


class Packs:
    """The steps. Each takes the database that `Mongo.call` gives."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, None] = OrderedDict()
        self._indexed = False

    async def begin(self, database: Database, put: str, kind: Kind, said: Mapping[str, Any]) -> None:
        """Note what is about to be done: what is written later is lost before the note is."""
        note = {"_id": put, "kind": kind, "at": now(), **said}
        await database[NOTES].with_options(write_concern=QUICK).insert_one(note)

    async def end(self, database: Database, put: str) -> None:
        await database[NOTES].with_options(write_concern=QUICK).delete_one({"_id": put})

    async def claim(self, database: Database, plan: Plan, digests: Collection[bytes]) -> set[bytes]:
        """Enter ``digests``; return those that have an entry already."""
        entries = [
            {"_id": entry_id(plan.workspace, digest), "place": plan.places[digest]} for digest in sorted(digests)
        ]
        return {digest_of(entry) for entry in await insert_new(database[ENTRIES], entries)}

    async def places(self, database: Database, workspace: UUID, digests: Collection[bytes]) -> dict[bytes, str]:
        """Where each of ``digests`` lies, as far as there is an entry, whether it holds or not."""
        found: dict[bytes, str] = {}
        for piece in pieces([entry_id(workspace, digest) for digest in digests]):
            async for entry in database[ENTRIES].find({"_id": {"$in": piece}}):
                found[digest_of(entry["_id"])] = entry["place"]
        return found

    async def states(self, database: Database, puts: Collection[str]) -> dict[str, State]:
        """What became of ``puts``, of each of which an entry was read before."""
        found: dict[str, State] = {put: "kept" for put in puts if put in self._kept}
        for piece in pieces([put for put in puts if put not in found]):
            noted = [note["_id"] async for note in database[NOTES].find({"_id": {"$in": piece}}, {"_id": 1})]
            found |= dict.fromkeys(piece, "kept") | dict.fromkeys(noted, "open")
            async for document in database[PACKS].find({"_id": {"$in": noted}}, {"dead": 1}):
                found[document["_id"]] = "dead" if document.get("dead") else "kept"
        for put, state in found.items():
            if state == "kept":
                self.know(put)
        return found

    async def moving(self, database: Database, puts: Collection[str]) -> set[str]:
        """Those of ``puts`` that entries may still be directed to, although they hold."""
        found: set[str] = set()
        for piece in pieces(sorted(puts)):
            query = {"_id": {"$in": piece}, "kind": "move"}
            found |= {note["_id"] async for note in database[NOTES].find(query, {"_id": 1})}
        return found

    def know(self, put: str) -> None:
        """Remember that a put is kept, which never changes."""
        self._kept[put] = None
        if len(self._kept) > KNOWN:
            self._kept.popitem(last=False)

    async def fence(self, database: Database, put: str) -> State:
        """See to it that a put that is open never comes to hold, unless it does already."""
        if await insert_one(database[PACKS], {"_id": put, "dead": True}):
            return "dead"
        return (await self.states(database, [put]))[put]

    async def redirect(
        self, database: Database, plan: Plan, digests: Collection[bytes], places: Collection[str]
    ) -> int:
        """Let those entries of ``digests`` that say one of ``places`` say where ``plan`` has them; return how many."""
        changed = 0
        by_place: dict[str, list[str]] = {}
        for digest in sorted(digests):
            by_place.setdefault(plan.places[digest], []).append(entry_id(plan.workspace, digest))
        for place, entries in by_place.items():
            for piece in pieces(entries):
                query = {"_id": {"$in": piece}, "place": {"$in": sorted(places)}}
                changed += (await database[ENTRIES].update_many(query, {"$set": {"place": place}})).modified_count
        return changed

    async def keep(self, database: Database, plan: Plan, digests: Collection[bytes]) -> bool:
        """Write what ``digests`` stand for, and make it hold; say whether the put was not fenced before."""
        blobs: dict[str, dict[str, bytes]] = {}
        for digest in digests:
            coded, place = plan.coded[digest], plan.places[digest]
            if place.endswith(":file"):
                await self._keep_file(database, plan, digest, coded)
            else:
                blobs.setdefault(place, {})[digest.hex()] = _HEAD.pack(coded.compressed, coded.size) + coded.stored
        first = blobs.pop(f"{plan.put}:0", {})
        await insert_new(database[PACKS], [{"_id": place, "blobs": each} for place, each in blobs.items()])
        kept = await insert_one(database[PACKS], {"_id": plan.put, **plan.listed(digests), "blobs": first})
        if kept:
            self.know(plan.put)
        return kept

    async def _keep_file(self, database: Database, plan: Plan, digest: bytes, coded: Coded) -> None:
        if not self._indexed:
            await database[CHUNKS].create_index([("files_id", 1), ("n", 1)], unique=True)
            self._indexed = True
        name = f"{plan.put}:{digest.hex()}"
        await insert_new(
            database[CHUNKS],
            [
                {"_id": chunk, "files_id": name, "n": n, "data": coded.stored[n * CHUNK_BYTES : (n + 1) * CHUNK_BYTES]}
                for n, chunk in enumerate(chunks_of(name, len(coded.stored)))
            ],
        )
        file = {
            "_id": name,
            "length": len(coded.stored),
            "chunkSize": CHUNK_BYTES,
            "uploadDate": datetime.now(UTC),
            "filename": digest.hex(),
            "metadata": {"workspace": plan.workspace.hex, "size": coded.size, "compressed": coded.compressed},
        }
        await insert_one(database[FILES], file)

    async def read(self, database: Database, place: str, digest: bytes) -> Coded | None:
        """What lies at a place, if anything does."""
        put, _, number = place.partition(":")
        if number == "file":
            return await _read_file(database, f"{put}:{digest.hex()}")
        name = digest.hex()
        document = await database[PACKS].find_one({"_id": put if number == "0" else place}, {f"blobs.{name}": 1})
        packed = (document or {}).get("blobs", {}).get(name)
        if packed is None or len(packed) < _HEAD.size:
            return None
        compressed, size = _HEAD.unpack_from(packed)
        return Coded(packed[_HEAD.size :], size, compressed)

    async def listed(self, database: Database, put: str) -> Listed | None:
        """What a put that holds has."""
        document = await database[PACKS].find_one({"_id": put}, {"blobs": 0})
        return None if document is None or document.get("dead") else Listed.read(document)

    async def forget_contents(self, database: Database, listed: Listed) -> None:
        """Remove the packs and files of a put, its document excepted."""
        for digest, size in listed.sizes.items():
            if size > FILE_BYTES:
                name = f"{listed.put}:{digest.hex()}"
                for piece in pieces(chunks_of(name, size)):
                    await database[CHUNKS].delete_many({"_id": {"$in": piece}})
                await database[FILES].delete_one({"_id": name})
        for piece in pieces(listed.places[1:-1]):
            await database[PACKS].delete_many({"_id": {"$in": piece}})


async def _read_file(database: Database, name: str) -> Coded | None:
    file = await database[FILES].find_one({"_id": name})
    if file is None:
        return None
    parts: list[bytes] = []
    for piece in pieces(chunks_of(name, file["length"]), CHUNKS_READ):
        found = {chunk["_id"]: chunk["data"] async for chunk in database[CHUNKS].find({"_id": {"$in": piece}})}
        if len(found) < len(piece):
            return None
        parts += [found[each] for each in piece]
    return Coded(b"".join(parts), file["metadata"]["size"], file["metadata"]["compressed"])


def chunks_of(name: str, size: int) -> list[str]:
    return [f"{name}:{n}" for n in range(-(-size // CHUNK_BYTES))]


def pieces(ids: Sequence[str], size: int = ASKED) -> list[Sequence[str]]:
    return [ids[start : start + size] for start in range(0, len(ids), size)]
