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
    answers=(
        *(e.LIST_FINDINGS, e.GET_FINDING, e.SET_FINDING, e.GET_JUDGED, e.FIND_PATHS, e.READ_GRAPH),
        *(e.GET_CONFIDENCE, e.GET_POLICY, e.SET_POLICY, e.LIST_HYPOTHESES, e.DECIDE_HYPOTHESIS, e.GET_CLUSTER),
        *(e.LIST_RULES, e.GET_RULE, e.CHECK_RULE, e.BACKTEST_RULE, e.WRITE_RULE, e.SET_RULE, e.REMOVE_RULE),
        *(e.EXPLAIN_ABSENCE, e.LIST_SUPPRESSIONS, e.SUPPRESS, e.LIFT_SUPPRESSION, e.GET_RISKS, e.SWEPT_BY_CORRELATION),
    ),
    asks=(e.GET_SCAN, e.GET_PLAN, e.GET_STORED, e.READ_FACTS, e.READ_FACTS_OF, e.GET_ENTITY),
    doors="services.correlation.api:DOORS",
    consumers="services.correlation.consumers:CONSUMERS",
    tasks="services.correlation.usecases.follow:TASKS",
    migrations="services.correlation.migrations",
    cache_mib=8,
)
