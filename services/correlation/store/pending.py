"""What is to be taken in and judged: scans, and of each what changed in it."""

from collections.abc import Iterable
from typing import Any, Final
from uuid import UUID

from msgspec import Struct

from services.kernel.sql import Merge, Reader, Tx

#: What is to be done with a scan, the most first.
NOTHING, FOLLOW, JUDGE, REBUILD = range(4)

_SCAN: Final = (
    "workspace", "id", "base", "work", "held", "holder", "wishes", "orders", "due", "run", "began", "ended_run",
    "ended", "targets", "rules", "deleted",
)  # fmt: skip
_KEY: Final = ("workspace", "id")
#: An entity (with an empty id), or the relation with an id from it.
Key = tuple[bytes, bytes]


class ScanState(Struct, frozen=True):
    """A row of the table `scan`; ``ended`` is None as long as its last run goes on."""

    workspace: UUID
    scan: UUID
    work: int
    holder: int
    wishes: int
    orders: int
    run: int
    began: int
    ended: int | None
    targets: bytes | None
    rules: bytes | None


def _fresh(workspace: UUID, scan: UUID) -> list[Any]:
    return [workspace.bytes, scan.bytes, 0, NOTHING, 0, 0, 1, 0, 0, 0, 0, 0, 0, None, None, 0]


async def note_scans(tx: Tx, scans: Iterable[tuple[UUID, UUID]]) -> None:
    """Note of (workspace, scan) whose it is, when first anything is heard of it."""
    await tx.insert_new("scan", _SCAN, _KEY, [tuple(_fresh(*each)) for each in sorted({*scans})])


async def owners(view: Reader, scans: Iterable[UUID]) -> dict[UUID, UUID]:
    """The workspaces of those of ``scans`` of which anything was heard."""
    rows = await view.fetch_in("SELECT id, workspace FROM scan WHERE id IN :keys", [each.bytes for each in {*scans}])
    return {UUID(bytes=bytes(scan)): UUID(bytes=bytes(workspace)) for scan, workspace in rows}


async def deleted(view: Reader, scans: Iterable[UUID]) -> set[UUID]:
    """Those of ``scans`` that are to be forgotten."""
    rows = await view.fetch_in(
        "SELECT id FROM scan WHERE deleted = 1 AND id IN :keys", [each.bytes for each in {*scans}]
    )
    return {UUID(bytes=bytes(row[0])) for row in rows}


async def swept(view: Reader, scans: Iterable[UUID]) -> set[UUID]:
    """Those of ``scans`` that are to be forgotten, and that nobody works on any more."""
    rows = await view.fetch_in(
        "SELECT id FROM scan WHERE deleted = 1 AND holder = 0 AND id IN :keys", [each.bytes for each in {*scans}]
    )
    return {UUID(bytes=bytes(row[0])) for row in rows}


async def add_pending(tx: Tx, workspace: UUID, scan: UUID, keys: Iterable[Key]) -> None:
    """List what is to be read again."""
    await tx.bulk_upsert(
        "pending",
        ("workspace", "scan", "source", "id", "ticket"),
        ("workspace", "scan", "source", "id"),
        [(workspace.bytes, scan.bytes, source, identity, 1) for source, identity in sorted({*keys})],
        {"ticket": "sum"},
    )


async def want(tx: Tx, workspace: UUID, scan: UUID, work: int) -> None:
    """Say what is to be done with a scan."""
    row = _fresh(workspace, scan)
    row[_SCAN.index("work")] = work
    row[_SCAN.index("orders")] = int(work > FOLLOW)
    merged: dict[str, Merge] = {"work": "max", "wishes": "sum", "orders": "sum", "due": "min"}
    await tx.bulk_upsert("scan", _SCAN, _KEY, [tuple(row)], merged)


async def hear(tx: Tx, workspace: UUID, scan: UUID, ordinals: Iterable[int]) -> None:
    """Note what storage has said of a scan."""
    rows = [(workspace.bytes, scan.bytes, ordinal) for ordinal in sorted({*ordinals})]
    await tx.insert_new("heard", ("workspace", "scan", "ordinal"), ("workspace", "scan", "ordinal"), rows)


