from typing import Final

from services.contracts import endpoints as e
from services.contracts.commands import Record
from services.kernel.service import Service

service: Final = Service(
    name="correlation",
    summary="Keeps the graph of each scan, judges it by rules, and explains what was found.",
    needs=("sql", "bus", "graph"),
    publishes=(Record,),
    answers=(
        e.GET_CONFIDENCE,
        e.GET_POLICY,
        e.SET_POLICY,
        e.LIST_HYPOTHESES,
        e.DECIDE_HYPOTHESIS,
        e.GET_CLUSTER,
    ),
    asks=(e.GET_ENTITY,),
    doors="services.correlation.api:DOORS",
    migrations="services.correlation.migrations",
)
