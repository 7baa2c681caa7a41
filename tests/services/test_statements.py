"""Every statement that a service writes is one to SQLite and to PostgreSQL: both read it, against its schema."""

import ast
import importlib
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, get_args

import asyncpg
import pytest
from msgspec import Struct

from services.auth.store.ways import Way
from services.catalogue import SERVICES
from services.correlation.store import findings, gathered, identity, listing
from services.correlation.store.listing import Wanted
from services.kernel.once_store import MIGRATIONS
from services.kernel.sql import Migration, statements
from services.kernel.sql import postgres_statements as postgres
from services.kernel.sql.migrations import load
from services.kernel.sql.sqlite import SqliteSql
from services.scans.store.scans import _SWEPT_BY, OUTCOMES
from services.storage.store import reading, retractions, sightings, withheld
from services.storage.store.when import When
from services.users.store.audit import NARROWED
from tests.servers.databases import MakeDatabase

ROOT: Final = Path(__file__).parents[2]
KERNEL: Final = ("services/kernel/outbox.py", "services/kernel/once_store.py")
#: Methods of the port whose first argument is a statement, and what says that an object is one of the port.
TAKE: Final = {"fetch", "fetch_one", "stream", "execute", "execute_many", "fetch_in", "execute_in"}
HANDLES: Final = {"tx", "view", "unit.tx"}

#: Now, and an instant; of what holds at one, too.
WHENS: Final = (When(), When(as_of=1), When(as_of=1, valid_at=1), When(as_of=1, valid_at=1, withdrawn=True))

#: What the names in a statement stand for that is put together where it runs: every form that it takes.
FORMS: Final[Mapping[str, list[dict[str, Any]]]] = {
    **{
        f"auth/store/ways.py {function}": [{"way": way} for way in get_args(Way)]
        for function in ("count_ways", "remove_way")
    },
    "collector/store.py unreferred": [
        {"statement": "SELECT DISTINCT blob FROM exchange WHERE workspace = :workspace AND blob IN :keys"},
        {"statement": "SELECT digest FROM upload WHERE workspace = :workspace AND digest IN :keys"},
    ],
    "correlation/store/findings.py forget_scan": [{"table": table} for table in findings.OF_SCANS],
    "correlation/store/findings.py no_longer_said": [{"among": "'new', 'confirmed'"}],
    "correlation/store/gathered.py forget_rules": [{"table": table} for table in gathered.OF_RULES],
    **{
        f"correlation/store/listing.py {function}": [
            {"where": listing.where_of(wanted)[0], "place": place}
            for wanted in (
                Wanted(),
                Wanted(severity="low", status="new", rule="r", entities=(b"e", b"f"), all=True),
            )
            for place in ("", " AND (occurrence.severity < :rank OR occurrence.finding > :finding)")
        ]
        for function in ("list_findings", "count_findings")
    },
    "correlation/store/identity.py forget_scan": [{"table": table} for table in identity.TABLES],
    "scans/store/items.py _view": [
        {
            "where": "id > :after AND (:any_outcome = 1 OR outcome = :outcome) AND module IN :keys ORDER BY id"
            " LIMIT :limit"
        },
        {"where": "id IN :keys ORDER BY id"},
    ],
    "scans/store/scans.py open_items": [{"done": " + ".join(OUTCOMES)}],
    "scans/store/scans.py sweep": [{"table": table, "column": column} for table, column in _SWEPT_BY.items()],
    **{
        f"users/store/audit.py {function}": [{"narrowed": narrowed} for narrowed in NARROWED.values()]
        for function in ("search_entries", "end_of_window")
    },
    **{
        f"storage/store/joined.py {function}": [{"names": ":source0, :source1"}]
        for function in ("relations_from", "relations_of")
    },
    **{
        f"storage/store/sightings.py {function}": [
            {"narrowed": sightings._narrowed(when, roles, types)[0]}
            for when in WHENS
            for roles, types in ((None, None), (("target", "in_scope"), ("domain",)))
        ]
        for function in ("sighted_after", "as_seen")
    },
    "storage/store/sightings.py _times": [
        {"statement": statement} for statement in (*sightings._NAMING, *sightings._NAMING_IN_SCAN)
    ],
    "storage/store/reading.py relations_from": [{"narrowed": ""}, {"narrowed": " AND type = :type"}],
    "storage/store/reading.py claims_about": [
        {
            "most": most,
            "asked": f"SELECT {reading.CLAIM}{rank} FROM {reading.CLAIMS}{when.counts}{narrowed} AND about IN :keys",
        }
        for when in WHENS
        for narrowed in ("", " AND claim.scan = :scan")
        for most, rank in (
            (None, ""),
            (1, ", ROW_NUMBER() OVER (PARTITION BY about, kind, name, value, module ORDER BY at, id) AS rank"),
        )
    ],
    "storage/store/reading.py vouching": [{"end": end, "when": when} for end in ("source", "target") for when in WHENS],
    "storage/store/reading.py changed_between": [
        {"narrowed": narrowed, "spans": "(recorded_at > :before AND recorded_at <= :after)"}
        for narrowed in ("", " AND scan = :scan")
    ],
    "storage/store/reading.py claims_of": [
        {"narrowed": ""},
        *({"narrowed": f"{when.counts} AND item = :item"} for when in WHENS),
    ],
    "storage/store/records.py find_records": [{"column": "id"}, {"column": "blob"}],
    "storage/store/withheld.py withdrawn": [{"scan": scan, "when": when} for scan in (None, 1) for when in WHENS],
    "storage/store/withheld.py withhold": [{"column": column} for column in get_args(withheld.Column)],
    "storage/store/retractions.py results_of": [
        {
            "asked": f"SELECT {retractions.TOLD} FROM result WHERE workspace = :workspace AND number > :after"
            " AND module IN (:module0, :module1) AND module = :module AND version = :version AND scan = :scan"
        }
    ],
}