async def set_base(tx: Tx, state: ScanState, base: int) -> None:
    """Note that all was taken in that storage said of a scan up to an ordinal."""
    values = {"workspace": state.workspace.bytes, "id": state.scan.bytes, "base": base}
    await tx.execute(
        "UPDATE scan SET base = :base WHERE workspace = :workspace AND id = :id AND base < :base", **values
    )
    await tx.execute("DELETE FROM heard WHERE workspace = :workspace AND scan = :id AND ordinal <= :base", **values)


async def changes(view: Reader, workspace: UUID, scan: UUID) -> int:
    """Up to which of storage's ordinals all was taken in, gaps left aside: it is all when this is storage's last."""
    row = await view.fetch_one(
        "SELECT base + (SELECT COUNT(*) FROM heard WHERE heard.workspace = scan.workspace AND heard.scan = scan.id"
        " AND heard.ordinal > scan.base) FROM scan WHERE workspace = :workspace AND id = :id",
        workspace=workspace.bytes,
        id=scan.bytes,
    )
    return int(row[0]) if row else 0


async def take_scan(tx: Tx, holder: int, at: int, until: int) -> tuple[UUID, UUID] | None:
    """Hold the next scan of which there is something to do, so that nobody else does it."""
    rows = await tx.claim_rows(
        "scan",
        _KEY,
        "work > 0 AND held < :at AND due <= :at AND deleted = 0",
        "held",
        1,
        "held = :until, holder = :holder",
        at=at,
        until=until,
        holder=holder,
    )
    return next(((UUID(bytes=bytes(space)), UUID(bytes=bytes(scan))) for space, scan in rows), None)


async def hold_on(tx: Tx, state: ScanState, until: int) -> bool:
    """Hold a scan for longer, unless somebody else has taken it, or it was deleted."""
    changed = await tx.execute(
        "UPDATE scan SET held = :until WHERE workspace = :workspace AND id = :id AND holder = :holder AND deleted = 0",
        workspace=state.workspace.bytes,
        id=state.scan.bytes,
        holder=state.holder,
        until=until,
    )
    return bool(changed)


async def let_go(tx: Tx, state: ScanState, work: int, rules: bytes | None, *, due: int = 0, rest: int = 0) -> None:
    """Hold a scan no longer; ``work`` is left to do of it when it is ``due``, and what somebody wanted meanwhile.

    Nobody takes it before ``rest`` (UTC microseconds), whatever comes.
    """
    await tx.execute(
        "UPDATE scan SET held = CAST(:rest AS BIGINT), holder = 0, rules = :rules,"
        " work = CASE WHEN orders <> :orders THEN work WHEN wishes = :wishes THEN :work ELSE 1 END,"
        " due = CASE WHEN wishes = :wishes THEN CAST(:due AS BIGINT) ELSE 0 END"
        " WHERE workspace = :workspace AND id = :id AND holder = :holder",
        workspace=state.workspace.bytes,
        id=state.scan.bytes,
        holder=state.holder,
        wishes=state.wishes,
        orders=state.orders,
        work=work,
        rules=rules,
        due=due,
        rest=rest,
    )


async def give_back(tx: Tx, state: ScanState) -> None:
    """Hold a scan no longer, with all that was to do."""
    await tx.execute(
        "UPDATE scan SET held = 0, holder = 0 WHERE workspace = :workspace AND id = :id AND holder = :holder",
        workspace=state.workspace.bytes,
        id=state.scan.bytes,
        holder=state.holder,
    )


async def rest(tx: Tx, state: ScanState, until: int) -> None:
    """Hold a scan no longer, and let nobody take it before a time."""
    await tx.execute(
        "UPDATE scan SET held = :until, holder = 0 WHERE workspace = :workspace AND id = :id AND holder = :holder",
        workspace=state.workspace.bytes,
        id=state.scan.bytes,
        holder=state.holder,
        until=until,
    )


async def forget_holders(tx: Tx) -> None:
    """Have nobody hold anything: those who did are gone."""
    await tx.execute("UPDATE scan SET held = 0, holder = 0 WHERE holder <> 0")


