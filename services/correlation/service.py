from typing import Final

from services.kernel.service import Service

service: Final = Service(
    name="correlation",
    summary="Keeps the graph of each scan, judges it by rules, and explains what was found.",
    needs=("sql", "bus", "graph"),
    doors="services.correlation.api:DOORS",
)
