from typing import Final

from services.kernel.service import Service

service: Final = Service(
    name="visualization",
    summary="Lays graphs out, and makes series for timelines, charts and maps; keeps what it made.",
    needs=("cache",),
    doors="services.visualization.api:DOORS",
)
