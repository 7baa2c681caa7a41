"""What visualization is asked."""

from typing import Final

from services.contracts.resources import visualization as r
from services.kernel.calls import Endpoint, Piece

LAY_OUT: Final = Endpoint(
    service="visualization", name="lay_out", method="GET", path="/v1/scans/{scan}/layout", needs="results.read",
    takes=r.LayoutQuery, answers=r.LayoutPiece, streams=True,
    summary="Lay out the graph of a scan, or of a part of it; what is joined to most comes first.",
)  # fmt: skip
DRAW_GRAPH: Final = Endpoint(
    service="visualization", name="draw_graph", method="GET", path="/v1/scans/{scan}/layout/drawing",
    needs="results.read", takes=r.LayoutQuery, answers=Piece, streams=True, file=True,
    summary="Draw the graph of a scan, or of a part of it, as SVG.",
)  # fmt: skip
GET_SERIES: Final = Endpoint(
    service="visualization", name="get_series", method="GET", path="/v1/scans/{scan}/series/{of}",
    needs="results.read", takes=r.SeriesQuery, answers=r.Series, summary="Count what a scan has by two things.",
)  # fmt: skip
GET_TIMELINE: Final = Endpoint(
    service="visualization", name="get_timeline", method="GET", path="/v1/scans/{scan}/timelines/{of}",
    needs="results.read", takes=r.TimelineQuery, answers=r.Timeline, summary="Count what a scan has over time.",
)  # fmt: skip
GET_MAP: Final = Endpoint(
    service="visualization", name="get_map", method="GET", path="/v1/scans/{scan}/map", needs="results.read",
    takes=r.MapQuery, answers=r.MapView, summary="Say where in the world what a scan has is.",
)  # fmt: skip
GET_WORLD: Final = Endpoint(
    service="visualization", name="get_world", method="GET", path="/v1/world", needs="results.read",
    takes=r.WorldQuery, answers=r.World, summary="Give the outlines of all countries.",
)  # fmt: skip
DRAW_CHART: Final = Endpoint(
    service="visualization", name="draw_chart", method="GET", path="/v1/scans/{scan}/charts/{of}",
    needs="results.read", takes=r.ChartQuery, answers=Piece, streams=True, file=True,
    summary="Draw a series, a timeline or the map of a scan as SVG.",
)  # fmt: skip
