"""The messages that this service hears."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from services.contracts.facts import Collected, Superseded
from services.kernel.directory.headcount import headcount_of
from services.kernel.service import Handles, Ports, Received
from services.kernel.sql import Reader
from services.scans.store import scans as scan_store
from services.scans.usecases import intake, lease, measure, progress, quotas, tend


async def owners(view: Reader, batch: Sequence[Received[Collected | Superseded]]) -> list[UUID | None]:
    """Whose the scans are that are named."""
    found = await scan_store.owners(view, [each.message.scan for each in batch])
    return [found.get(each.message.scan) for each in batch]


# A result comes in bundles of dozens.
CONSUMERS: Final = (
    Handles(
        name="results", takes=Collected, handle=intake.take_results, buried=intake.fail_item, batch=16, owners=owners
    ),
    Handles(name="superseded", takes=Superseded, handle=lease.take_superseded, batch=20, owners=owners),
)


async def count_collectors(ports: Ports) -> None:
    """Know how many collectors there are: as many as there are, so much more is handed out."""
    await headcount_of(ports.state, "collector").follow(ports.directory)


TASKS: Final = (
    *(tend.tend_scans, tend.sweep_deleted, progress.report_progress, count_collectors, measure.measure),
    quotas.follow_quotas,
)
