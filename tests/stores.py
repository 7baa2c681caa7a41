"""Where the services under test keep their tables: in files, or in databases on PostgreSQL, one for each path.

A test says nothing of it: the fixture ``stores`` runs it once for each of the two.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from services.kernel.server import Server
from services.kernel.sql import Migration, Sql
from services.kernel.sql.postgres import PostgresSql
from services.kernel.sql.sqlite import SqliteSql
from tests.servers.databases import Databases


class Stores:
    """Opens the database that belongs to a path, as often as a test likes."""

    def __init__(self, databases: Databases | None = None) -> None:
        self._databases = databases
        self._made: dict[Path, tuple[Server, Sequence[Migration]]] = {}

    @contextmanager
    def used(self) -> Iterator[None]:
        """Within the block `open_store` opens these."""
        _used.append(self)
        try:
            yield
        finally:
            _used.remove(self)

    def open(self, path: Path) -> Sql:
        return SqliteSql(path, strict=True) if self._databases is None else _OnServer(self, path)

    async def url(self, path: Path, migrations: Sequence[Migration]) -> str:
        """What the setting ``sql`` says of the database of a path, at these steps; nothing where it is a file."""
        if self._databases is None:
            return ""
        server = await self.make(path, migrations)
        return f"{server.kind}://{server.user}@{server.address}/{server.path}"

    async def make(self, path: Path, migrations: Sequence[Migration]) -> Server:
        """Make the database of a path, at these steps, unless it is there."""
        assert self._databases is not None
        if path not in self._made:
            self._made[path] = (await self._databases.make(migrations), migrations)
        return self._made[path][0]

    async def give_back(self) -> None:
        while self._made:
            _, (server, migrations) = self._made.popitem()
            assert self._databases is not None
            await self._databases.give_back(server, migrations)


class _OnServer(PostgresSql):
    """Has its database when its service takes its first steps there."""

    def __init__(self, stores: Stores, path: Path) -> None:
        super().__init__(Server(kind="postgresql", hosts=()))
        self._stores = stores
        self._path = path

    async def migrate(self, migrations: Sequence[Migration]) -> None:
        self._connections.server = await self._stores.make(self._path, migrations)
        await super().migrate(migrations)


_used: list[Stores] = [Stores()]


def open_store(path: Path) -> Sql:
    """The database of a service under test; who opens one path twice sees the same."""
    return _used[-1].open(path)


async def store_url(path: Path, migrations: Sequence[Migration]) -> str:
    """Of the database that `open_store` would open."""
    return await _used[-1].url(path, migrations)