class Statement(Struct, frozen=True):
    where: str
    method: str
    text: str


def statements_of(service: str) -> Iterator[Statement]:
    """The statements that a service gives to the port, wherever in it, in all their forms."""
    files = sorted((ROOT / "services" / service).rglob("*.py"))
    for path in [*files, *(ROOT / name for name in KERNEL)]:
        said = path.relative_to(ROOT / "services").as_posix()
        module = ".".join(("services", *path.relative_to(ROOT / "services").with_suffix("").parts))
        for function in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            calls = [node for node in ast.walk(function) if isinstance(node, ast.Call)]
            for call in calls:
                if (
                    isinstance(call.func, ast.Attribute)
                    and call.func.attr in TAKE
                    and ast.unparse(call.func.value) in HANDLES
                ):
                    names = vars(importlib.import_module(module))
                    for form in FORMS.get(f"{said} {function.name}", [{}]):
                        text = eval(compile(ast.Expression(call.args[0]), said, "eval"), names, form)
                        yield Statement(f"{said}:{call.lineno}", call.func.attr, text)


def steps(service: str) -> list[Migration]:
    return [*MIGRATIONS, *load(f"services.{service}.migrations")]


WITH_TABLES: Final = sorted(name for name in SERVICES if (ROOT / "services" / name / "migrations").is_dir())


@pytest.mark.parametrize("service", WITH_TABLES)
def test_a_service_has_statements_and_no_form_is_of_one_that_is_gone(service: str) -> None:
    assert len(list(statements_of(service))) > 8
    for form in FORMS:
        path, function = form.split()
        assert f"def {function}(" in (ROOT / "services" / path).read_text("utf-8")


@pytest.mark.server
@pytest.mark.parametrize("service", WITH_TABLES)
async def test_postgresql_reads_every_statement(service: str, make_database: MakeDatabase) -> None:
    server = await make_database(steps(service))
    (host,) = server.hosts
    connection = await asyncpg.connect(
        host=host.name, port=host.port, user=server.user, database=server.path, ssl=False
    )
    refused = []
    for statement in statements_of(service):
        text = postgres.any_of_keys(statement.text) if statement.method.endswith("_in") else statement.text
        try:
            await connection.prepare(postgres.numbered(text)[0])
        except asyncpg.PostgresError as error:
            refused.append(f"{statement.where}: {error}: {text}")
    await connection.close()
    assert refused == []


@pytest.mark.parametrize("service", WITH_TABLES)
async def test_sqlite_reads_every_statement(service: str, tmp_path: Path) -> None:
    sql = SqliteSql(tmp_path / "store.db")
    await sql.migrate(steps(service))
    await sql.close()
    refused = []
    connection = sqlite3.connect(tmp_path / "store.db")
    for statement in statements_of(service):
        text = statement.text
        if statement.method.endswith("_in"):
            text, _ = statements.expand_keys(text, 2)
        _, names = postgres.numbered(text)
        try:
            connection.execute(f"EXPLAIN {text}", dict.fromkeys(names))
        except sqlite3.Error as error:
            refused.append(f"{statement.where}: {error}: {text}")
    connection.close()
    assert refused == []
