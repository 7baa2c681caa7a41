"""What is to be taken in and judged: scans, and of each what changed in it."""

from collections.abc import Iterable
from typing import Final
from uuid import UUID

from msgspec import Struct

from services.kernel.sql import Merge, Reader, Row, Tx

#: What is to be done with a scan, the most first.
NOTHING, FOLLOW, JUDGE, REBUILD = range(4)

_SCAN: Final = (
    "workspace", "id", "changes", "work", "held", "holder", "wishes", "due", "run", "began", "ended", "targets",
    "rules", "deleted",
)  # fmt: skip
_KEY: Final = ("workspace", "id")
#: An entity (with an empty id), or the relation with an id from it.
Key = tuple[bytes, bytes]


class ScanState(Struct, frozen=True):
    """A row of the table `scan`."""

    workspace: UUID
    scan: UUID
    changes: int
    work: int
    holder: int
    wishes: int
    run: int
    began: int
    ended: int | None
    targets: bytes | None
    rules: bytes | None


def _fresh(workspace: UUID, scan: UUID) -> Row:
    return (workspace.bytes, scan.bytes, 0, NOTHING, 0, 0, 1, 0, 0, 0, None, None, None, 0)


async def note_scans(tx: Tx, scans: Iterable[tuple[UUID, UUID]]) -> None:
    """Note of (workspace, scan) whose it is, when first anything is heard of it."""
    await tx.insert_new("scan", _SCAN, _KEY, [_fresh(*each) for each in sorted({*scans})])


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


async def add_pending(tx: Tx, workspace: UUID, scan: UUID, keys: Iterable[Key], ticket: int) -> None:
    """List what is to be read again."""
    rows = [(workspace.bytes, scan.bytes, source, identity, ticket) for source, identity in sorted({*keys})]
    await tx.bulk_upsert(
        "pending",
        ("workspace", "scan", "source", "id", "ticket"),
        ("workspace", "scan", "source", "id"),
        rows,
        {"ticket": "max"},
    )


async def want(tx: Tx, workspace: UUID, scan: UUID, work: int, messages: int = 0) -> None:
    """Say what is to be done with a scan, and that so many messages of storage were taken in."""
    row = [*_fresh(workspace, scan)]
    row[2:4] = [messages, work]
    merged: dict[str, Merge] = {"changes": "sum", "work": "max", "wishes": "sum", "due": "min"}
    await tx.bulk_upsert("scan", _SCAN, _KEY, [tuple(row)], merged)


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


async def let_go(tx: Tx, state: ScanState, work: int, rules: bytes | None, due: int = 0) -> None:
    """Hold a scan no longer; ``work`` is left to do of it, when it is ``due``, or more if anybody said so meanwhile."""
    await tx.execute(
        "UPDATE scan SET held = 0, holder = 0, rules = :rules,"
        " work = CASE WHEN wishes = :wishes THEN :work ELSE work END,"
        " due = CASE WHEN wishes = :wishes THEN CAST(:due AS BIGINT) ELSE 0 END"
        " WHERE workspace = :workspace AND id = :id AND holder = :holder",
        workspace=state.workspace.bytes,
        id=state.scan.bytes,
        holder=state.holder,
        wishes=state.wishes,
        work=work,
        rules=rules,
        due=due,
    )


async def give_back(tx: Tx, state: ScanState) -> None:
    """Hold a scan no longer, with all that was to do."""
    await tx.execute(
        "UPDATE scan SET held = 0, holder = 0 WHERE workspace = :workspace AND id = :id AND holder = :holder",
        workspace=state.workspace.bytes,
        id=state.scan.bytes,
        holder=state.holder,
    )


async def forget_holders(tx: Tx) -> None:
    """Have nobody hold anything: those who did are gone."""
    await tx.execute("UPDATE scan SET held = 0, holder = 0 WHERE holder <> 0")


async def read_scan(view: Reader, workspace: UUID, scan: UUID) -> ScanState | None:
    row = await view.fetch_one(
        "SELECT changes, work, holder, wishes, run, began, ended, targets, rules FROM scan"
        " WHERE workspace = :workspace AND id = :id AND deleted = 0",
        workspace=workspace.bytes,
        id=scan.bytes,
    )
    if row is None:
        return None
    *numbers, targets, rules = row
    return ScanState(workspace, scan, *numbers, *(None if each is None else bytes(each) for each in (targets, rules)))


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


async def drop_all_pending(tx: Tx, state: ScanState, ticket: int) -> None:
    """Strike off all that was listed up to a ticket."""
    await tx.execute(
        "DELETE FROM pending WHERE workspace = :workspace AND scan = :scan AND ticket <= :ticket",
        workspace=state.workspace.bytes,
        scan=state.scan.bytes,
        ticket=ticket,
    )


async def note_run(tx: Tx, workspace: UUID, scan: UUID, run: int, began: int, targets: bytes) -> None:
    """Note that a run began, as of which the scan is judged from now on."""
    await tx.execute(
        "UPDATE scan SET run = :run, began = :began, targets = :targets, ended = NULL"
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
        "UPDATE scan SET ended = :at WHERE workspace = :workspace AND id = :id AND run = :run",
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
