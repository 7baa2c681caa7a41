"""Scans, the modules of their plans, and what they have found so far by type."""

import hashlib
from collections.abc import Iterable, Sequence
from typing import NamedTuple
from uuid import UUID

import msgspec
from msgspec import Struct

from services.contracts.claims import Entity
from services.contracts.facts import OUTCOMES
from services.contracts.plan import Plan, Profile
from services.contracts.states import ScanState
from services.kernel.sql import Reader, Row, Tx
from services.scans.domain.retention import EndedScan
from services.scans.settings import TARGETS_SAID

#: Tables that keep the work of scans by their number, which the sweep empties after a deletion.
TABLES = (
    *("item", "member", "way", "subject", "known_name", "name_set", "part", "batch", "late", "source", "tally"),
    *("long_plan", "authorisation"),
)
_SWEPT_BY = {
    **dict.fromkeys(("item", "member", "subject"), "id"),
    "way": "origin",
    "known_name": "name",
    "name_set": "digest",
    "part": "item",
    "batch": "number",
    "late": "item",
    "source": "module",
    "tally": "type",
    "long_plan": "scan",
    "authorisation": "id",
}
#: Characters of a plan that stay in the row of its scan, which is written again with every change.
PLAN_IN_ROW = 100_000


class Key(NamedTuple):
    """What all work of a scan is kept under."""

    workspace: bytes
    scan: int


class ScanRow(Struct, kw_only=True):
    """A scan without its plan and targets. Times are UTC microseconds.

    ``time_left`` of a timeout while no run uses it up; ``wake``: when items that wait for a rate may go on;
    ``items``: work items made; ``batches``: batches made; ``rounds`` of sets of names in this run; ``names``: names
    in scope, of which the first ``named`` were in the last set; ``limited``: some items
    were not made because there were too many; ``withheld``: why nothing of what waits is handed out.
    """

    workspace: bytes
    id: bytes
    number: int
    state: ScanState
    reason: str
    run: int
    profile: Profile
    authorised: str | None
    plan_version: int
    created: int
    started: int | None
    ended: int | None
    deadline: int | None
    time_left: int | None
    wake: int | None
    changed: int
    items: int
    results: int
    admissions: int
    entities: int
    batches: int
    rounds: int
    names: int
    named: int
    limited: int
    evidence_root: bytes | None
    withheld: str = ""

    @property
    def key(self) -> Key:
        return Key(self.workspace, self.number)

    @property
    def uuid(self) -> UUID:
        return UUID(bytes=self.id)


class SourceRow(Struct):
    """A module of a scan: its items by state, those of the waiting that wait for a rate and until when the first of
    them does, what its results brought, its done items by outcome, and the last reason for a failure.
    """

    module: int
    waiting: int = 0
    leased: int = 0
    held: int = 0
    held_until: int | None = None
    claims: int = 0
    requests: int = 0
    outcomes: list[int] = []
    reason: str = ""

    @property
    def open(self) -> int:
        return self.waiting + self.leased


_FIELDS = ScanRow.__struct_fields__
_KEPT = ("workspace", "id", "number", "profile", "authorised", "created")
_CHANGING = tuple(field for field in _FIELDS if field not in _KEPT)
_targets = msgspec.json.Decoder(tuple[Entity, ...]).decode
_SELECT = f"SELECT {', '.join(_FIELDS)} FROM scan"  # noqa: S608 - names of columns
_SOURCE_COLUMNS = ("waiting", "leased", "held", "held_until", "claims", "requests", *OUTCOMES, "reason")


async def insert(tx: Tx, row: ScanRow, plan: Plan) -> None:
    """Write a new scan; its number is the next one, so the caller holds the lock on numbers."""
    columns = (*_FIELDS, "hex", "targets", "target_count", "target_set", "plan")
    values = (
        *(getattr(row, field) for field in _FIELDS),
        row.id.hex(),
        msgspec.json.encode(plan.targets[:TARGETS_SAID]).decode(),
        len(plan.targets),
        _set_of(plan.targets),
        "",
    )
    await tx.bulk_upsert("scan", columns, ("workspace", "id"), [values], {})
    await write_plan(tx, row.key, plan)


async def next_number(tx: Tx) -> int:
    """A number that no scan has, nor one whose rows are still being removed."""
    await tx.lock("scan numbers")
    row = await tx.fetch_one(
        "SELECT COALESCE((SELECT MAX(number) FROM scan), 0), COALESCE((SELECT MAX(scan) FROM dropped), 0)"
    )
    return 1 + (max(row[0], row[1]) if row else 0)


async def load(view: Reader, workspace: bytes, scan: bytes) -> ScanRow | None:
    rows = await view.fetch(f"{_SELECT} WHERE workspace = :workspace AND id = :id", workspace=workspace, id=scan)
    return _row(rows[0]) if rows else None


async def owners(view: Reader, scans: Iterable[UUID]) -> dict[UUID, UUID]:
    """The workspaces of those of ``scans`` that there are."""
    rows = await view.fetch_in("SELECT id, workspace FROM scan WHERE id IN :keys", [each.bytes for each in {*scans}])
    return {UUID(bytes=bytes(scan)): UUID(bytes=bytes(workspace)) for scan, workspace in rows}


