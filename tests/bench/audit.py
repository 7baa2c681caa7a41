"""The audit trail: ``python -m tests.bench audit``.

Appended: messages from the bus through the inbox into chained rows, in as many workspaces as a busy installation has.
Bare: the same rows by executemany into a table without keys and indexes. Verified: as the command line does with an
export, from lines to the head; bare is the SHA-256 of as many bytes. Found: a page of the rarest kind in a long trail,
whichever index finds it; bare is a row by its key.
"""

import asyncio
import hashlib
import sqlite3
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final
from uuid import UUID, uuid4

import msgspec

from services.cli.commands.audit import PAGE
from services.contracts import resources as r
from services.contracts.audit import Chain, write_line
from services.contracts.commands import Record
from services.kernel.bus.sqlite import SqliteBus
from services.kernel.calls import Nothing, operator
from services.kernel.inbox import Inbox
from services.kernel.messages import Envelope, envelop
from services.kernel.once_store import MIGRATIONS
from services.kernel.outbox import Outbox
from services.kernel.service import Ports, Received
from services.kernel.sql import Sql, migrations
from services.kernel.sql.postgres import PostgresSql
from services.kernel.sql.sqlite import SqliteSql
from services.kernel.streams import consumers_of, streams_of
from services.users.consumers import CONSUMERS
from services.users.service import service
from services.users.usecases import audit
from tests.bench.declaration import Bench, Figure, Options, Unable, middle, span
from tests.bench.postgres import running

ENTRIES: Final = 20_000
LONG: Final = 1_000_000
WORKSPACES: Final = [UUID(int=number) for number in range(1, 6)]
AT: Final = 1_800_000_000_000_000
PEOPLE: Final = [UUID(int=number) for number in range(1000, 1050)]


