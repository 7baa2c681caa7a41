"""Closing work items: by their results, or unasked, where none will come."""

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from services.contracts.facts import LONGEST_WAIT, OUTCOMES, Outcome
from services.scans.domain.states import LEASED
from services.scans.settings import RATE_TURNS, SECOND
from services.scans.store import items as item_store
from services.scans.store.items import Done, ItemRow
from services.scans.usecases.ledger import Ledger

_OUTCOME_PLACE: Final = {outcome: place for place, outcome in enumerate(OUTCOMES)}
_REASON: Final = 500


class Result(Struct):
    """A complete result of one turn of an item; ``retry_after`` in microseconds."""

    item: ItemRow
    outcome: Outcome
    reason: str
    retry_after: int | None
    claims: int
    requests: int
    records: bytes


async def close_unasked(ledger: Ledger, items: Sequence[ItemRow], outcome: Outcome, reason: str) -> None:
    """Close open items that no result will come for."""
    if items:
        await close_items(ledger, [Result(item, outcome, readable(reason), None, 0, 0, b"") for item in items])
        await item_store.remove_parts(ledger.tx, ledger.key, [item.id for item in items])
        ledger.row.results -= len(items)


async def close_items(ledger: Ledger, results: Sequence[Result]) -> None:
    """Close items, or let those that met a rate limit wait for their next turn."""
    asked_before = [result.item.id for result in results if result.item.turn]
    earlier = await item_store.records_of(ledger.tx, ledger.key, asked_before) if asked_before else {}
    done: list[Done] = []
    held: list[tuple[Done, int]] = []
    for result in results:
        item = result.item
        source = ledger.source(item.module)
        if item.state == LEASED:
            source.leased -= 1
            ledger.close_one(item.batch)
        else:
            source.waiting -= 1
        source.claims += result.claims
        source.requests += result.requests
        if result.reason:
            source.reason = result.reason
        ended = Done(
            item.id,
            result.outcome,
            result.reason,
            item.claims + result.claims,
            item.requests + result.requests,
            (earlier.get(item.id, b"") + result.records) or None,
        )
        until = _may_wait(ledger, result)
        if until is None:
            source.outcomes[_OUTCOME_PLACE[result.outcome]] += 1
            done.append(ended)
        else:
            source.waiting += 1
            source.held += 1
            source.held_until = min(until, source.held_until or until)
            held.append((ended, until))
    ledger.row.results += len(results)
    if done:
        await item_store.finish(ledger.tx, ledger.key, done, ledger.at)
    if held:
        await item_store.hold(ledger.tx, ledger.key, held, ledger.at)


def _may_wait(ledger: Ledger, result: Result) -> int | None:
    """Until when an item waits for its next turn; None when this one counts."""
    if result.outcome != "rate_limited" or result.retry_after is None or result.item.waits >= RATE_TURNS:
        return None
    until = ledger.at + result.retry_after
    over_deadline = ledger.row.deadline is not None and until >= ledger.row.deadline
    return None if result.retry_after > LONGEST_WAIT * SECOND or over_deadline else until


def readable(reason: str) -> str:
    """What a source may have had a word in, as one short line of printable text."""
    short = reason[:_REASON]
    return short if short.isprintable() else "".join(each if each.isprintable() else " " for each in short)
