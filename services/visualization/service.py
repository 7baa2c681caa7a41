from typing import Final

from services.contracts import endpoints as e
from services.kernel.service import Service

service: Final = Service(
    name="visualization",
    summary="Lays graphs out, and makes series for timelines, charts and maps; keeps what it made.",
    needs=("cache",),
    answers=(
        e.LAY_OUT,
        e.DRAW_GRAPH,
        e.GET_SERIES,
        e.GET_TIMELINE,
        e.GET_MAP,
        e.GET_WORLD,
        e.DRAW_CHART,
    ),
    asks=(e.READ_GRAPH, e.GET_JUDGED, e.READ_FACTS, e.GET_STORED, e.LIST_FINDINGS, e.GET_SCAN),
    doors="services.visualization.api:DOORS",
    memory_mib=512,
)
