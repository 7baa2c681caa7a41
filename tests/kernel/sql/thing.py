"""The table that the tests of `sql` write to."""

from services.kernel.sql import Migration, Sql, Tx

SCHEMA = Migration(
    1,
    "thing",
    """
    -- statements end with a semicolon at the end of a line; this one does not count
    CREATE TABLE thing (
        workspace BYTEA NOT NULL,
        id BYTEA NOT NULL,
        name TEXT,
        number BIGINT,
        weight DOUBLE PRECISION,
        flag SMALLINT NOT NULL DEFAULT 0,
        PRIMARY KEY (workspace, id)
    );
    CREATE INDEX thing_number ON thing (number);

    CREATE TABLE counter (name TEXT NOT NULL PRIMARY KEY, value BIGINT NOT NULL);
    """,
)
W = bytes(range(16))
COLUMNS = ("workspace", "id", "name", "number")
KEY = ("workspace", "id")


def ident(number: int) -> bytes:
    return number.to_bytes(16, "big")


async def put(tx: Tx, number: int, name: str | None = "x") -> None:
    await tx.execute(
        "INSERT INTO thing (workspace, id, name, number) VALUES (:w, :id, :name, :n)",
        w=W, id=ident(number), name=name, n=number,
    )  # fmt: skip


async def numbers(sql: Sql) -> list[int]:
    async with sql.read() as view:
        return [row[0] for row in await view.fetch("SELECT number FROM thing ORDER BY number")]
