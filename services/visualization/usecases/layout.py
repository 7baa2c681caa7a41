"""Lays out the graph of a scan, or of a part of it."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING
from uuid import UUID

from services.contracts.endpoints import GET_JUDGED, READ_GRAPH
from services.contracts.resources import ScanId
from services.contracts.resources.correlation import GraphQuery
from services.contracts.resources.visualization import LayoutPiece, LayoutQuery
from services.kernel.calls import Caller, Piece
from services.kernel.errors import Invalid
from services.kernel.service import Ports
from services.visualization.usecases import kept
from services.visualization.usecases.making import begun, making_of

if TYPE_CHECKING:
    from services.visualization.domain.gathered import Graph
    from services.visualization.domain.picture import Wanted

#: Nodes that stand for many and are shown as what they stand for, at once.
MOST_OPENED = 20
#: What is around an entity is not looked for beyond a hub with more relations of one type.
FAN = 500


async def lay_out(ports: Ports, caller: Caller, question: LayoutQuery) -> AsyncGenerator[LayoutPiece, None]:
    """The pieces of a picture, the one with what matters most first."""
    for piece in await picture(ports, caller, question):
        yield piece


async def draw_graph(ports: Ports, caller: Caller, question: LayoutQuery) -> AsyncGenerator[Piece, None]:
    """The picture as SVG; the file begins before a large one is made."""
    from services.visualization.domain.drawing.graph import draw

    async with begun(picture(ports, caller, question)) as drawn:
        yield Piece(data=b"", media_type="image/svg+xml", name=f"mirage-{question.scan.hex[:8]}.svg")
        for text in draw(await drawn):
            yield Piece(data=text.encode())


async def picture(ports: Ports, caller: Caller, question: LayoutQuery) -> list[LayoutPiece]:
    """Return a picture: one that was kept, or that somebody has begun to make, or a new one.

    Raises:
        Invalid: the question makes no sense, or the graph is too large.
        NotFound: there is no such scan, or entity in it.
    """
    wanted = _wanted(question)
    return await making_of(ports).share(
        (caller.workspace, question), lambda: _picture(ports, caller.through("visualization"), question, wanted)
    )


async def _picture(ports: Ports, caller: Caller, question: LayoutQuery, wanted: "Wanted") -> list[LayoutPiece]:
    from services.visualization.domain.picture import VERSION

    # As long as correlation has taken in nothing more, the graph is the one that it was, and need not be read.
    judged = await ports.calls.ask(GET_JUDGED, ScanId(question.scan), caller)
    asked = "" if judged.waiting else kept.key_of(VERSION, question, judged)
    if asked and (named := await kept.find(ports, caller.workspace, asked, str)):
        seen = await kept.find(ports, caller.workspace, named, list[LayoutPiece])
        if seen:
            return seen
    async with making_of(ports).turn:
        key, pieces = await _made(ports, caller, question, wanted)
    if asked:
        await kept.keep(ports, caller.workspace, asked, key)
    return pieces


async def _made(ports: Ports, caller: Caller, question: LayoutQuery, wanted: "Wanted") -> tuple[str, list[LayoutPiece]]:
    """Return a picture of what the graph is now, and what it is kept under."""
    from services.visualization.domain.picture import VERSION, pictured, places_of

    graph = await _graph(ports, caller, question, wanted)
    earlier = await _earlier(ports, caller.workspace, question.after)
    options = (wanted.layout, wanted.limit, sorted(wanted.opened), wanted.middle)
    key = kept.key_of(VERSION, graph.digest, options, question.after if earlier else "")
    found = await kept.find(ports, caller.workspace, key, list[LayoutPiece])
    if found:
        return key, found
    before = None if earlier is None else places_of(earlier)
    made = await making_of(ports).beside(lambda check: pictured(graph, wanted, key, check, before))
    await kept.keep(ports, caller.workspace, key, made)
    return key, made


async def _graph(ports: Ports, caller: Caller, question: LayoutQuery, wanted: "Wanted") -> "Graph":
    from services.visualization.domain.gathered import Gathering

    gathering = Gathering(word for word in question.types.split(",") if word)
    asked = GraphQuery(scan=question.scan, around=wanted.middle, hops=question.hops, fan=FAN)
    async with aclosing(ports.calls.follow(READ_GRAPH, asked, caller)) as pieces:
        async for piece in pieces:
            gathering.add(piece.nodes, piece.edges)
    return await making_of(ports).beside(lambda _: gathering.gathered())


async def _earlier(ports: Ports, workspace: UUID, key: str) -> list[LayoutPiece] | None:
    return await kept.find(ports, workspace, key, list[LayoutPiece]) if key else None


def _wanted(question: LayoutQuery) -> "Wanted":
    from services.visualization.domain.picture import Wanted

    opened = frozenset(word for word in question.opened.split(",") if word)
    if len(opened) > MOST_OPENED:
        raise Invalid(f"at most {MOST_OPENED} nodes are opened at once, and these are {len(opened)}")
    try:
        middle = bytes.fromhex(question.around.replace("-", ""))
    except ValueError:
        middle = b"?"
    if len(middle) not in {0, 16}:
        raise Invalid("around is the id of an entity")
    return Wanted(layout=question.layout, limit=question.limit, opened=opened, middle=middle.hex())
