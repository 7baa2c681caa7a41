"""The messages that this service hears."""

from typing import Final

from services.contracts.facts import Collected, Superseded
from services.kernel.service import Handles
from services.scans.usecases import intake, lease, progress, tend
from services.scans.usecases.collectors import watch_collectors

# A result comes in bundles of dozens.
CONSUMERS: Final = (
    Handles(name="results", takes=Collected, handle=intake.take_results, buried=intake.fail_item, batch=16),
    Handles(name="superseded", takes=Superseded, handle=lease.take_superseded, batch=20),
)

TASKS: Final = (tend.tend_scans, tend.sweep_deleted, progress.report_progress, watch_collectors)
