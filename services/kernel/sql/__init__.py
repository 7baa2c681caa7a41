"""The port `sql`: transactions on a relational database that one service owns.

Statements run unchanged on SQLite and PostgreSQL: ``:name`` parameters, ids as 16 bytes, times as integers of
microseconds, flags as 0 or 1, JSON as text. What the two spell differently is a method here.
"""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from hashlib import blake2b
from typing import Any, Literal, TypeVar

from msgspec import Struct

Row = tuple[Any, ...]
Merge = Literal["replace", "min", "max", "sum", "keep"]
T = TypeVar("T", bound=Struct)


class Migration(Struct, frozen=True):
    """One forward step of a schema: statements separated by ``;`` at the end of a line."""

    version: int
    name: str
    script: str

    @property
    def digest(self) -> str:
        """What is recorded of the script: 16 hexadecimal digits, the same however its words are set."""
        return blake2b(" ".join(self.script.split()).encode(), digest_size=8).hexdigest()


class Reader(ABC):
    """One consistent view of the database: what is committed after its first statement does not show.

    For one task at a time.
    """

    @abstractmethod
    async def fetch(self, statement: str, /, **values: Any) -> list[Row]:
        """Return all rows; for results that are bounded by a LIMIT or by their key."""

    @abstractmethod
    def stream(self, statement: str, /, *, size: int = 1000, **values: Any) -> AsyncIterator[list[Row]]:
        """Yield rows in lists of at most ``size``, in constant memory; the consumer may stop at any time.

        Inside a transaction, write to other tables only until it ends.
        """

    async def fetch_one(self, statement: str, /, **values: Any) -> Row | None:
        rows = await self.fetch(statement, **values)
        return rows[0] if rows else None

    @abstractmethod
    async def fetch_in(self, statement: str, keys: Sequence[Any], /, **values: Any) -> list[Row]:
        """Run ``statement``, whose one ``IN :keys`` stands for ``keys``, in as many pieces as are needed.

        Each distinct key is asked for once; the statement must not sort, limit or aggregate over keys, and no other
        value of it may be called ``keys``.
        """


class Tx(Reader):
    """A transaction that may write; it commits when its block ends and rolls back when it raises.

    A statement that fails or is cancelled ends it: what follows raises `Conflict`, and so does the end of the block if
    the error was swallowed. A statement may read back with ``RETURNING`` through `fetch`.

    Raises:
        Conflict: a constraint forbids a statement.
        Invalid: a statement is malformed, or a value has no form in the database.
        Exhausted: the disk is full.
        Unavailable: the database is away or locked.
        Corrupt: the database is damaged.
    """

    @abstractmethod
    async def execute(self, statement: str, /, **values: Any) -> int:
        """Run one statement and return the number of rows it changed."""

    @abstractmethod
    async def execute_many(self, statement: str, rows: Sequence[Mapping[str, Any]], /) -> None:
        """Run one statement for each of ``rows``, now or with the next one; what it raises may come from there."""

    @abstractmethod
    async def execute_in(self, statement: str, keys: Sequence[Any], /, **values: Any) -> int:
        """Run ``statement``, whose ``IN :keys`` stands for ``keys``, in as many pieces as are needed."""

    @abstractmethod
    async def insert_new(
        self, table: str, columns: Sequence[str], key: Sequence[str], rows: Sequence[Row]
    ) -> list[Row]:
        """Insert the rows whose ``key`` is not there yet; return the keys that were new, in no order."""

    @abstractmethod
    async def insert_numbered(
        self, table: str, columns: Sequence[str], key: Sequence[str], number: str, rows: Sequence[Row]
    ) -> dict[Row, int]:
        """Insert the rows whose ``key`` is not there yet; return for every key the ``number`` of the row that is now.

        ``number`` is a column of integers that is never NULL.
        """

    @abstractmethod
    async def bulk_upsert(
        self,
        table: str,
        columns: Sequence[str],
        key: Sequence[str],
        rows: Sequence[Row],
        merge: Mapping[str, Merge],
    ) -> None:
        """Insert rows or merge them into those with the same ``key``, now or with the next statement, as above.

        ``merge`` says per column how: ``replace`` takes the new value, ``min``, ``max`` and ``sum`` what they say
        (NULL is no value: the other one wins), ``keep`` the first that is not NULL; a column that it does not name
        stays as it was. Rows with the same key within ``rows`` are merged one after the other.
        """

    @abstractmethod
    async def claim_rows(
        self,
        table: str,
        key: Sequence[str],
        where: str,
        order: str,
        limit: int,
        assign: str,
        /,
        **values: Any,
    ) -> list[Row]:
        """Take the first ``limit`` rows that no other transaction is taking, set ``assign``; return their keys.

        ``where``, ``order`` and ``assign`` are SQL with ``values`` as parameters. Keys come in no order.
        """

    @abstractmethod
    async def take_rows(self, table: str, key: Sequence[str], columns: Sequence[str], limit: int) -> list[Row]:
        """Delete the first ``limit`` rows by ``key`` that no other transaction is taking; return their ``columns``.

        Rows come in no order.
        """

    @abstractmethod
    async def lock(self, key: str, *, shared: bool = False) -> None:
        """Hold ``key`` until the transaction ends: alone, or beside all others who hold it ``shared``; wait for that.

        Who takes several takes them in order.
        """


class Sql(ABC):
    """A database of one service. Readers never wait for a writer.

    Writers take turns in a file. On a server they write at the same time, and each of its statements sees what others
    have committed until then: what is read and then written depends on `Tx.lock`, or on one statement.
    """

    #: Whether nobody but this process writes to it: then writers of this process take turns.
    sole_writer: bool = False

    @abstractmethod
    def begin(self) -> AbstractAsyncContextManager[Tx]:
        """Open a transaction that writes; a task has one at a time (`Invalid`)."""

    @abstractmethod
    def read(self) -> AbstractAsyncContextManager[Reader]:
        """Open a view that only reads."""

    @abstractmethod
    async def migrate(self, migrations: Sequence[Migration], *, shared: bool = False) -> None:
        """Bring the schema forward, all steps or none; two at once wait for each other.

        ``shared``: with a newer version of the service, whose steps, not known here, have left this one working.

        Raises:
            Incompatible: the database has a version that ``migrations`` does not know, or made by another script.
        """

    @abstractmethod
    async def backup(self, path: str) -> None:
        """Write a consistent copy to ``path`` while others read and write."""

    @abstractmethod
    async def ping(self) -> None:
        """Raise `Unavailable` unless the database answers."""

    @abstractmethod
    async def close(self) -> None: ...
