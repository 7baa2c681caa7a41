from typing import Final

from services.contracts import endpoints as e
from services.contracts.commands import Collect, Record
from services.contracts.facts import Announced, Collected, Deleted, Superseded
from services.contracts.settings import CollectorSettings
from services.kernel.service import Service

service: Final = Service(
    name="collector",
    summary="Runs modules: fetches, resolves, parses, keeps evidence, obeys budgets.",
    needs=("sql", "bus", "blobs", "cache", "egress", "directory", "values", "seal"),
    publishes=(Announced, Collected, Superseded, Record),
    consumes=(Collect, Deleted),
    answers=(
        *(e.GET_BLOB, e.UPLOAD, e.SWEPT_BY_COLLECTOR, e.VERIFY, e.REPLAY, e.LIST_BUDGETS, e.TRACE_NAME),
        *(e.GET_ANNOUNCEMENT, e.GET_EVIDENCE_USED),
    ),
    asks=(
        e.GET_PLAN,
        e.GET_NAMES,
        e.RENEW_LEASES,
        e.GET_SCAN,
        e.LIST_RECORDS,
        e.LIST_CLAIMS,
        e.LIST_VERSIONS,
        e.GET_QUOTAS,
    ),
    doors="services.collector.api:DOORS",
    consumers="services.collector.consumers:CONSUMERS",
    tasks="services.collector.consumers:TASKS",
    migrations="services.collector.migrations",
    says="services.collector.collector:say_modules",
    live=CollectorSettings,
    instances=(1, 8),
    memory_mib=512,
)
