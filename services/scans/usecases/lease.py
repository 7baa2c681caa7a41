"""Leases of batches: renewing them, publishing again those that ran out, and versions that nobody has any more."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

import msgspec
import structlog

from services.contracts.facts import Superseded
from services.contracts.plan import PlannedModule
from services.contracts.resources import Pause
from services.kernel.calls import Caller
from services.kernel.errors import Invalid
from services.kernel.messages import now
from services.kernel.service import Ports, Received, Unit
from services.scans.domain.items import id_stem, item_id
from services.scans.domain.states import LEASED
from services.scans.settings import ATTEMPTS, LEASE, LONGEST_LEASE, SECOND, SUPERSEDED
from services.scans.store import batches as batch_store
from services.scans.store import items as item_store
from services.scans.store import scans as scan_store
from services.scans.store.items import ItemRow
from services.scans.usecases.close import close_unasked
from services.scans.usecases.handout import Outgoing, go_on, publish
from services.scans.usecases.ledger import Ledger
from services.scans.usecases.watch import note_change

_log = structlog.get_logger(__name__)

MOST_RENEWED: Final = 10_000


def paused(ports: Ports) -> dict[tuple[UUID, UUID, str], int]:
    """Until when modules of scans wait for the rates of their sources, as far as collectors have said it lately."""
    pauses: dict[tuple[UUID, UUID, str], int] = ports.state.setdefault("pauses", {})
    if len(pauses) > MOST_RENEWED:
        pauses.clear()
    return pauses


async def renew(
    ports: Ports, caller: Caller, batches: Sequence[UUID], pauses: Sequence[Pause] = ()
) -> tuple[UUID, ...]:
    """Extend the leases of batches in flight; return those that are lost: done, taken back, or in another batch.

    A lease that ran out is extended as well, as long as its items are in no other batch. ``pauses`` are remembered for
    who asks what a scan waits for.
    """
    if len(batches) > MOST_RENEWED or len(pauses) > MOST_RENEWED:
        raise Invalid(f"at most {MOST_RENEWED} leases are renewed at once")
    at = now()
    for pause in pauses:
        place = (caller.workspace, pause.scan, pause.module)
        if paused(ports).get(place) != pause.until:
            paused(ports)[place] = pause.until
            note_change(ports, pause.scan, caller.workspace)
    space = caller.workspace.bytes
    async with ports.sql.read() as view:
        by_scan = await batch_store.scans_of(view, space, [batch.bytes for batch in batches])
    kept: set[bytes] = set()
    for scan, ids in by_scan.items():
        async with ports.sql.begin() as tx:
            # A batch is renewed or taken back, never both: by whoever holds its scan.
            await scan_store.hold(tx, scan)
            leases = [
                (identity, min(at + LEASE, ends), ends)
                for identity, _, seconds, still, ends_before in await batch_store.find(tx, space, ids)
                if (ends := ends_before or at + LONGEST_LEASE + int(seconds * still * SECOND)) > at
            ]
            await batch_store.renew(tx, space, leases)
        kept.update(identity for identity, _, _ in leases)
    return tuple(batch for batch in batches if batch.bytes not in kept)


async def publish_expired(ports: Ports, unit: Unit, workspace: UUID, scan: UUID) -> None:
    """Publish the batches of a scan again whose lease has run out, and give up on those that never get done."""
    ledger = await Ledger.open(ports, unit, workspace, scan)
    if ledger is None or ledger.row.state != "running":
        return
    expired = [batch for batch in ledger.batches.values() if batch.expires < ledger.at]
    items = await batch_store.items_of(ledger.tx, ledger.key, [batch.number for batch in expired])
    rows = await item_store.load(ledger.tx, ledger.key, [each for ids in items.values() for each in ids])
    again: list[Outgoing] = []
    for batch in expired:
        left = [rows[each] for each in items[batch.number] if _still_in(rows.get(each), batch.number)]
        if left and batch.lost >= ATTEMPTS:
            await close_unasked(ledger, left, "failed", f"{batch.lost} collectors took it and none answered")
        elif left:
            attempt = batch.lost + batch.superseded + 1
            again.append(Outgoing(batch.module, [item.id for item in left], attempt, batch.superseded))
    await ledger.drop_batches([batch.number for batch in expired])
    if again:
        _log.info("leases ran out", scan=str(scan), batches=len(again))
        await publish(ledger, again, again=True)
    await go_on(ledger)
    await ledger.close()


async def take_superseded(ports: Ports, unit: Unit, received: Sequence[Received[Superseded]]) -> None:
    """Make the items of batches again under the version that collectors have; without one they are skipped.

    That there is none, or one that is older than what was asked for, counts only when it was said again and again.
    """
    for each in sorted(received, key=lambda one: (one.message.scan, one.message.batch)):
        ledger = await Ledger.open(ports, unit, each.workspace, each.message.scan)
        if ledger is not None and ledger.row.state == "running":
            unit.because(each.because)
            await _supersede(ledger, each.message)
            await go_on(ledger)
            await ledger.close()


async def _supersede(ledger: Ledger, message: Superseded) -> None:
    batch = next((one for one in ledger.batches.values() if one.id == message.batch.bytes), None)
    if batch is None:
        return
    items = await batch_store.items_of(ledger.tx, ledger.key, [batch.number])
    rows = await item_store.load(ledger.tx, ledger.key, items[batch.number])
    left = [item for item in rows.values() if _still_in(item, batch.number)]
    old = ledger.module(batch.module)
    behind = message.live is None or message.live < old.version
    if behind and batch.superseded + 1 < SUPERSEDED:
        # While a version is brought out or taken back, collectors take what is not for them: another may have it.
        await ledger.drop_batches([batch.number])
        again = Outgoing(batch.module, [item.id for item in left], batch.attempt + 1, batch.superseded + 1)
        await publish(ledger, [again], again=True)
        return
    if message.live is None or message.live == old.version:
        await close_unasked(ledger, left, "skipped", f"no collector has {old.id} {old.version}")
        return
    number = await _number_of(ledger, old, message.live)
    new = ledger.module(number)
    source, successor = ledger.source(batch.module), ledger.source(number)
    source.reason = f"no collector has version {old.version} any more; asked by version {new.version}"
    stem = id_stem(ledger.scan, new)
    await item_store.remove(ledger.tx, ledger.key, [item.id for item in left])
    made = await item_store.insert(
        ledger.tx, ledger.key, [(item_id(stem, item.subject), number, item.subject) for item in left], ledger.at
    )
    source.leased -= len(left)
    successor.waiting += len(made)
    ledger.row.items += len(made) - len(left)
    await ledger.drop_batches([batch.number])


async def _number_of(ledger: Ledger, old: PlannedModule, version: int) -> int:
    """The number in the plan of a module's other version, which is added with the same configuration if need be."""
    modules = ledger.plan.modules
    for number, module in enumerate(modules):
        if (module.id, module.version) == (old.id, version):
            return number
    new = msgspec.structs.replace(old, version=version)
    await ledger.replan(msgspec.structs.replace(ledger.plan, modules=(*modules, new)))
    return len(modules)


def _still_in(item: ItemRow | None, batch: int) -> bool:
    return item is not None and item.state == LEASED and item.batch == batch
