"""What has to wait until all of a scan was seen waits on disk, so that memory does not grow with the scan."""

import heapq
import struct
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby, islice
from operator import itemgetter
from typing import BinaryIO, Final

import msgspec

from services.contracts.claims import Entity
from services.contracts.resources.storage import RelationFacts

#: Bytes of what is sorted in memory, before it goes to disk as a run; what an entry of it costs beside its own bytes.
RUN: Final = 2_000_000
_EACH: Final = 160
#: Bytes that are read at a time, of a run and of a spool.
AHEAD: Final = 32_768
PIECE: Final = 1_000_000
#: Entities of which it is remembered that they were noted, and documents and entities of a batch.
RECENT: Final = 50_000
BATCH: Final = 1000

#: Opens a file that is gone when it is closed.
Scratch = Callable[[], BinaryIO]

_SIZES: Final = struct.Struct(">II")
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(tuple[str, ...]).decode


class Sorted:
    """Documents in the order of their keys, which are compared byte by byte: runs of them on disk, merged at the end.

    It may be read again when more was added, and added to while it is read.
    """

    def __init__(self, scratch: Scratch) -> None:
        self._file = scratch()
        self._runs: list[tuple[int, int]] = []
        self._end = 0
        self._waiting: list[tuple[bytes, bytes]] = []
        self._size = 0

    def add(self, documents: Iterable[tuple[bytes, bytes]]) -> None:
        """Take documents with their keys, see `key_of`."""
        for entry in documents:
            self._waiting.append(entry)
            self._size += len(entry[0]) + len(entry[1]) + _EACH
            if self._size >= RUN:
                self._flush()

    def entries(self) -> Iterator[tuple[bytes, bytes]]:
        """Keys and documents, of all that was added by now."""
        self._flush()
        return heapq.merge(*(self._read(start, end) for start, end in self._runs), key=itemgetter(0))

    def documents(self) -> Iterator[list[bytes]]:
        """Documents in batches."""
        entries = self.entries()
        while batch := [document for _, document in islice(entries, BATCH)]:
            yield batch

    def close(self) -> None:
        self._file.close()

    def _flush(self) -> None:
        if not self._waiting:
            return
        self._waiting.sort(key=itemgetter(0))
        self._file.seek(self._end)
        for key, document in self._waiting:
            self._file.write(_SIZES.pack(len(key), len(document)) + key + document)
        start, self._end = self._end, self._file.tell()
        self._runs.append((start, self._end))
        self._waiting, self._size = [], 0

    def _read(self, start: int, end: int) -> Iterator[tuple[bytes, bytes]]:
        ahead, at = b"", 0
        while True:
            if len(ahead) - at < _SIZES.size:
                if start >= end and at == len(ahead):
                    return
                ahead, at, start = self._more(ahead[at:], start, end, _SIZES.size)
            key, document = _SIZES.unpack_from(ahead, at)
            size = _SIZES.size + key + document
            if len(ahead) - at < size:
                ahead, at, start = self._more(ahead[at:], start, end, size)
            first = at + _SIZES.size
            at += size
            yield ahead[first : first + key], ahead[first + key : at]

    def _more(self, left: bytes, start: int, end: int, least: int) -> tuple[bytes, int, int]:
        """What is left with what comes next, so that there are so many bytes at least; and where that ends."""
        self._file.seek(start)
        found = self._file.read(min(end - start, max(AHEAD, least)))
        return left + found, 0, start + len(found)


def key_of(entity: Entity, relation: RelationFacts | None = None) -> bytes:
    """The place of an entity, by type and value, or of a relation among those that lead from it."""
    key = f"{entity.type}\0{entity.value}\0".encode() + entity.id
    if relation is None:
        return key
    return key + f"\1{relation.type}\0{relation.target.value}\0".encode() + relation.id


class Ends:
    """Which entities were written and which were only named, by a relation or as a part, so that these can follow."""

    def __init__(self, scratch: Scratch) -> None:
        self._written = Sorted(scratch)
        self._named = Sorted(scratch)
        self._recent: set[bytes] = set()

    def write(self, entity: Entity) -> None:
        """Note that an entity is in the file."""
        identity = entity.id
        self._remember(identity)
        self._written.add([(identity, b"")])

    def name(self, entity: Entity) -> None:
        """Note that something refers to an entity."""
        identity = entity.id
        if identity not in self._recent:
            self._remember(identity)
            self._named.add([(identity, _encode((entity.type, *entity.key)))])

    def unwritten(self) -> Iterator[list[Entity]]:
        """The entities that were named and never written, each once, in the order of their ids.

        They come in batches, and may be written meanwhile.
        """
        waiting = self._waiting()
        while batch := list(islice(waiting, BATCH)):
            yield batch

    def close(self) -> None:
        self._written.close()
        self._named.close()

    def _waiting(self) -> Iterator[Entity]:
        written = self._written.entries()
        last = next(written, None)
        for identity, entries in groupby(self._named.entries(), key=itemgetter(0)):
            while last is not None and last[0] < identity:
                last = next(written, None)
            if last is None or last[0] != identity:
                kind, *key = _decode(next(entries)[1])
                yield Entity(kind, tuple(key))

    def _remember(self, identity: bytes) -> None:
        if len(self._recent) >= RECENT:
            self._recent.clear()
        self._recent.add(identity)


class Spool:
    """Bytes that come later in the file than what follows them in the scan, or things that are kept for its end."""

    def __init__(self, scratch: Scratch) -> None:
        self._file = scratch()

    def write(self, pieces: Iterable[bytes]) -> None:
        self._file.writelines(pieces)

    def keep(self, what: bytes) -> None:
        """Keep a thing, for `kept`."""
        self._file.write(_SIZES.pack(len(what), 0) + what)

    def read(self) -> Iterator[bytes]:
        """All of it, piece by piece."""
        self._file.seek(0)
        while piece := self._file.read(PIECE):
            yield piece

    def kept(self) -> Iterator[bytes]:
        """The things that were kept, in their order."""
        self._file.seek(0)
        while head := self._file.read(_SIZES.size):
            yield self._file.read(_SIZES.unpack(head)[0])

    def close(self) -> None:
        self._file.close()
