"""What reporting hears."""

from collections.abc import Sequence
from typing import Final

from services.contracts.facts import Deleted
from services.kernel.service import Handles, Ports, Received, Unit
from services.reporting.store import reports


async def deleted(ports: Ports, unit: Unit, batch: Sequence[Received[Deleted]]) -> None:
    """Forget the reports of a scan with it: they tell what it found."""
    for received in batch:
        for report in await reports.of_scan(unit.tx, received.workspace, received.message.scan):
            await reports.forget(ports.documents, received.workspace, report)
            await reports.delete(unit.tx, received.workspace, report)


CONSUMERS: Final = (Handles(name="deleted", takes=Deleted, handle=deleted, batch=20),)
