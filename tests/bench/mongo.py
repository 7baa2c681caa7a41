"""What documents and blobs cost in MongoDB's protocol, beside the driver alone: pymongo in one thread.

The server is the tests' own (FerretDB on SQLite, which waits for no disk), so that ratios are what tells. Bare: the
same documents by `insert_many`, or by an upsert each; the same bytes, compressed, by one insert a pack or by GridFS's
`upload`, without asking what is there and without a list of blobs; reading those by their key, a whole pack for each.
"""

import asyncio
import contextlib
import hashlib
import os
import random
import tempfile
import time
import uuid
import zlib
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import gridfs
import uvloop
from pymongo import MongoClient
from pymongo.write_concern import WriteConcern

from services.kernel.blobs import Blob
from services.kernel.blobs.mongo import MongoBlobs
from services.kernel.documents import Document
from services.kernel.documents.mongo import MongoDocuments
from services.kernel.server import Server
from tests.bench.declaration import Bench, Figure, Options, Unable, middle, span
from tests.servers.running import Stable, missing

DOCUMENTS, BATCH = 10_000, 500
SMALL, SMALL_BATCH, SMALL_BYTES = 3_200, 64, 4_000
LARGE, LARGE_BATCH, LARGE_BYTES = 60, 4, 200_000
READ, AT_ONCE = 600, 8
A = uuid.UUID(int=1)


@contextlib.contextmanager
def running() -> Iterator[Server]:
    """A server for this benchmark alone, which ends with it."""
    if "mongodb" in missing():
        raise Unable("the MongoDB server of the tests is not installed: tests/servers/build mongo")
    with tempfile.TemporaryDirectory() as name:
        os.mkfifo(Path(name) / "fifo")
        leash = os.open(Path(name) / "fifo", os.O_RDWR | os.O_CLOEXEC)
        stable = Stable(Path(name))
        server = stable.own("mongodb")
        try:
            yield Server.parse(server.url)
        finally:
            stable.give_back(server)
            os.close(leash)


def named(server: Server, number: int) -> Server:
    return Server.parse(f"mongodb://{server.address}/bench{number}")


