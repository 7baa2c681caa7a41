"""What reporting hears."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from services.contracts.facts import Deleted
from services.kernel.service import Handles, Ports, Received, Unit
from services.kernel.sql import Reader
from services.reporting.store import reports


async def deleted(ports: Ports, unit: Unit, batch: Sequence[Received[Deleted]]) -> None:
    """Forget the reports of a scan with it: they tell what it found."""
    for received in sorted(batch, key=lambda each: each.message.scan):
        await reports.hold_scan(unit.tx, received.workspace, received.message.scan)
        await reports.note_deleted(unit.tx, received.workspace, received.message.scan)
        for report in await reports.of_scan(unit.tx, received.workspace, received.message.scan):
            await reports.forget(ports.documents, received.workspace, report)
            await reports.delete(unit.tx, received.workspace, report)


async def owners(view: Reader, batch: Sequence[Received[Deleted]]) -> list[UUID | None]:
    """Whose the scans are that are named."""
    found = await reports.scan_owners(view, [each.message.scan for each in batch])
    return [found.get(each.message.scan) for each in batch]


CONSUMERS: Final = (Handles(name="deleted", takes=Deleted, handle=deleted, owners=owners, batch=20),)
