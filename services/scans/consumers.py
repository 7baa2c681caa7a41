"""The messages that this service hears."""

from typing import Final

from services.contracts.facts import Collected, Superseded
from services.kernel.directory.headcount import headcount_of
from services.kernel.service import Handles, Ports
from services.scans.usecases import intake, lease, measure, progress, tend

# A result comes in bundles of dozens.
CONSUMERS: Final = (
    Handles(name="results", takes=Collected, handle=intake.take_results, buried=intake.fail_item, batch=16),
    Handles(name="superseded", takes=Superseded, handle=lease.take_superseded, batch=20),
)


async def count_collectors(ports: Ports) -> None:
    """Know how many collectors there are: as many as there are, so much more is handed out."""
    await headcount_of(ports.state, "collector").follow(ports.directory)


TASKS: Final = (tend.tend_scans, tend.sweep_deleted, progress.report_progress, count_collectors, measure.measure)
