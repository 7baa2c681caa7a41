"""`blobs` in packed files: contents are appended to segments, an index in SQLite says where each one is.

The index is written after the segment, so what a death leaves at the end of a segment is simply not there. What was
acknowledged survives the death of the process; after a power cut the last seconds may be missing, and are then not
found or `Corrupt`. A segment of which more than half is dropped is rewritten into the current one and removed.
"""

import asyncio
import contextlib
import os
import sqlite3
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple
from uuid import UUID

from services.kernel.blobs import Blob, Blobs
from services.kernel.blobs.coding import Coded, decode, encode
from services.kernel.errors import Corrupt, MirageError, NotFound
from services.kernel.sql import statements
from services.kernel.sql.sqlite_file import SqliteFile, open_read_only

INDEX: Final = "index.db"
SEGMENT_BYTES: Final = 64 << 20
MOVED_BYTES: Final = 8 << 20  # how much is rewritten before others get their turn
LISTED: Final = 1000

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS segment (id INTEGER PRIMARY KEY, size INTEGER NOT NULL, dead INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS blob (
    workspace BLOB NOT NULL, digest BLOB NOT NULL, segment INTEGER NOT NULL, place INTEGER NOT NULL,
    stored INTEGER NOT NULL, size INTEGER NOT NULL, compressed INTEGER NOT NULL,
    PRIMARY KEY (workspace, digest)) WITHOUT ROWID;
"""


class Packed(NamedTuple):
    """A blob as a segment holds it; ``size`` is that of the content before it was compressed."""

    workspace: bytes
    digest: bytes
    stored: bytes
    size: int
    compressed: bool


class Moved(Exception):
    """The segment was rewritten between looking up and reading."""


def segment_path(folder: Path, segment: int) -> Path:
    return folder / f"{segment:08d}.seg"


def missing_segments(folder: Path) -> list[Path]:
    """Files of contents that are not there, or shorter than the index says; whoever owns the folder."""
    with contextlib.closing(open_read_only(folder / INDEX)) as connection:
        sizes = connection.execute("SELECT id, size FROM segment ORDER BY id").fetchall()
    paths = [(segment_path(folder, segment), size) for segment, size in sizes if size]
    return [path for path, size in paths if not (path.is_file() and path.stat().st_size >= size)]


class SegmentBlobs(Blobs):
    """Blobs in ``folder``, which one process owns."""

    def __init__(self, folder: str | Path) -> None:
        self._folder = Path(folder)
        self._file = SqliteFile(self._folder / INDEX, setup=self._open)
        self._reclaiming: asyncio.Task[None] | None = None
        self._moves = asyncio.Lock()
        # Touched on the writing thread only:
        self._segment = 1
        self._end = 0
        self._handle = -1
        self._to_move: list[tuple[bytes, bytes]] = []
        self._moving = 0

    async def put(self, workspace: UUID, blobs: Sequence[Blob]) -> None:
        if blobs:
            await self._file.run(lambda: self._put(workspace.bytes, {blob.digest: blob.content for blob in blobs}))

    async def get(self, workspace: UUID, digest: bytes) -> bytes:
        for _ in range(3):
            with contextlib.suppress(Moved):
                return await self._file.read(lambda connection: self._get(connection, workspace.bytes, digest))
        raise Corrupt(f"the segment that holds the blob {digest.hex()} is missing")

    async def drop(self, workspace: UUID, digests: Sequence[bytes]) -> None:
        await self._file.write(lambda connection: _forget(connection, workspace.bytes, set(digests)))
        if self._reclaiming is None or self._reclaiming.done():
            self._reclaiming = asyncio.create_task(self._reclaim())

    async def digests(self, workspace: UUID) -> AsyncIterator[list[bytes]]:
        last = b""
        while found := await self._file.read(partial(_list, workspace.bytes, last)):
            yield found
            last = found[-1]

    @contextlib.asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """While this is open no segment is rewritten or removed: what the index says of one stays true of its file."""
        async with self._moves:
            yield

    async def ping(self) -> None:
        await self._file.read(lambda connection: connection.execute("SELECT 1 FROM segment LIMIT 1").fetchone())

    async def close(self) -> None:
        if self._file.closed:
            return
        if self._reclaiming is not None:
            self._reclaiming.cancel()
            await asyncio.gather(self._reclaiming, return_exceptions=True)
        await self._file.run(self._leave)
        await self._file.close()

    async def _reclaim(self) -> None:
        with contextlib.suppress(MirageError):  # the next drop tries again
            while True:
                async with self._moves:
                    if not await self._file.run(self._move_some):
                        return

    # What follows runs on a thread.

    def _open(self, connection: sqlite3.Connection) -> None:
        connection.executescript(SCHEMA)
        self._enter(connection)
        live = {row[0] for row in connection.execute("SELECT id FROM segment")} | {self._segment}
        for path in self._folder.glob("*.seg"):
            if not (path.stem.isdecimal() and int(path.stem) in live):
                path.unlink(missing_ok=True)  # begun or emptied just before a death

    def _enter(self, connection: sqlite3.Connection) -> None:
        """Go on where the index ends, whatever the file holds after that."""
        self._leave()
        row = connection.execute("SELECT id, size FROM segment ORDER BY id DESC LIMIT 1").fetchone()
        self._segment, self._end = row or (1, 0)
        handle = self._writing()
        if os.fstat(handle).st_size < self._end:
            self._roll()  # bytes were lost; what the index says of them stays true in its own place
        else:
            os.ftruncate(handle, self._end)

    def _leave(self) -> None:
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def _roll(self) -> None:
        self._leave()
        self._segment += 1
        self._end = 0

    def _writing(self) -> int:
        if self._handle < 0:
            self._handle = os.open(self._path(self._segment), os.O_CREAT | os.O_RDWR, 0o600)
        return self._handle

    def _path(self, segment: int) -> Path:
        return segment_path(self._folder, segment)

    def _put(self, workspace: bytes, contents: dict[bytes, bytes]) -> None:
        connection = self._file.writer()
        known = _known(connection, workspace, contents)
        packed = [pack(workspace, digest, contents[digest]) for digest in sorted(contents.keys() - known)]
        if packed:
            self._keep(lambda connection: self._append(connection, packed))

    def _keep(self, call: Callable[[sqlite3.Connection], None]) -> None:
        try:
            self._file.transact(call)
        except BaseException:
            self._moving, self._to_move = 0, []
            self._enter(self._file.writer())
            raise

    def _append(self, connection: sqlite3.Connection, packed: Sequence[Packed]) -> None:
        for piece in self._pieces(packed):
            data = b"".join(each.stored for each in piece)
            _write(self._writing(), data, self._end)
            place = self._end
            rows: list[tuple[object, ...]] = []
            for each in piece:
                rows.append(
                    (each.workspace, each.digest, self._segment, place, len(each.stored), each.size, each.compressed)
                )
                place += len(each.stored)
            connection.executemany("INSERT OR REPLACE INTO blob VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
            connection.execute(
                "INSERT INTO segment VALUES (?, ?, 0) ON CONFLICT (id) DO UPDATE SET size = excluded.size",
                (self._segment, place),
            )
            self._end = place

    def _pieces(self, packed: Sequence[Packed]) -> Iterator[list[Packed]]:
        """Cut what is to be written where a segment is full."""
        piece: list[Packed] = []
        length = 0
        for each in packed:
            if self._end + length >= SEGMENT_BYTES:
                if piece:
                    yield piece
                self._roll()
                piece, length = [], 0
            piece.append(each)
            length += len(each.stored)
        yield piece

    def _get(self, connection: sqlite3.Connection, workspace: bytes, digest: bytes) -> bytes:
        row = connection.execute(
            "SELECT segment, place, stored, size, compressed FROM blob WHERE workspace = ? AND digest = ?",
            (workspace, digest),
        ).fetchone()
        if row is None:
            raise NotFound(f"there is no blob {digest.hex()}")
        segment, place, stored, size, compressed = row
        return decode(digest, Coded(_read(self._path(segment), place, stored), size, compressed))

    def _move_some(self) -> bool:
        """Rewrite a part of a segment that is mostly dropped; say whether there is more to do."""
        connection = self._file.writer()
        if not self._moving:
            row = connection.execute("SELECT id FROM segment WHERE dead * 2 > size ORDER BY id LIMIT 1").fetchone()
            if row is None:
                return False
            self._moving = row[0]
            if self._moving == self._segment:
                self._roll()
            self._to_move = connection.execute(
                "SELECT workspace, digest FROM blob WHERE segment = ? ORDER BY place DESC", row
            ).fetchall()
        self._keep(self._move)
        if not self._to_move:
            self._path(self._moving).unlink(missing_ok=True)
            self._moving = 0
        return True

    def _move(self, connection: sqlite3.Connection) -> None:
        packed: list[Packed] = []
        length = 0
        while self._to_move and length < MOVED_BYTES:
            key = self._to_move.pop()
            row = connection.execute(
                "SELECT place, stored, size, compressed FROM blob WHERE workspace = ? AND digest = ? AND segment = ?",
                (*key, self._moving),
            ).fetchone()
            if row is not None:  # not dropped meanwhile
                place, stored, size, compressed = row
                content = b""  # a segment that is missing leaves blobs that are Corrupt, not blobs that never were
                with contextlib.suppress(Moved):
                    content = _read(self._path(self._moving), place, stored)
                packed.append(Packed(*key, content, size, compressed))
                length += stored
        if packed:
            self._append(connection, packed)
        if not self._to_move:
            connection.execute("DELETE FROM segment WHERE id = ?", (self._moving,))


def pack(workspace: bytes, digest: bytes, content: bytes) -> Packed:
    return Packed(workspace, digest, *encode(digest, content))


def _known(connection: sqlite3.Connection, workspace: bytes, digests: Collection[bytes]) -> set[bytes]:
    found: set[bytes] = set()
    for piece in statements.pieces_of_keys(digests):
        expanded, names = statements.expand_keys(
            "SELECT digest FROM blob WHERE workspace = :workspace AND digest IN :keys", len(piece)
        )
        values = dict(zip(names, piece, strict=True)) | {"workspace": workspace}
        found.update(row[0] for row in connection.execute(expanded, values))
    return found


def _forget(connection: sqlite3.Connection, workspace: bytes, digests: Collection[bytes]) -> None:
    dead: dict[int, int] = {}
    for digest in digests:
        for segment, stored in connection.execute(
            "DELETE FROM blob WHERE workspace = ? AND digest = ? RETURNING segment, stored", (workspace, digest)
        ).fetchall():
            dead[segment] = dead.get(segment, 0) + stored
    connection.executemany("UPDATE segment SET dead = dead + ? WHERE id = ?", [(n, key) for key, n in dead.items()])


def _list(workspace: bytes, after: bytes, connection: sqlite3.Connection) -> list[bytes]:
    rows = connection.execute(
        "SELECT digest FROM blob WHERE workspace = ? AND digest > ? ORDER BY digest LIMIT ?", (workspace, after, LISTED)
    )
    return [row[0] for row in rows]


def _write(handle: int, data: bytes, place: int) -> None:
    rest = memoryview(data)
    while rest:
        written = os.pwrite(handle, rest, place)
        rest, place = rest[written:], place + written


def _read(path: Path, place: int, length: int) -> bytes:
    """Read what is there of ``length`` bytes."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except FileNotFoundError as error:
        raise Moved from error
    try:
        parts: list[bytes] = []
        while length and (part := os.pread(handle, length, place)):
            parts.append(part)
            length, place = length - len(part), place + len(part)
        return b"".join(parts)
    finally:
        os.close(handle)
