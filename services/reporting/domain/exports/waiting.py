"""What has to wait until all of a scan was seen waits on disk, so that memory does not grow with the scan."""

import sqlite3
import tempfile
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from services.contracts.claims import Entity
from services.contracts.resources.storage import RelationFacts

#: Entities of which it is remembered that they were noted, and those and bytes that are read back at a time.
RECENT: Final = 50_000
BATCH: Final = 1000
PIECE: Final = 1_000_000

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(tuple[str, ...]).decode


def _on_disk(tables: str) -> sqlite3.Connection:
    """A database without a name, which is a file that is gone with its connection."""
    opened = sqlite3.connect("", isolation_level=None, check_same_thread=False)
    opened.executescript(
        f"PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA temp_store = FILE; {tables} BEGIN;"
    )
    return opened


class Sorted:
    """Documents in the order of their keys, whose parts are compared byte by byte."""

    def __init__(self) -> None:
        self._tables = _on_disk("CREATE TABLE sorted (key BLOB, document BLOB);")

    def add(self, documents: Iterable[tuple[bytes, bytes]]) -> None:
        """Take documents with their keys, see `key_of`."""
        self._tables.executemany("INSERT INTO sorted VALUES (?, ?)", documents)

    def documents(self) -> Iterator[list[bytes]]:
        """All of them, in batches."""
        rows = self._tables.execute("SELECT document FROM sorted ORDER BY key")
        while batch := rows.fetchmany(BATCH):
            yield [document for (document,) in batch]

    def close(self) -> None:
        self._tables.close()


def key_of(entity: Entity, relation: RelationFacts | None = None) -> bytes:
    """The place of an entity, by type and value, or of a relation among those that lead from it."""
    key = f"{entity.type}\0{entity.value}\0".encode() + entity.id
    if relation is None:
        return key
    return key + f"\1{relation.type}\0{relation.target.value}\0".encode() + relation.id


class Ends:
    """Which entities were written and which were only named, by a relation or as a part, so that these can follow."""

    def __init__(self) -> None:
        self._tables = _on_disk(
            "CREATE TABLE written (id BLOB); CREATE TABLE named (id BLOB, entity BLOB); CREATE TABLE kept (what BLOB);"
        )
        self._written: list[tuple[bytes]] = []
        self._named: list[tuple[bytes, bytes]] = []
        self._recent: set[bytes] = set()

    def write(self, entity: Entity) -> None:
        """Note that an entity is in the file."""
        identity = entity.id
        self._remember(identity)
        self._written.append((identity,))
        if len(self._written) >= BATCH:
            self._flush()

    def name(self, entity: Entity) -> None:
        """Note that something refers to an entity."""
        identity = entity.id
        if identity not in self._recent:
            self._remember(identity)
            self._named.append((identity, _encode((entity.type, *entity.key))))
            if len(self._named) >= BATCH:
                self._flush()

    def keep(self, what: bytes) -> None:
        """Keep something for the end."""
        self._tables.execute("INSERT INTO kept VALUES (?)", (what,))

    def kept(self) -> Iterator[bytes]:
        """What was kept, in its order."""
        for (found,) in self._tables.execute("SELECT what FROM kept ORDER BY rowid"):
            yield found

    def unwritten(self) -> Iterator[list[Entity]]:
        """The entities that were named and never written, each once, in the order in which they were named first.

        They come in batches, and may be written meanwhile.
        """
        self._flush()
        rows = self._tables.execute(
            "SELECT entity FROM named WHERE id NOT IN (SELECT id FROM written) GROUP BY id ORDER BY MIN(rowid)"
        )
        while batch := rows.fetchmany(BATCH):
            keys = [_decode(found) for (found,) in batch]
            yield [Entity(kind, tuple(key)) for kind, *key in keys]

    def close(self) -> None:
        self._tables.close()

    def _remember(self, identity: bytes) -> None:
        if len(self._recent) >= RECENT:
            self._recent.clear()
        self._recent.add(identity)

    def _flush(self) -> None:
        self._tables.executemany("INSERT INTO written VALUES (?)", self._written)
        self._tables.executemany("INSERT INTO named VALUES (?, ?)", self._named)
        self._written.clear()
        self._named.clear()


class Spool:
    """Bytes that come later in the file than what follows them in the scan."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115  closed by `close`

    def write(self, pieces: Iterable[bytes]) -> None:
        self._file.writelines(pieces)

    def read(self) -> Iterator[bytes]:
        """All of it, piece by piece."""
        self._file.seek(0)
        while piece := self._file.read(PIECE):
            yield piece

    def close(self) -> None:
        self._file.close()
