"""What PostgreSQL takes in through the port, beside asyncpg alone: ``python -m tests.bench postgres``.

The intake is storage's, from folded rows to committed ones: batches as large as the inbox makes them, and larger ones
as an import has them, by one writer, and by two at once. Bare: the same rows by COPY into tables without keys and
indexes. The port's batches: all rows are new, or all are there and change; bare is the statement that the port sends,
prepared, with its arrays at hand.

The server is the tests' own, which waits for no disk. Processor time is ours and the server's together.
"""

import asyncio
import itertools
import os
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import asyncpg
import psutil
import uvloop
from msgspec.structs import replace

from services.contracts.facts import Collected
from services.kernel.messages import Envelope, message_type, open_bundle
from services.kernel.once_store import MIGRATIONS
from services.kernel.server import Server
from services.kernel.sql import Merge, Migration, Row, migrations
from services.kernel.sql import postgres_statements as written
from services.kernel.sql.postgres import PostgresSql
from services.storage.domain import Rows
from services.storage.store import intake
from tests.bench.declaration import Bench, Figure, Options, Unable, middle, span
from tests.bench.sql import COLUMNS, TABLE, Work, batch
from tests.bench.storage import AT, WORKSPACE, messages
from tests.servers.running import Stable, missing

CLAIMS, BAR = 100_000, 20_000
#: Bundles in a batch: as the inbox hands them over, and in bulk.
INBOX, BULK = 12, 100
KEY = ("workspace", "id")
MERGE: dict[str, Merge] = {"first_seen": "min", "last_seen": "max", "seen": "sum"}
TYPES = ("bytea", "bytea", "text", "text", "bigint", "bigint", "bigint")
BATCHES = 20
CLAIM_TYPES = (
    "bytea, bigint, bigint, bytea, bytea, bytea, smallint, text, text, bigint, bigint, smallint, bigint, bigint, text,"
    " text, bytea"
)


