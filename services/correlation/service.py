from typing import Final

from services.contracts import endpoints as e
from services.contracts.commands import Record
from services.contracts.facts import Changed, Deleted, Finished, Judged, Started
from services.kernel.service import Service

service: Final = Service(
    name="correlation",
    summary="Keeps the graph of each scan, judges it by rules, and explains what was found.",
    needs=("sql", "bus", "graph"),
    publishes=(Judged, Record),
    consumes=(Changed, Started, Finished, Deleted),
    answers=(e.LIST_FINDINGS, e.GET_FINDING, e.SET_FINDING, e.GET_JUDGED, e.FIND_PATHS, e.READ_GRAPH),
    asks=(e.GET_SCAN, e.GET_PLAN, e.GET_STORED, e.READ_FACTS, e.READ_FACTS_OF),
    doors="services.correlation.api:DOORS",
    consumers="services.correlation.consumers:CONSUMERS",
    tasks="services.correlation.usecases.follow:TASKS",
    migrations="services.correlation.migrations",
    cache_mib=8,
)
