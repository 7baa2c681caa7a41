"""Graphs laid out, timelines, series and maps: what a page or a report draws, with nothing left to compute."""

from typing import Annotated, Literal
from uuid import UUID

from msgspec import Meta, Struct

LayoutName = Literal["force", "layered", "radial"]
#: What a node of a picture is: an entity, leaves of one type around one hub, what hangs together, or all the rest.
Standing = Literal["node", "leaves", "cluster", "rest"]
#: What a series counts: entities by type and role, work items by module and outcome, findings by category and severity,
#: addresses by country and provider.
SeriesName = Literal["types", "outcomes", "severities", "providers"]
#: What a timeline counts: entities when they were first seen, findings when they were first found, certificates when
#: they end.
TimelineName = Literal["entities", "findings", "certificates"]
ChartName = Literal["types", "outcomes", "severities", "providers", "entities", "findings", "certificates", "map"]
Step = Literal["hour", "day", "week", "month", "year"]

Shown = Annotated[int, Meta(ge=10, le=20_000)]
Words = Annotated[str, Meta(max_length=2_000)]


class LayoutQuery(Struct, frozen=True, kw_only=True):
    """The graph of a scan, or what is within ``hops`` of the entity ``around`` (an id), laid out.

    ``types`` restricts entities, ``opened`` names nodes that stand for many and are to be shown as what they stand for:
    words, comma between them. Of a larger graph about ``limit`` nodes are shown. ``after``: the key of an earlier
    layout, in whose places is left what was there.
    """

    scan: UUID
    layout: LayoutName = "force"
    around: Annotated[str, Meta(max_length=36)] = ""
    hops: Annotated[int, Meta(ge=1, le=5)] = 1
    types: Words = ""
    limit: Shown = 2_000
    opened: Words = ""
    after: Annotated[str, Meta(max_length=64)] = ""


class LayoutHead(Struct, frozen=True, kw_only=True):
    """What a layout is of: how many nodes and edges the graph has, and how many are shown.

    ``low`` and ``high`` are corners of all places. ``types``: how many entities of each type the graph has.
    ``continued``: what ``after`` named was still there.
    """

    key: str
    layout: LayoutName
    nodes: int
    edges: int
    nodes_shown: int
    edges_shown: int
    low: tuple[float, float]
    high: tuple[float, float]
    types: dict[str, int]
    continued: bool = False


class PlacedNode(Struct, frozen=True, array_like=True):
    """A node: its id (hex), place and radius, in units of about the distance of two neighbours.

    One that stands for many has their ``count``, and type, value and role of the one that is joined to most.
    """

    id: str
    x: float
    y: float
    size: float
    stands: Standing
    type: str
    value: str
    role: str
    count: int
    first_seen: int


class PlacedEdge(Struct, frozen=True, array_like=True):
    """An edge between two nodes by their ids: how many relations it is, and their type where they are of one."""

    source: str
    target: str
    type: str
    count: int


class LayoutPiece(Struct, frozen=True, kw_only=True):
    """Some of a layout: the first piece has the head, what is joined to most comes first.

    An edge comes when both of its nodes have.
    """

    head: LayoutHead | None = None
    nodes: tuple[PlacedNode, ...] = ()
    edges: tuple[PlacedEdge, ...] = ()


class SeriesQuery(Struct, frozen=True, kw_only=True):
    """``all``: also what lies outside the scope."""

    scan: UUID
    of: SeriesName
    all: bool = False


class Cell(Struct, frozen=True):
    """How many there are of a row and a column, by their places in the lists of these."""

    row: int
    column: int
    count: int


class Series(Struct, frozen=True, kw_only=True):
    """Counts by rows and columns, the largest rows first; ``cells`` has those that are not 0.

    The last row is ``other`` where there are too many.
    """

    of: SeriesName
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    cells: tuple[Cell, ...]
    total: int


class TimelineQuery(Struct, frozen=True, kw_only=True):
    """``all``: also what lies outside the scope."""

    scan: UUID
    of: TimelineName
    all: bool = False


class Timeline(Struct, frozen=True, kw_only=True):
    """Counts by group and step of time; ``begins`` of each step are UTC microseconds, without a gap.

    ``counts`` has for each group one number a step. ``outside``: how many have a time of no sense.
    """

    of: TimelineName
    step: Step
    begins: tuple[int, ...]
    groups: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    total: int
    outside: int = 0


class MapQuery(Struct, frozen=True, kw_only=True):
    """``all``: also what lies outside the scope."""

    scan: UUID
    all: bool = False


class MapPoint(Struct, frozen=True):
    """A place on the map, in degrees, with how many things are there and one of them."""

    longitude: float
    latitude: float
    count: int
    value: str


class MapView(Struct, frozen=True, kw_only=True):
    """How many things are in each country (ISO 3166-1 alpha-2), and at which points; up to 5,000 of these.

    ``nowhere``: how many are in a country that the map does not know.
    """

    countries: dict[str, int]
    points: tuple[MapPoint, ...]
    nowhere: int = 0


class WorldQuery(Struct, frozen=True, kw_only=True):
    """The outlines of all countries."""


class CountryShape(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A country: a point in it, and its outlines as longitudes and latitudes by turns; small ones have none."""

    code: str
    name: str
    at: tuple[float, float]
    rings: tuple[tuple[float, ...], ...] = ()


class World(Struct, frozen=True, kw_only=True):
    """``source`` says where it is from, and under which licence."""

    source: str
    countries: tuple[CountryShape, ...]


class ChartQuery(Struct, frozen=True, kw_only=True):
    """A series, a timeline or the map, as a drawing (SVG); ``all``: also what lies outside the scope."""

    scan: UUID
    of: ChartName
    all: bool = False