def entry(number: int) -> Record:
    rare = number % (LONG // 10) == LONG // 20
    return Record(
        at=AT + number * 1000,
        what="users.set_role" if rare else "users.invite",
        outcome="denied" if rare else "done",
        kind="person",
        name="Mo" if rare else f"Jo {number % 50}",
        account=PEOPLE[number % 50],
        session=UUID(int=number),
        address="192.0.2.1",
        about={"role": "analyst", "invitation": str(UUID(int=number))},
        trace=f"{number:032x}",
    )


def messages() -> list[Envelope]:
    return [
        envelop(entry(n), source="users", workspace=WORKSPACES[n % len(WORKSPACES)], id=uuid4(), filter="users")
        for n in range(ENTRIES)
    ]


@asynccontextmanager
async def opened(sql: Sql, folder: Path) -> AsyncIterator[Ports]:
    bus = SqliteBus(folder / "bus.db")
    ports = Ports("users", sql=sql, bus=bus)
    ports.outbox = Outbox(sql, bus, "users")
    await bus.declare(streams_of([service]), consumers_of({"users": CONSUMERS}))
    await sql.migrate([*MIGRATIONS, *migrations.load("services.users.migrations")])
    yield ports
    for port in (bus, sql):
        await port.close()


async def append(sql: Sql) -> float:
    """Entries a second, from the bus to committed rows."""
    with tempfile.TemporaryDirectory() as name:
        async with opened(sql, Path(name)) as ports:
            coming = messages()
            for first in range(0, ENTRIES, 1000):
                await ports.bus.publish(coming[first : first + 1000])
            inbox = Inbox(ports, ports.outbox, CONSUMERS[0])
            began = time.perf_counter()
            taking = asyncio.create_task(inbox.run())
            while (lag := await ports.bus.lag(inbox.consumer)).waiting or lag.in_flight:
                await asyncio.sleep(0.005)
            taken = time.perf_counter() - began
            taking.cancel()
            with suppress(asyncio.CancelledError):
                await taking
    return ENTRIES / taken


def bare_append() -> float:
    """Rows a second into a table that is nothing but rows, in batches as large."""
    with tempfile.TemporaryDirectory() as name:
        connection = sqlite3.connect(Path(name) / "bare.db", isolation_level=None)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE entry (" + ", ".join(f"c{n}" for n in range(14)) + ")")
        rows = [
            (
                WORKSPACES[0].bytes, n, each.at, each.what, each.outcome, each.kind, each.name,
                each.account and each.account.bytes, each.session and each.session.bytes, each.address, each.service,
                msgspec.json.encode(each.about).decode(), each.trace, bytes(32),
            )
            for n, each in enumerate(map(entry, range(ENTRIES)))
        ]  # fmt: skip
        began = time.perf_counter()
        for first in range(0, ENTRIES, CONSUMERS[0].batch):
            connection.execute("BEGIN")
            connection.executemany(
                f"INSERT INTO entry VALUES ({', '.join('?' * 14)})",
                rows[first : first + CONSUMERS[0].batch],
            )
            connection.execute("COMMIT")
        taken = time.perf_counter() - began
        connection.close()
    return ENTRIES / taken


async def long_trail(sql: Sql, folder: Path) -> dict[str, float]:
    """Milliseconds of pages of a long trail, and entries verified a second."""
    found: dict[str, float] = {}
    async with opened(sql, folder) as ports:
        for first in range(0, LONG, 5000):
            async with ports.outbox.unit() as unit:
                batch = [Received(entry(n), WORKSPACES[0], AT, filter="users") for n in range(first, first + 5000)]
                await audit.record(ports, unit, batch)
        caller = operator(WORKSPACES[0])
        middle_of = AT + LONG // 2 * 1000
        for what, query in {
            "by nothing": r.AuditQuery(),
            "by name": r.AuditQuery(who="Mo"),
            "by what": r.AuditQuery(what="set_role"),
            "by time": r.AuditQuery(since=middle_of, until=middle_of + 60_000_000),
            "by account and text, a window": r.AuditQuery(who=str(PEOPLE[1]), text="nowhere"),
            "by outcome, a window": r.AuditQuery(outcome="conflict"),
        }.items():
            await audit.list_audit(ports, caller, query)
            began = time.perf_counter()
            await audit.list_audit(ports, caller, query)
            found[what] = (time.perf_counter() - began) * 1e3
        began = time.perf_counter()
        async with ports.sql.read() as view:
            await view.fetch_one(
                "SELECT what FROM audit_entry WHERE workspace = :workspace AND sequence = :sequence",
                workspace=WORKSPACES[0].bytes, sequence=LONG // 2,
            )  # fmt: skip
        found["bare"] = (time.perf_counter() - began) * 1e3
        lines: list[bytes] = []
        async for part in audit.export_audit(ports, caller, Nothing()):
            lines += [write_line(each) for each in part.entries]
            if len(lines) >= 100 * PAGE:
                break
    found["verified"], found["hashed"] = verify(lines)
    return found


def verify(lines: list[bytes]) -> tuple[float, float]:
    """Entries a second from lines to the head, and of a bare hash of them."""
    decode = msgspec.json.Decoder(r.AuditEntry).decode
    chain = Chain()
    began = time.perf_counter()
    for line in lines:
        each = decode(line)
        assert write_line(each) == line
        chain.add(each)
    chain.end()
    verified = len(lines) / (time.perf_counter() - began)
    began = time.perf_counter()
    last = bytes(32)
    for line in lines:
        last = hashlib.sha256(last + line).digest()
    return verified, len(lines) / (time.perf_counter() - began)


async def on_files() -> float:
    with tempfile.TemporaryDirectory() as name:
        return await append(SqliteSql(Path(name) / "users.db"))


async def on_server(runs: int) -> list[float]:
    found = []
    with running() as postgres:
        for _ in range(runs):
            async with postgres.database() as server:
                found.append(await append(PostgresSql(server)))
    return found


def run(options: Options) -> list[Figure]:
    files = [asyncio.run(on_files()) for _ in range(options.runs)]
    bare = [bare_append() for _ in range(options.runs)]
    figures = [
        Figure(
            what="appended, from the bus to SQLite", value=middle(files), unit="entries/s", bar=2000, bare=middle(bare),
            spread=span(files),
        )
    ]  # fmt: skip
    with suppress(Unable):
        server = asyncio.run(on_server(options.runs))
        figures.append(
            Figure(
                what="appended, from the bus to PostgreSQL", value=middle(server), unit="entries/s", bar=2000,
                bare=middle(bare), spread=span(server), beside="bare: into SQLite",
            )
        )  # fmt: skip
    with tempfile.TemporaryDirectory() as name:
        found = asyncio.run(long_trail(SqliteSql(Path(name) / "users.db"), Path(name)))
    verified, hashed, row = (found.pop(name) for name in ("verified", "hashed", "bare"))
    return [
        *figures,
        Figure(what="verified, from lines of an export", value=verified, unit="entries/s", bare=hashed),
        *(Figure(what=f"a page {what}, of a million", value=each, unit="ms", bare=row) for what, each in found.items()),
    ]


BENCH = Bench(name="audit", bar="audit ≥ 2,000 entries/s", run=run)
