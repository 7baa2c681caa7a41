from typing import Final

from services.contracts import endpoints as e
from services.contracts.commands import Record
from services.contracts.facts import Admitted, Changed, Collected, Deleted
from services.kernel.service import Service

service: Final = Service(
    name="storage",
    summary="Keeps entities, relations and assertions over time; searches, compares.",
    needs=("sql", "bus", "search"),
    publishes=(Record, Changed),
    consumes=(Collected, Admitted, Deleted),
    answers=(
        e.FIND_ENTITIES,
        e.GET_ENTITY,
        e.GET_STORED,
        e.SWEPT_BY_STORAGE,
        e.DIFF,
        e.DIFF_INSTANTS,
        e.FIND_RECORDS,
        e.LIST_RECORDS,
        e.LIST_CLAIMS,
        e.RETRACT,
        e.LIST_RETRACTIONS,
        e.READ_FACTS,
        e.READ_FACTS_OF,
    ),
    asks=(e.GET_PLAN, e.LIST_MODULES),
    doors="services.storage.api:DOORS",
    consumers="services.storage.consumers:CONSUMERS",
    tasks="services.storage.usecases.support:TASKS",
    migrations="services.storage.migrations",
    cache_mib=8,
)
