"""What only the SQLite adapter of `sql` does: files, their modes, their copies, what its errors become."""

import asyncio
import gc
import re
import sqlite3
import stat
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from services.kernel.errors import Corrupt, Exhausted, Incompatible, Unavailable
from services.kernel.sql import Migration, sqlite_file
from services.kernel.sql.sqlite import SqliteSql
from tests.conftest import BY_ITSELF

SCHEMA = Migration(1, "first", "CREATE TABLE t (a BIGINT PRIMARY KEY, b TEXT);\n")
ENDLESS = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT COUNT(*) FROM n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "t.db"


async def opened(path: Path) -> SqliteSql:
    sql = SqliteSql(path)
    await sql.migrate([SCHEMA])
    return sql


async def fill(sql: SqliteSql, first: int, last: int) -> None:
    async with sql.begin() as tx:
        await tx.bulk_upsert("t", ("a", "b"), ("a",), [(n, "x" * 100) for n in range(first, last)], {})


async def test_by_itself_it_waits_for_the_disk_at_checkpoints(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_file, "SYNCHRONOUS", BY_ITSELF)
    sql = await opened(path)
    for block in (sql.read, sql.begin):
        async with block() as view:
            assert await view.fetch("PRAGMA synchronous") == [(1,)]  # NORMAL
            assert await view.fetch("PRAGMA journal_mode") == [("wal",)]
    await sql.close()


async def test_a_statement_whose_waiter_was_cancelled_leaves_no_word_in_the_log(path: Path) -> None:
    said: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: said.append(context))
    sql = await opened(path)
    for block in (sql.read, sql.begin):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05), block() as view:
                await view.fetch(ENDLESS)
        await fill(sql, 1, 2)
    await sql.close()
    gc.collect()
    assert not said


def rows(path: Path) -> int:
    connection = sqlite3.connect(path)
    try:
        return int(connection.execute("SELECT COUNT(*) FROM t").fetchone()[0])
    finally:
        connection.close()


async def test_files_are_for_their_owner_only(path: Path) -> None:
    sql = await opened(path)
    await fill(sql, 0, 1)
    await sql.backup(str(path.with_name("copy.db")))
    files = sorted(path.parent.iterdir())
    assert [file.name for file in files] == ["copy.db", "t.db", "t.db-shm", "t.db-wal"]
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    await sql.close()
    assert sorted(file.name for file in path.parent.iterdir()) == ["copy.db", "t.db"]


async def test_nothing_is_made_before_it_is_needed(path: Path) -> None:
    sql = SqliteSql(path)
    async with sql.begin():
        pass
    await sql.close()
    assert not path.exists()


async def test_a_view_may_be_the_first_to_open_a_new_file(path: Path) -> None:
    sql = SqliteSql(path)
    async with sql.read() as view:
        assert await view.fetch("SELECT 1") == [(1,)]
        await sql.migrate([SCHEMA])
    await sql.close()


async def test_a_copy_is_kept_before_a_database_with_data_is_migrated(path: Path) -> None:
    sql = await opened(path)
    await fill(sql, 0, 10)
    assert [file.name for file in path.parent.glob("*.v*")] == []
    await sql.migrate([SCHEMA, Migration(2, "drop", "DELETE FROM t;\n")])
    assert (rows(path), rows(path.with_name("t.db.v1"))) == (0, 10)
    await sql.close()


async def test_a_database_of_a_build_that_recorded_no_scripts_is_refused_and_left_as_it_is(path: Path) -> None:
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE t (a BIGINT PRIMARY KEY, b TEXT)")
        connection.execute("CREATE TABLE schema_version (version BIGINT PRIMARY KEY, name TEXT, at BIGINT)")
        connection.execute("INSERT INTO schema_version VALUES (1, 'first', 0)")
        connection.commit()
    sql = SqliteSql(path)
    said = f"{path} was made by another build of Mirage, whose schema version 1 is not this one's: use that build"
    with pytest.raises(Incompatible, match=re.escape(said)):
        await sql.migrate([SCHEMA, Migration(2, "drop", "DELETE FROM t;\n")])
    await sql.close()
    assert [file.name for file in path.parent.iterdir()] == ["t.db"]
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT * FROM schema_version").fetchall() == [(1, "first", 0)]


