"""What keeping pages of 20 kB costs, beside hashing, compressing and appending the same bytes in one thread, without an
index.
"""

import hashlib
import random
import tempfile
import time
import uuid
import zlib
from pathlib import Path
from typing import NamedTuple

import uvloop

from services.kernel.blobs import Blob
from services.kernel.blobs.segments import SegmentBlobs
from tests.bench.declaration import Bench, Figure, Options, middle, span

PAGES, BATCH = 3_000, 20


def pages() -> list[Blob]:
    source = random.Random(1)
    words = ["".join(source.choices("abcdefghijklmnopqrstuvwxyz", k=source.randint(2, 10))) for _ in range(2_000)]
    made: list[Blob] = []
    for number in range(PAGES):
        text = f"<html><title>{number}</title>" + "".join(
            f"<p>{' '.join(source.choices(words, k=30))}</p>" for _ in range(95)
        )
        content = text.encode()[:20_000]
        made.append(Blob(hashlib.sha256(content).digest(), content))
    return made


class Run(NamedTuple):
    """Pages a second by the clock, and seconds of processor time a page."""

    rate: float
    cpu: float


class Stopwatch:
    def __init__(self) -> None:
        self.clock, self.cpu = time.perf_counter(), time.process_time()

    def stop(self) -> Run:
        return Run(PAGES / (time.perf_counter() - self.clock), (time.process_time() - self.cpu) / PAGES)


def bare_put(file: Path, made: list[Blob]) -> Run:
    watch = Stopwatch()
    with file.open("wb", buffering=0) as out:
        for each in made:
            hashlib.sha256(each.content)
            out.write(zlib.compress(each.content, 1))
    return watch.stop()


def bare_get(file: Path, made: list[Blob]) -> Run:
    """Reads and decompresses one stream after the other."""
    content, at = file.read_bytes(), 0
    watch = Stopwatch()
    for each in made:
        decompressor = zlib.decompressobj()
        hashlib.sha256(decompressor.decompress(content[at : at + len(each.content)]))
        at += len(each.content) - len(decompressor.unused_data)
    return watch.stop()


async def put(blobs: SegmentBlobs, workspace: uuid.UUID, made: list[Blob], batch: int) -> Run:
    watch = Stopwatch()
    for first in range(0, PAGES, batch):
        await blobs.put(workspace, made[first : first + batch])
    return watch.stop()


async def get(blobs: SegmentBlobs, workspace: uuid.UUID, made: list[Blob]) -> Run:
    watch = Stopwatch()
    for each in made:
        await blobs.get(workspace, each.digest)
    return watch.stop()


async def measure(options: Options) -> list[Figure]:
    made = pages()
    runs: dict[str, list[Run]] = {}
    stored = 0
    for _ in range(options.runs):
        with tempfile.TemporaryDirectory() as name:
            runs.setdefault("bare put", []).append(bare_put(Path(name) / "bare", made))
            runs.setdefault("bare get", []).append(bare_get(Path(name) / "bare", made))
            blobs = SegmentBlobs(Path(name) / "evidence")
            one, other = uuid.uuid4(), uuid.uuid4()
            runs.setdefault("put, 20 a call", []).append(await put(blobs, one, made, BATCH))
            runs.setdefault("put, 1 a call", []).append(await put(blobs, other, made, 1))
            runs.setdefault("put again, 20 a call", []).append(await put(blobs, one, made, BATCH))
            runs.setdefault("get", []).append(await get(blobs, one, made))
            await blobs.close()
            stored = sum(path.stat().st_size for path in (Path(name) / "evidence").iterdir()) // 2
    size = sum(len(each.content) for each in made) / PAGES
    return [
        figure("put, 20 a call", runs, "bare put"),
        figure("put, 1 a call", runs, "bare put"),
        figure("put again, 20 a call", runs),
        figure("get", runs, "bare get"),
        Figure(what="stored", value=stored / PAGES, unit="bytes/page", bare=size),
    ]


def figure(what: str, runs: dict[str, list[Run]], bare: str = "") -> Figure:
    rates = [run.rate for run in runs[what]]
    beside = f"cpu {middle([run.cpu for run in runs[what]]) * 1e6:,.0f} µs a page"
    limit = None
    if bare:
        limit = middle([run.rate for run in runs[bare]])
        beside += f", bare {middle([run.cpu for run in runs[bare]]) * 1e6:,.0f}"
    return Figure(what=what, value=middle(rates), unit="pages/s", bare=limit, spread=span(rates), beside=beside)


BENCH = Bench("blobs", "Evidence kept: part of 300 pages a second.", lambda options: uvloop.run(measure(options)))
