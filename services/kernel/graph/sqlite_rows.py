"""How nodes and edges are kept in a SQLite file, written and read. All of it runs on a thread."""

import json
import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Final, TypeVar

import msgspec

from services.kernel.errors import Conflict, Corrupt, Exhausted
from services.kernel.graph import Counts, Edge, Node, Properties
from services.kernel.graph.sqlite_paths import Step
from services.kernel.graph.vocabulary import Key
from services.kernel.sql import statements

Connection = sqlite3.Connection
T = TypeVar("T")

#: How many nodes are dropped, with their edges, in one transaction.
DROPPED: Final = 2_000
#: Steps of SQLite's machine between two looks at the clock: some tenths of a millisecond.
STEPS: Final = 20_000
_decode = msgspec.json.Decoder(dict[str, str | int | float | bool]).decode

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS space (n INTEGER PRIMARY KEY, workspace BLOB NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS word (n INTEGER PRIMARY KEY, kind TEXT NOT NULL, word TEXT NOT NULL, UNIQUE (kind, word));
CREATE TABLE IF NOT EXISTS node (n INTEGER PRIMARY KEY, space INTEGER NOT NULL, id BLOB NOT NULL,
    label INTEGER NOT NULL, properties TEXT NOT NULL, UNIQUE (space, id));
CREATE INDEX IF NOT EXISTS node_label ON node (space, label);
CREATE TABLE IF NOT EXISTS edge (source INTEGER NOT NULL, type INTEGER NOT NULL, target INTEGER NOT NULL,
    id BLOB NOT NULL, properties TEXT NOT NULL, PRIMARY KEY (source, type, target, id)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS edge_in ON edge (target, type, source, id);
"""


class Question:
    """Something that is read, and how long that may take; another thread may say that nobody waits any more."""

    def __init__(self, seconds: float) -> None:
        self.cancelled = False
        self._seconds = seconds
        self._until = 0.0

    def ask(self, connection: Connection, call: Callable[[Connection], T]) -> T:
        self._until = time.monotonic() + self._seconds
        connection.set_progress_handler(self._is_over, STEPS)
        try:
            return call(connection)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT:
                raise Exhausted(f"a question to the graph took longer than {self._seconds:g} s") from error
            raise
        finally:
            connection.set_progress_handler(None, 0)

    def _is_over(self) -> bool:
        return self.cancelled or time.monotonic() > self._until


class Words:
    """Labels and types as the numbers that stand for them; 0 stands for no label."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[str, str], int] = {}
        self._words = {0: ""}

    def learn(self, connection: Connection) -> None:
        for n, kind, word in connection.execute("SELECT n, kind, word FROM word"):
            self._numbers[kind, word] = n
            self._words[n] = word

    def number(self, kind: str, word: str) -> int:
        return self._numbers[kind, word]

    def word(self, connection: Connection, number: int) -> str:
        if number not in self._words:  # declared meanwhile by another
            self.learn(connection)
        return self._words[number]


def set_up(connection: Connection) -> None:
    for statement in filter(str.strip, SCHEMA.split(";")):
        connection.execute(statement)


def declare(connection: Connection, labels: Mapping[str, Sequence[str]], types: Sequence[str]) -> None:
    words = [("label", label) for label in labels] + [("type", each) for each in types]
    connection.executemany("INSERT OR IGNORE INTO word (kind, word) VALUES (?, ?)", words)
    for label, properties in labels.items():
        (number,) = connection.execute("SELECT n FROM word WHERE kind = 'label' AND word = ?", (label,)).fetchone()
        for name in properties:
            connection.execute(
                f"CREATE INDEX IF NOT EXISTS node_{number}__{name}"
                f" ON node (space, json_extract(properties, '$.{name}')) WHERE label = {number}"
            )


def find_space(connection: Connection, workspace: bytes) -> int | None:
    row = connection.execute("SELECT n FROM space WHERE workspace = ?", (workspace,)).fetchone()
    return None if row is None else int(row[0])


def find_numbers(connection: Connection, space: int | None, ids: Iterable[bytes]) -> dict[bytes, int]:
    """The numbers of the nodes that there are."""
    found: dict[bytes, int] = {}
    for piece in statements.pieces_of_keys(ids):
        expanded, names = statements.expand_keys(
            "SELECT id, n FROM node WHERE space = :space AND id IN :keys", len(piece)
        )
        found.update(connection.execute(expanded, dict(zip(names, piece, strict=True)) | {"space": space}).fetchall())
    return found


def put_nodes(connection: Connection, workspace: bytes, nodes: Mapping[bytes, Node], words: Words) -> None:
    space = _make_space(connection, workspace)
    rows = [
        (space, key, words.number("label", node.label), *encode(node.properties))
        for key, node in sorted(nodes.items(), key=itemgetter(0))
    ]
    written = connection.executemany(
        "INSERT INTO node (space, id, label, properties) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (space, id) DO UPDATE SET label = excluded.label, properties = json_patch(properties, ?)"
        " WHERE label IN (0, excluded.label)",
        rows,
    ).rowcount
    if written < len(rows):
        raise Conflict(f"{len(rows) - written} of {len(rows)} nodes have another label already")


def put_edges(connection: Connection, workspace: bytes, edges: Mapping[Key, Properties], words: Words) -> None:
    space = _make_space(connection, workspace)
    ends = {end for key in edges for end in key[1:3]}
    numbers = find_numbers(connection, space, ends)
    if missing := sorted(ends - numbers.keys()):
        connection.executemany(
            "INSERT INTO node (space, id, label, properties) VALUES (?, ?, 0, '{}')", [(space, end) for end in missing]
        )
        numbers |= find_numbers(connection, space, missing)
    connection.executemany(
        "INSERT INTO edge (source, type, target, id, properties) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (source, type, target, id) DO UPDATE SET properties = json_patch(properties, ?)",
        sorted((*_row(key, numbers, words), *encode(properties)) for key, properties in edges.items()),
    )


def delete_nodes(connection: Connection, numbers: Iterable[int]) -> None:
    rows = [(number,) for number in numbers]
    connection.executemany("DELETE FROM edge WHERE source = ?", rows)
    connection.executemany("DELETE FROM edge WHERE target = ?", rows)
    connection.executemany("DELETE FROM node WHERE n = ?", rows)


def delete_edges(connection: Connection, workspace: bytes, keys: Sequence[Key], words: Words) -> None:
    space = find_space(connection, workspace)
    numbers = find_numbers(connection, space, {end for key in keys for end in key[1:3]})
    connection.executemany(
        "DELETE FROM edge WHERE source = ? AND type = ? AND target = ? AND id = ?",
        [_row(key, numbers, words) for key in keys if numbers.keys() >= {*key[1:3]}],
    )


def drop_some(connection: Connection, workspace: bytes) -> bool:
    """Drop the next nodes of a workspace; say whether there may be more."""
    space = find_space(connection, workspace)
    rows = connection.execute("SELECT n FROM node WHERE space = ? LIMIT ?", (space, DROPPED)).fetchall()
    delete_nodes(connection, [number for (number,) in rows])
    if not rows:
        connection.execute("DELETE FROM space WHERE n = ?", (space,))
    return bool(rows)


def read_nodes(connection: Connection, workspace: bytes, ids: Sequence[bytes], words: Words) -> list[Node]:
    space = find_space(connection, workspace)
    found: dict[bytes, Node] = {}
    for piece in statements.pieces_of_keys(ids):
        expanded, names = statements.expand_keys(
            "SELECT id, label, properties FROM node WHERE space = :space AND id IN :keys", len(piece)
        )
        values = dict(zip(names, piece, strict=True)) | {"space": space}
        for key, label, properties in connection.execute(expanded, values).fetchall():
            found[key] = Node(key, words.word(connection, label), decode(properties))
    return [found[each] for each in dict.fromkeys(ids) if each in found]


def read_edges(connection: Connection, steps: Sequence[Step], words: Words) -> list[Edge]:
    """Edges by numbers, with the ids of their ends."""
    ends = json.dumps(sorted({end for step in steps for end in (step[0], step[2])}))
    ids = dict(
        connection.execute(
            "SELECT node.n, node.id FROM json_each(?) AS given CROSS JOIN node ON node.n = given.value", (ends,)
        ).fetchall()
    )
    return [
        Edge(words.word(connection, number), ids[source], ids[target], key, decode(properties))
        for source, number, target, key, properties in steps
    ]


def count(connection: Connection, workspace: bytes, words: Words) -> Counts:
    space = find_space(connection, workspace)
    nodes = "SELECT label, COUNT(*) FROM node WHERE space = ? GROUP BY label"
    edges = "SELECT type, COUNT(*) FROM node CROSS JOIN edge ON source = n WHERE space = ? GROUP BY type"
    of_nodes, of_edges = (
        {words.word(connection, number): many for number, many in connection.execute(statement, (space,)).fetchall()}
        for statement in (nodes, edges)
    )
    return Counts(of_nodes, of_edges)


def encode(properties: Properties) -> tuple[str, str]:
    """What is stored where nothing was, and what is merged into what there was (RFC 7396)."""
    patch = msgspec.json.encode(properties).decode()
    if None not in properties.values():
        return patch, patch
    kept = {name: value for name, value in properties.items() if value is not None}
    return msgspec.json.encode(kept).decode(), patch


def decode(properties: str) -> Properties:
    try:
        return dict(_decode(properties))
    except msgspec.MsgspecError as error:
        raise Corrupt(f"the properties of a node or an edge cannot be read: {error}") from error


def _make_space(connection: Connection, workspace: bytes) -> int:
    connection.execute("INSERT OR IGNORE INTO space (workspace) VALUES (?)", (workspace,))
    space = find_space(connection, workspace)
    assert space is not None
    return space


def _row(key: Key, numbers: Mapping[bytes, int], words: Words) -> tuple[int, int, int, bytes]:
    word, source, target, own = key
    return numbers[source], words.number("type", word), numbers[target], own