def digest_of(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()


def texts(count: int, size: int, seed: int) -> list[Blob]:
    """Half of it compressible, as pages and answers of programs are."""
    source = random.Random(seed)
    made: list[Blob] = []
    for _ in range(count):
        content = source.randbytes(size // 2).hex().encode()[:size]
        made.append(Blob(digest_of(content), content))
    return made


def documents() -> list[Document]:
    return [
        Document(f"key{n:08}", {"state": f"s{n % 7}", "count": n, "title": f"A module's title {n}", "of": ["a", "b"]})
        for n in range(DOCUMENTS)
    ]


class Rates:
    """Of everything that is measured, by turns."""

    def __init__(self) -> None:
        self._runs: dict[str, list[float]] = {}

    async def measure(self, what: str, count: int, work: Callable[[], Awaitable[object]]) -> None:
        started = time.perf_counter()
        await work()
        self._runs.setdefault(what, []).append(count / (time.perf_counter() - started))

    def figure(self, what: str, unit: str) -> Figure:
        runs = self._runs[what]
        return Figure(
            what=what, value=middle(runs), unit=unit, bare=middle(self._runs[f"bare {what}"]), spread=span(runs)
        )


async def measure(options: Options) -> list[Figure]:
    rates = Rates()
    with running() as server, MongoClient(server.address) as client:
        for number in range(options.runs):
            database = client.get_database(f"bare{number}", write_concern=WriteConcern(w="majority", j=True))
            await measure_documents(rates, named(server, number), database)
            await measure_blobs(rates, named(server, number), database, number)
            client.drop_database(f"bare{number}")
            client.drop_database(f"bench{number}")
    return [
        rates.figure(f"documents inserted, {BATCH} a call", "documents/s"),
        rates.figure(f"documents replaced, {BATCH} a call", "documents/s"),
        rates.figure(f"blobs of 4 kB put, {SMALL_BATCH} a call", "blobs/s"),
        rates.figure(f"blobs of 4 kB put, {SMALL_BATCH} a call, {AT_ONCE} at once", "blobs/s"),
        rates.figure(f"blobs of 200 kB put, {LARGE_BATCH} a call", "blobs/s"),
        rates.figure("blobs of 4 kB read at random", "blobs/s"),
        rates.figure(f"blobs of 4 kB read at random, {AT_ONCE} at once", "blobs/s"),
        rates.figure("blobs of 200 kB read at random", "blobs/s"),
    ]


async def measure_documents(rates: Rates, server: Server, database: Any) -> None:
    made = documents()
    port = MongoDocuments(server)
    await port.declare("things", ["state"])
    batches = [made[start : start + BATCH] for start in range(0, DOCUMENTS, BATCH)]

    async def insert() -> None:
        for batch in batches:
            await port.insert(A, "things", batch)

    async def replace() -> None:
        for batch in batches[:4]:
            await port.replace(A, "things", batch)

    async def bare_insert() -> None:
        for batch in batches:
            database.things.insert_many([{"_id": each.key, **each.content} for each in batch], ordered=False)

    async def bare_replace() -> None:
        for batch in batches[:4]:
            for each in batch:
                database.things.update_one({"_id": each.key}, {"$set": each.content}, upsert=True)

    what = f"documents inserted, {BATCH} a call"
    await rates.measure(what, DOCUMENTS, insert)
    await rates.measure(f"bare {what}", DOCUMENTS, bare_insert)
    what = f"documents replaced, {BATCH} a call"
    await rates.measure(what, BATCH * 4, replace)
    await rates.measure(f"bare {what}", BATCH * 4, bare_replace)
    await port.close()


async def measure_blobs(rates: Rates, server: Server, database: Any, seed: int) -> None:
    port = MongoBlobs(server)
    await port.put(A, texts(1, 100, seed))
    small, large = texts(SMALL * 2, SMALL_BYTES, seed), texts(LARGE, LARGE_BYTES, seed)
    places: dict[bytes, str] = {}
    bucket = gridfs.GridFSBucket(database)

    def batches(made: list[Blob], size: int) -> list[list[Blob]]:
        return [made[start : start + size] for start in range(0, len(made), size)]

    async def put(made: list[Blob], size: int, at_once: int = 1) -> None:
        left = batches(made, size)

        async def work() -> None:
            while left:
                await port.put(A, left.pop())

        await asyncio.gather(*(work() for _ in range(at_once)))

    async def bare_put(made: list[Blob]) -> None:
        for number, batch in enumerate(batches(made, SMALL_BATCH)):
            name = f"{made[0].digest.hex()}:{number}"
            database.packs.insert_one(
                {"_id": name, "blobs": {each.digest.hex(): zlib.compress(each.content, 1) for each in batch}}
            )
            places.update((each.digest, name) for each in batch)

    async def bare_put_files(made: list[Blob]) -> None:
        for each in made:
            bucket.upload_from_stream_with_id(each.digest.hex(), each.digest.hex(), zlib.compress(each.content, 1))

    async def read(made: list[Blob], count: int, at_once: int = 1) -> None:
        left = random.Random(seed).choices(made, k=count)

        async def work() -> None:
            while left:
                await port.get(A, left.pop().digest)

        await asyncio.gather(*(work() for _ in range(at_once)))

    async def bare_read(made: list[Blob], count: int) -> None:
        for each in random.Random(seed).choices(made, k=count):
            pack = database.packs.find_one({"_id": places[each.digest]})
            digest_of(zlib.decompress(pack["blobs"][each.digest.hex()]))

    async def bare_read_files(made: list[Blob]) -> None:
        for each in random.Random(seed).choices(made, k=30):
            digest_of(zlib.decompress(bucket.open_download_stream(each.digest.hex()).read()))

    what = f"blobs of 4 kB put, {SMALL_BATCH} a call"
    await rates.measure(what, SMALL, lambda: put(small[:SMALL], SMALL_BATCH))
    await rates.measure(f"bare {what}", SMALL, lambda: bare_put(small[:SMALL]))
    what += f", {AT_ONCE} at once"
    await rates.measure(what, SMALL, lambda: put(small[SMALL:], SMALL_BATCH, AT_ONCE))
    await rates.measure(f"bare {what}", SMALL, lambda: bare_put(small[SMALL:]))
    what = f"blobs of 200 kB put, {LARGE_BATCH} a call"
    await rates.measure(what, LARGE, lambda: put(large, LARGE_BATCH))
    await rates.measure(f"bare {what}", LARGE, lambda: bare_put_files(large))
    what = "blobs of 4 kB read at random"
    await rates.measure(what, READ, lambda: read(small, READ))
    await rates.measure(f"bare {what}", READ, lambda: bare_read(small, READ))
    what += f", {AT_ONCE} at once"
    await rates.measure(what, READ, lambda: read(small, READ, AT_ONCE))
    await rates.measure(f"bare {what}", READ, lambda: bare_read(small, READ))
    what = "blobs of 200 kB read at random"
    await rates.measure(what, 30, lambda: read(large, 30))
    await rates.measure(f"bare {what}", 30, lambda: bare_read_files(large))
    await port.close()


BENCH = Bench("mongo", "Documents and evidence in the fleet.", lambda options: uvloop.run(measure(options)))
