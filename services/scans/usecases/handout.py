"""Handing out work: batches within the windows, sets of names when all is quiet, and the end when nothing is left."""

import hashlib
import math
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple
from uuid import UUID

import msgspec
from msgspec import Struct

from services.contracts.commands import Collect, WorkItem
from services.contracts.evidence import Digests, merkle_root
from services.contracts.facts import Finished, Outcome, SourceOutcome
from services.contracts.subjects import CarriedSubject, NamesDigest
from services.kernel.directory.headcount import headcount_of
from services.kernel.messages import derive
from services.scans.domain.items import Asking, subject_id
from services.scans.domain.quotas import Left, day_of
from services.scans.domain.reach import IN_SCOPE, role_of
from services.scans.domain.states import by_outcome, move
from services.scans.domain.windows import Load, next_load, part_size, room_of
from services.scans.settings import LOOKED_AGAIN, MESSAGE_BYTES, NAME_ROUNDS, QUEUED
from services.scans.store import batches as batch_store
from services.scans.store import frontier as frontier_store
from services.scans.store import items as item_store
from services.scans.store import scans as scan_store
from services.scans.store import usage
from services.scans.store.batches import BatchRow
from services.scans.usecases.admit import NO_JUDGE, make_items
from services.scans.usecases.enforce import close_unauthorised, may_begin, next_turn
from services.scans.usecases.ledger import Ledger
from services.scans.usecases.quotas import items_left

BATCH_NAMESPACE: Final = UUID("6b0f9f0e-64a4-5a0e-8d7c-0a1c6a6e1f5d")
_encode = msgspec.json.Encoder().encode


class Outgoing(NamedTuple):
    """Leased items of one module that make a batch: for the how manieth time, how often it was ``superseded``."""

    module: int
    items: list[bytes]
    attempt: int = 1
    superseded: int = 0


class Packed(Struct):
    """Items of one module on their way out."""

    module: int
    items: list[WorkItem]
    attempt: int
    superseded: int


async def go_on(ledger: Ledger) -> None:
    """Hand out what may be handed out; when nothing is outstanding, look for sets of names, and else end the run."""
    await close_unauthorised(ledger)
    if ledger.outstanding == 0 and not await make_name_sets(ledger):
        await finish(ledger)
    else:
        await hand_out(ledger)


async def hand_out(ledger: Ledger) -> None:
    """Lease waiting items to new batches, as many as the windows have room for and quotas leave."""
    loads = await _loads(ledger)
    left = Left()
    if any(load.ready for load in loads):
        left = await items_left(ledger)
        if left.items != 0:
            left = await _lease(ledger, loads, left)
    _withhold(ledger, left.reason)
    held = [source.held_until for source in ledger.sources.values() if source.held and source.held_until]
    again = [min(ledger.at + LOOKED_AGAIN, left.until or ledger.at + LOOKED_AGAIN)] if left.reason else []
    ledger.row.wake = min([*held, *again, *next_turn(ledger)], default=None)


async def _lease(ledger: Ledger, loads: Sequence[Load], left: Left) -> Left:
    """Hand out what may be; return what the quotas leave after it."""
    in_flight = sum(batch.open > 0 for batch in ledger.batches.values())
    collectors = headcount_of(ledger.ports.state, "collector").now
    room = room_of(await scan_store.count_running(ledger.tx, ledger.row.workspace), collectors) - in_flight
    modules = {load.number: ledger.module(load.number) for load in loads}
    leased: list[Outgoing] = []
    taken = 0
    while room > 0 and taken != left.items and (load := next_load(loads, modules, collectors)):
        number = ledger.row.batches + len(leased) + 1
        size = part_size(modules[load.number], load.ready, collectors)
        if left.items is not None:
            size = min(size, left.items - taken)
        ids = await item_store.lease(ledger.tx, ledger.key, load.number, size, number, ledger.at)
        source = ledger.source(load.number)
        if len(ids) < min(size, load.ready):  # the clock was put back: the others wait until it is as late again
            source.held, source.held_until = await item_store.first_held(ledger.tx, ledger.key, load.number, ledger.at)
        load.ready = load.ready - len(ids) if len(ids) == size else 0
        load.leased += len(ids)
        load.batches += 1
        if ids:
            room -= 1
            taken += len(ids)
            leased.append(Outgoing(load.number, ids))
            source.waiting -= len(ids)
            source.leased += len(ids)
    if leased:
        await usage.add_items(ledger.tx, ledger.key, day_of(ledger.at), taken)
        await publish(ledger, leased)
    if taken == left.items and any(load.ready for load in loads):
        return await items_left(ledger)
    return left


