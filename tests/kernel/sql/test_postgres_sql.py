"""What only the PostgreSQL adapter of `sql` does: its connections, its server's deaths, what its errors become."""

import asyncio
import datetime as dt
import ipaddress
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import asyncpg
import psutil
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from msgspec.structs import replace

from services.kernel.errors import Conflict, Corrupt, Denied, Exhausted, Invalid, MirageError, Unavailable
from services.kernel.server import Server, Trust
from services.kernel.sql import Migration, Sql
from services.kernel.sql import postgres_connections as connections
from services.kernel.sql.postgres import WRITER_WAITS, PostgresSql
from services.kernel.sql.postgres_errors import translate
from services.kernel.sql.postgres_statements import numbered
from tests.kernel.conftest import ROOT
from tests.kernel.conftest import OpenSql as SqlOpener
from tests.servers import running
from tests.servers.databases import MakeDatabase

pytestmark = pytest.mark.server
SCHEMA = Migration(1, "first", "CREATE TABLE t (a BIGINT PRIMARY KEY, b TEXT);\n")
OwnServer = Callable[[str], running.Server]
#: Whether anybody waits for a lock in this database.
WAITS = (
    "SELECT 1 FROM pg_locks JOIN pg_database d ON d.oid = database WHERE NOT granted AND datname = CURRENT_DATABASE()"
)


@pytest.fixture
async def server(make_database: MakeDatabase) -> Server:
    return await make_database([SCHEMA])


@pytest.fixture
async def open_sql(server: Server) -> AsyncIterator[Callable[..., PostgresSql]]:
    opened: list[PostgresSql] = []

    def open_one(at: Server = server, *, connections: int = 8) -> PostgresSql:
        opened.append(PostgresSql(at, connections=connections))
        return opened[-1]

    yield open_one
    for sql in opened:
        await sql.close()


OpenSql = Callable[..., PostgresSql]


@pytest.fixture
def sql(open_sql: OpenSql) -> PostgresSql:
    return open_sql()


async def add(sql: Sql, number: int, text: str = "x") -> None:
    async with sql.begin() as tx:
        await tx.execute("INSERT INTO t (a, b) VALUES (:a, :b)", a=number, b=text)


async def rows(sql: Sql) -> list[int]:
    async with sql.read() as view:
        return [row[0] for row in await view.fetch("SELECT a FROM t ORDER BY a")]


async def eventually(sql: Sql, number: int) -> None:
    """Add a row as soon as the server is back."""
    async with asyncio.timeout(60):
        while True:
            try:
                return await add(sql, number)
            except Unavailable:
                await asyncio.sleep(0.05)


# Statements


@pytest.mark.parametrize(
    ("statement", "result"),
    [
        ("SELECT :a, :b, :a", ("SELECT $1, $2, $1", ("a", "b"))),
        ("SELECT :a::bigint, x::text", ("SELECT $1::bigint, x::text", ("a",))),
        ("SELECT ':a', 'it''s :b' || :c", ("SELECT ':a', 'it''s :b' || $1", ("c",))),
        (r"SELECT E'\':a', :b", (r"SELECT E'\':a', $1", ("b",))),
        ('SELECT ":a" FROM t -- :b\nWHERE a = :c', ('SELECT ":a" FROM t -- :b\nWHERE a = $1', ("c",))),
        ("SELECT /* :a ' \n */ :b", ("SELECT /* :a ' \n */ $1", ("b",))),
        ("SELECT $x$ :a ' $x$, :b", ("SELECT $x$ :a ' $x$, $1", ("b",))),
        ("SELECT 1", ("SELECT 1", ())),
    ],
)
def test_only_parameters_are_numbered(statement: str, result: tuple[str, tuple[str, ...]]) -> None:
    assert numbered(statement) == result


async def test_sums_and_averages_are_plain_numbers(sql: PostgresSql) -> None:
    for number in (1, 2):
        await add(sql, number)
    async with sql.read() as view:
        (row,) = await view.fetch("SELECT SUM(a), AVG(a), COUNT(*) FROM t")
    assert row == (3, 1.5, 2)
    assert [type(value) for value in row] == [int, float, int]


