"""What every `blobs` adapter promises."""

import asyncio
import hashlib
import random
import uuid
from collections.abc import Callable

import pytest

from services.kernel.blobs import Blob, Blobs
from services.kernel.errors import Invalid, NotFound, Unavailable
from tests.kernel.conftest import OpenBlobs

A, B = uuid.UUID(int=1), uuid.UUID(int=2)
PAGE = b"<html>" + b"<p>the same again and again</p>" * 700 + b"</html>"


def blob(content: bytes) -> Blob:
    return Blob(hashlib.sha256(content).digest(), content)


def several(count: int, size: int = 100) -> list[Blob]:
    return [blob(random.Random(n).randbytes(size)) for n in range(count)]


async def listed(blobs: Blobs, workspace: uuid.UUID) -> list[bytes]:
    return [digest async for digests in blobs.digests(workspace) for digest in digests]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"x",
        b"\0" * 10,
        PAGE,
        bytes(range(256)) * 4,
        random.Random(1).randbytes(30_000),
        random.Random(2).randbytes(700_000),
        b"a" * 3_000_000,
    ],
    ids=["empty", "one", "zeros", "page", "all", "random", "large random", "large"],
)
async def test_what_was_put_comes_back(blobs: Blobs, content: bytes) -> None:
    await blobs.put(A, [blob(content)])
    assert await blobs.get(A, hashlib.sha256(content).digest()) == content


async def test_a_batch_may_hold_what_is_there_already_and_what_is_in_it_twice(blobs: Blobs) -> None:
    await blobs.put(A, [blob(b"one")])
    await blobs.put(A, [blob(b"one"), blob(b"two"), blob(b"two"), blob(b"three")])
    await blobs.put(A, [])
    assert await listed(blobs, A) == sorted(blob(content).digest for content in (b"one", b"two", b"three"))
    for content in (b"one", b"two", b"three"):
        assert await blobs.get(A, blob(content).digest) == content


async def test_what_is_not_there_is_not_found(blobs: Blobs) -> None:
    with pytest.raises(NotFound):
        await blobs.get(A, blob(b"never").digest)


async def test_a_workspace_has_its_own_blobs(blobs: Blobs) -> None:
    await blobs.put(A, [blob(b"shared"), blob(b"mine")])
    await blobs.put(B, [blob(b"shared")])
    with pytest.raises(NotFound):
        await blobs.get(B, blob(b"mine").digest)
    await blobs.drop(A, [blob(b"shared").digest])
    assert await blobs.get(B, blob(b"shared").digest) == b"shared"
    with pytest.raises(NotFound):
        await blobs.get(A, blob(b"shared").digest)
    assert await listed(blobs, B) == [blob(b"shared").digest]


async def test_a_wrong_digest_is_invalid_and_nothing_of_its_batch_is_kept(blobs: Blobs) -> None:
    with pytest.raises(Invalid):
        await blobs.put(A, [blob(b"right"), Blob(bytes(32), b"wrong")])
    assert await listed(blobs, A) == []


async def test_dropping_what_is_not_there_is_nothing(blobs: Blobs) -> None:
    await blobs.put(A, [blob(b"one"), blob(b"two")])
    await blobs.drop(A, [blob(b"one").digest, blob(b"one").digest, blob(b"never").digest])
    await blobs.drop(A, [])
    assert await listed(blobs, A) == [blob(b"two").digest]


async def test_what_was_dropped_may_be_put_again(blobs: Blobs) -> None:
    for _ in range(3):
        await blobs.put(A, [blob(PAGE)])
        assert await blobs.get(A, blob(PAGE).digest) == PAGE
        await blobs.drop(A, [blob(PAGE).digest])


async def test_digests_come_in_order_in_lists(blobs: Blobs) -> None:
    kept = several(2500)
    await blobs.put(A, kept)
    await blobs.put(B, several(3, 7))
    lists = [digests async for digests in blobs.digests(A)]
    assert len(lists) > 1
    assert [digest for digests in lists for digest in digests] == sorted(each.digest for each in kept)
    assert await listed(blobs, uuid.UUID(int=3)) == []


async def test_many_put_and_get_at_once(blobs: Blobs) -> None:
    kept = several(60, 5_000)
    await asyncio.gather(*(blobs.put(A, kept[start : start + 20]) for start in range(0, 50, 5)))
    contents = await asyncio.gather(*(blobs.get(A, each.digest) for each in kept))
    assert contents == [each.content for each in kept]


async def test_a_cancelled_put_leaves_all_or_nothing(blobs: Blobs) -> None:
    for steps in range(4):
        batch = several(20, 1000 + steps)
        task = asyncio.create_task(blobs.put(A, batch))
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await blobs.put(B, [blob(b"%d" % steps)])
        found = set(await listed(blobs, A)) & {each.digest for each in batch}
        assert len(found) in {0, 20}


async def test_blobs_are_there_after_opening_again(open_blobs: OpenBlobs, blobs: Blobs) -> None:
    await blobs.put(A, [blob(PAGE), blob(b"small")])
    await blobs.close()
    again = open_blobs()
    await again.put(A, [blob(b"more")])
    for content in (PAGE, b"small", b"more"):
        assert await again.get(A, blob(content).digest) == content


KILLED = """
import asyncio, hashlib, random, uuid
from services.kernel.blobs import Blob
from services.kernel.blobs.mongo import MongoBlobs
from services.kernel.blobs.segments import SegmentBlobs
from services.kernel.server import Server

def several(count, size):
    contents = [random.Random(n).randbytes(size) for n in range(count)]
    return [Blob(hashlib.sha256(content).digest(), content) for content in contents]

async def main():
    blobs = OPENED
    await blobs.put(uuid.UUID(int=1), several(50, 1000))
    asyncio.ensure_future(blobs.put(uuid.UUID(int=1), several(500, 5000)))
    await asyncio.sleep(0)
    print("ready", flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


async def test_a_killed_process_keeps_what_it_acknowledged(
    open_blobs: OpenBlobs, blobs_source: str, kill_when_ready: Callable[[str], None]
) -> None:
    await asyncio.to_thread(kill_when_ready, KILLED.replace("OPENED", blobs_source))
    blobs = open_blobs()
    kept = {each.digest: each.content for each in several(50, 1000) + several(500, 5000)}
    found = await listed(blobs, A)
    assert len(found) in {50, 550}
    await blobs.put(A, several(50, 999))
    for digest in found:
        assert await blobs.get(A, digest) == kept[digest]


async def test_closed_blobs_are_unavailable(blobs: Blobs) -> None:
    await blobs.ping()
    await blobs.close()
    await blobs.close()
    for call in (blobs.ping(), blobs.put(A, [blob(b"x")]), blobs.get(A, bytes(32)), blobs.drop(A, [bytes(32)])):
        with pytest.raises(Unavailable):
            await call
