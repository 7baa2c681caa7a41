"""What a person may do to a scan: pause, resume, stop, retry, delete."""

from typing import Final
from uuid import UUID

import msgspec

from services.contracts.endpoints import LIST_MODULES
from services.contracts.facts import ANSWERED, OUTCOMES, Collected, Deleted
from services.contracts.resources import Module
from services.kernel.calls import Caller, Nothing
from services.kernel.errors import Conflict, NotFound
from services.kernel.service import Ports, Unit
from services.scans.domain.reach import AFFILIATE
from services.scans.domain.states import move
from services.scans.domain.times import clock
from services.scans.settings import SECOND
from services.scans.store import batches as batch_store
from services.scans.store import frontier as frontier_store
from services.scans.store import items as item_store
from services.scans.store import scans as scan_store
from services.scans.usecases.admit import make_items
from services.scans.usecases.create import start
from services.scans.usecases.handout import finish, go_on
from services.scans.usecases.intake import apply
from services.scans.usecases.ledger import Ledger
from services.scans.usecases.look import pauses_of
from services.scans.usecases.quotas import check_running, learn
from services.scans.usecases.watch import note_change

_LATE_AT_A_TIME: Final = 200
_late = msgspec.json.Decoder(Collected)


async def pause(ports: Ports, caller: Caller, scan: UUID) -> None:
    """Hold a scan where it is: leases end, the items wait."""
    async with ports.outbox.unit() as unit:
        ledger = await _open(ports, unit, caller, scan)
        ledger.row.state = move(ledger.row.state, "pause")
        await recall(ledger)
        if ledger.row.deadline is not None:
            ledger.row.time_left = max(0, ledger.row.deadline - ledger.at)
        ledger.row.deadline = ledger.row.wake = None
        ledger.row.withheld = ""
        await ledger.close()


async def stop(ports: Ports, caller: Caller, scan: UUID) -> None:
    """End the run; what there is stays, and what is open can be taken up by a later run."""
    async with ports.outbox.unit() as unit:
        ledger = await _open(ports, unit, caller, scan)
        move(ledger.row.state, "stop")
        await end_early(ledger, "stop", "stopped on request")
        await ledger.close()


async def resume(ports: Ports, caller: Caller, scan: UUID) -> None:
    """Go on with what is open, in the next run; results that came meanwhile count."""
    await learn(ports, caller.workspace)
    async with ports.outbox.unit() as unit:
        ledger = await _open(ports, unit, caller, scan)
        await _run_again(ledger, "resume")
        await go_on(ledger)
        await ledger.close()


async def retry(ports: Ports, caller: Caller, scan: UUID) -> None:
    """Ask again, in the next run, what had no answer, and go on with what is open.

    A module that lacked a required key when the scan was made is asked now if it has one.
    """
    modules: tuple[Module, ...] = await ports.calls.ask(LIST_MODULES, Nothing(), caller)
    await learn(ports, caller.workspace)
    async with ports.outbox.unit() as unit:
        ledger = await _open(ports, unit, caller, scan)
        with_key = {module.declared.id for module in modules if module.has_key}
        if ledger.row.state == "finished" and not _unanswered(ledger) and not _opened(ledger, with_key):
            raise Conflict("there is nothing to ask again: all that was asked was answered")
        await _run_again(ledger, "retry")
        await item_store.ask_again(ledger.tx, ledger.key, ledger.at)
        for number in list(ledger.sources):
            source = ledger.source(number)
            for place, outcome in enumerate(OUTCOMES):
                if outcome not in ANSWERED:
                    source.waiting += source.outcomes[place]
                    source.outcomes[place] = 0
        await _use_new_keys(ledger, with_key)
        await go_on(ledger)
        await ledger.close()


async def delete(ports: Ports, caller: Caller, scan: UUID) -> None:
    """Forget a scan and tell everybody; its rows are swept away soon after."""
    async with ports.outbox.unit() as unit:
        row = await scan_store.load_for_change(unit.tx, caller.workspace.bytes, scan.bytes)
        if row is None:
            raise NotFound(f"there is no scan {scan}")
        words = (await scan_store.read_plan(unit.tx, row.key)).words
        if words is not None:  # of two that have the list, the one that goes last tells
            await scan_store.hold_words(unit.tx, row.workspace)
        await scan_store.drop(unit.tx, row)
        if words is not None and await scan_store.has_words(unit.tx, row.workspace, words):
            words = None
        unit.emit(Deleted(scan=scan, words=words, made=row.created), workspace=caller.workspace, key=scan.hex)
        unit.then(lambda: note_change(ports, scan, caller.workspace, ended=True))