async def test_a_statement_prepared_before_the_schema_changed_is_prepared_again(
    sql: PostgresSql, open_sql: OpenSql
) -> None:
    await add(sql, 1)
    async with sql.read() as view:
        assert await view.fetch("SELECT a, b FROM t") == [(1, "x")]
    await open_sql().migrate([SCHEMA, Migration(2, "narrow", "ALTER TABLE t ALTER COLUMN a TYPE INTEGER;\n")])
    async with sql.read() as view:
        assert await view.fetch("SELECT a, b FROM t") == [(1, "x")]
    await open_sql().migrate(
        [
            SCHEMA,
            Migration(2, "narrow", "ALTER TABLE t ALTER COLUMN a TYPE INTEGER;\n"),
            Migration(3, "wide", "ALTER TABLE t ALTER COLUMN a TYPE BIGINT;\nALTER TABLE t ADD COLUMN c TEXT;\n"),
        ]
    )
    with pytest.raises(Unavailable):  # what came before it in the transaction cannot be done again
        async with sql.read() as view:
            await view.fetch("SELECT 1")
            await view.fetch("SELECT a, b FROM t")
    async with sql.begin() as tx:
        await tx.bulk_upsert("t", ("a", "b", "c"), ("a",), [(2, "y", "z")], {})
        assert await tx.fetch("SELECT a, c FROM t WHERE a = 2") == [(2, "z")]


# Writers


async def test_several_transactions_write_at_once(sql: PostgresSql) -> None:
    together = asyncio.Barrier(5)

    async def write(number: int) -> None:
        async with sql.begin() as tx:
            await tx.execute("INSERT INTO t (a) VALUES (:a)", a=number)
            await together.wait()

    async with asyncio.timeout(20):
        await asyncio.gather(*(write(number) for number in range(5)))
    assert await rows(sql) == [0, 1, 2, 3, 4]


async def test_those_who_share_a_lock_hold_it_at_the_same_time(sql: PostgresSql) -> None:
    together = asyncio.Barrier(3)

    async def share() -> None:
        async with sql.begin() as tx:
            await tx.lock("key", shared=True)
            await together.wait()

    async with asyncio.timeout(20):
        await asyncio.gather(*(share() for _ in range(3)))


async def test_who_waits_for_the_other_is_told_to_try_again(sql: PostgresSql) -> None:
    for number in (1, 2):
        await add(sql, number)
    together = asyncio.Barrier(2)

    async def touch(first: int, second: int) -> str:
        try:
            async with sql.begin() as tx:
                await tx.execute("UPDATE t SET b = 'y' WHERE a = :a", a=first)
                await together.wait()
                await tx.execute("UPDATE t SET b = 'y' WHERE a = :a", a=second)
        except Unavailable:
            return "again"
        return "done"

    assert sorted(await asyncio.gather(touch(1, 2), touch(2, 1))) == ["again", "done"]


async def test_the_same_rows_in_any_order_do_not_wait_for_each_other(sql: PostgresSql) -> None:
    batch = [(number, "x") for number in range(2000)]

    async def write(turn: int) -> None:
        async with sql.begin() as tx:
            given = batch[::-1] if turn % 2 else batch
            await tx.bulk_upsert("t", ("a", "b"), ("a",), given, {"b": "replace" if turn % 3 else "min"})
            await tx.insert_new("t", ("a", "b"), ("a",), given)

    await asyncio.gather(*(write(turn) for turn in range(6)))
    assert len(await rows(sql)) == 2000


LOCKS = """
import asyncio

async def main():
    async with sql.begin() as tx:
        await tx.lock("the key")
        await tx.execute("INSERT INTO t (a) VALUES (1)")
        print("ready", flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


Run = Callable[[Server, str], Awaitable["subprocess.Popen[str]"]]


@pytest.fixture
def run() -> Iterator[Run]:
    """Run a script, which finds the database as ``sql``, in a process of its own until it prints ``ready``."""
    children: list[subprocess.Popen[str]] = []

    def begin(server: Server, script: str) -> "subprocess.Popen[str]":
        child = subprocess.Popen(
            [sys.executable, "-c", SqlOpener(Path(), server).code + script],
            env={"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        children.append(child)
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        return child

    yield partial(asyncio.to_thread, begin)
    for child in children:
        child.kill()
        child.communicate()


async def test_a_lock_is_held_against_other_processes_until_theirs_ends(
    sql: PostgresSql, server: Server, run: Run
) -> None:
    child = await run(server, LOCKS)

    async def take() -> None:
        async with sql.begin() as tx:
            await tx.lock("the key")
            await tx.execute("INSERT INTO t (a) VALUES (1)")

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await take()
    child.kill()
    async with asyncio.timeout(20):
        await take()
    assert await rows(sql) == [1]


MIGRATES = """
import asyncio
from services.kernel.sql import Migration

