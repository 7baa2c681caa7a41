"""What storage hears."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from services.contracts.facts import Admitted, Collected, Deleted
from services.kernel.messages import now
from services.kernel.service import Handles, Ports, Received, Unit
from services.kernel.sql import Reader
from services.storage.domain import Rows
from services.storage.store import intake
from services.storage.usecases import index, take_in


async def collected(ports: Ports, unit: Unit, batch: Sequence[Received[Collected]]) -> None:
    """Store claims, evidence records and how far each work item is; a deleted scan's are dropped."""
    await take_in.hold(unit.tx, (received.workspace for received in batch))
    deleted = await intake.deleted_scans(unit.tx, list({received.message.scan.bytes for received in batch}))
    rows = Rows()
    recorded_at = now()
    for received in batch:
        if (received.workspace.bytes, received.message.scan.bytes) not in deleted:
            rows.add(received.workspace, received.message, recorded_at)
    await intake.note_scans(unit.tx, ((received.workspace, received.message.scan) for received in batch))
    await take_in.take_in(ports, unit, rows, recorded_at)
    unit.then(index.waker(ports).set)


async def admitted(ports: Ports, unit: Unit, batch: Sequence[Received[Admitted]]) -> None:
    """Store roles and distances, and the entities that only the scan itself named."""
    await take_in.hold(unit.tx, (received.workspace for received in batch))
    deleted = await intake.deleted_scans(unit.tx, list({received.message.scan.bytes for received in batch}))
    rows = Rows()
    counts: dict[tuple[UUID, UUID], int] = {}
    for received in batch:
        place = (received.workspace, received.message.scan)
        if (place[0].bytes, place[1].bytes) not in deleted:
            rows.admit(received.workspace, received.message, received.at)
            counts[place] = counts.get(place, 0) + 1
    # Before entities, as above: who makes a scan's row waits for theirs, which wait for it.
    await intake.note_scans(unit.tx, counts)
    await take_in.take_in(ports, unit, rows, now(), counts)
    unit.then(index.waker(ports).set)


async def deleted(ports: Ports, unit: Unit, batch: Sequence[Received[Deleted]]) -> None:
    # Alone: what nobody else has seen is removed, and somebody might be about to see it.
    await intake.hold_entities(unit.tx, (received.workspace for received in batch), alone=True)
    for received in batch:
        async for gone in intake.delete_scan(unit.tx, received.workspace, received.message.scan):
            await ports.search.delete(
                received.workspace, index.ENTITIES, [index.document_id(number) for number in gone]
            )


async def owners(view: Reader, batch: Sequence[Received[Collected | Admitted | Deleted]]) -> list[UUID | None]:
    """Whose the scans are that are named."""
    found = await intake.scan_owners(view, [each.message.scan for each in batch])
    return [found.get(each.message.scan) for each in batch]


# A result comes in bundles of dozens.
CONSUMERS: Final = (
    Handles(name="collected", takes=Collected, handle=collected, owners=owners, batch=12),
    Handles(name="admitted", takes=Admitted, handle=admitted, owners=owners, batch=100),
    Handles(name="deleted", takes=Deleted, handle=deleted, owners=owners, batch=5),
)