def _withhold(ledger: Ledger, reason: str) -> None:
    """Note why nothing more is handed out; meanwhile the time that the run may take stands still."""
    row = ledger.row
    if reason and row.deadline is not None:
        row.time_left, row.deadline = max(0, row.deadline - ledger.at), None
    elif not reason and row.withheld and row.time_left is not None:
        row.deadline, row.time_left = ledger.at + row.time_left, None
    row.withheld = reason


async def publish(ledger: Ledger, batches: Sequence[Outgoing], *, again: bool = False) -> None:
    """Make batches, numbered on from the scan's last one, and command them; ``again`` where their items had others.

    What is not authorised any more is not commanded again: its items wait, and are closed as all that wait.
    """
    for late in batches:
        if not may_begin(ledger, late.module):
            await item_store.give_back(ledger.tx, ledger.key, late.items)
            source = ledger.source(late.module)
            source.leased -= len(late.items)
            source.waiting += len(late.items)
    batches = [batch for batch in batches if may_begin(ledger, batch.module)]
    packed = await _pack(ledger, batches)
    rows: list[tuple[BatchRow, list[bytes]]] = []
    first = ledger.row.batches + 1
    for place, batch in enumerate(packed):
        ids = [item.id.bytes for item in batch.items]
        number = first + place
        row = BatchRow(
            number,
            _batch_id(ledger.row.run, number, batch).bytes,
            batch.module,
            batch.attempt,
            math.ceil(ledger.module(batch.module).timeout),
            len(ids),
            ledger.at + QUEUED,
            None,
            batch.superseded,
        )
        ledger.batches[number] = row
        rows.append((row, ids))
        if again or place >= len(batches):
            await item_store.move(ledger.tx, ledger.key, ids, number, ledger.at)
        _command(ledger, row, batch)
    ledger.row.batches += len(packed)
    await batch_store.insert(ledger.tx, ledger.key, rows)


async def make_name_sets(ledger: Ledger) -> bool:
    """Hand the names of each zone that has new ones to the modules that work on them; True when there is work."""
    row = ledger.row
    asked = ledger.wants.of("names", IN_SCOPE)
    if not asked or row.rounds >= NAME_ROUNDS or row.names == row.named or row.limited:
        return False
    work: list[tuple[Asking, bytes]] = []
    subjects, sets = [], []
    for zone in await frontier_store.zones(ledger.tx, ledger.key, row.named):
        names = await _digest(ledger, zone)
        identity = subject_id(names)
        subjects.append((identity, "names", NO_JUDGE, _encode(names).decode()))
        sets.append((names.digest, zone, row.names))
        work += [(asking, identity) for asking in asked]
    await frontier_store.insert_subjects(ledger.tx, ledger.key, subjects)
    await frontier_store.insert_name_sets(ledger.tx, ledger.key, sets)
    row.rounds += 1
    row.named = row.names
    return await make_items(ledger, work) > 0


async def finish(ledger: Ledger, state: str = "", reason: str = "") -> None:
    """End the run and say so: finished, unless a limit left something undone or ``state`` says otherwise."""
    row = ledger.row
    if row.limited and not state:
        state, reason = "give up", f"the limit of {ledger.plan.limits.max_items} work items was reached"
    row.state = move(row.state, state or "finish")
    row.reason = reason
    row.ended = ledger.at
    row.deadline = row.wake = None
    row.withheld = ""
    row.evidence_root = await evidence_root(ledger)
    ledger.unit.emit(
        Finished(
            scan=ledger.scan,
            run=row.run,
            state=row.state,
            reason=reason,
            results=row.results,
            admissions=row.admissions,
            outcomes=outcomes_of(ledger),
            sources=tuple(sources_of(ledger)),
            evidence_root=row.evidence_root,
            at=ledger.at,
        ),
        workspace=ledger.workspace,
        key=f"{ledger.scan.hex}|{row.run}",
    )


