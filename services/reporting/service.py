from typing import Final

from services.contracts import endpoints as e
from services.contracts.commands import Record
from services.contracts.facts import Deleted
from services.kernel.service import Service

service: Final = Service(
    name="reporting",
    summary="Makes reports and exports of what was found, each statement with what proves it.",
    needs=("bus", "documents", "sql"),
    publishes=(Record,),
    consumes=(Deleted,),
    answers=(
        *(e.MAKE_REPORT, e.LIST_REPORTS, e.GET_REPORT, e.READ_REPORT, e.READ_BUNDLE, e.DELETE_REPORT),
        *(e.EXPORT, e.SWEPT_BY_REPORTING),
    ),
    asks=(
        *(e.GET_SCAN, e.GET_PLAN, e.LIST_SCANS, e.GET_AUTHORISATION, e.LIST_FINDINGS, e.GET_FINDING),
        *(e.READ_FACTS, e.LIST_RECORDS, e.DIFF, e.GET_BLOB, e.SIGN_STATEMENT, e.PUBLISH_WORKSPACE_KEYS),
        e.LIST_CLAIMS,
    ),
    doors="services.reporting.api:DOORS",
    consumers="services.reporting.consumers:CONSUMERS",
    migrations="services.reporting.migrations",
    memory_mib=768,  # typst beside it, for a report of some hundred pages
)
