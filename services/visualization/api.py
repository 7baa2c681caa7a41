"""What visualization answers."""

from collections.abc import Callable
from typing import Any, Final

from services.contracts import endpoints as e
from services.contracts.resources.visualization import World, WorldQuery
from services.kernel.calls import Caller, Endpoint
from services.kernel.service import Ports
from services.visualization.usecases import layout, series


async def get_world(ports: Ports, caller: Caller, question: WorldQuery) -> World:
    return series.world()


DOORS: Final[dict[Endpoint[Any, Any], Callable[..., Any]]] = {
    e.LAY_OUT: layout.lay_out,
    e.DRAW_GRAPH: layout.draw_graph,
    e.GET_SERIES: series.get_series,
    e.GET_TIMELINE: series.get_timeline,
    e.GET_MAP: series.get_map,
    e.GET_WORLD: get_world,
    e.DRAW_CHART: series.draw_chart,
}
