"""How migrations are found in a package, and what every `sql` adapter promises of them."""

import asyncio
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from services.kernel.errors import Incompatible, Invalid
from services.kernel.sql import Migration, Sql
from services.kernel.sql.migrations import load
from tests.kernel.conftest import OpenSql
from tests.kernel.sql.thing import SCHEMA, numbers, put

Make = Callable[..., str]


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    monkeypatch.syspath_prepend(str(tmp_path))
    made: list[str] = []

    def make(*names: str) -> str:
        name = f"migrations_of_{tmp_path.name}"
        made.append(name)
        (tmp_path / name).mkdir()
        for file in names:
            (tmp_path / name / file).write_text(f"-- {file} é\n", encoding="utf-8")
        return name

    yield make
    for name in made:
        sys.modules.pop(name, None)


def test_files_are_read_in_the_order_of_their_numbers(package: Make) -> None:
    name = package("0002_more.sql", "0001_first.sql", "notes.md")
    assert load(name) == [
        Migration(1, "first", "-- 0001_first.sql é\n"),
        Migration(2, "more", "-- 0002_more.sql é\n"),
    ]


@pytest.mark.parametrize(
    "names",
    [
        ["0001_a.sql", "0003_c.sql"],
        ["0002_b.sql"],
        ["0001_a.sql", "0001_b.sql"],
        ["1_a.sql"],
        ["0001-a.sql"],
        ["0001_A.sql"],
    ],
)
def test_a_gap_a_repetition_or_a_wrong_name_is_refused(package: Make, names: list[str]) -> None:
    with pytest.raises(Invalid):
        load(package(*names))


async def test_migrations_run_once_and_in_order(open_sql: OpenSql, sql: Sql) -> None:
    second = Migration(2, "colour", "ALTER TABLE thing ADD COLUMN colour TEXT;\nUPDATE thing SET colour = 'red';\n")
    async with sql.begin() as tx:
        await put(tx, 1)
    await sql.migrate([SCHEMA])
    await open_sql().migrate([second, SCHEMA])
    await open_sql().migrate([SCHEMA, second])
    async with sql.read() as view:
        assert await view.fetch("SELECT colour FROM thing") == [("red",)]
        assert await view.fetch("SELECT version, name, digest FROM schema_version ORDER BY version") == [
            (1, "thing", SCHEMA.digest),
            (2, "colour", second.digest),
        ]


async def test_the_kernel_s_steps_and_a_service_s_grow_by_themselves(open_sql: OpenSql) -> None:
    own = [Migration(1, "one", "CREATE TABLE one (a BIGINT);"), Migration(2, "two", "CREATE TABLE two (a BIGINT);")]
    kernel = [Migration(0, "k", "CREATE TABLE k (a BIGINT);"), Migration(-1, "l", "ALTER TABLE k ADD COLUMN b BIGINT;")]
    kept = open_sql()
    for steps in ([kernel[0], own[0]], [*kernel, own[0]], [*own, *kernel]):
        await kept.migrate(steps)
    async with kept.read() as view:
        assert await view.fetch("SELECT b FROM k") == await view.fetch("SELECT a FROM two") == []
    with pytest.raises(Incompatible):
        await kept.migrate([kernel[0], *own])


async def test_a_newer_schema_is_refused(sql: Sql) -> None:
    await sql.migrate([SCHEMA, Migration(2, "empty", "")])
    with pytest.raises(Incompatible, match="has schema version 2, and this Mirage knows up to 1: use a newer one"):
        await sql.migrate([SCHEMA])


async def test_a_version_of_a_service_works_on_beside_a_newer_one_that_has_changed_their_schema(sql: Sql) -> None:
    await sql.migrate([SCHEMA, Migration(2, "colour", "ALTER TABLE thing ADD COLUMN colour TEXT;\n")])
    await sql.migrate([SCHEMA], shared=True)
    async with sql.read() as view:
        assert await view.fetch("SELECT version FROM schema_version ORDER BY version") == [(1,), (2,)]
    with pytest.raises(Incompatible, match="made by another build"):
        await sql.migrate([Migration(1, "thing", "")], shared=True)


async def test_a_schema_made_by_another_script_is_refused_and_left_as_it_is(open_sql: OpenSql, sql: Sql) -> None:
    other = Migration(1, "thing", SCHEMA.script.replace("weight DOUBLE PRECISION", "weight BIGINT"))
    second = Migration(2, "colour", "ALTER TABLE thing ADD COLUMN colour TEXT;\n")
    with pytest.raises(Incompatible, match="made by another build of Mirage, whose schema version 1 is not") as refused:
        await open_sql().migrate([other, second])
    assert "\n" not in str(refused.value)
    async with sql.read() as view:
        assert await view.fetch("SELECT version FROM schema_version") == [(1,)]
    await sql.migrate([SCHEMA, second])
    with pytest.raises(Incompatible, match="schema version 1 "):
        await sql.migrate([other])


async def test_how_a_script_is_set_makes_no_other_schema(open_sql: OpenSql, sql: Sql) -> None:
    moved = Migration(1, "renamed", SCHEMA.script.replace("\n    ", "\r\n\t"))
    assert moved.script != SCHEMA.script
    await open_sql().migrate([moved])


async def test_a_migration_that_fails_leaves_the_schema_as_it_was(sql: Sql) -> None:
    broken = Migration(2, "broken", "CREATE TABLE half (a BIGINT);\nCREATE TABEL other (a BIGINT);\n")
    with pytest.raises(Invalid):
        await sql.migrate([SCHEMA, broken])
    with pytest.raises(Invalid):
        async with sql.read() as view:
            await view.fetch("SELECT * FROM half")
    await sql.migrate([SCHEMA])


async def test_two_who_migrate_at_once_wait_for_each_other(open_sql: OpenSql) -> None:
    others = [open_sql() for _ in range(4)]
    await asyncio.gather(*(other.migrate([SCHEMA]) for other in others))
    assert await numbers(others[0]) == []