async def main():
    print("ready", flush=True)
    input()
    script = "CREATE TABLE s{0} (a BIGINT); INSERT INTO s{0} (a) VALUES (1)"
    await sql.migrate([Migration(n, "step", script.format(n)) for n in range(1, 9)])
    await sql.close()

asyncio.run(main())
"""


async def test_processes_that_migrate_at_once_take_each_step_once(make_database: MakeDatabase, run: Run) -> None:
    server = await make_database()
    children = [await run(server, MIGRATES) for _ in range(3)]
    for child in children:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    for child in children:
        await asyncio.to_thread(child.communicate)
    assert [child.returncode for child in children] == [0, 0, 0]
    sql = PostgresSql(server)
    async with sql.read() as view:
        assert await view.fetch("SELECT COUNT(*) FROM schema_version") == [(8,)]
        assert await view.fetch("SELECT COUNT(*) FROM s8") == [(1,)]
    await sql.close()


async def test_a_migration_waits_for_who_reads_and_lets_others_read_on(
    sql: PostgresSql, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.kernel.sql.postgres_schema._LOCK_SECONDS", 0.05)
    steps = [SCHEMA, Migration(2, "more", "ALTER TABLE t ADD COLUMN c TEXT;\n")]
    async with sql.read() as view:
        await view.fetch("SELECT a FROM t")
        migrating = asyncio.create_task(sql.migrate(steps))
        for _ in range(20):
            assert await rows(sql) == []
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await asyncio.shield(migrating)
    await migrating


# Connections


async def test_nothing_is_connected_before_it_is_needed(open_sql: OpenSql, server: Server) -> None:
    nowhere = replace(server, hosts=(replace(server.hosts[0], port=1),))
    sql = PostgresSql(nowhere)
    async with sql.begin(), sql.read():
        pass
    assert sql.measures()["connections"] == 0
    await sql.close()


async def test_connections_are_kept_and_not_more_than_asked_for(open_sql: OpenSql) -> None:
    sql = open_sql(connections=3)
    await asyncio.gather(*(add(sql, number) for number in range(30)))
    for number in range(30, 40):
        await add(sql, number)
    measures = sql.measures()
    assert measures["connections_in_use"] == 0
    assert measures["connections_opened_total"] == measures["connections"] <= 3


async def test_tasks_that_hold_a_connection_and_want_another_do_not_wait_for_each_other(open_sql: OpenSql) -> None:
    sql = open_sql(connections=2)

    async def write(number: int) -> None:
        async with sql.begin() as tx:
            await tx.execute("INSERT INTO t (a) VALUES (:a)", a=number)
            async with sql.read() as view:
                await view.fetch("SELECT 1")
                assert await asyncio.gather(*(rows(sql) for _ in range(2)))

    async with asyncio.timeout(20):
        await asyncio.gather(*(write(number) for number in range(12)))
    assert await rows(sql) == list(range(12))
    assert sql.measures()["connections"] <= 2


async def test_writers_that_wait_leave_connections_to_readers(open_sql: OpenSql) -> None:
    sql = open_sql(connections=4)

    async def wait_for_the_lock() -> None:
        async with sql.begin() as tx:
            await tx.lock("key")

    async with open_sql().begin() as tx:
        await tx.lock("key")
        waiting = [asyncio.create_task(wait_for_the_lock()) for _ in range(10)]
        async with asyncio.timeout(20):
            while sql.measures()["connections_in_use"] < 3:
                await asyncio.sleep(0)
            assert await rows(sql) == []
            await sql.ping()
    await asyncio.gather(*waiting)


async def test_who_gets_no_connection_is_told(open_sql: OpenSql, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "TURN", 0.05)
    sql = open_sql(connections=1)
    inside, leave = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        async with sql.read() as view:
            await view.fetch("SELECT 1")
            inside.set()
            await leave.wait()

    holding = asyncio.create_task(hold())
    await inside.wait()
    with pytest.raises(Unavailable, match="all 1 connections were in use"):
        await rows(sql)
    await sql.ping()
    leave.set()
    await holding
    assert await rows(sql) == []


async def test_a_connection_that_the_server_ends_costs_the_others_nothing(sql: PostgresSql, open_sql: OpenSql) -> None:
    other = open_sql()
    kill = "SELECT COUNT(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE pid = :pid"
    async with sql.read() as survivor:
        await survivor.fetch("SELECT 1")
        with pytest.raises(Unavailable):
            async with sql.begin() as tx:
                ((pid,),) = await tx.fetch("SELECT pg_backend_pid()")
                async with other.read() as view:
                    await view.fetch(kill, pid=pid)
                await tx.execute("INSERT INTO t (a) VALUES (1)")
        assert await survivor.fetch("SELECT a FROM t") == []
    # One that lay idle is replaced without anybody noticing.
    async with sql.read() as view:
        ((pid,),) = await view.fetch("SELECT pg_backend_pid()")
    async with other.read() as view:
        await view.fetch(
            kill.replace("= :pid", "<> pg_backend_pid() AND datname = current_database() AND :pid > 0"), pid=pid
        )
    await add(sql, 2)
    assert await rows(sql) == [2]
    assert sql.measures()["connections_lost_total"] > 0


async def test_a_transaction_whose_task_says_nothing_more_ends_and_lets_others_have_its_locks(
    sql: PostgresSql, open_sql: OpenSql
) -> None:
    asked = "SELECT EXTRACT(EPOCH FROM current_setting('idle_in_transaction_session_timeout')::INTERVAL)::INTEGER"
    async with sql.read() as view:
        assert await view.fetch(asked) == [(connections.VIEW_WAITS,)]
    with pytest.raises(Unavailable):
        async with sql.begin() as tx:
            assert await tx.fetch(asked) == [(WRITER_WAITS,)]
            await tx.lock("the key")
            await tx.execute("INSERT INTO t (a) VALUES (1)")
            await tx.execute("SET LOCAL idle_in_transaction_session_timeout = 1")
            async with open_sql().begin() as other, asyncio.timeout(30):
                await other.lock("the key")
            await tx.execute("INSERT INTO t (a) VALUES (2)")
    async with sql.read() as view:
        assert await view.fetch(asked) == [(connections.VIEW_WAITS,)]
    assert await rows(sql) == []


async def test_a_cancelled_statement_leaves_nothing_open(sql: PostgresSql, open_sql: OpenSql) -> None:
    other = open_sql()
    activity = (
        "SELECT query FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        " AND state <> 'idle'"
    )

    async def under_way() -> list[str]:
        async with other.read() as view:
            return [row[0] for row in await view.fetch(activity)]

    async def write_slowly() -> None:
        async with sql.begin() as tx:
            await tx.execute("INSERT INTO t (a) VALUES (1)")
            await tx.fetch("SELECT 1 FROM pg_sleep(600)")

    for _ in range(5):
        writing = asyncio.create_task(write_slowly())
        async with asyncio.timeout(30):
            while await under_way() != ["SELECT 1 FROM pg_sleep(600)"]:
                pass
        writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing
        assert await under_way() == []
    assert sql.measures()["connections_opened_total"] == 1
    assert await rows(sql) == []


async def test_close_waits_for_the_statement_under_way(open_sql: OpenSql) -> None:
    sql, other = open_sql(), open_sql()
    async with other.begin() as holding:
        await holding.execute("LOCK TABLE t")
        task = asyncio.create_task(rows(sql))
        async with asyncio.timeout(30), other.read() as view:
            while not await view.fetch(WAITS):
                await asyncio.sleep(0)
        closing = asyncio.create_task(sql.close())
        await asyncio.sleep(0)
        assert not task.done()
    assert await task == []
    await closing


# A server that goes away


def kill_all(postgres: running.Server) -> None:
    """Those that serve connections too: by themselves they would end what they are at."""
    parts = psutil.Process(postgres.pid).children(recursive=True)
    postgres.kill()
    for part in parts:
        with suppress(psutil.NoSuchProcess):
            part.kill()
    psutil.wait_procs(parts)


async def test_a_server_that_is_killed_keeps_what_was_committed_and_nothing_else(own_server: OwnServer) -> None:
    postgres = own_server("postgresql")
    sql = PostgresSql(Server.parse(postgres.url))
    await sql.migrate([SCHEMA])
    await add(sql, 1)
    await asyncio.gather(*(rows(sql) for _ in range(4)))  # several connections lie idle
    with pytest.raises(Unavailable):
        async with sql.begin() as tx:
            await tx.execute("INSERT INTO t (a) VALUES (2)")
            await asyncio.to_thread(kill_all, postgres)
            await tx.execute("INSERT INTO t (a) VALUES (3)")
    async with asyncio.timeout(30):
        with pytest.raises(Unavailable):
            await add(sql, 4)
        with pytest.raises(Unavailable):
            await sql.ping()
        for told in await asyncio.gather(*(rows(sql) for _ in range(40)), return_exceptions=True):
            assert isinstance(told, Unavailable)
            assert str(postgres.port) in str(told)
    starting = asyncio.create_task(asyncio.to_thread(postgres.start))
    await eventually(sql, 5)
    await starting
    assert await rows(sql) == [1, 5]
    await asyncio.to_thread(postgres.restart)
    await eventually(sql, 6)
    assert await rows(sql) == [1, 5, 6]
    await sql.close()


@contextmanager
def silenced(postgres: running.Server) -> Iterator[None]:
    """It is there and does not answer, nor do those that serve open connections."""
    parts = [psutil.Process(postgres.pid), *psutil.Process(postgres.pid).children(recursive=True)]
    for part in parts:
        part.suspend()
    try:
        yield
    finally:
        for part in parts:
            part.resume()


async def test_a_server_that_says_nothing_is_away_until_it_speaks_again(
    own_server: OwnServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    postgres = own_server("postgresql")
    sql = PostgresSql(Server.parse(postgres.url))
    await sql.migrate([SCHEMA])
    await add(sql, 1)
    monkeypatch.setattr(connections, "SLOW", 0.2)
    monkeypatch.setattr(connections, "CONNECTS", 0.5)
    with silenced(postgres):
        async with asyncio.timeout(30):
            for _ in range(2):
                with pytest.raises(Unavailable):
                    await add(sql, 2)
                with pytest.raises(Unavailable):
                    await sql.ping()
    monkeypatch.setattr(connections, "CONNECTS", 3.0)
    await eventually(sql, 3)
    assert 3 in await rows(sql)
    await sql.close()


async def test_a_statement_that_is_slow_on_a_living_server_goes_on(
    sql: PostgresSql, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "SLOW", 0.02)
    monkeypatch.setattr(connections, "CONNECTS", 30.0)
    async with sql.read() as view:
        assert await view.fetch("SELECT 1 FROM pg_sleep(0.5)") == [(1,)]
    assert sql.measures()["connections_lost_total"] == 0


# Errors


async def test_what_a_role_may_not_is_denied(sql: PostgresSql, server: Server, open_sql: OpenSql) -> None:
    role = f"reader_of_{server.path}"
    async with sql.begin() as tx:
        await tx.execute(f"CREATE ROLE {role} LOGIN")
        await tx.execute(f"GRANT SELECT ON t TO {role}")
    try:
        reader = open_sql(replace(server, user=role))
        assert await rows(reader) == []
        with pytest.raises(Denied, match="permission denied for table t"):
            await add(reader, 1)
        with pytest.raises(Denied):
            await reader.migrate([SCHEMA])
        await reader.close()
    finally:
        async with sql.begin() as tx:
            await tx.execute(f"DROP OWNED BY {role}")
            await tx.execute(f"DROP ROLE {role}")


async def test_a_database_that_is_not_there_is_unavailable(server: Server, open_sql: OpenSql) -> None:
    with pytest.raises(Unavailable, match="nowhere"):
        await open_sql(replace(server, path="nowhere")).ping()


async def test_a_value_is_never_quoted(sql: PostgresSql) -> None:
    async with sql.begin() as tx:
        await tx.execute("CREATE TABLE u (a TEXT PRIMARY KEY, b BIGINT)")
        await tx.execute("INSERT INTO u (a) VALUES (:a)", a="secret")
    refused: list[MirageError] = []
    for statement, values in (
        ("INSERT INTO u (a) VALUES (:a)", {"a": "secret"}),
        ("INSERT INTO u (a, b) VALUES ('x', :b)", {"b": "secret"}),
        ("UPDATE u SET b = CAST(a AS BIGINT)", {}),
        ("SELECT a FROM u WHERE b = :b", {"b": object()}),
    ):
        with pytest.raises((Conflict, Invalid)) as error:
            async with sql.begin() as tx:
                await tx.fetch(statement, **values)
        refused.append(error.value)
    assert [type(each) for each in refused] == [Conflict, Invalid, Invalid, Invalid]
    for each in refused:
        assert "secret" not in str(each)
        assert each.__cause__ is None
        assert "postgresql at 127.0.0.1:" in str(each)


async def test_what_is_full_is_exhausted_and_what_is_damaged_corrupt(sql: PostgresSql) -> None:
    with pytest.raises(Exhausted):
        async with sql.begin() as tx:
            await tx.execute("SET LOCAL temp_file_limit = '64kB'")
            await tx.execute("SET LOCAL work_mem = '64kB'")
            await tx.fetch("SELECT i FROM generate_series(1, 100000) AS s (i) ORDER BY -i LIMIT 1 OFFSET 99999")
    assert type(translate(asyncpg.DiskFullError("no space left"), "it")) is Exhausted
    assert type(translate(asyncpg.DataCorruptedError("bad page"), "it")) is Corrupt
    assert type(translate(asyncpg.SerializationError("changed"), "it")) is Unavailable
    assert type(translate(asyncpg.TooManyConnectionsError("full"), "it")) is Unavailable


async def test_a_database_that_does_not_sort_by_bytes_is_refused(sql: PostgresSql, server: Server) -> None:
    (host,) = server.hosts
    name = f"{server.path}_icu"
    admin = await asyncpg.connect(host=host.name, port=host.port, user=server.user, database=server.path)
    await admin.execute(f"CREATE DATABASE {name} TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en'")
    other = PostgresSql(replace(server, path=name))
    with pytest.raises(Invalid, match="does not sort by bytes"):
        await other.migrate([SCHEMA])
    await other.close()
    await admin.execute(f"DROP DATABASE {name}")
    await admin.close()


async def test_a_backup_is_the_server_s_own_business(sql: PostgresSql, tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="use pg_dump"):
        await sql.backup(str(tmp_path / "copy"))


async def test_passwords_and_tls_are_asked_for_and_never_told(own_server: OwnServer, tmp_path: Path) -> None:
    postgres = own_server("postgresql")
    server = Server.parse(postgres.url)
    sql = PostgresSql(server)
    async with sql.begin() as tx:
        await tx.execute("CREATE ROLE scans LOGIN PASSWORD 'geheim'")
    await sql.close()
    ca = certify(tmp_path, postgres)
    conf, hba = postgres.folder / "postgresql.auto.conf", postgres.folder / "pg_hba.conf"
    conf.write_text("ssl = on\nssl_cert_file = 'server.crt'\nssl_key_file = 'server.key'\n")
    hba.write_text("host all mirage 127.0.0.1/32 trust\nhostssl all all 127.0.0.1/32 scram-sha-256\n")
    await asyncio.to_thread(postgres.restart)

    async def ping(**changed: object) -> str:
        asked = PostgresSql(replace(server, **{"user": "scans", "tls": True, "trust": Trust(ca=ca), **changed}))
        try:
            await asked.ping()
        except (Denied, Unavailable) as error:
            return f"{type(error).__name__}: {error}"
        finally:
            await asked.close()
        return "answers"

    assert await ping(password="geheim") == "answers"
    for refused in (await ping(password="falsch"), await ping(), await ping(password="geheim", tls=False)):
        assert refused.startswith("Denied: postgresql at 127.0.0.1:")
        assert "falsch" not in refused
        assert "geheim" not in refused
    assert (await ping(password="geheim", trust=Trust())).startswith("Unavailable: ")


def certify(folder: Path, postgres: running.Server) -> str:
    """Give a server a certificate of its own; return the file of who vouches for it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    ca = folder / "ca.pem"
    ca.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    for file, content in (("server.crt", ca.read_bytes()), ("server.key", secret)):
        path = postgres.folder / file
        path.write_bytes(content)
        path.chmod(0o600)
        if postgres.user:
            shutil.chown(path, postgres.user, postgres.user)
    return str(ca)
