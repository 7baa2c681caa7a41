from typing import Final

from services.contracts import endpoints as e
from services.contracts.commands import Collect, Record
from services.contracts.facts import Admitted, Collected, Deleted, Finished, Started, Superseded
from services.contracts.progress import Progressed
from services.kernel.service import Service

service: Final = Service(
    name="scans",
    summary="Scan lifecycle, scope, the frontier, work items and their leases, exact completion.",
    needs=("sql", "bus", "directory"),
    publishes=(Started, Admitted, Finished, Deleted, Progressed, Collect, Record),
    consumes=(Collected, Superseded),
    follows=(Progressed,),
    answers=(
        *(e.CREATE_SCAN, e.PREVIEW_SCAN, e.LIST_SCANS, e.GET_SCAN, e.PAUSE_SCAN, e.RESUME_SCAN, e.STOP_SCAN),
        *(e.RETRY_SCAN, e.DELETE_SCAN, e.WATCH_SCAN, e.GET_PLAN, e.LIST_ITEMS, e.GET_STANDING, e.GET_NAMES),
        *(e.RENEW_LEASES, e.FIND_EXPIRED, e.SWEPT_BY_SCANS, e.GET_AUTHORISATION, e.GET_WORK_USED),
    ),
    asks=(e.LIST_MODULES, e.LIST_BUDGETS, e.SIGN_STATEMENT, e.GET_QUOTAS, e.GET_EVIDENCE_USED),
    doors="services.scans.api:DOORS",
    consumers="services.scans.consumers:CONSUMERS",
    tasks="services.scans.consumers:TASKS",
    migrations="services.scans.migrations",
)