async def read_scan(view: Reader, workspace: UUID, scan: UUID) -> ScanState | None:
    row = await view.fetch_one(
        "SELECT work, holder, wishes, orders, run, began, ended_run, ended, targets, rules FROM scan"
        " WHERE workspace = :workspace AND id = :id AND deleted = 0",
        workspace=workspace.bytes,
        id=scan.bytes,
    )
    if row is None:
        return None
    work, holder, wishes, orders, run, began, ended_run, ended, targets, rules = row
    return ScanState(
        workspace,
        scan,
        *(work, holder, wishes, orders, run, began),
        ended if ended_run >= run and ended else None,
        *(None if each is None else bytes(each) for each in (targets, rules)),
    )


async def next_pending(view: Reader, state: ScanState, limit: int) -> dict[Key, int]:
    """The next things to read again, each with its ticket."""
    rows = await view.fetch(
        "SELECT source, id, ticket FROM pending WHERE workspace = :workspace AND scan = :scan"
        " ORDER BY source, id LIMIT :limit",
        workspace=state.workspace.bytes,
        scan=state.scan.bytes,
        limit=limit,
    )
    return {(bytes(source), bytes(identity)): ticket for source, identity, ticket in rows}


async def count_pending(view: Reader, workspace: UUID, scan: UUID) -> int:
    row = await view.fetch_one(
        "SELECT COUNT(*) FROM pending WHERE workspace = :workspace AND scan = :scan",
        workspace=workspace.bytes,
        scan=scan.bytes,
    )
    return row[0] if row else 0


async def drop_pending(tx: Tx, state: ScanState, done: dict[Key, int]) -> None:
    """Strike off what was read, but for what was listed again meanwhile."""
    await tx.execute_many(
        "DELETE FROM pending WHERE workspace = :workspace AND scan = :scan AND source = :source AND id = :id"
        " AND ticket = :ticket",
        [
            {
                "workspace": state.workspace.bytes,
                "scan": state.scan.bytes,
                "source": source,
                "id": identity,
                "ticket": ticket,
            }
            for (source, identity), ticket in sorted(done.items())
        ],
    )


async def note_run(tx: Tx, workspace: UUID, scan: UUID, run: int, began: int, targets: bytes) -> None:
    """Note that a run began, as of which the scan is judged from now on."""
    await tx.execute(
        "UPDATE scan SET run = :run, began = :began, targets = :targets"
        " WHERE workspace = :workspace AND id = :id AND run < :run",
        workspace=workspace.bytes,
        id=scan.bytes,
        run=run,
        began=began,
        targets=targets,
    )


async def note_end(tx: Tx, workspace: UUID, scan: UUID, run: int, at: int) -> None:
    """Note that a run ended."""
    await tx.execute(
        "UPDATE scan SET ended = :at, ended_run = :run WHERE workspace = :workspace AND id = :id AND ended_run <= :run",
        workspace=workspace.bytes,
        id=scan.bytes,
        run=run,
        at=at,
    )


async def earlier_scans(view: Reader, state: ScanState) -> list[UUID]:
    """The scans that were asked for the same and began before."""
    rows = await view.fetch(
        "SELECT id FROM scan WHERE workspace = :workspace AND targets = :targets AND began < :began AND deleted = 0",
        workspace=state.workspace.bytes,
        targets=state.targets,
        began=state.began,
    )
    return [UUID(bytes=bytes(row[0])) for row in rows]


async def forget(tx: Tx, workspace: UUID, scan: UUID) -> None:
    """Mark a scan as deleted, so that nothing of it comes back, and forget what was to be done."""
    await note_scans(tx, [(workspace, scan)])
    values = {"workspace": workspace.bytes, "scan": scan.bytes}
    await tx.execute("UPDATE scan SET deleted = 1, work = 0 WHERE workspace = :workspace AND id = :scan", **values)
    await tx.execute("DELETE FROM pending WHERE workspace = :workspace AND scan = :scan", **values)
    await tx.execute("DELETE FROM heard WHERE workspace = :workspace AND scan = :scan", **values)