class Postgres:
    """A server for this benchmark alone, with a database for each measurement."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._count = itertools.count()

    @asynccontextmanager
    async def connected(self, name: str = "") -> AsyncIterator[Any]:
        (host,) = self._server.hosts
        database = name or self._server.path
        connection = await asyncpg.connect(
            host=host.name, port=host.port, user=self._server.user, database=database, ssl=False
        )
        try:
            yield connection
        finally:
            await connection.close()

    @asynccontextmanager
    async def database(self) -> AsyncIterator[Server]:
        name = f"bench{next(self._count)}"
        async with self.connected() as admin:
            await admin.execute(f"CREATE DATABASE {name} TEMPLATE template0")
        yield replace(self._server, path=name)
        async with self.connected() as admin:
            await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def running() -> Iterator[Postgres]:
    if "postgresql" in missing():
        raise Unable("PostgreSQL is not installed: tests/servers/build --apt")
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o711)
        os.mkfifo(Path(name) / "fifo")
        leash = os.open(Path(name) / "fifo", os.O_RDWR | os.O_CLOEXEC)
        stable = Stable(Path(name))
        server = stable.own("postgresql")
        try:
            yield Postgres(Server.parse(server.url))
        finally:
            stable.give_back(server)
            os.close(leash)


def folded(bundles: int) -> tuple[list[Rows], int]:
    """Batches of so many bundles, and the claims in all of them."""
    coming, kind = messages(), message_type(Collected)
    batches: list[Rows] = []
    claims = 0
    while claims < CLAIMS:
        results: list[Envelope] = []
        while len(results) < bundles:
            _, envelope = next(coming)
            if envelope.type == kind:
                results.append(envelope)
        rows = Rows()
        for envelope in results:
            for result in open_bundle(envelope, Collected):
                rows.add(WORKSPACE, result, AT)
        claims += len(rows.claims)
        batches.append(rows)
    return batches, claims


async def take_in(postgres: Postgres, batches: Sequence[Rows], writers: int = 1) -> tuple[float, float]:
    """Seconds until all is committed, and seconds of processor."""
    async with postgres.database() as server:
        sql = PostgresSql(server)
        await sql.migrate([*MIGRATIONS, *migrations.load("services.storage.migrations")])
        coming = iter(batches)

        async def write() -> None:
            for rows in coming:
                async with sql.begin() as tx:
                    await intake.hold_entities(tx, [WORKSPACE])
                    await intake.write_rows(tx, rows)

        async with sql.begin() as first, sql.read() as second:  # the connections are there
            await first.fetch("SELECT 1")
            await second.fetch("SELECT 1")
        started, used = time.perf_counter(), processor()
        await asyncio.gather(*(write() for _ in range(writers)))
        taken = time.perf_counter() - started, processor() - used
        await sql.close()
    return taken


def processor() -> float:
    """Seconds of processor that this process and the server have used, as far as their parts still run."""
    ours = psutil.Process()
    parts = [ours, *(each for each in ours.children(recursive=True) if each.name() == "postgres")]
    return sum(times.user + times.system for times in (part.cpu_times() for part in parts))


async def copy_bare(postgres: Postgres, batches: Sequence[Rows]) -> float:
    """Seconds until all is committed."""
    number = itertools.count()
    numbers: dict[Any, int] = {}

    def numbered(key: Any) -> int:
        return numbers.setdefault(key, next(number))

    tables = {
        "entity": (intake.ENTITY, "bytea, bytea, bigint, text, text, text, bigint, bigint"),
        "relation": (intake.RELATION, "bytea, bigint, bytea, bigint, text, bigint, text"),
        "claim": (intake.CLAIM, CLAIM_TYPES),
        "record": (intake.RECORD, "bytea, bytea, bigint, bytea, bytea, bytea"),
        "result": (intake.RESULT, "bytea, bytea, bytea, bigint, bigint, text, bigint, bytea, bigint, bigint, text"),
    }
    made: list[dict[str, list[Row]]] = [
        {
            "entity": [
                (*key, numbered(key), seen.entity.type, "", seen.entity.value, seen.first, seen.last)
                for key, seen in rows.entities.items()
            ],
            "relation": [
                (space, numbered((space, source)), identity, numbered((space, identity)), each.type,
                 numbered((space, target)), "")
                for (space, identity), (each, source, target) in rows.relations.items()
            ],
            "claim": [
                (space, numbered((space, about)), numbered(result), *said)
                for space, about, result, *said in rows.claims
            ],
            "record": [(space, scan, numbered(result), *kept) for space, scan, result, *kept in rows.records],
            "result": [(*place, numbered(place), *answer) for place, answer in rows.results.items()],
        }
        for rows in batches
    ]  # fmt: skip
    async with postgres.database() as server, postgres.connected(server.path) as connection:
        for name, (columns, types) in tables.items():
            described = ", ".join(f"{column} {kind}" for column, kind in zip(columns, types.split(", "), strict=True))
            await connection.execute(f"CREATE TABLE {name} ({described})")
        started = time.perf_counter()
        for each in made:
            async with connection.transaction():
                for name, rows_of_it in each.items():
                    await connection.copy_records_to_table(name, records=rows_of_it, columns=tables[name][0])
        return time.perf_counter() - started


class Batches:
    """The port's batches beside the statement that it sends, on the same rows."""

    def __init__(self, postgres: Postgres, size: int) -> None:
        self._postgres = postgres
        self._batches = [
            sorted(row for number in range(size // 500) for row in batch(number)) for _ in range(BATCHES * 500 // size)
        ]

    @property
    def rows(self) -> int:
        return sum(map(len, self._batches))

    async def port(self, *, again: bool, new: bool) -> float:
        async with self._postgres.database() as server:
            sql = PostgresSql(server)
            await sql.migrate([Migration(1, "entity", TABLE)])
            for _ in range(1 + again):
                started = time.perf_counter()
                for rows in self._batches:
                    async with sql.begin() as tx:
                        if new:
                            await tx.insert_new("entity", COLUMNS, KEY, rows)
                        else:
                            await tx.bulk_upsert("entity", COLUMNS, KEY, rows, MERGE)
                taken = time.perf_counter() - started
            await sql.close()
        return self.rows / taken

    async def bare(self, *, again: bool, new: bool) -> float:
        merges = () if new else tuple(MERGE.items())
        statement = written.insert("entity", COLUMNS, TYPES) + written.on_conflict("entity", KEY, merges)
        if new:
            statement += f" RETURNING {', '.join(KEY)}"
        given = [list(zip(*rows, strict=True)) for rows in self._batches]
        async with self._postgres.database() as server, self._postgres.connected(server.path) as connection:
            await connection.execute(TABLE)
            for _ in range(1 + again):
                started = time.perf_counter()
                for arrays in given:
                    async with connection.transaction():
                        await connection.fetch(statement, *arrays)
                taken = time.perf_counter() - started
        return self.rows / taken


async def by_turns(what: str, unit: str, runs: int, work: Work, bare: Work) -> Figure:
    figures, limits = [], []
    for _ in range(runs):
        figures.append(await work())
        limits.append(await bare())
    return Figure(what=what, value=middle(figures), unit=unit, bare=middle(limits), spread=span(figures))


async def measure(options: Options, postgres: Postgres) -> list[Figure]:
    found: list[Figure] = []
    for what, bundles, writers, bar in (
        ("in batches of the inbox", INBOX, 1, None),
        ("in bulk", BULK, 1, float(BAR)),
        ("in bulk by two at once", BULK // 2, 2, None),
    ):
        batches, claims = folded(bundles)
        figures, limits, used = [], [], []
        for _ in range(options.runs):
            wall, cpu = await take_in(postgres, batches, writers)
            figures.append(claims / wall)
            used.append(claims / cpu)
            limits.append(claims / await copy_bare(postgres, batches))
        found.append(
            Figure(
                what=f"intake {what}, {claims // len(batches):,} claims",
                value=middle(figures),
                unit="claims/s",
                bar=bar,
                bare=middle(limits),
                spread=span(figures),
                beside=f"{middle(used):,.0f} claims/s of processor",
            )
        )
    for size in (500, 5_000):
        batches_of = Batches(postgres, size)
        for what, again, new in (
            ("insert_new", False, True),
            ("bulk_upsert of new rows", False, False),
            ("bulk_upsert that changes rows", True, False),
        ):
            found.append(
                await by_turns(
                    f"{what}, {size:,} a batch",
                    "rows/s",
                    options.runs,
                    lambda each=batches_of, again=again, new=new: each.port(again=again, new=new),  # type: ignore[misc]
                    lambda each=batches_of, again=again, new=new: each.bare(again=again, new=new),  # type: ignore[misc]
                )
            )
    found.append(await _transactions(options, postgres))
    return found


async def _transactions(options: Options, postgres: Postgres) -> Figure:
    """A transaction of one statement, by eight tasks at once."""

    async def many(one: Callable[[int], Any]) -> float:
        async def some(worker: int) -> None:
            for number in range(250):
                await one(worker * 1000 + number)

        started = time.perf_counter()
        await asyncio.gather(*(some(worker) for worker in range(8)))
        return 2_000 / (time.perf_counter() - started)

    insert = "INSERT INTO entity (workspace, id, type, key) VALUES ({}, {}, 'x', 'y')"

    async def port() -> float:
        async with postgres.database() as server:
            sql = PostgresSql(server, connections=11)
            await sql.migrate([Migration(1, "entity", TABLE)])

            async def one(number: int) -> None:
                async with sql.begin() as tx:
                    await tx.execute(insert.format(":w", ":id"), w=b"w", id=number.to_bytes(16, "big"))

            rate = await many(one)
            await sql.close()
        return rate

    async def bare() -> float:
        async with postgres.database() as server, postgres.connected(server.path) as connection:
            await connection.execute(TABLE)
            (host,) = server.hosts
            pool = await asyncpg.create_pool(
                host=host.name,
                port=host.port,
                user=server.user,
                database=server.path,
                ssl=False,
                min_size=8,
                max_size=8,
            )

            async def one(number: int) -> None:
                async with pool.acquire() as lent, lent.transaction():
                    await lent.execute(insert.format("$1", "$2"), b"w", number.to_bytes(16, "big"))

            rate = await many(one)
            await pool.close()
        return rate

    return await by_turns("transaction of one statement, 8 at once", "tx/s", options.runs, port, bare)


def run(options: Options) -> list[Figure]:
    with running() as postgres:
        return uvloop.run(measure(options, postgres))


BENCH = Bench("postgres", "Bulk: ≥ 20,000 claims/s into PostgreSQL with COPY.", run)