async def end_early(ledger: Ledger, verb: str, reason: str) -> None:
    """End the run while items are open; of sources whose rate they waited for, that is the reason."""
    for name, until in pauses_of(ledger.ports, ledger.row).items():
        for number, source in ledger.sources.items():
            if source.leased and ledger.module(number).id == name:
                waited = f"{source.open:,} not asked: its rate was used up until {clock(until)}"
                ledger.source(number).reason = waited
    await recall(ledger)
    await finish(ledger, verb, reason)


async def recall(ledger: Ledger) -> None:
    """Take every batch back: its items wait, and whoever works on it learns at the next renewal that it is lost."""
    numbers = list(ledger.batches)
    items = await batch_store.items_of(ledger.tx, ledger.key, numbers)
    await item_store.give_back(ledger.tx, ledger.key, [identity for ids in items.values() for identity in ids])
    await ledger.drop_batches(numbers)
    for number in list(ledger.sources):
        source = ledger.source(number)
        source.waiting += source.leased
        source.leased = 0


async def _open(ports: Ports, unit: Unit, caller: Caller, scan: UUID) -> Ledger:
    ledger = await Ledger.open(ports, unit, caller.workspace, scan)
    if ledger is None:
        raise NotFound(f"there is no scan {scan}")
    return ledger


async def _run_again(ledger: Ledger, verb: str) -> None:
    row = ledger.row
    before = row.state
    row.state = move(before, verb)
    await check_running(ledger.ports, ledger.tx, ledger.workspace)
    row.run += 1
    row.evidence_root = None
    if before != "paused" and ledger.plan.limits.timeout is not None:
        row.time_left = int(ledger.plan.limits.timeout * SECOND)
    start(ledger)
    await item_store.wait_no_more(ledger.tx, ledger.key, ledger.at)
    for number in list(ledger.sources):
        source = ledger.source(number)
        source.held, source.held_until = 0, None
    while bodies := await item_store.take_late(ledger.tx, ledger.key, _LATE_AT_A_TIME):
        await apply(ledger, [_late.decode(body) for body in bodies])


def _unanswered(ledger: Ledger) -> bool:
    """Whether anything that was asked had no answer."""
    places = [place for place, outcome in enumerate(OUTCOMES) if outcome not in ANSWERED]
    return any(ledger.source(number).outcomes[place] for number in list(ledger.sources) for place in places)


def _opened(ledger: Ledger, with_key: set[str]) -> list[int]:
    """The modules that lacked a key when the scan was made, and have it now."""
    modules = enumerate(ledger.plan.modules)
    return [n for n, m in modules if m.key_required and m.missing_key and m.id in with_key]


async def _use_new_keys(ledger: Ledger, with_key: set[str]) -> None:
    modules = ledger.plan.modules
    opened = _opened(ledger, with_key)
    if not opened:
        return
    mended = tuple(
        msgspec.structs.replace(module, missing_key="") if number in opened else module
        for number, module in enumerate(modules)
    )
    await ledger.replan(msgspec.structs.replace(ledger.plan, modules=mended))
    kinds = {kind for number in opened for kind in modules[number].consumes}
    async for members in frontier_store.admitted_of_types(ledger.tx, ledger.key, kinds, AFFILIATE):
        await make_items(
            ledger,
            [
                (asking, identity)
                for identity, kind, rank in members
                for asking in ledger.wants.of(kind, rank)
                if asking.number in opened
            ],
        )
    subjects = await frontier_store.all_subjects(ledger.tx, ledger.key, sorted(kinds))
    work = [(asking, identity) for identity, kind, rank in subjects for asking in ledger.wants.of(kind, rank)]
    await make_items(ledger, [(asking, identity) for asking, identity in work if asking.number in opened])
