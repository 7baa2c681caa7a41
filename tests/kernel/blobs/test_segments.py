"""What only packed files do: compress, check, roll, reclaim, survive damage."""

import asyncio
import hashlib
import random
import sqlite3
import stat
from pathlib import Path
from uuid import UUID

import pytest

from services.kernel.blobs import Blob, segments
from services.kernel.blobs.segments import SegmentBlobs
from services.kernel.errors import Corrupt, Exhausted, NotFound

A = UUID(int=1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "evidence"


def blob(content: bytes) -> Blob:
    return Blob(hashlib.sha256(content).digest(), content)


def random_blobs(count: int, size: int, seed: int = 0) -> list[Blob]:
    source = random.Random(seed)
    return [blob(source.randbytes(size)) for _ in range(count)]


def files(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in sorted(folder.glob("*.seg"))}


async def reclaimed(blobs: SegmentBlobs) -> None:
    assert blobs._reclaiming is not None
    await blobs._reclaiming


async def test_files_are_for_their_owner_only(folder: Path) -> None:
    blobs = SegmentBlobs(folder)
    await blobs.put(A, [blob(b"x")])
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    await blobs.close()


async def test_only_what_gets_smaller_is_compressed(folder: Path) -> None:
    blobs = SegmentBlobs(folder)
    noise = random.Random(1).randbytes(10_000)
    await blobs.put(A, [blob(noise), blob(b"short" * 20)])
    assert files(folder) == {"00000001.seg": 10_100}
    await blobs.put(A, [blob(b"compressible " * 1000)])
    assert files(folder)["00000001.seg"] < 10_300
    await blobs.close()


async def test_segments_roll_when_they_are_full(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "SEGMENT_BYTES", 10_000)
    blobs = SegmentBlobs(folder)
    kept = random_blobs(25, 1_000)
    await blobs.put(A, kept[:22])
    await blobs.put(A, kept[22:])
    await blobs.put(A, random_blobs(1, 50_000, 5))
    assert list(files(folder).values()) == [10_000, 10_000, 55_000]
    for each in kept:
        assert await blobs.get(A, each.digest) == each.content
    await blobs.close()


@pytest.mark.parametrize("damage", ["flip", "cut", "remove"])
@pytest.mark.parametrize("content", [b"compressible " * 1000, random.Random(2).randbytes(5_000)], ids=["zlib", "plain"])
async def test_damage_is_found_and_named(folder: Path, content: bytes, damage: str) -> None:
    blobs = SegmentBlobs(folder)
    await blobs.put(A, [blob(content)])
    path = folder / "00000001.seg"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    if damage == "remove":
        path.unlink()
    else:
        path.write_bytes(data if damage == "flip" else data[:-1])
    with pytest.raises(Corrupt, match=blob(content).digest.hex()):
        await blobs.get(A, blob(content).digest)
    await blobs.close()


async def test_a_torn_tail_is_harmless(folder: Path) -> None:
    blobs = SegmentBlobs(folder)
    first, second = random_blobs(2, 1_000)
    await blobs.put(A, [first])
    await blobs.close()
    with (folder / "00000001.seg").open("ab") as file:
        file.write(b"half a record")
    (folder / "00000007.seg").write_bytes(b"a segment that no index knows")
    blobs = SegmentBlobs(folder)
    await blobs.put(A, [second])
    assert files(folder) == {"00000001.seg": 2_000}
    assert [await blobs.get(A, each.digest) for each in (first, second)] == [first.content, second.content]
    await blobs.close()


async def test_a_segment_that_lost_its_end_is_not_written_over(folder: Path) -> None:
    blobs = SegmentBlobs(folder)
    first, second, third = random_blobs(3, 1_000)
    await blobs.put(A, [first, second])
    await blobs.close()
    with (folder / "00000001.seg").open("r+b") as file:
        file.truncate(1_500)
    blobs = SegmentBlobs(folder)
    await blobs.put(A, [third])
    outcomes = await asyncio.gather(
        *(blobs.get(A, each.digest) for each in (first, second, third)), return_exceptions=True
    )
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Corrupt", "bytes", "bytes"]
    assert outcomes[2] == third.content
    await blobs.close()


async def test_room_is_reclaimed_when_more_than_half_is_dropped(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "SEGMENT_BYTES", 10_000)
    monkeypatch.setattr(segments, "MOVED_BYTES", 2_000)
    blobs = SegmentBlobs(folder)
    kept = random_blobs(30, 1_000)
    for each in kept:
        await blobs.put(A, [each])
    await blobs.drop(A, [each.digest for each in kept[:5]])
    await reclaimed(blobs)
    assert sum(files(folder).values()) == 30_000
    await blobs.drop(A, [each.digest for each in kept[5:7]])
    await reclaimed(blobs)
    assert sum(files(folder).values()) == 23_000
    assert "00000001.seg" not in files(folder)
    for each in kept[7:]:
        assert await blobs.get(A, each.digest) == each.content
    await blobs.drop(A, [each.digest for each in kept])
    await reclaimed(blobs)
    assert sum(files(folder).values()) == 0
    await blobs.put(A, kept[:1])
    await blobs.close()
    blobs = SegmentBlobs(folder)
    assert await blobs.get(A, kept[0].digest) == kept[0].content
    await blobs.close()


async def test_reading_while_room_is_reclaimed_finds_everything(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "SEGMENT_BYTES", 20_000)
    monkeypatch.setattr(segments, "MOVED_BYTES", 1_000)
    blobs = SegmentBlobs(folder)
    kept = random_blobs(200, 1_000)
    await blobs.put(A, kept)
    stays = kept[::4]
    await blobs.drop(A, [each.digest for each in kept if each not in stays])
    assert blobs._reclaiming is not None
    while not blobs._reclaiming.done():
        assert await asyncio.gather(*(blobs.get(A, each.digest) for each in stays)) == [each.content for each in stays]
    assert sum(files(folder).values()) < 100_000
    await blobs.close()


async def test_a_full_disk_is_exhausted_and_loses_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blobs = SegmentBlobs(folder)
    first, second, third = random_blobs(3, 1_000)
    await blobs.put(A, [first])

    def full(handle: int, data: bytes, place: int) -> None:
        write(handle, data[:100], place)
        raise OSError(28, "No space left on device")

    write = segments._write
    monkeypatch.setattr(segments, "_write", full)
    with pytest.raises(Exhausted):
        await blobs.put(A, [second])
    monkeypatch.setattr(segments, "_write", write)
    await blobs.put(A, [third])
    assert files(folder) == {"00000001.seg": 2_000}
    with pytest.raises(NotFound):
        await blobs.get(A, second.digest)
    assert [await blobs.get(A, each.digest) for each in (first, third)] == [first.content, third.content]
    await blobs.close()


async def test_a_disk_that_fills_while_room_is_reclaimed_loses_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blobs = SegmentBlobs(folder)
    kept = random_blobs(10, 1_000)
    await blobs.put(A, kept)

    def full(handle: int, data: bytes, place: int) -> None:
        raise OSError(28, "No space left on device")

    write = segments._write
    monkeypatch.setattr(segments, "_write", full)
    await blobs.drop(A, [each.digest for each in kept[:6]])
    await reclaimed(blobs)
    monkeypatch.setattr(segments, "_write", write)
    assert [await blobs.get(A, each.digest) for each in kept[6:]] == [each.content for each in kept[6:]]
    await blobs.drop(A, [kept[6].digest])
    await reclaimed(blobs)
    assert sum(files(folder).values()) == 3_000
    assert [await blobs.get(A, each.digest) for each in kept[7:]] == [each.content for each in kept[7:]]
    await blobs.close()


async def test_the_index_holds_one_row_for_a_blob_put_twice_at_once(folder: Path) -> None:
    blobs = SegmentBlobs(folder)
    await asyncio.gather(*(blobs.put(A, random_blobs(5, 1_000)) for _ in range(5)))
    await blobs.close()
    connection = sqlite3.connect(folder / "index.db")
    assert connection.execute("SELECT COUNT(*), SUM(stored) FROM blob").fetchone() == (5, 5_000)
    assert connection.execute("SELECT size, dead FROM segment").fetchall() == [(5_000, 0)]
    connection.close()
