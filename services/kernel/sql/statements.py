"""What the SQLite adapter makes of the port's batches: lists of keys, expanded VALUES, merges."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any, Final

from services.kernel.errors import Invalid
from services.kernel.sql import Merge, Row

PIECES: Final = (512, 64, 8, 1)
_IN_KEYS: Final = re.compile(r"\bIN\s+:keys\b", re.IGNORECASE)

# NULL is no value: whatever it meets wins, and it takes nothing away.
MERGED: Final[dict[Merge, str]] = {
    "replace": "excluded.{c}",
    "min": "CASE WHEN {t}.{c} IS NULL OR excluded.{c} < {t}.{c} THEN excluded.{c} ELSE {t}.{c} END",
    "max": "CASE WHEN {t}.{c} IS NULL OR excluded.{c} > {t}.{c} THEN excluded.{c} ELSE {t}.{c} END",
    "sum": "COALESCE({t}.{c} + excluded.{c}, {t}.{c}, excluded.{c})",
    "keep": "COALESCE({t}.{c}, excluded.{c})",
}


def pieces_of_keys(keys: Iterable[Any]) -> Iterator[list[Any]]:
    """Split distinct keys into lists of few different lengths, so that few statements are prepared.

    A short list is filled up with its last key, which asks for nothing more.
    """
    distinct = list(dict.fromkeys(keys))
    for start in range(0, len(distinct), PIECES[0]):
        piece = distinct[start : start + PIECES[0]]
        length = min(size for size in PIECES if size >= len(piece))
        yield piece + piece[-1:] * (length - len(piece))


@lru_cache(maxsize=1024)
def expand_keys(statement: str, count: int) -> tuple[str, tuple[str, ...]]:
    """Write the one ``IN :keys`` of ``statement`` as a list of ``count`` parameters; return it and their names."""
    names = tuple(f"keys_{place}" for place in range(count))
    expanded, found = _IN_KEYS.subn(f"IN ({', '.join(f':{name}' for name in names)})", statement)
    if found != 1:
        raise Invalid("the statement needs exactly one IN :keys")
    return expanded, names


def pieces_of_rows(rows: Sequence[Row], sizes: Sequence[int]) -> Iterator[Sequence[Row]]:
    """Cut ``rows`` into pieces of the given sizes, largest first; the last size is 1."""
    start = 0
    for size in sizes:
        while len(rows) - start >= size:
            yield rows[start : start + size]
            start += size


def in_key_order(columns: Sequence[str], key: Sequence[str], rows: Sequence[Row]) -> list[Row]:
    """Sort rows by key, those with the same key in the order given: writers that meet take locks in one order."""
    return sorted(rows, key=itemgetter(*places_of(columns, key)))


def places_of(columns: Sequence[str], key: Sequence[str]) -> tuple[int, ...]:
    try:
        return tuple(columns.index(name) for name in key)
    except ValueError as error:
        raise Invalid(f"the key ({', '.join(key)}) is not among the columns") from error


@lru_cache(maxsize=1024)
def find_present(table: str, key: tuple[str, ...], count: int) -> str:
    """Which of ``count`` keys ``table`` has: one row with their places, separated by commas; NULL when none."""
    given, same = _given(table, key, count)
    return f"SELECT group_concat(column1) FROM {given} WHERE EXISTS (SELECT 1 FROM {table} WHERE {same})"  # noqa: S608 - names come from code


@lru_cache(maxsize=1024)
def find_numbers(table: str, key: tuple[str, ...], number: str, count: int) -> str:
    """As `find_present`, each place with a colon and the ``number`` of the row that has the key."""
    given, same = _given(table, key, count)
    return f"SELECT group_concat(column1 || ':' || (SELECT {number} FROM {table} WHERE {same})) FROM {given}"  # noqa: S608 - names come from code


def _given(table: str, key: tuple[str, ...], count: int) -> tuple[str, str]:
    """``count`` keys as a table whose first column is their place, and what makes a row of ``table`` one of them."""
    row = f"({', '.join('?' * len(key))})"
    given = f"(VALUES {', '.join(f'({place}, {row[1:]}' for place in range(count))}) AS given"
    return given, " AND ".join(f"{table}.{name} = given.column{place}" for place, name in enumerate(key, 2))


@lru_cache(maxsize=1024)
def upsert(
    table: str, columns: tuple[str, ...], key: tuple[str, ...], merge: tuple[tuple[str, Merge], ...], count: int
) -> str:
    """Insert or merge ``count`` rows; rows that a merge would leave as they are, are not written."""
    statement = f"{insert(table, columns, count)} ON CONFLICT ({', '.join(key)}) DO "
    if not merge:
        return statement + "NOTHING"
    merged = {name: MERGED[how].format(t=table, c=name) for name, how in merge}
    sets = ", ".join(f"{name} = {value}" for name, value in merged.items())
    changes = " OR ".join(f"{table}.{name} IS NOT {value}" for name, value in merged.items())
    return f"{statement}UPDATE SET {sets} WHERE {changes}"


def check_merge(
    columns: Sequence[str], key: Sequence[str], merge: Mapping[str, Merge]
) -> tuple[tuple[str, Merge], ...]:
    for name in merge:
        if name in key or name not in columns:
            raise Invalid(f"{name} cannot be merged: it is part of the key or not written at all")
    return tuple(merge.items())


@lru_cache(maxsize=1024)
def insert(table: str, columns: tuple[str, ...], count: int) -> str:
    row = f"({', '.join('?' * len(columns))})"
    names = ", ".join(columns)
    return f"INSERT INTO {table} ({names}) VALUES {', '.join([row] * count)}"  # noqa: S608 - names come from code
