from typing import Final

from services.kernel.service import Service

service: Final = Service(
    name="reporting",
    summary="Makes reports and exports of what was found, each statement with what proves it.",
    needs=("bus", "documents", "sql"),
    doors="services.reporting.api:DOORS",
)
