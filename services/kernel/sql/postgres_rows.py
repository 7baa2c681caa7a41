"""Many rows in few statements: an array for each column, and COPY where there are very many."""

from collections.abc import Sequence
from typing import Final

from services.kernel.errors import Invalid
from services.kernel.sql import Row
from services.kernel.sql import postgres_statements as written
from services.kernel.sql.postgres_connections import Lent

#: From so many rows on it pays to COPY them to a table of the session's own and to insert them from there.
COPY_FROM: Final = 1_000


class Columns:
    """The types of columns by table, asked for once."""

    def __init__(self) -> None:
        self._types: dict[str, dict[str, str]] = {}

    async def types_of(self, lent: Lent, table: str, columns: Sequence[str]) -> tuple[str, ...]:
        known = self._types.get(table, {})
        if any(column not in known for column in columns):
            rows = await lent.run(
                lambda connection: connection.fetch(
                    "SELECT attname::text, format_type(atttypid, NULL) FROM pg_attribute"
                    " WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped",
                    table,
                )
            )
            known = self._types[table] = {str(name): str(kind) for name, kind in rows}
        try:
            return tuple(known[column] for column in columns)
        except KeyError as error:
            raise Invalid(f"the table {table} has no column {error.args[0]}") from None


async def fetch(lent: Lent, text: str, given: Sequence[object]) -> list[Row]:
    return [tuple(row) for row in await lent.run(lambda connection: connection.fetch(text, *given))]


async def insert_rows(
    lent: Lent, table: str, columns: tuple[str, ...], types: tuple[str, ...], rows: Sequence[Row], ending: str
) -> list[Row]:
    """Insert ``rows``, with ``ending`` as the end of the statement; return what it returns."""
    if len(rows) < COPY_FROM:
        return await fetch(lent, written.insert(table, columns, types) + ending, list(zip(*rows, strict=True)))
    gathered, make, pour = written.gather(table, columns, types)
    await lent.run(lambda connection: connection.execute(make))
    if gathered in lent.filled:
        await lent.run(lambda connection: connection.execute(f"TRUNCATE {gathered}"))
    lent.filled.add(gathered)
    await lent.run(lambda connection: connection.copy_records_to_table(gathered, records=rows, columns=columns))
    return await fetch(lent, pour + ending, ())


async def numbers_of(
    lent: Lent, table: str, key: tuple[str, ...], types: tuple[str, ...], number: str, keys: Sequence[Row]
) -> dict[Row, int]:
    """The ``number`` of each of ``keys`` that ``table`` has."""
    statement = written.find_numbers(table, key, types, number)
    numbers: dict[Row, int] = {}
    for piece in written.pieces(keys):
        found = await fetch(lent, statement, list(zip(*piece, strict=True)))
        numbers.update((row[:-1], row[-1]) for row in found)
    return numbers
