"""Results of work items: what they mean for their items, and for the scan's frontier."""

from collections.abc import Iterable, Sequence
from uuid import UUID

import msgspec
import structlog

from services.contracts.facts import Collected
from services.kernel.service import Ports, Received, Unit
from services.scans.domain.candidates import Candidates
from services.scans.domain.states import DONE, HELD
from services.scans.settings import SECOND
from services.scans.store import items as item_store
from services.scans.store.items import ItemRow, PartRow
from services.scans.usecases.admit import admit
from services.scans.usecases.close import Result, close_items, close_unasked, readable
from services.scans.usecases.handout import go_on
from services.scans.usecases.ledger import Ledger

_log = structlog.get_logger(__name__)


async def take_results(ports: Ports, unit: Unit, received: Sequence[Received[Collected]]) -> None:
    """Take in results, scan by scan; those of scans that are gone are dropped."""
    by_scan: dict[tuple[UUID, UUID], list[Received[Collected]]] = {}
    for each in received:
        by_scan.setdefault((each.workspace, each.message.scan), []).append(each)
    for workspace, scan in sorted(by_scan):
        ledger = await Ledger.open(ports, unit, workspace, scan)
        if ledger is not None:
            of_it = by_scan[workspace, scan]
            unit.because(of_it[-1].because)
            await take(ledger, [each.message for each in of_it])
            await ledger.close()


async def take(ledger: Ledger, messages: Sequence[Collected]) -> None:
    """Take in results of one scan: at once while it runs, for later while it is held."""
    if ledger.row.state in HELD:
        await item_store.insert_late(
            ledger.tx,
            ledger.key,
            [(each.item.bytes, each.turn, each.part, msgspec.json.encode(each)) for each in messages],
        )
    elif ledger.row.state == "running":
        await apply(ledger, messages)
        await go_on(ledger)


async def apply(ledger: Ledger, messages: Sequence[Collected]) -> None:
    """Close the items whose results are complete, and take in what all of them claim."""
    items = await item_store.load(ledger.tx, ledger.key, [message.item.bytes for message in messages])
    wanted = _wanted(messages, items)
    results = [_whole(message, items[message.item.bytes]) for message in wanted if message.parts == 1]
    in_parts = [message for message in wanted if message.parts != 1]
    if in_parts:
        results += await _assemble(ledger, in_parts, items)
    if results:
        await close_items(ledger, results)
    seen = Candidates(ledger.wants)
    for message in wanted:
        seen.gather(message.subject, message.said)
    if seen.entities:
        await admit(ledger, seen)


async def fail_item(ports: Ports, unit: Unit, received: Received[Collected], reason: str) -> None:
    """Close the item of a result that could not be taken in."""
    message = received.message
    ledger = await Ledger.open(ports, unit, received.workspace, message.scan)
    if ledger is None or ledger.row.state != "running":
        return
    items = await item_store.load(ledger.tx, ledger.key, [message.item.bytes])
    still = [item for item in items.values() if item.state != DONE and item.turn == message.turn]
    await close_unasked(ledger, still, "failed", f"its result could not be taken in: {reason}")
    await go_on(ledger)
    await ledger.close()


def _wanted(messages: Iterable[Collected], items: dict[bytes, ItemRow]) -> list[Collected]:
    """Those whose item is open and was not asked anew since, each part once."""
    found: dict[tuple[bytes, int], Collected] = {}
    for message in messages:
        item = items.get(message.item.bytes)
        if item is not None and item.state != DONE and item.turn == message.turn:
            found.setdefault((item.id, message.part), message)
    return list(found.values())


def _whole(message: Collected, item: ItemRow) -> Result:
    return Result(
        item,
        message.outcome or "failed",
        readable(message.reason),
        _in_microseconds(message.retry_after),
        len(message.said),
        message.requests,
        b"".join([record.id for record in message.records]),
    )


async def _assemble(ledger: Ledger, messages: Sequence[Collected], items: dict[bytes, ItemRow]) -> list[Result]:
    """Keep parts; return the results that have all of theirs now."""
    rows = [
        PartRow(
            message.item.bytes,
            message.part,
            message.parts if message.outcome is not None else -1,
            message.outcome,
            readable(message.reason),
            _in_microseconds(message.retry_after),
            len(message.said),
            message.requests,
            b"".join([record.id for record in message.records]),
        )
        for message in messages
    ]
    await item_store.insert_parts(ledger.tx, ledger.key, rows)
    complete = await item_store.complete_parts(ledger.tx, ledger.key, list({row.item for row in rows}))
    if complete:
        await item_store.remove_parts(ledger.tx, ledger.key, list(complete))
    return [_joined(items[identity], parts) for identity, parts in complete.items()]


def _joined(item: ItemRow, parts: Sequence[PartRow]) -> Result:
    last = parts[-1]
    return Result(
        item,
        last.outcome or "failed",
        last.reason,
        last.retry_after,
        sum(part.claims for part in parts),
        sum(part.requests for part in parts),
        b"".join([part.records for part in parts]),
    )


def _in_microseconds(seconds: float | None) -> int | None:
    return None if seconds is None else int(max(0.0, min(seconds, 1e9)) * SECOND)
