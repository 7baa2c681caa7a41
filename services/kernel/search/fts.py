"""`search` in a SQLite file: trigrams (FTS5), so that any part of a word is found.

Every workspace has its own tables for an index; none is slowed down by what another keeps. What a query looks at is
bounded, so that it takes milliseconds over a million documents however common its words are.
"""

# ruff: noqa: S608 - values are parameters; names of tables and columns are checked or numbers of ours
import base64
import hashlib
import heapq
import json
import re
import sqlite3
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple
from uuid import UUID, uuid4

from services.kernel.errors import Invalid
from services.kernel.search import COUNTED, Found, Indexed, Search
from services.kernel.search.words import fold, terms
from services.kernel.sql import statements
from services.kernel.sql.sqlite_file import SqliteFile

LOOKED_AT: Final = 20 * COUNTED
MAX_LIMIT: Final = 1_000
_NAME: Final = re.compile(r"[a-z_][a-z0-9_]{0,60}")

Connection = sqlite3.Connection


class Match(NamedTuple):
    """A document that a query finds: how well, and what is counted."""

    rank: tuple[int, int, int]
    id: bytes
    fields: tuple[str | None, ...]


class Question(NamedTuple):
    name: str
    workspace: bytes
    terms: list[str]
    where: dict[str, str]
    facets: tuple[str, ...]


class FtsSearch(Search):
    def __init__(self, path: str | Path) -> None:
        self._file = SqliteFile(path, setup=_open)
        self._fields: dict[str, tuple[str, ...]] = {}

    async def declare(self, index: str, fields: Sequence[str]) -> str:
        if not all(_NAME.fullmatch(name) for name in (index, *fields)):
            raise Invalid(f"{index} ({', '.join(fields)}) cannot be the name of an index and of its fields")
        known = tuple(dict.fromkeys((*self._fields.get(index, ()), *fields)))
        made = await self._file.write(lambda connection: _declare(connection, index, known))
        # Another call may have declared more meanwhile.
        self._fields[index] = tuple(dict.fromkeys((*self._fields.get(index, ()), *known)))
        return made

    async def put(self, workspace: UUID, index: str, documents: Sequence[Indexed]) -> None:
        fields = self._check(index, *(name for document in documents for name in document.fields))
        latest = {document.id: document for document in documents}
        if latest:
            await self._file.write(lambda connection: _put(connection, index, workspace.bytes, fields, latest))

    async def delete(self, workspace: UUID, index: str, ids: Sequence[bytes]) -> None:
        self._check(index)
        await self._file.write(lambda connection: _delete(connection, index, workspace.bytes, set(ids)))

    async def find(
        self,
        workspace: UUID,
        index: str,
        text: str,
        *,
        where: Mapping[str, str] | None = None,
        facets: Sequence[str] = (),
        limit: int = 50,
        cursor: str | None = None,
    ) -> Found:
        self._check(index, *(where or {}), *facets)
        if not 0 < limit <= MAX_LIMIT:
            raise Invalid(f"a page has 1 to {MAX_LIMIT} results")
        question = Question(index, workspace.bytes, terms(text), dict(where or {}), tuple(dict.fromkeys(facets)))
        if text.strip() and not question.terms:
            return Found([], 0, {name: {} for name in facets}, None)
        after = read_cursor(cursor) if cursor is not None else (-1, 0, 0)
        return await self._file.read(lambda connection: _find(connection, question, limit, after))

    async def refresh(self, index: str) -> None:
        self._check(index)

    async def ping(self) -> None:
        await self._file.read(lambda connection: connection.execute("SELECT 1 FROM space LIMIT 1").fetchone())

    async def close(self) -> None:
        await self._file.close()

    def _check(self, index: str, *fields: str) -> tuple[str, ...]:
        self._file.check_open()
        known = self._fields.get(index)
        if known is None or not set(known).issuperset(fields):
            raise Invalid(f"nobody declared the index {index} with {', '.join(sorted(set(fields))) or 'no field'}")
        return known


