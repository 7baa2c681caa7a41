"""Many rows in few steps of SQLite: the library gives up the interpreter's lock with each step and waits to get it."""

import sqlite3
from collections.abc import Sequence
from typing import Final

from services.kernel.sql import Row, statements

SIZES: Final = (64, 16, 4, 1)
#: A list of numbers as one parameter, written by `listed`.
LISTED: Final = "(SELECT value FROM json_each(?))"


def listed(numbers: Sequence[int]) -> str:
    """The parameter for `LISTED`."""
    return str(list(numbers))


def insert_rows(connection: sqlite3.Connection, table: str, columns: tuple[str, ...], rows: Sequence[Row]) -> None:
    """Insert ``rows``; none may be there already."""
    for piece in statements.pieces_of_rows(rows, SIZES):
        connection.execute(statements.insert(table, columns, len(piece)), [value for row in piece for value in row])


def absent_keys(connection: sqlite3.Connection, table: str, key: tuple[str, ...], keys: Sequence[Row]) -> list[Row]:
    """Those of ``keys`` that ``table`` does not have, in their order."""
    absent: list[Row] = []
    for piece in statements.pieces_of_rows(keys, SIZES):
        values = [value for row in piece for value in row]
        places: str | None = connection.execute(statements.find_present(table, key, len(piece)), values).fetchone()[0]
        present = set(map(int, places.split(","))) if places else ()
        absent += [row for place, row in enumerate(piece) if place not in present]
    return absent


def numbers_of(
    connection: sqlite3.Connection, table: str, key: tuple[str, ...], number: str, keys: Sequence[Row]
) -> dict[Row, int]:
    """The ``number`` of each of ``keys`` that ``table`` has."""
    numbers: dict[Row, int] = {}
    for piece in statements.pieces_of_rows(keys, SIZES):
        values = [value for row in piece for value in row]
        found: str | None = connection.execute(
            statements.find_numbers(table, key, number, len(piece)), values
        ).fetchone()[0]
        for pair in found.split(",") if found else ():
            place, _, given = pair.partition(":")
            numbers[piece[int(place)]] = int(given)
    return numbers