async def evidence_root(ledger: Ledger) -> bytes:
    """The `merkle_root` of the records of all accepted results; in the table they are by item."""
    digests = Digests()
    async for digest in item_store.all_records(ledger.tx, ledger.key):
        digests.add(digest)
    return merkle_root(digests)


def outcomes_of(ledger: Ledger) -> dict[Outcome, int]:
    """Done items by outcome, over all modules."""
    sums = [sum(counts) for counts in zip(*(source.outcomes for source in ledger.sources.values()), strict=True)]
    return by_outcome(sums) if sums else {}


def sources_of(ledger: Ledger) -> Iterator[SourceOutcome]:
    """Done items by outcome, for each module that has any."""
    for number, source in sorted(ledger.sources.items()):
        outcomes = by_outcome(source.outcomes)
        if outcomes:
            yield SourceOutcome(module=ledger.module(number).id, outcomes=outcomes, reason=source.reason)


async def _loads(ledger: Ledger) -> list[Load]:
    batches: dict[int, int] = {}
    for batch in ledger.batches.values():
        if batch.open > 0:
            batches[batch.module] = batches.get(batch.module, 0) + 1
    loads = []
    for source in ledger.sources.values():
        if source.held and source.held_until is not None and source.held_until <= ledger.at:
            held = ledger.source(source.module)
            held.held, held.held_until = await item_store.first_held(ledger.tx, ledger.key, held.module, ledger.at)
        ready = source.waiting - source.held
        if source.waiting and may_begin(ledger, source.module):
            loads.append(Load(source.module, ready, source.leased, batches.get(source.module, 0)))
    return loads


async def _pack(ledger: Ledger, batches: Sequence[Outgoing]) -> list[Packed]:
    """Read what the items are about; a batch whose subjects are too long for one message becomes several."""
    ids = [identity for batch in batches for identity in batch.items]
    items = await item_store.load(ledger.tx, ledger.key, ids)
    about = [item.subject for item in items.values()]
    entities = await frontier_store.entities(ledger.tx, ledger.key, about)
    others = await frontier_store.subjects(
        ledger.tx, ledger.key, [identity for identity in about if identity not in entities]
    )
    judges = {judge for _, judge in others.values() if judge != NO_JUDGE and judge not in entities}
    entities.update(await frontier_store.entities(ledger.tx, ledger.key, list(judges)))
    packed: list[Packed] = []
    for place, batch in enumerate(batches):
        packed.insert(place, current := Packed(batch.module, [], batch.attempt, batch.superseded))
        size = 0
        for identity in batch.items:
            subject = items[identity].subject
            carried: CarriedSubject
            if subject in others:
                carried, judge = others[subject]
                _, rank, distance = entities.get(judge, (None, IN_SCOPE, 0))
                size += len(_encode(carried))
            else:
                carried, rank, distance = entities[subject]
                size += sum(map(len, carried.key))
            current.items.append(WorkItem(UUID(bytes=identity), carried, role_of(rank), distance, items[identity].turn))
            size += 120
            if size > MESSAGE_BYTES:
                packed.append(current := Packed(batch.module, [], batch.attempt, batch.superseded))
                size = 0
    return [each for each in packed if each.items]


def _batch_id(run: int, number: int, batch: Packed) -> UUID:
    items = sorted(f"{item.id.hex}.{item.turn}" for item in batch.items)
    return derive(BATCH_NAMESPACE, "|".join([str(run), str(number), *items]))


def _command(ledger: Ledger, row: BatchRow, batch: Packed) -> None:
    module = ledger.module(batch.module)
    identity = UUID(bytes=row.id)
    ledger.unit.emit(
        Collect(
            scan=ledger.scan,
            run=ledger.row.run,
            batch=identity,
            attempt=batch.attempt,
            module=module.id,
            version=module.version,
            items=tuple(batch.items),
        ),
        workspace=ledger.workspace,
        key=identity.hex,
        filter=module.activity,
    )


async def _digest(ledger: Ledger, zone: str) -> NamesDigest:
    digest, count = hashlib.sha256(), 0
    async for names in frontier_store.names_of(ledger.tx, ledger.key, zone, ledger.row.names):
        digest.update("".join(f"{name}\n" for name in names).encode())
        count += len(names)
    return NamesDigest(zone, digest.hexdigest(), count)
