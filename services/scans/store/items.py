"""Work items, parts of results that are not complete yet, and results that came while no run wanted them.

An item's state is 0 waiting, 1 leased, 2 done; statements say the numbers, because partial indexes go by them.
"""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence

from msgspec import Struct

from services.contracts.facts import Outcome
from services.kernel.sql import Reader, Row, Tx
from services.scans.domain.states import WAITING
from services.scans.store.scans import Key

_ITEM_KEY = ("workspace", "scan", "id")


class ItemRow(Struct):
    """A work item as far as a result needs it; ``waits``: how often it waited for a rate in this run."""

    id: bytes
    module: int
    subject: bytes
    state: int
    turn: int
    waits: int
    batch: int
    claims: int
    requests: int


class Done(Struct):
    """How an item ended; ``records`` are the ids of its evidence records, one after the other."""

    id: bytes
    outcome: Outcome
    reason: str
    claims: int
    requests: int
    records: bytes | None


class PartRow(Struct):
    """A part of a result; ``parts`` and what follows it are said by the last one, -1 and None by the others."""

    item: bytes
    part: int
    parts: int
    outcome: Outcome | None
    reason: str
    retry_after: int | None
    claims: int
    requests: int
    records: bytes


class ItemView(Struct):
    """A work item as it is shown."""

    id: bytes
    module: int
    subject: bytes
    state: int
    outcome: Outcome | None
    reason: str
    claims: int
    requests: int
    changed: int


_ITEM = ", ".join(ItemRow.__struct_fields__)
_VIEW = ", ".join(ItemView.__struct_fields__)
_PART = ", ".join(PartRow.__struct_fields__)


async def insert(tx: Tx, key: Key, items: Sequence[tuple[bytes, int, bytes]], at: int) -> set[bytes]:
    """Make waiting items of (id, module, subject); return the ids of those that were not there.

    They are handed out in the order given: modules that ask the same hosts reach each about the same time, while the
    connection to it is still there.
    """
    columns = ("workspace", "scan", "id", "module", "subject", "state", "turn", "waits", "ready", "batch")
    rows: list[Row] = [
        (*key, identity, module, subject, WAITING, 0, 0, ready, 0, "", 0, 0, at)
        for ready, (identity, module, subject) in enumerate(items, at - len(items))
    ]
    new = await tx.insert_new("item", (*columns, "reason", "claims", "requests", "changed"), _ITEM_KEY, rows)
    return {row[2] for row in new}


async def existing(view: Reader, key: Key, ids: Sequence[bytes]) -> set[bytes]:
    rows = await view.fetch_in(
        "SELECT id FROM item WHERE workspace = :workspace AND scan = :scan AND id IN :keys", ids, **key._asdict()
    )
    return {row[0] for row in rows}


async def load(view: Reader, key: Key, ids: Sequence[bytes]) -> dict[bytes, ItemRow]:
    rows = await view.fetch_in(
        f"SELECT {_ITEM} FROM item"  # noqa: S608 - names of columns
        " WHERE workspace = :workspace AND scan = :scan AND id IN :keys",
        ids,
        **key._asdict(),
    )
    return {row[0]: ItemRow(*row) for row in rows}


async def lease(tx: Tx, key: Key, module: int, limit: int, batch: int, at: int) -> list[bytes]:
    """Hand up to ``limit`` waiting items of a module to a batch, the oldest first; return their ids."""
    rows = await tx.claim_rows(
        "item",
        _ITEM_KEY,
        "workspace = :workspace AND scan = :scan AND module = :module AND state = 0 AND ready <= :at",
        "ready",
        limit,
        "state = 1, batch = :batch, changed = :at",
        **key._asdict(),
        module=module,
        batch=batch,
        at=at,
    )
    return [row[2] for row in rows]


async def waiting(view: Reader, key: Key, module: int, limit: int) -> list[ItemRow]:
    """Up to ``limit`` waiting items of a module."""
    rows = await view.fetch(
        f"SELECT {_ITEM} FROM item"  # noqa: S608 - names of columns
        " WHERE workspace = :workspace AND scan = :scan AND module = :module AND state = 0 LIMIT :limit",
        **key._asdict(),
        module=module,
        limit=limit,
    )
    return [ItemRow(*row) for row in rows]


