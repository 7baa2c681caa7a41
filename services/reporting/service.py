from typing import Final

from services.contracts import endpoints as e
from services.contracts.commands import Record
from services.kernel.service import Service

service: Final = Service(
    name="reporting",
    summary="Makes reports and exports of what was found, each statement with what proves it.",
    needs=("bus", "documents", "sql"),
    publishes=(Record,),
    answers=(e.EXPORT,),
    asks=(e.GET_FINDING, e.GET_PLAN, e.GET_SCAN, e.LIST_CLAIMS, e.LIST_FINDINGS, e.READ_FACTS),
    doors="services.reporting.api:DOORS",
)