async def test_a_backup_is_whole_while_others_write(path: Path) -> None:
    sql = await opened(path)
    await fill(sql, 0, 5000)
    stop = False

    async def writes() -> None:
        turn = 1
        while not stop:
            await fill(sql, turn * 5000, turn * 5000 + 500)
            turn += 1

    task = asyncio.create_task(writes())
    target = path.with_name("copy.db")
    await sql.backup(str(target))
    await sql.backup(str(target))
    stop = True
    await task
    assert rows(target) >= 5000
    assert (rows(target) - 5000) % 500 == 0
    connection = sqlite3.connect(target)
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()
    await sql.close()


async def test_a_full_disk_is_exhausted_and_loses_nothing(path: Path) -> None:
    sql = await opened(path)
    await fill(sql, 0, 10)
    async with sql.begin() as tx:
        await tx.fetch("PRAGMA max_page_count = 50")
    with pytest.raises(Exhausted):
        await fill(sql, 10, 10_000)
    async with sql.begin() as tx:
        await tx.fetch("PRAGMA max_page_count = 100000")
        assert await tx.fetch("SELECT COUNT(*) FROM t") == [(10,)]
    await fill(sql, 10, 10_000)
    await sql.close()
    assert rows(path) == 10_000


async def test_a_file_that_is_no_database_is_corrupt(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"not a database at all, but long enough to look at" * 100)
    sql = SqliteSql(path)
    with pytest.raises(Corrupt, match=r"t\.db"):
        await sql.ping()
    with pytest.raises(Corrupt):
        await sql.migrate([SCHEMA])
    await sql.close()


async def test_a_folder_that_cannot_be_made_is_unavailable(path: Path) -> None:
    path.parent.write_bytes(b"a file where the folder should be")
    sql = SqliteSql(path)
    with pytest.raises(Unavailable):
        await sql.ping()
    await sql.close()


async def test_a_file_locked_by_another_program_is_unavailable(
    path: Path,
) -> None:
    sql = await opened(path)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    async with sql.read() as view:
        assert await view.fetch("SELECT COUNT(*) FROM t") == [(0,)]
    async with sql.begin():
        pass
    sql._file.patience = 0.05
    with pytest.raises(Unavailable):
        await fill(sql, 0, 1)
    other.close()
    await fill(sql, 0, 1)
    await sql.close()


async def test_writers_get_their_turn_in_the_order_they_asked(path: Path) -> None:
    sql = await opened(path)
    order: list[int] = []

    async def write(number: int) -> None:
        async with sql.begin() as tx:
            await tx.execute("INSERT INTO t (a) VALUES (:a)", a=number)
            order.append(number)

    await asyncio.gather(*(write(number) for number in range(20)))
    assert order == list(range(20))
    await sql.close()


async def test_a_remark_for_sqlite_is_part_of_the_statement_here(path: Path) -> None:
    sql = SqliteSql(path)
    script = "CREATE TABLE k (a BYTEA NOT NULL PRIMARY KEY, b TEXT)\n  --sqlite: WITHOUT ROWID\n;\n"
    await sql.migrate([Migration(1, "k", script)])
    async with sql.read() as view:
        assert "WITHOUT ROWID" in (await view.fetch("SELECT sql FROM sqlite_master WHERE name = 'k'"))[0][0]
    await sql.close()


async def test_the_log_is_folded_back_and_does_not_grow(path: Path) -> None:
    sql = await opened(path)
    for turn in range(30):
        await fill(sql, turn * 2000, turn * 2000 + 2000)
    assert path.with_name("t.db-wal").stat().st_size < 35_000_000
    await sql.close()