async def load_for_change(tx: Tx, workspace: bytes, scan: bytes) -> ScanRow | None:
    """As `load`, and nobody else changes the scan until the transaction ends."""
    await hold(tx, scan)
    return await load(tx, workspace, scan)


async def hold(tx: Tx, scan: bytes) -> None:
    """Let nobody else change a scan until the transaction ends."""
    await tx.lock(f"scan {scan.hex()}")


async def hold_words(tx: Tx, workspace: bytes) -> None:
    """Let nobody else make or delete a scan that has a word list."""
    await tx.lock(f"words {workspace.hex()}")


async def save(tx: Tx, row: ScanRow) -> None:
    await tx.execute(
        f"UPDATE scan SET {', '.join(f'{field} = :{field}' for field in _CHANGING)}"  # noqa: S608 - as above
        " WHERE workspace = :workspace AND id = :id",
        workspace=row.workspace,
        id=row.id,
        **{field: getattr(row, field) for field in _CHANGING},
    )


async def read_plan(view: Reader, key: Key) -> Plan:
    return msgspec.json.decode(await plan_text(view, key), type=Plan)


async def plan_text(view: Reader, key: Key) -> str:
    """A plan as JSON."""
    row = await view.fetch_one(
        "SELECT CASE WHEN scan.plan = '' THEN long_plan.body ELSE scan.plan END FROM scan LEFT JOIN long_plan"
        " ON long_plan.workspace = scan.workspace AND long_plan.scan = scan.number"
        " WHERE scan.workspace = :workspace AND scan.number = :scan",
        **key._asdict(),
    )
    assert row is not None
    return str(row[0])


async def write_plan(tx: Tx, key: Key, plan: Plan) -> None:
    body = msgspec.json.encode(plan).decode()
    in_row = len(body) <= PLAN_IN_ROW
    if not in_row:
        columns = ("workspace", "scan", "body")
        await tx.bulk_upsert("long_plan", columns, columns[:2], [(*key, body)], {"body": "replace"})
    await tx.execute(
        "UPDATE scan SET plan = :plan WHERE workspace = :workspace AND number = :scan",
        plan=body if in_row else "",
        **key._asdict(),
    )


async def read_targets(view: Reader, keys: Sequence[Key]) -> dict[int, tuple[tuple[Entity, ...], int]]:
    """The first targets of scans of one workspace and how many there are, by the scan's number."""
    if not keys:
        return {}
    rows = await view.fetch_in(
        "SELECT number, targets, target_count FROM scan WHERE workspace = :workspace AND number IN :keys",
        [key.scan for key in keys],
        workspace=keys[0].workspace,
    )
    found = {number: (_targets(targets), in_all) for number, targets, in_all in rows}
    return {
        number: (targets[:TARGETS_SAID], len(targets) if in_all is None else in_all)
        for number, (targets, in_all) in found.items()
    }


async def newest(view: Reader, workspace: bytes, limit: int) -> list[ScanRow]:
    rows = await view.fetch(
        f"{_SELECT} WHERE workspace = :workspace ORDER BY created DESC, number DESC LIMIT :limit",
        workspace=workspace,
        limit=limit,
    )
    return [_row(row) for row in rows]


async def ended(view: Reader, workspace: bytes) -> list[EndedScan]:
    """The scans of a workspace that have ended, the latest first."""
    found: list[EndedScan] = []
    async for rows in view.stream(
        "SELECT id, state, COALESCE(target_set, :unknown), CASE WHEN target_set IS NULL THEN targets ELSE '' END, ended"
        " FROM scan WHERE workspace = :workspace AND ended IS NOT NULL"
        " AND state IN ('finished', 'stopped', 'incomplete') ORDER BY ended DESC, number DESC",
        size=50,
        workspace=workspace,
        unknown=b"",
    ):
        found += [
            EndedScan(bytes(scan), state, bytes(known) or _set_of(_targets(targets)), at)
            for scan, state, known, targets, at in rows
        ]
    return found


def _set_of(targets: Iterable[Entity]) -> bytes:
    """A digest of targets, the same in whatever order they were named."""
    names = sorted({msgspec.json.encode((each.type, each.key)) for each in targets})
    return hashlib.blake2b(b"\n".join(names), digest_size=16).digest()


async def beginning_with(view: Reader, workspace: bytes, beginning: str) -> list[bytes]:
    """The ids of at most two scans whose hexadecimal id begins so."""
    rows = await view.fetch(
        "SELECT id FROM scan WHERE workspace = :workspace AND hex >= :beginning AND hex < :after LIMIT 2",
        workspace=workspace,
        beginning=beginning,
        after=beginning + "g",
    )
    return [row[0] for row in rows]


async def running(view: Reader) -> list[ScanRow]:
    """Every running scan of every workspace, for the timer alone."""
    return [_row(row) for row in await view.fetch(f"{_SELECT} WHERE state = 'running' ORDER BY workspace, number")]


