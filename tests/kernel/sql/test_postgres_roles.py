"""On PostgreSQL every service has a role and a database of its own, and no way into a neighbour's."""

import asyncio
from collections.abc import Callable

import pytest
from msgspec.structs import replace

from services.kernel.errors import Denied, Invalid, Unavailable
from services.kernel.server import Server as Url
from services.kernel.sql import Migration
from services.kernel.sql.postgres import PostgresSql
from services.kernel.sql.postgres_roles import provide_database
from tests.servers.running import Server

pytestmark = pytest.mark.server
PASSWORD = "a-password-of-scans"


@pytest.fixture
async def master(own_server: Callable[[str], Server]) -> Url:
    """A server that asks everybody but its owner for a password."""
    server = own_server("postgresql")
    rules = server.folder / "pg_hba.conf"
    rules.write_text("host all mirage 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n")
    server.restart()
    return Url.parse(server.url)


def login(master: Url, name: str, database: str = "", password: str = PASSWORD) -> PostgresSql:
    return PostgresSql(replace(master, user=name, password=password, path=database or name))


async def test_a_role_works_in_its_own_database_and_cannot_read_a_neighbour_s(master: Url) -> None:
    for name in ("scans", "storage"):
        await provide_database(master, name, PASSWORD)
        await provide_database(master, name, PASSWORD)
        own = login(master, name)
        await own.migrate([Migration(1, "thing", "CREATE TABLE thing (a BIGINT);")])
        async with own.begin() as tx:
            await tx.execute("INSERT INTO thing (a) VALUES (1)")
        await own.close()
    for name, other in (("scans", "storage"), ("storage", "scans"), ("scans", "postgres")):
        foreign = login(master, name, other)
        with pytest.raises(Denied):
            async with foreign.read() as view:
                await view.fetch("SELECT a FROM thing")
        await foreign.close()


async def test_a_new_password_takes_the_place_of_the_old_one(master: Url) -> None:
    await provide_database(master, "scans", PASSWORD)
    await provide_database(master, "scans", PASSWORD + "-2")
    old, new = login(master, "scans"), login(master, "scans", password=PASSWORD + "-2")
    await new.ping()
    with pytest.raises(Denied) as refused:
        await old.ping()
    assert PASSWORD not in str(refused.value)
    await old.close()
    await new.close()


async def test_a_server_that_only_starts_is_waited_for(own_server: Callable[[str], Server]) -> None:
    server = own_server("postgresql")
    url = Url.parse(server.url)
    server.kill()
    with pytest.raises(Unavailable):
        await provide_database(url, "scans", PASSWORD, patience=0)
    provided = asyncio.create_task(provide_database(url, "scans", PASSWORD))
    await asyncio.to_thread(server.start)
    await provided


@pytest.mark.parametrize(
    ("name", "password"),
    [("scans; DROP", PASSWORD), ("Scans", PASSWORD), ("", PASSWORD), ("scans", "short"), ("scans", "with'quote" * 3)],
)
async def test_a_name_or_password_that_would_need_an_escape_is_refused(master: Url, name: str, password: str) -> None:
    with pytest.raises(Invalid):
        await provide_database(master, name, password)
