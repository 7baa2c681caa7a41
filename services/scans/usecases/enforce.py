"""What of a running scan may touch the target: what was authorised, and as long as it is."""

from collections.abc import Iterator
from typing import Final

from services.scans.domain.times import clock
from services.scans.store import items as item_store
from services.scans.store.scans import SourceRow
from services.scans.usecases.close import close_unasked
from services.scans.usecases.ledger import Ledger

#: Items of a module that are closed at once; there may be a million.
CLOSED_AT_A_TIME: Final = 5000


def may_begin(ledger: Ledger, module: int) -> bool:
    """Whether work of a module may be handed out now, as far as that has to be authorised."""
    planned, allowed = ledger.module(module), ledger.plan.authorisation
    if planned.activity != "active":
        return True
    return (
        allowed is not None
        and allowed.covers(planned.id)
        and not (allowed.is_to_come(ledger.at) or allowed.is_over(ledger.at))
    )


async def close_unauthorised(ledger: Ledger) -> None:
    """Close what waits to be asked and may not be any more; whoever looks at the scan sees why."""
    for number, source in list(ledger.sources.items()):
        reason = _why_never(ledger, number) if source.waiting else ""
        if reason:
            items = await item_store.waiting(ledger.tx, ledger.key, number, CLOSED_AT_A_TIME)
            held = ledger.source(number)
            await close_unasked(ledger, items, "skipped", reason)
            held.held = min(held.held, held.waiting)


def next_turn(ledger: Ledger) -> Iterator[int]:
    """When active work that waits may begin, or has to be closed."""
    allowed = ledger.plan.authorisation
    if allowed is not None and any(source.waiting for source in _active(ledger)):
        yield from (at for at in (allowed.begins, allowed.until) if at is not None and at > ledger.at)
        if allowed.is_over(ledger.at):
            yield ledger.at


def _why_never(ledger: Ledger, module: int) -> str:
    """Why work of a module is not to be done, now or later; empty where it may be."""
    planned, allowed = ledger.module(module), ledger.plan.authorisation
    if planned.activity != "active":
        return ""
    if allowed is None or not allowed.covers(planned.id):
        return "nobody authorised it"
    return f"it was authorised until {clock(allowed.until or 0)}" if allowed.is_over(ledger.at) else ""


def _active(ledger: Ledger) -> Iterator[SourceRow]:
    return (source for number, source in ledger.sources.items() if ledger.module(number).activity == "active")
