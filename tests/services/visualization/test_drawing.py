"""Drawings: what is collected is text in them and nothing else, whatever it looks like."""

from xml.etree import ElementTree as ET

import pytest

from services.contracts.resources.visualization import (
    Cell,
    CountryShape,
    LayoutName,
    LayoutPiece,
    MapPoint,
    MapView,
    Series,
    Timeline,
    World,
)
from services.visualization.domain.drawing.charts import draw_map, draw_series, draw_timeline
from services.visualization.domain.drawing.graph import draw
from services.visualization.domain.picture import Wanted, pictured
from services.visualization.usecases.series import world
from tests.services.visualization.worlds import company, edge, gathered, node

HOSTILE = (
    "</text><script>alert(1)</script>",
    '" onload="alert(1)',
    "' onclick='alert(1)",
    "<![CDATA[x]]><!-- <?x ?>",
    "&lt;b&gt;&#x3c;script&#x3e;&evil;",
    "javascript:alert(1)",
    "nul\x00 bell\x07 escape\x1b[31m",
    "right\u202eto left\u2066\u200f",
    "half of a pair \ud800",
    "\ufffe\uffff\U000e0041",
    "x" * 100_000,
    "https://example.org/?a=1&b=<2>",
)
#: What a drawing is made of.
ELEMENTS = {"svg", "title", "rect", "g", "path", "circle", "text"}


def read(text: str) -> ET.Element:
    """The drawing, as a parser reads it, once it has been seen that it holds nothing but shapes and text."""
    root = ET.fromstring(text.encode())
    for element in root.iter():
        assert element.tag.removeprefix("{http://www.w3.org/2000/svg}") in ELEMENTS
        assert not [name for name in element.attrib if name.startswith("on") or "href" in name or name == "style"]
        assert "url(" not in "".join(element.attrib.values())
    assert not set("\x00\x07\x1b\u202e\u2066\u200f\ud800\ufffe") & set(text)
    return root


def words(root: ET.Element) -> list[str]:
    return [element.text or "" for element in root.iter() if element.tag.endswith(("text", "title"))]


def picture(*values: str, layout: LayoutName = "force") -> list[LayoutPiece]:
    nodes = [node(1 + number, value=value) for number, value in enumerate(values)]
    graph = gathered(nodes, [edge(1, 1 + number) for number in range(1, len(values))])
    return pictured(graph, Wanted(layout=layout, limit=100), "key", lambda: None)


def test_hostile_names_are_text_in_a_graph() -> None:
    text = "".join(draw(picture(*HOSTILE)))
    assert any("</text><script>alert(1)</script>" in each for each in words(read(text)))
    assert len(text) < 20_000


@pytest.mark.parametrize("value", HOSTILE)
def test_hostile_names_are_text_in_charts(value: str) -> None:
    series = Series(of="providers", rows=(value,), columns=(value,), cells=(Cell(0, 0, 3),), total=3)
    timeline = Timeline(of="entities", step="day", begins=(0,), groups=(value,), counts=((3,),), total=3)
    country = CountryShape(code="XX", name=value, at=(0, 0), rings=((0.0, 0.0, 9.0, 0.0, 9.0, 9.0),))
    view = MapView(countries={"XX": 2}, points=(MapPoint(1.0, 1.0, 2, value),), nowhere=1)
    for text in (draw_series(series), draw_timeline(timeline), draw_map(view, World(source="", countries=(country,)))):
        assert len(words(read("".join(text)))) >= 3


@pytest.mark.parametrize("layout", ["force", "radial", "layered"])
def test_a_graph_has_a_circle_for_each_node_and_a_line_for_each_edge(layout: LayoutName) -> None:
    graph = gathered(*company(60))
    pieces = pictured(graph, Wanted(layout=layout, limit=2_000), "key", lambda: None)
    root = read("".join(draw(pieces)))
    head = pieces[0].head
    assert head is not None
    types = len(head.types)
    assert len(root.findall(".//{*}circle")) == graph.network.size + types
    assert len(root.findall(".//{*}path")) == len(graph.network.source) == head.edges_shown
    assert f"{graph.network.size:,} entities" in "".join(words(root))


def test_no_name_covers_another() -> None:
    root = read("".join(draw(pictured(gathered(*company(200)), Wanted(layout="force", limit=2_000), "", lambda: None))))
    names = root.findall(".//{*}g/{*}text")
    boxes = [(float(each.attrib["x"]), float(each.attrib["y"]), 6.1 * len(each.text or "")) for each in names]
    assert len(boxes) > 20
    for number, (x, y, width) in enumerate(boxes):
        assert not [1 for ox, oy, wide in boxes[:number] if abs(y - oy) < 9 and x < ox + wide and ox < x + width]


def test_what_is_nothing_is_drawn_as_nothing() -> None:
    read("".join(draw(pictured(gathered([], []), Wanted(layout="force", limit=10), "", lambda: None))))
    read("".join(draw_series(Series(of="types", rows=(), columns=(), cells=(), total=0))))
    read("".join(draw_timeline(Timeline(of="entities", step="day", begins=(), groups=(), counts=(), total=0))))
    read("".join(draw_map(MapView(countries={}, points=()), world())))


def test_the_same_picture_is_the_same_drawing() -> None:
    drawn = {"".join(draw(picture("a.example.org", "b.example.org", "c.example.org"))) for _ in range(3)}
    assert len(drawn) == 1
