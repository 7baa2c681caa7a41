"""The tables of `SqliteBus` and what is done to them; everything here runs on the file's writing thread.

A message is stored once; a row of ``pending`` for each consumer says who has yet to accept it and how often it was
handed out. Sequences are given by us, never twice.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import Final

import msgspec
from msgspec import Struct

from services.kernel.bus import Consumer, Delivery, Stream
from services.kernel.bus.subjects import any_matches, any_overlap
from services.kernel.errors import Conflict, Corrupt, Invalid
from services.kernel.messages import EVERYWHERE, NAMESPACE, Envelope, derive, now
from services.kernel.sql import Row
from services.kernel.sql.sqlite_rows import LISTED, absent_keys, insert_rows, listed

MEMORY_SECONDS: Final = 120  # ids are remembered this long at least
MEMORY_IDS: Final = 200_000  # or this many
PULL_BYTES: Final = 16 << 20
SWEPT: Final = 2_000
SWEEP_SECONDS: Final = 1
SPARE_PAGES: Final = 8_192
ANY_CONSUMER: Final = 0  # the stream of messages that were revived: nobody but their consumer reads them

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS state (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS stream (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, declared BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS consumer (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, stream INTEGER NOT NULL, declared BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS message (
    sequence INTEGER PRIMARY KEY, stream INTEGER NOT NULL, at INTEGER NOT NULL, subject TEXT NOT NULL,
    envelope BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS message_stream ON message (stream);
CREATE TABLE IF NOT EXISTS pending (
    consumer INTEGER NOT NULL, sequence INTEGER NOT NULL, tries INTEGER NOT NULL,
    PRIMARY KEY (consumer, sequence)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS dead (
    id BLOB PRIMARY KEY, consumer TEXT NOT NULL, reason TEXT NOT NULL, at INTEGER NOT NULL, tries INTEGER NOT NULL,
    envelope BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS seen_0 (stream INTEGER NOT NULL, id BLOB NOT NULL, PRIMARY KEY (stream, id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS seen_1 (stream INTEGER NOT NULL, id BLOB NOT NULL, PRIMARY KEY (stream, id)) WITHOUT ROWID;
"""

encode = msgspec.msgpack.Encoder().encode
_read_envelope = msgspec.msgpack.Decoder(Envelope).decode
_read_stream = msgspec.msgpack.Decoder(Stream).decode
_read_consumer = msgspec.msgpack.Decoder(Consumer).decode

Connection = sqlite3.Connection
Letter = tuple[bytes, str, str, int, int, bytes]


class Outgoing(Struct, frozen=True):
    """A message with the stream that keeps it and the consumers that are to have it."""

    envelope: Envelope
    subject: str
    stream: int
    consumers: tuple[int, ...]


class Kept(Struct, frozen=True):
    """What a transaction added: the last sequence, per consumer how many messages and the last of them, and where."""

    sequence: int
    consumers: dict[int, tuple[int, int]]
    streams: frozenset[int]


class Standing(Struct, frozen=True):
    """A declared consumer, how many messages it has yet to accept, and the last of them."""

    id: int
    stream: int
    declared: Consumer
    kept: int
    newest: int


class Declared(Struct, frozen=True):
    streams: dict[int, Stream]
    consumers: list[Standing]
    sequence: int