async def move(tx: Tx, key: Key, ids: Sequence[bytes], batch: int, at: int) -> None:
    """Hand leased items to another batch."""
    await tx.execute_in(
        "UPDATE item SET batch = :batch, changed = :at"
        " WHERE workspace = :workspace AND scan = :scan AND state = 1 AND id IN :keys",
        ids,
        **key._asdict(),
        batch=batch,
        at=at,
    )


async def give_back(tx: Tx, key: Key, ids: Sequence[bytes]) -> None:
    """Let leased items wait again."""
    await tx.execute_in(
        "UPDATE item SET state = 0, batch = 0"
        " WHERE workspace = :workspace AND scan = :scan AND state = 1 AND id IN :keys",
        ids,
        **key._asdict(),
    )


async def finish(tx: Tx, key: Key, done: Iterable[Done], at: int) -> None:
    await tx.execute_many(
        "UPDATE item SET state = 2, batch = 0, outcome = :outcome, reason = :reason,"
        " claims = :claims, requests = :requests, records = :records, changed = :at"
        " WHERE workspace = :workspace AND scan = :scan AND id = :id",
        [
            {
                **key._asdict(),
                "at": at,
                "id": item.id,
                "outcome": item.outcome,
                "reason": item.reason,
                "claims": item.claims,
                "requests": item.requests,
                "records": item.records,
            }
            for item in done
        ],
    )


async def hold(tx: Tx, key: Key, held: Iterable[tuple[Done, int]], at: int) -> None:
    """Let items wait until a time for their next turn, and keep what this one brought."""
    await tx.execute_many(
        "UPDATE item SET state = 0, batch = 0, turn = turn + 1, waits = waits + 1,"
        " ready = :ready, reason = :reason, claims = :claims, requests = :requests, records = :records, changed = :at"
        " WHERE workspace = :workspace AND scan = :scan AND id = :id",
        [
            {
                **key._asdict(),
                "at": at,
                "ready": ready,
                "id": item.id,
                "reason": item.reason,
                "claims": item.claims,
                "requests": item.requests,
                "records": item.records,
            }
            for item, ready in held
        ],
    )


async def records_of(view: Reader, key: Key, ids: Sequence[bytes]) -> dict[bytes, bytes]:
    """The records that earlier turns of items brought."""
    rows = await view.fetch_in(
        "SELECT id, records FROM item WHERE workspace = :workspace AND scan = :scan AND id IN :keys",
        ids,
        **key._asdict(),
    )
    return {row[0]: row[1] for row in rows if row[1]}


async def all_records(view: Reader, key: Key) -> AsyncIterator[bytes]:
    """The ids of the evidence records of all accepted results."""
    async for rows in view.stream(
        "SELECT records FROM item WHERE workspace = :workspace AND scan = :scan AND records IS NOT NULL",
        size=2000,
        **key._asdict(),
    ):
        for (records,) in rows:
            for start in range(0, len(records), 32):
                yield records[start : start + 32]


async def first_held(view: Reader, key: Key, module: int, at: int) -> tuple[int, int | None]:
    """How many waiting items of a module may not be handed out before ``at``, and when the first of them may."""
    row = await view.fetch_one(
        "SELECT COUNT(*), MIN(ready) FROM item WHERE workspace = :workspace AND scan = :scan AND module = :module"
        " AND state = 0 AND ready > :at",
        **key._asdict(),
        module=module,
        at=at,
    )
    return (row[0], row[1]) if row else (0, None)


async def ask_again(tx: Tx, key: Key, at: int) -> None:
    """Let every done item that had no answer wait for its next turn, and every other one forget that it waited."""
    await tx.execute(
        "UPDATE item SET state = 0, turn = turn + 1, waits = 0, ready = :at, outcome = NULL, changed = :at"
        " WHERE workspace = :workspace AND scan = :scan AND state = 2"
        " AND outcome NOT IN ('found', 'empty', 'truncated')",
        **key._asdict(),
        at=at,
    )
    await wait_no_more(tx, key, at)


async def wait_no_more(tx: Tx, key: Key, at: int) -> None:
    """Let waiting items be handed out at once, as a new run does."""
    await tx.execute(
        "UPDATE item SET waits = 0, ready = :at"
        " WHERE workspace = :workspace AND scan = :scan AND state = 0 AND waits > 0",
        **key._asdict(),
        at=at,
    )


