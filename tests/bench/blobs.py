"""What keeping pages costs: ``python -m tests.bench.blobs``.

Prints pages of 20 kB kept and read a second, the processor time of each, and beside them the bare limit: hashing,
compressing and appending the same bytes in one thread, without an index.
"""

import hashlib
import random
import tempfile
import time
import uuid
import zlib
from pathlib import Path

import uvloop

from services.kernel.blobs import Blob
from services.kernel.blobs.segments import SegmentBlobs

WORKSPACE = uuid.UUID(int=1)
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


async def main() -> None:
    made = pages()
    with tempfile.TemporaryDirectory() as name:
        started, cpu = time.perf_counter(), time.process_time()
        with (Path(name) / "bare").open("wb", buffering=0) as file:
            for each in made:
                hashlib.sha256(each.content)
                file.write(zlib.compress(each.content, 1))
        bare, bare_cpu = PAGES / (time.perf_counter() - started), time.process_time() - cpu

        blobs = SegmentBlobs(Path(name) / "evidence")
        for label, batch in (("put, 20 a call", BATCH), ("put, 1 a call", 1)):
            workspace = uuid.uuid4()
            started, cpu = time.perf_counter(), time.process_time()
            for first in range(0, PAGES, batch):
                await blobs.put(workspace, made[first : first + batch])
            report(label, started, cpu, bare, bare_cpu)
        started, cpu = time.perf_counter(), time.process_time()
        for first in range(0, PAGES, BATCH):
            await blobs.put(workspace, made[first : first + BATCH])
        report("put again, 20 a call", started, cpu, bare, bare_cpu)
        started, cpu = time.perf_counter(), time.process_time()
        for each in made:
            await blobs.get(workspace, each.digest)
        report("get", started, cpu, bare, bare_cpu)
        await blobs.close()
        stored = sum(path.stat().st_size for path in (Path(name) / "evidence").iterdir()) // 2
        print(f"stored {stored / PAGES:,.0f} bytes a page, of {sum(len(each.content) for each in made) / PAGES:,.0f}")


def report(label: str, started: float, cpu: float, bare: float, bare_cpu: float) -> None:
    figure, used = PAGES / (time.perf_counter() - started), time.process_time() - cpu
    each = f"{used / PAGES * 1e6:>5,.0f} µs each, at 300/s {300 * used / PAGES:.1%} of a core"
    limit = f"bare {bare:>8,.0f}, {bare_cpu / PAGES * 1e6:,.0f} µs"
    print(f"{label:<22} {figure:>8,.0f} pages/s, {each}   {limit}   ratio {figure / bare:.2f}")


if __name__ == "__main__":
    uvloop.run(main())