def decode(raw: bytes) -> Envelope:
    try:
        return _read_envelope(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Corrupt(f"a stored message cannot be read: {error}") from error


def damaged(raw: bytes, sequence: int, subject: str) -> Envelope:
    """Carry the bytes of a row that is no envelope any more: nobody can read them, so they are buried in the end."""
    return Envelope(
        id=derive(NAMESPACE, f"damaged|{sequence}"),
        type=subject.rpartition(".")[0],
        source="",
        workspace=EVERYWHERE,
        time=now(),
        data=raw,
    )


class Queue:
    def __init__(self) -> None:
        self.sequence = 0
        self._remembering = 0
        self._remembered = 0
        self._remembered_since = 0
        self._sweep_at = 0
        self._swept: dict[int, int] = {}
        self._streams: dict[int, Stream] = {}
        self._readers: dict[int, list[int]] = {}

    def open(self, connection: Connection) -> None:
        connection.executescript(SCHEMA)
        state = dict(connection.execute("SELECT name, value FROM state").fetchall())
        newest = connection.execute("SELECT COALESCE(MAX(sequence), 0) FROM message").fetchone()[0]
        self.sequence = max(state.get("sequence", 0), newest)
        self._remembering = state.get("remembering", 0)
        self._remembered = connection.execute(f"SELECT COUNT(*) FROM seen_{self._remembering}").fetchone()[0]  # noqa: S608 - a digit
        # The memory's clock starts anew: what was published just before a death is the most likely to come again.
        self._remembered_since = now()

    # Streams and consumers

    def declare(self, connection: Connection, streams: Sequence[Stream], consumers: Sequence[Consumer]) -> Declared:
        for stream in streams:
            connection.execute(
                "INSERT INTO stream (name, declared) VALUES (?, ?)"
                " ON CONFLICT (name) DO UPDATE SET declared = excluded.declared",
                (stream.name, encode(stream)),
            )
        known = {key: _read_stream(raw) for key, raw in connection.execute("SELECT id, declared FROM stream")}
        _check_apart({stream.name: stream.subjects for stream in known.values()})
        keys = {stream.name: key for key, stream in known.items()}
        for consumer in consumers:
            if consumer.stream not in keys:
                raise Invalid(f"{consumer.name} reads {consumer.stream}, which nobody declared")
            self._declare_consumer(connection, keys[consumer.stream], consumer)
        standing = [
            Standing(key, stream, _read_consumer(raw), *_count(connection, key))
            for key, stream, raw in connection.execute("SELECT id, stream, declared FROM consumer").fetchall()
        ]
        for key, stream in known.items():
            if stream.kind == "work":
                _check_apart({each.declared.name: each.declared.subjects for each in standing if each.stream == key})
        self._streams = known
        self._readers = {key: [each.id for each in standing if each.stream == key] for key in known}
        return Declared(known, standing, self.sequence)

    def _declare_consumer(self, connection: Connection, stream: int, consumer: Consumer) -> None:
        row = connection.execute(
            "SELECT id, stream, declared FROM consumer WHERE name = ?", (consumer.name,)
        ).fetchone()
        if row is None:
            key = connection.execute(
                "INSERT INTO consumer (name, stream, declared) VALUES (?, ?, ?) RETURNING id",
                (consumer.name, stream, encode(consumer)),
            ).fetchone()[0]
            kept = connection.execute("SELECT sequence, subject FROM message WHERE stream = ?", (stream,)).fetchall()
            wanted = ((key, sequence) for sequence, subject in kept if any_matches(consumer.subjects, subject))
            connection.executemany("INSERT INTO pending VALUES (?, ?, 0)", wanted)
            return
        key, was, declared = row
        if was != stream:
            raise Conflict(f"{consumer.name} already reads another stream")
        connection.execute("UPDATE consumer SET declared = ? WHERE id = ?", (encode(consumer), key))
        if set(_read_consumer(declared).subjects) != set(consumer.subjects):
            waiting = connection.execute(
                "SELECT sequence, subject FROM pending JOIN message USING (sequence) WHERE consumer = ? AND stream = ?",
                (key, stream),
            ).fetchall()
            gone = [(key, sequence) for sequence, subject in waiting if not any_matches(consumer.subjects, subject)]
            connection.executemany("DELETE FROM pending WHERE consumer = ? AND sequence = ?", gone)

    # Messages

    def publish(self, connection: Connection, outgoing: Iterable[Outgoing]) -> Kept:
        at = now()
        self._remember_a_while(connection, at)
        messages: list[Row] = []
        pending: dict[int, list[int]] = {}
        sequence = self.sequence
        for each in self._first_times(connection, outgoing):
            sequence += 1
            messages.append((sequence, each.stream, at, each.subject, encode(each.envelope)))
            for consumer in each.consumers:
                pending.setdefault(consumer, []).append(sequence)
        insert_rows(connection, "message", ("sequence", "stream", "at", "subject", "envelope"), messages)
        for consumer, sequences in pending.items():
            connection.execute(
                "INSERT INTO pending SELECT ?, value, 0 FROM json_each(?)", (consumer, listed(sequences))
            )
        self._move_to(connection, sequence)
        self._remembered += len(messages)
        self._sweep(connection, at)
        added = {consumer: (len(each), each[-1]) for consumer, each in pending.items()}
        return Kept(sequence, added, frozenset(row[1] for row in messages))

    def _first_times(self, connection: Connection, outgoing: Iterable[Outgoing]) -> list[Outgoing]:
        """Those that were not published before, remembered from now on."""
        by_id: dict[Row, Outgoing] = {}
        for each in outgoing:
            by_id.setdefault((each.stream, each.envelope.id.bytes), each)
        ids = list(by_id)
        for table in (f"seen_{self._remembering}", f"seen_{1 - self._remembering}"):
            ids = absent_keys(connection, table, ("stream", "id"), ids)
        insert_rows(connection, f"seen_{self._remembering}", ("stream", "id"), ids)
        return [by_id[each] for each in ids]

    def hand_out(
        self, connection: Connection, consumer: str, key: int, cursor: int, again: dict[int, int], limit: int
    ) -> tuple[list[Delivery], int]:
        """Read what is due again and what is fresh, and count the try; return also up to where all fresh was read."""
        taken: list[Delivery] = []
        size = 0
        for sequence, tries in again.items():
            row = connection.execute(
                "SELECT envelope FROM pending JOIN message USING (sequence) WHERE consumer = ? AND sequence = ?",
                (key, sequence),
            ).fetchone()
            if row is not None:
                taken.append(Delivery(_read(connection, sequence, row[0]), sequence, tries + 1, consumer))
                size += len(row[0])
        connection.executemany(
            "UPDATE pending SET tries = ? WHERE consumer = ? AND sequence = ?",
            [(each.tries, key, each.sequence) for each in taken],
        )
        if len(taken) == limit or size > PULL_BYTES:
            return taken, cursor
        upto = self.sequence
        fresh = connection.execute(
            "SELECT sequence, tries + 1, envelope FROM pending JOIN message USING (sequence)"
            " WHERE consumer = ? AND sequence > ? ORDER BY sequence LIMIT ?",
            (key, cursor, limit - len(taken)),
        )
        for sequence, tries, raw in fresh:
            taken.append(Delivery(_read(connection, sequence, raw), sequence, tries, consumer))
            size += len(raw)
            if len(taken) == limit or size > PULL_BYTES:
                upto = sequence
                break
        fresh.close()
        connection.execute(
            "UPDATE pending SET tries = tries + 1 WHERE consumer = ? AND sequence > ? AND sequence <= ?",
            (key, cursor, upto),
        )
        return taken, upto

    def accept(self, connection: Connection, key: int, stream: int, sequences: list[int]) -> int:
        """Take ``sequences`` off a consumer's list, and away altogether when nobody else is to have them."""
        those = listed(sequences)
        removed = connection.execute(
            f"DELETE FROM pending WHERE consumer = ? AND sequence IN {LISTED}",  # noqa: S608 - our own text
            (key, those),
        ).rowcount
        declared = self._streams[stream]
        if declared.kind == "work":
            condition = ""
        elif declared.kind == "facts" and not declared.keep_seconds:
            condition = self._unless_pending(reader for reader in self._readers[stream] if reader != key)
        else:
            condition = f" AND stream = {ANY_CONSUMER}"
        connection.execute(f"DELETE FROM message WHERE sequence IN {LISTED}{condition}", (those,))  # noqa: S608 - our own numbers
        self._sweep(connection, now())
        return removed

    def bury(self, connection: Connection, key: int, stream: int, sequence: int, letter: Letter) -> int:
        connection.execute("INSERT INTO dead VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING", letter)
        return self.accept(connection, key, stream, [sequence])

    def revive(self, connection: Connection, letters: Sequence[bytes], consumers: dict[str, int]) -> Kept:
        added: dict[int, tuple[int, int]] = {}
        sequence = self.sequence
        for letter in letters:
            row = connection.execute("SELECT consumer, envelope, tries FROM dead WHERE id = ?", (letter,)).fetchone()
            if row is None or row[0] not in consumers:
                continue
            key = consumers[row[0]]
            sequence += 1
            added[key] = (added[key][0] + 1 if key in added else 1, sequence)
            connection.execute("INSERT INTO message VALUES (?, ?, ?, '', ?)", (sequence, ANY_CONSUMER, now(), row[1]))
            connection.execute("INSERT INTO pending VALUES (?, ?, ?)", (key, sequence, row[2]))
            connection.execute("DELETE FROM dead WHERE id = ?", (letter,))
        self._move_to(connection, sequence)
        return Kept(sequence, added, frozenset())

    # Memory and room

    def _move_to(self, connection: Connection, sequence: int) -> None:
        """Remember the last sequence, so that none is given twice even when all messages are gone."""
        if sequence != self.sequence:
            self.sequence = sequence
            connection.execute("INSERT OR REPLACE INTO state VALUES ('sequence', ?)", (sequence,))

    def _remember_a_while(self, connection: Connection, at: int) -> None:
        """Ids are kept in two tables by turns: emptying one is cheap, picking out old rows would not be."""
        if self._remembered < MEMORY_IDS and at - self._remembered_since < MEMORY_SECONDS * 1_000_000:
            return
        self._remembering = 1 - self._remembering
        self._remembered = 0
        self._remembered_since = at
        connection.execute(f"DELETE FROM seen_{self._remembering}")  # noqa: S608 - a digit
        connection.execute("INSERT OR REPLACE INTO state VALUES ('remembering', ?)", (self._remembering,))

    def _sweep(self, connection: Connection, at: int) -> None:
        """Remove what its stream keeps no longer, a few rows at a time; give room back when there is much."""
        if at < self._sweep_at:
            return
        self._sweep_at = at + SWEEP_SECONDS * 1_000_000
        for key, stream in self._streams.items():
            if stream.kind != "work":
                self._sweep_stream(connection, key, stream, at - stream.keep_seconds * 1_000_000)
        spare = connection.execute("PRAGMA freelist_count").fetchone()[0] - SPARE_PAGES
        for _ in range(min(spare, 1024)):
            connection.execute("PRAGMA incremental_vacuum(1)")  # the library takes one step whatever the number

    def _sweep_stream(self, connection: Connection, key: int, stream: Stream, oldest: int) -> None:
        rows = connection.execute(
            "SELECT sequence FROM (SELECT sequence, at FROM message WHERE stream = ? AND sequence > ?"
            " ORDER BY sequence LIMIT ?) WHERE at < ?",
            (key, self._swept.get(key, 0), SWEPT, oldest),
        )
        over = [sequence for (sequence,) in rows]
        those = listed(over)
        readers = self._readers[key]
        condition = self._unless_pending(readers)
        if stream.kind == "progress":
            condition = ""
            for reader in readers:
                connection.execute(f"DELETE FROM pending WHERE consumer = {reader} AND sequence IN {LISTED}", (those,))  # noqa: S608 - our own number
        connection.execute(f"DELETE FROM message WHERE sequence IN {LISTED}{condition}", (those,))  # noqa: S608 - our own numbers
        # What nobody has accepted yet stays; the next time begins after it, and at the front when all was seen.
        self._swept[key] = over[-1] if len(over) == SWEPT else 0

    def _unless_pending(self, readers: Iterable[int]) -> str:
        return "".join(
            f" AND NOT EXISTS (SELECT 1 FROM pending WHERE consumer = {reader} AND sequence = message.sequence)"  # noqa: S608 - our own number
            for reader in readers
        )


def _read(connection: Connection, sequence: int, raw: bytes) -> Envelope:
    try:
        return decode(raw)
    except Corrupt:
        row = connection.execute("SELECT subject FROM message WHERE sequence = ?", (sequence,)).fetchone()
        return damaged(raw, sequence, row[0])


def read_on(
    connection: Connection, streams: Sequence[int], after: int, upto: int, limit: int
) -> tuple[list[tuple[int, str, bytes]], int]:
    """Read the next messages of ``streams`` in order, and say up to where all were read."""
    found: list[tuple[int, str, bytes]] = []
    for stream in streams:
        rows = connection.execute(
            "SELECT sequence, subject, envelope FROM message WHERE stream = ? AND sequence > ? AND sequence <= ?"
            " ORDER BY sequence LIMIT ?",
            (stream, after, upto, limit),
        ).fetchall()
        if len(rows) == limit:
            upto = rows[-1][0]
        found += rows
    return sorted(row for row in found if row[0] <= upto), upto


def _check_apart(declared: dict[str, tuple[str, ...]]) -> None:
    for (one, subjects), (other, others) in combinations(declared.items(), 2):
        if any_overlap(subjects, others):
            raise Conflict(f"{one} and {other} would both take the same subjects")


def _count(connection: Connection, consumer: int) -> tuple[int, int]:
    row: tuple[int, int] = connection.execute(
        "SELECT COUNT(*), COALESCE(MAX(sequence), 0) FROM pending WHERE consumer = ?", (consumer,)
    ).fetchone()
    return row