async def remove(tx: Tx, key: Key, ids: Sequence[bytes]) -> None:
    await tx.execute_in(
        "DELETE FROM item WHERE workspace = :workspace AND scan = :scan AND id IN :keys", ids, **key._asdict()
    )


async def insert_parts(tx: Tx, key: Key, parts: Iterable[PartRow]) -> set[tuple[bytes, int]]:
    """Keep parts; return (item, part) of those that were not there."""
    rows: list[Row] = [(*key, *(getattr(row, field) for field in PartRow.__struct_fields__)) for row in parts]
    columns = ("workspace", "scan", *PartRow.__struct_fields__)
    new = await tx.insert_new("part", columns, ("workspace", "scan", "item", "part"), rows)
    return {(row[2], row[3]) for row in new}


async def complete_parts(view: Reader, key: Key, items: Sequence[bytes]) -> dict[bytes, list[PartRow]]:
    """The parts of those of ``items`` that have all of theirs, in order."""
    counted = await view.fetch_in(
        "SELECT item FROM part WHERE workspace = :workspace AND scan = :scan AND item IN :keys"
        " GROUP BY item HAVING COUNT(*) = MAX(parts)",
        items,
        **key._asdict(),
    )
    if not counted:
        return {}
    rows = await view.fetch_in(
        f"SELECT {_PART} FROM part"  # noqa: S608 - names of columns
        " WHERE workspace = :workspace AND scan = :scan AND item IN :keys ORDER BY item, part",
        [row[0] for row in counted],
        **key._asdict(),
    )
    found: dict[bytes, list[PartRow]] = {}
    for row in rows:
        found.setdefault(row[0], []).append(PartRow(*row))
    return found


async def remove_parts(tx: Tx, key: Key, items: Sequence[bytes]) -> None:
    await tx.execute_in(
        "DELETE FROM part WHERE workspace = :workspace AND scan = :scan AND item IN :keys", items, **key._asdict()
    )


async def insert_late(tx: Tx, key: Key, results: Iterable[tuple[bytes, int, int, bytes]]) -> None:
    """Keep (item, turn, part, JSON) of results that no run wants now."""
    columns = ("workspace", "scan", "item", "turn", "part", "body")
    rows: list[Row] = [(*key, *result) for result in results]
    await tx.bulk_upsert("late", columns, columns[:-1], rows, {})


async def take_late(tx: Tx, key: Key, limit: int) -> list[bytes]:
    """Take up to ``limit`` results out of those that were kept."""
    rows = await tx.fetch(
        "DELETE FROM late WHERE workspace = :workspace AND scan = :scan AND (item, turn, part) IN"
        " (SELECT item, turn, part FROM late WHERE workspace = :workspace AND scan = :scan"
        " ORDER BY item, turn, part LIMIT :limit) RETURNING item, turn, part, body",
        **key._asdict(),
        limit=limit,
    )
    return [row[3] for row in sorted(rows)]


async def page(
    view: Reader, key: Key, *, modules: Sequence[int], outcome: Outcome | None, after: bytes, limit: int
) -> list[ItemView]:
    """Items in the order of their ids after one, of some modules and one outcome (None for all)."""
    return await _view(
        view,
        "id > :after AND (:any_outcome = 1 OR outcome = :outcome) AND module IN :keys ORDER BY id LIMIT :limit",
        key,
        modules,
        {"after": after, "outcome": outcome, "any_outcome": int(outcome is None), "limit": limit},
    )


async def view_of(view: Reader, key: Key, ids: Sequence[bytes]) -> list[ItemView]:
    return await _view(view, "id IN :keys ORDER BY id", key, ids, {})


async def _view(
    view: Reader, where: str, key: Key, keys: Sequence[bytes] | Sequence[int], values: Mapping[str, object]
) -> list[ItemView]:
    rows = await view.fetch_in(
        f"SELECT {_VIEW} FROM item WHERE workspace = :workspace AND scan = :scan AND {where}",  # noqa: S608 - clauses
        keys,
        **key._asdict(),
        **values,
    )
    return [ItemView(*row) for row in rows]