def hash_of(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big", signed=True)


def write_cursor(rank: tuple[int, int, int]) -> str:
    return base64.urlsafe_b64encode(json.dumps(rank).encode()).decode()


def read_cursor(cursor: str) -> tuple[int, int, int]:
    try:
        tier, length, number = json.loads(base64.urlsafe_b64decode(cursor.encode()))
        return int(tier), int(length), int(number)
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise Invalid("this is no cursor of a search") from error


# What follows runs on a thread; names of indexes and fields have been checked, numbers are our own.


def _open(connection: Connection) -> None:
    connection.execute(
        "CREATE TABLE IF NOT EXISTS space ("
        " id INTEGER PRIMARY KEY, name TEXT NOT NULL, workspace BLOB NOT NULL, UNIQUE (name, workspace))"
    )
    connection.execute("CREATE TABLE IF NOT EXISTS made (name TEXT PRIMARY KEY, id TEXT NOT NULL) WITHOUT ROWID")


def _space(connection: Connection, index: str, workspace: bytes) -> int | None:
    row = connection.execute("SELECT id FROM space WHERE name = ? AND workspace = ?", (index, workspace)).fetchone()
    return None if row is None else int(row[0])


def _make_space(connection: Connection, index: str, workspace: bytes, fields: Sequence[str]) -> int:
    space: int = connection.execute(
        "INSERT INTO space (name, workspace) VALUES (?, ?) RETURNING id", (index, workspace)
    ).fetchone()[0]
    connection.execute(
        f"CREATE TABLE doc_{space} ("
        " n INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, hash INTEGER NOT NULL, text TEXT NOT NULL)"
    )
    connection.execute(f"CREATE INDEX doc_{space}_hash ON doc_{space} (hash)")
    connection.execute(
        f"CREATE VIRTUAL TABLE fts_{space} USING fts5"
        f" (text, content='doc_{space}', content_rowid='n', tokenize='trigram case_sensitive 1')"
    )
    _add_fields(connection, space, fields)
    return space


def _add_fields(connection: Connection, space: int, fields: Sequence[str]) -> None:
    there = {row[1] for row in connection.execute(f"PRAGMA table_info(doc_{space})")}
    for field in fields:
        if f"f_{field}" not in there:
            connection.execute(f"ALTER TABLE doc_{space} ADD COLUMN f_{field} TEXT")
            connection.execute(f"CREATE INDEX doc_{space}__{field} ON doc_{space} (f_{field})")


def _declare(connection: Connection, index: str, fields: Sequence[str]) -> str:
    for (space,) in connection.execute("SELECT id FROM space WHERE name = ?", (index,)).fetchall():
        _add_fields(connection, space, fields)
    connection.execute("INSERT INTO made (name, id) VALUES (?, ?) ON CONFLICT DO NOTHING", (index, uuid4().hex))
    return str(connection.execute("SELECT id FROM made WHERE name = ?", (index,)).fetchone()[0])


def _known(connection: Connection, space: int, ids: Sequence[bytes]) -> list[tuple[int, bytes, str]]:
    found: list[tuple[int, bytes, str]] = []
    for piece in statements.pieces_of_keys(ids):
        expanded, names = statements.expand_keys(f"SELECT n, id, text FROM doc_{space} WHERE id IN :keys", len(piece))
        found += connection.execute(expanded, dict(zip(names, piece, strict=True)))
    return found


def _put(
    connection: Connection, index: str, workspace: bytes, fields: Sequence[str], documents: dict[bytes, Indexed]
) -> None:
    space = _space(connection, index, workspace) or _make_space(connection, index, workspace, fields)
    texts = {key: fold(document.text) for key, document in documents.items()}
    known = {key: (number, text) for number, key, text in _known(connection, space, list(documents))}
    changed = [(number, text) for key, (number, text) in known.items() if texts[key] != text]
    connection.executemany(f"INSERT INTO fts_{space} (fts_{space}, rowid, text) VALUES ('delete', ?, ?)", changed)
    columns = ["hash", "text", *(f"f_{field}" for field in fields)]
    connection.executemany(
        f"UPDATE doc_{space} SET {', '.join(f'{column} = ?' for column in columns)} WHERE n = ?",
        [
            (hash_of(texts[key]), texts[key], *(documents[key].fields.get(field) for field in fields), known[key][0])
            for key in known
        ],
    )
    new = [key for key in documents if key not in known]
    last = connection.execute(f"SELECT COALESCE(MAX(n), 0) FROM doc_{space}").fetchone()[0]
    numbers = {key: last + place for place, key in enumerate(new, 1)}
    connection.executemany(
        f"INSERT INTO doc_{space} ({', '.join(['n', 'id', *columns])}) VALUES ({', '.join('?' * (2 + len(columns)))})",
        [
            (number, key, hash_of(texts[key]), texts[key], *(documents[key].fields.get(field) for field in fields))
            for key, number in numbers.items()
        ],
    )
    rewritten = {key: number for key, (number, text) in known.items() if texts[key] != text} | numbers
    connection.executemany(
        f"INSERT INTO fts_{space} (rowid, text) VALUES (?, ?)",
        [(number, texts[key]) for key, number in rewritten.items()],
    )


def _delete(connection: Connection, index: str, workspace: bytes, ids: set[bytes]) -> None:
    space = _space(connection, index, workspace)
    if space is None:
        return
    known = [(number, text) for number, _, text in _known(connection, space, list(ids))]
    connection.executemany(f"INSERT INTO fts_{space} (fts_{space}, rowid, text) VALUES ('delete', ?, ?)", known)
    connection.executemany(f"DELETE FROM doc_{space} WHERE n = ?", [(number,) for number, _ in known])


def _find(connection: Connection, question: Question, limit: int, after: tuple[int, int, int]) -> Found:
    space = _space(connection, question.name, question.workspace)
    if space is None:
        return Found([], 0, {name: {} for name in question.facets}, None)
    if question.terms:
        matches = _matches(connection, space, question)
        page = heapq.nsmallest(limit + 1, (match for match in matches if match.rank > after))
    else:
        matches = _all(connection, space, question, -1, COUNTED)
        page = _all(connection, space, question, after[2] if after[0] >= 0 else -1, limit + 1)
    facets = {
        name: dict(Counter(value for match in matches if (value := match.fields[place]) is not None))
        for place, name in enumerate(question.facets)
    }
    more = write_cursor(page[limit - 1].rank) if len(page) > limit else None
    return Found([match.id for match in page[:limit]], len(matches), facets, more)


def _all(connection: Connection, space: int, question: Question, after: int, limit: int) -> list[Match]:
    """Without a text there is no better or worse: documents come as they were first put."""
    columns, conditions, values = _clauses(question)
    rows = connection.execute(
        f"SELECT n, id{columns} FROM doc_{space} WHERE n > :after{conditions} ORDER BY n LIMIT :limit",
        values | {"after": after, "limit": limit},
    )
    return [Match((0, 0, row[0]), row[1], row[2:]) for row in rows]


def _matches(connection: Connection, space: int, question: Question) -> list[Match]:
    """Find up to `COUNTED` documents: through the fields when few have them, through the trigrams otherwise."""
    columns, conditions, values = _clauses(question)
    select = f"SELECT n, id, text{columns} FROM "
    few = False
    if question.where:
        counted = f"SELECT COUNT(*) FROM (SELECT 1 FROM doc_{space} WHERE 1{conditions} LIMIT {COUNTED + 1})"
        few = connection.execute(counted, values).fetchone()[0] <= COUNTED
    if few:
        rows = connection.execute(f"{select}doc_{space} WHERE 1{conditions}", values).fetchall()
        rows = [row for row in rows if all(term in row[2] for term in question.terms)]
    else:
        statement = (
            f"{select}(SELECT rowid AS n FROM fts_{space} WHERE fts_{space} MATCH :match LIMIT :looked_at)"
            f" JOIN doc_{space} USING (n) WHERE 1{conditions} LIMIT {COUNTED}"
        )
        wanted = " AND ".join(quote(term) for term in question.terms)
        rows = connection.execute(statement, values | {"match": wanted, "looked_at": LOOKED_AT}).fetchall()
        if len(rows) == COUNTED:
            # There are more than are looked at: see that those which are the text itself are among them.
            exact = f"{select}doc_{space} WHERE hash = :hash AND text = :whole{conditions} LIMIT {COUNTED}"
            text = whole(question)
            rows += connection.execute(exact, values | {"hash": hash_of(text), "whole": text})
            rows = list({row[0]: row for row in rows}.values())
    return [Match(_rank(whole(question), row[0], row[2]), row[1], row[3:]) for row in rows]


def _clauses(question: Question) -> tuple[str, str, dict[str, Any]]:
    columns = "".join(f", f_{name}" for name in question.facets)
    conditions = "".join(f" AND f_{name} = :where_{name}" for name in question.where)
    return columns, conditions, {f"where_{name}": value for name, value in question.where.items()}


def whole(question: Question) -> str:
    return f" {' '.join(term.strip() for term in question.terms)} "


def quote(term: str) -> str:
    """A folded term has letters, digits and spaces only; as a string of FTS5 none of it is an operator."""
    return f'"{term}"'


def _rank(query: str, number: int, text: str) -> tuple[int, int, int]:
    """The whole text, its beginning, whole words, the beginning of words, anything; shorter texts and older first."""
    if text == query:
        tier = 0
    elif text.startswith(query.rstrip()):
        tier = 1
    elif query in text:
        tier = 2
    elif query.rstrip() in text:
        tier = 3
    else:
        tier = 4
    return tier, len(text), number