async def count_running(view: Reader, workspace: bytes) -> int:
    row = await view.fetch_one(
        "SELECT COUNT(*) FROM scan WHERE workspace = :workspace AND state = 'running'", workspace=workspace
    )
    return row[0] if row else 0


async def sources(view: Reader, key: Key) -> dict[int, SourceRow]:
    rows = await view.fetch(
        f"SELECT module, {', '.join(_SOURCE_COLUMNS)} FROM source"  # noqa: S608 - as above
        " WHERE workspace = :workspace AND scan = :scan ORDER BY module",
        **key._asdict(),
    )
    return {row[0]: _source(row) for row in rows}


async def save_sources(tx: Tx, key: Key, rows: Iterable[SourceRow]) -> None:
    columns = ("workspace", "scan", "module", *_SOURCE_COLUMNS)
    values: list[Row] = [
        (
            *(*key, row.module, row.waiting, row.leased, row.held, row.held_until, row.claims, row.requests),
            *row.outcomes,
            row.reason,
        )
        for row in rows
    ]
    await tx.bulk_upsert(
        "source", columns, ("workspace", "scan", "module"), values, dict.fromkeys(_SOURCE_COLUMNS, "replace")
    )


async def open_items(view: Reader, keys: Sequence[Key]) -> dict[int, tuple[int, int]]:
    """Items that are open and done in scans of one workspace, by the scan's number."""
    if not keys:
        return {}
    done = " + ".join(OUTCOMES)
    rows = await view.fetch_in(
        f"SELECT scan, CAST(SUM(waiting + leased) AS BIGINT), CAST(SUM({done}) AS BIGINT) FROM source"  # noqa: S608
        " WHERE workspace = :workspace AND scan IN :keys GROUP BY scan",
        [key.scan for key in keys],
        workspace=keys[0].workspace,
    )
    return {scan: (still, over) for scan, still, over in rows}


async def add_to_tally(tx: Tx, key: Key, entities: dict[str, int]) -> None:
    await tx.bulk_upsert(
        "tally",
        ("workspace", "scan", "type", "entities"),
        ("workspace", "scan", "type"),
        [(*key, kind, count) for kind, count in entities.items()],
        {"entities": "sum"},
    )


async def tally(view: Reader, key: Key) -> dict[str, int]:
    rows = await view.fetch(
        "SELECT type, entities FROM tally WHERE workspace = :workspace AND scan = :scan ORDER BY type", **key._asdict()
    )
    return {kind: count for kind, count in rows if count}


async def drop(tx: Tx, row: ScanRow) -> None:
    """Remove a scan at once, and leave what it worked on to `sweep`."""
    await tx.bulk_upsert("dropped", ("workspace", "scan"), ("workspace", "scan"), [tuple(row.key)], {})
    await tx.execute("DELETE FROM scan WHERE workspace = :workspace AND id = :id", workspace=row.workspace, id=row.id)


async def dropped(view: Reader) -> list[Key]:
    return [Key(*row) for row in await view.fetch("SELECT workspace, scan FROM dropped ORDER BY scan LIMIT 10")]


async def is_swept(view: Reader, workspace: bytes) -> bool:
    """Whether nothing is left of any scan of a workspace that was dropped."""
    row = await view.fetch_one("SELECT 1 FROM dropped WHERE workspace = :workspace LIMIT 1", workspace=workspace)
    return row is None


async def has_words(view: Reader, workspace: bytes, words: bytes) -> bool:
    """Whether any scan of a workspace has this word list; reads all plans, and is asked when one with a list goes."""
    row = await view.fetch_one(
        "SELECT 1 FROM scan LEFT JOIN long_plan"
        " ON long_plan.workspace = scan.workspace AND long_plan.scan = scan.number"
        " WHERE scan.workspace = :workspace AND (scan.plan LIKE :said OR long_plan.body LIKE :said) LIMIT 1",
        workspace=workspace,
        said=f'%"words":{msgspec.json.encode(words).decode()}%',
    )
    return row is not None


async def sweep(tx: Tx, key: Key, limit: int) -> bool:
    """Remove up to ``limit`` rows or so of each table of a deleted scan; True when nothing is left of it."""
    # One at a time: who waits for the rows that another removes would find none, and think that none is left.
    await tx.lock(f"sweep {key.scan}")
    left = False
    for table in TABLES:
        column = _SWEPT_BY[table]
        changed = await tx.execute(
            f"DELETE FROM {table} WHERE workspace = :workspace AND scan = :scan AND {column} IN"  # noqa: S608
            f" (SELECT {column} FROM {table} WHERE workspace = :workspace AND scan = :scan LIMIT :limit)",
            **key._asdict(),
            limit=limit,
        )
        left = left or changed >= limit
    if not left:
        await tx.execute("DELETE FROM dropped WHERE workspace = :workspace AND scan = :scan", **key._asdict())
    return not left


def _source(row: Row) -> SourceRow:
    module, waiting, leased, held, held_until, claims, requests, *outcomes, reason = row
    return SourceRow(module, waiting, leased, held, held_until, claims, requests, outcomes, reason)


def _row(row: Row) -> ScanRow:
    return ScanRow(**dict(zip(_FIELDS, row, strict=True)))
