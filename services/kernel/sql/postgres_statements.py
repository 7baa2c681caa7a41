"""What the PostgreSQL adapter makes of the port's statements and batches: ``$n`` parameters, arrays, merges."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from hashlib import blake2b
from operator import itemgetter
from typing import Any, Final

from services.kernel.errors import Invalid
from services.kernel.sql import Merge, Row, statements

#: Keys of one statement, and rows of one insert.
PIECE: Final = 10_000
_IN_KEYS: Final = re.compile(r"\bIN\s+:keys\b", re.IGNORECASE)
_TOKEN: Final = re.compile(
    r"""
      \b[eE]'(?:[^'\\]|\\.|'')*'      # text with escapes
    | '(?:[^']|'')*'                  # text
    | "(?:[^"]|"")*"                  # a quoted name
    | --[^\n]* | /\*.*?\*/            # remarks
    | (\$\w*\$).*?\1                  # text between dollars
    | ::                              # a cast
    | :(?P<name>[A-Za-z_]\w*)
    """,
    re.VERBOSE | re.DOTALL,
)


@lru_cache(maxsize=4096)
def numbered(statement: str) -> tuple[str, tuple[str, ...]]:
    """Write the ``:name`` parameters of ``statement`` as ``$1``, ``$2`` …; return it and the names in that order."""
    places: dict[str, int] = {}

    def place(token: re.Match[str]) -> str:
        name = token["name"]
        return f"${places.setdefault(name, len(places) + 1)}" if name else token[0]

    return _TOKEN.sub(place, statement), tuple(places)


def arguments(names: Iterable[str], values: Mapping[str, Any]) -> list[Any]:
    """The values of parameters in the order of ``names``."""
    try:
        return [values[name] for name in names]
    except KeyError as error:
        raise Invalid(f"the statement has a parameter :{error.args[0]} without a value") from None


@lru_cache(maxsize=1024)
def any_of_keys(statement: str) -> str:
    """Write the one ``IN :keys`` of ``statement`` as a comparison with an array."""
    written, found = _IN_KEYS.subn("= ANY(:keys)", statement)
    if found != 1:
        raise Invalid("the statement needs exactly one IN :keys")
    return written


def pieces(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(values), PIECE):
        yield values[start : start + PIECE]


def first_by_key(columns: Sequence[str], key: Sequence[str], rows: Sequence[Row]) -> dict[Row, Row]:
    """The first row of each key, in the order of the keys."""
    ordered, keys = _in_order(columns, key, rows)
    by_key = dict(zip(keys, ordered, strict=True))
    if len(by_key) < len(ordered):
        by_key = {}
        for identity, row in zip(keys, ordered, strict=True):
            by_key.setdefault(identity, row)
    return by_key


def merged_by_key(
    columns: Sequence[str], key: Sequence[str], rows: Sequence[Row], merges: Sequence[tuple[str, Merge]]
) -> list[Row]:
    """One row for each key, in their order: a statement may meet a key once, so the rows that share one are merged."""
    ordered, keys = _in_order(columns, key, rows)
    if len(set(keys)) == len(ordered):
        return ordered
    how = [(columns.index(name), merge) for name, merge in merges]
    by_key: dict[Row, Row] = {}
    for identity, row in zip(keys, ordered, strict=True):
        before = by_key.get(identity)
        by_key[identity] = row if before is None else _merge(before, row, how)
    return list(by_key.values())


def _in_order(columns: Sequence[str], key: Sequence[str], rows: Sequence[Row]) -> tuple[list[Row], list[Row]]:
    """The rows in the order of their keys, and the keys."""
    if set(map(len, rows)) - {len(columns)}:
        raise Invalid(f"a row for {len(columns)} columns has another number of values")
    places = statements.places_of(columns, key)
    ordered = statements.in_key_order(columns, key, rows)
    if len(places) == 1:
        return ordered, [(row[places[0]],) for row in ordered]
    return ordered, list(map(itemgetter(*places), ordered))


def _merge(before: Row, row: Row, how: Sequence[tuple[int, Merge]]) -> Row:
    merged = list(before)
    for place, merge in how:
        old, new = before[place], row[place]
        if merge == "replace" or old is None:
            merged[place] = new
        elif new is not None and merge != "keep":
            merged[place] = old + new if merge == "sum" else min(old, new) if merge == "min" else max(old, new)
    return tuple(merged)


@lru_cache(maxsize=1024)
def insert(table: str, columns: tuple[str, ...], types: tuple[str, ...]) -> str:
    """Insert the rows of one array for each column."""
    arrays = ", ".join(f"unnest(${place}::{kind}[])" for place, kind in enumerate(types, 1))
    return f"INSERT INTO {table} ({', '.join(columns)}) SELECT {arrays}"


@lru_cache(maxsize=256)
def gather(table: str, columns: tuple[str, ...], types: tuple[str, ...]) -> tuple[str, str, str]:
    """A table of the session's own for rows on their way to ``table``: its name, how it is made, how it is poured out.

    Its name says what it is like, so that a change of the schema makes another.
    """
    described = ", ".join(f"{name} {kind}" for name, kind in zip(columns, types, strict=True))
    name = f"gathered_{blake2b(f'{table} {described}'.encode(), digest_size=8).hexdigest()}"
    names = ", ".join(columns)
    return (
        name,
        f"CREATE TEMPORARY TABLE IF NOT EXISTS {name} ({described}) ON COMMIT DELETE ROWS",
        f"INSERT INTO {table} ({names}) SELECT {names} FROM {name}",  # noqa: S608 - names come from code
    )


@lru_cache(maxsize=1024)
def find_numbers(table: str, key: tuple[str, ...], types: tuple[str, ...], number: str) -> str:
    """The number of each row whose key is in one array for each column of the key."""
    arrays = ", ".join(f"${place}::{kind}[]" for place, kind in enumerate(types, 1))
    given = ", ".join(f"key_{place}" for place in range(len(key)))
    keys = ", ".join(f"{table}.{name}" for name in key)
    same = " AND ".join(f"{table}.{name} = given.key_{place}" for place, name in enumerate(key))
    return f"SELECT {keys}, {table}.{number} FROM unnest({arrays}) AS given ({given}) JOIN {table} ON {same}"  # noqa: S608 - as above


@lru_cache(maxsize=1024)
def on_conflict(table: str, key: tuple[str, ...], merge: tuple[tuple[str, Merge], ...]) -> str:
    """What an insert does with rows that are there: a merge that would leave one as it is does not write it."""
    conflict = f" ON CONFLICT ({', '.join(key)}) DO "
    if not merge:
        return conflict + "NOTHING"
    merged = {name: statements.MERGED[how].format(t=table, c=name) for name, how in merge}
    sets = ", ".join(f"{name} = {value}" for name, value in merged.items())
    changes = " OR ".join(f"{table}.{name} IS DISTINCT FROM {value}" for name, value in merged.items())
    return f"{conflict}UPDATE SET {sets} WHERE {changes}"


@lru_cache(maxsize=256)
def claim(table: str, key: tuple[str, ...], where: str, order: str, assign: str) -> str:
    returned = ", ".join(f"{table}.{name}" for name in key)
    return (
        f"{_taken(table, key, f'WHERE {where} ORDER BY {order}')}"  # noqa: S608 - names and clauses come from code
        f" UPDATE {table} SET {assign} FROM taken WHERE {_same(table, key)} RETURNING {returned}"
    )


@lru_cache(maxsize=256)
def take(table: str, key: tuple[str, ...], columns: tuple[str, ...]) -> str:
    returned = ", ".join(f"{table}.{name}" for name in columns)
    return (
        f"{_taken(table, key, 'ORDER BY ' + ', '.join(key))}"  # noqa: S608 - as above
        f" DELETE FROM {table} USING taken WHERE {_same(table, key)} RETURNING {returned}"
    )


def _taken(table: str, key: tuple[str, ...], which: str) -> str:
    """The keys of rows that no other transaction has locked, which this one locks with it."""
    names = ", ".join(f"{name} AS taken_{place}" for place, name in enumerate(key))
    found = f"SELECT {names} FROM {table} {which} LIMIT :taken_limit FOR UPDATE SKIP LOCKED"  # noqa: S608 - as above
    return f"WITH taken AS MATERIALIZED ({found})"


def _same(table: str, key: tuple[str, ...]) -> str:
    return " AND ".join(f"{table}.{name} = taken.taken_{place}" for place, name in enumerate(key))
