"""A picture of a graph as SVG, in pieces: edges, nodes, names where there is room for them, and what colours mean."""

from collections.abc import Iterator, Sequence
from typing import Final

from services.contracts.resources.visualization import LayoutHead, LayoutPiece, PlacedNode
from services.visualization.domain.drawing.text import CLOSING, FAINT, INK, colours_of, label, legend, opening, written

#: How wide a drawing is, how high at most, and the margin within which names may reach out.
WIDTH, HIGHEST, MARGIN = 1600.0, 2400.0, 60.0
#: Names that are looked for a place, the first first, and how long they are.
NAMED, LONGEST = 250, 34
#: So many have a name in any case, where no other name is in the way.
ALWAYS: Final = 20
#: The smallest and the largest radius of a node, in points.
SMALLEST, LARGEST = 1.6, 22.0
#: Elements in one piece of text.
TOGETHER: Final = 500
#: The side of the squares by which room for names is looked for.
SQUARE: Final = 40.0


def draw(pieces: Sequence[LayoutPiece]) -> Iterator[str]:
    """The text of the drawing, piece by piece."""
    head = pieces[0].head
    if head is None:
        return
    frame = _Frame(head)
    colours = colours_of(sorted(head.types, key=lambda name: (-head.types[name], name)))
    shown = (
        f"{head.nodes_shown:,} of {head.nodes:,} entities"
        if head.nodes_shown < head.nodes
        else f"{head.nodes:,} entities"
    )
    names = [(f"{name} {head.types[name]:,}", colour) for name, colour in colours.items()]
    swatches, bottom = legend(names[:24], MARGIN, frame.bottom + 28, WIDTH - 2 * MARGIN)
    yield opening(WIDTH, bottom + 14, f"{shown} and {head.edges:,} relations")
    nodes = {node.id: node for piece in pieces for node in piece.nodes}
    yield from _edges(pieces, nodes, frame)
    order = list(nodes.values())
    for start in range(0, len(order), TOGETHER):
        yield "\n".join(_node(node, frame, colours) for node in order[start : start + TOGETHER]) + "\n"
    yield _names(order, frame)
    yield label(MARGIN, 30, f"{shown}, {head.edges:,} relations", most=200, size=13, ink=FAINT) + "\n"
    yield swatches
    yield CLOSING


class _Frame:
    """Where places are in the drawing; it is filled, in width or in height."""

    def __init__(self, head: LayoutHead) -> None:
        across, down = head.high[0] - head.low[0], head.high[1] - head.low[1]
        self.scale = min(40.0, (WIDTH - 2 * MARGIN) / max(across, 1e-6), (HIGHEST - 2 * MARGIN) / max(down, 1e-6))
        self._left = (WIDTH - across * self.scale) / 2 - head.low[0] * self.scale
        self._top = MARGIN - head.low[1] * self.scale
        self.bottom = max(down * self.scale + 2 * MARGIN, 120.0)

    def at(self, node: PlacedNode) -> tuple[float, float]:
        return node.x * self.scale + self._left, node.y * self.scale + self._top

    def radius(self, node: PlacedNode) -> float:
        return min(LARGEST, max(SMALLEST, node.size * self.scale * 0.55))


def _edges(pieces: Sequence[LayoutPiece], nodes: dict[str, PlacedNode], frame: _Frame) -> Iterator[str]:
    edges = [edge for piece in pieces for edge in piece.edges]
    faint = 0.5 if len(edges) < 500 else 0.32 if len(edges) < 3_000 else 0.16
    yield f'<g stroke="#52606d" stroke-opacity="{faint}" fill="none">\n'
    for start in range(0, len(edges), TOGETHER):
        lines = []
        for edge in edges[start : start + TOGETHER]:
            (x, y), (to_x, to_y) = frame.at(nodes[edge.source]), frame.at(nodes[edge.target])
            wide = "" if edge.count == 1 else f' stroke-width="{min(5.0, 1 + edge.count**0.5 / 3):.1f}"'
            lines.append(f'<path d="M{x:.1f} {y:.1f}L{to_x:.1f} {to_y:.1f}"{wide}/>')
        yield "\n".join(lines) + "\n"
    yield "</g>\n"


def _node(node: PlacedNode, frame: _Frame, colours: dict[str, str]) -> str:
    x, y = frame.at(node)
    radius, colour = frame.radius(node), colours.get(node.type, FAINT)
    ring = "" if node.role != "target" else f' stroke="{INK}" stroke-width="2"'
    if node.count > 1:
        ring = f' stroke="{colour}" stroke-width="2" fill-opacity="0.35"'
    told = f"{node.type}: {node.value}" + (f", and {node.count - 1:,} more" if node.count > 1 else "")
    return (
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" fill="{colour}"{ring}>'
        f"<title>{written(told, 240)}</title></circle>"
    )


class _Room:
    """What is taken of a drawing, by squares, so that a name is compared with what is near it only."""

    def __init__(self) -> None:
        self._taken: dict[tuple[int, int], list[tuple[float, float, float, float]]] = {}

    def take(self, box: tuple[float, float, float, float]) -> None:
        for square in self._squares(box):
            self._taken.setdefault(square, []).append(box)

    def is_free(self, box: tuple[float, float, float, float]) -> bool:
        left, top, right, bottom = box
        return not any(
            left < other[2] and other[0] < right and top < other[3] and other[1] < bottom
            for square in self._squares(box)
            for other in self._taken.get(square, ())
        )

    def _squares(self, box: tuple[float, float, float, float]) -> Iterator[tuple[int, int]]:
        left, top, right, bottom = (int(edge // SQUARE) for edge in box)
        return ((across, down) for across in range(left, right + 1) for down in range(top, bottom + 1))


def _names(nodes: Sequence[PlacedNode], frame: _Frame) -> str:
    """The names of those that matter most, each where neither a name nor a node is in its way.

    The first few are written across nodes where there is no other place: without them nobody knows where he is.
    """
    names, whole = _Room(), _Room()
    for node in nodes:
        (x, y), radius = frame.at(node), frame.radius(node) * 0.8
        whole.take((x - radius, y - radius, x + radius, y + radius))
    parts = ['<g stroke="#ffffff" stroke-width="3" stroke-linejoin="round" paint-order="stroke">']
    for rank, node in enumerate(nodes[:NAMED]):
        text = f"{node.value} (+{node.count - 1:,})" if node.count > 1 else node.value
        for room in (whole, names) if rank < ALWAYS else (whole,):
            if box := _place(node, 6.1 * min(len(text), LONGEST), frame, room):
                names.take(box)
                whole.take(box)
                parts.append(label(box[0], box[3] - 2, text, most=LONGEST))
                break
    parts.append("</g>\n")
    return "\n".join(parts)


def _place(node: PlacedNode, width: float, frame: _Frame, room: _Room) -> tuple[float, float, float, float] | None:
    """Where a name of some width has room: beside its node, first outwards, or above or below it."""
    (x, y), radius = frame.at(node), frame.radius(node)
    beside = [(x + radius + 3, y + 4), (x - radius - 3 - width, y + 4)]
    if x < WIDTH / 2:
        beside.reverse()
    above, below = y - radius - 4, y + radius + 12
    for left, base in (*beside, (x - width / 2, above), (x - width / 2, below), (x, above), (x - width, below)):
        box = (left, base - 9, left + width, base + 2)
        if left > 2 and left + width < WIDTH - 2 and room.is_free(box):
            return box
    return None
