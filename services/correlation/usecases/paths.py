"""How two entities of a scan are connected, and what is around one."""

from collections.abc import AsyncGenerator, Collection
from typing import Final

from services.contracts.entities import ENTITY_TYPES
from services.contracts.relations import RELATION_TYPES
from services.contracts.resources.correlation import (
    GraphEdge,
    GraphNode,
    GraphPiece,
    GraphQuery,
    PathsQuery,
    PathStep,
    PathView,
)
from services.correlation.domain.world import Place, Tie
from services.correlation.store import graph as graphs
from services.correlation.store.graph import GraphWorld
from services.correlation.usecases.findings import check_scan
from services.correlation.usecases.worlds import named_in, world_of
from services.kernel.calls import Caller
from services.kernel.errors import Invalid, NotFound
from services.kernel.graph import Path
from services.kernel.service import Ports

#: Seconds that the search for a path may take.
PATIENCE: Final = 20.0


async def find_paths(ports: Ports, caller: Caller, query: PathsQuery) -> tuple[PathView, ...]:
    """The shortest paths between two entities, each step with who said so.

    Raises:
        NotFound: the scan has no such entity.
    """
    for kind in query.types:
        if kind not in RELATION_TYPES:
            raise Invalid(f"{kind[:60]!r} is no type of relation")
    await check_scan(ports, caller, query.scan)
    space = graphs.space_of(caller.workspace, query.scan)
    world, _ = await world_of(ports, caller.workspace, query.scan)
    source = await _entity(world, query.source, query.source_type)
    target = await _entity(world, query.target, query.target_type)
    paths = await ports.graph.paths(
        space, source.id, target.id, types=query.types, max_hops=query.max_hops, limit=query.limit, seconds=PATIENCE
    )
    places = await world.places({node for path in paths for node in path.nodes})
    views = [_view(path, places) for path in paths]
    return tuple(sorted(views, key=lambda view: [(step.to.type, step.to.value, step.type) for step in view.steps]))


def _view(path: Path, places: dict[bytes, Place]) -> PathView:
    steps = []
    for place, edge in enumerate(path.edges):
        tie = graphs.tie_of(edge)
        said = tie.facts.said
        steps.append(
            PathStep(
                relation=tie.id.hex(),
                type=tie.type,
                forward=edge.source == path.nodes[place],
                to=places[path.nodes[place + 1]].named,
                qualifiers=tie.facts.qualifiers,
                modules=tuple(sorted({f"{each.module}@{each.version}" for each in said})),
                evidence=tuple(sorted({record.hex() for each in said for record in each.evidence})[:10]),
                at=max((each.at for each in said), default=0),
            )
        )
    return PathView(start=places[path.nodes[0]].named, steps=tuple(steps))


async def _entity(world: GraphWorld, value: str, kind: str | None) -> Place:
    """The entity of a value in a scan: of the type that is said, or of the first that it can be."""
    found = await named_in(world, value, kind)
    if not found:
        raise NotFound(f"the scan has no {kind or 'entity'} {value[:200]}")
    return found[0]


async def read_graph(ports: Ports, caller: Caller, query: GraphQuery) -> AsyncGenerator[GraphPiece, None]:
    """The graph of a scan, type by type, each with the relations that lead from there; or what is around an entity."""
    for kind in query.types:
        if kind not in ENTITY_TYPES:
            raise Invalid(f"{kind[:60]!r} is no type of entity")
    await check_scan(ports, caller, query.scan)
    world, _ = await world_of(ports, caller.workspace, query.scan)
    kinds = query.types or tuple(ENTITY_TYPES)
    if query.around:
        async for piece in _around(world, query, kinds):
            yield piece
        return
    async for places in world.of_types(kinds):
        yield GraphPiece(nodes=tuple(map(_node, places)))
        async for ties in world.ties([place.id for place in places], (), "out"):
            yield GraphPiece(edges=tuple(_edge(tie) for tie in ties if tie.facts.target.type in kinds))


async def _around(world: GraphWorld, query: GraphQuery, kinds: Collection[str]) -> AsyncGenerator[GraphPiece, None]:
    try:
        center = bytes.fromhex(query.around.replace("-", ""))
    except ValueError as error:
        raise Invalid("around is the id of an entity") from error
    seen = await world.places([center])
    if not seen:
        raise NotFound("the scan has no such entity")
    yield GraphPiece(nodes=tuple(map(_node, seen.values())))
    edge, known, told = set(seen), set(seen), set[bytes]()
    for _ in range(query.hops):
        fans: dict[tuple[bytes, str, bool], int] = {}
        further: set[bytes] = set()
        async for ties in world.ties(edge, (), "both"):
            kept = [tie for tie in ties if tie.id not in told and _within_fan(tie, edge, fans, query.fan)]
            ends = {tie.source for tie in kept} | {tie.target for tie in kept}
            fresh = await world.places(ends - known)
            fresh = {key: place for key, place in fresh.items() if place.type in kinds}
            known |= fresh.keys()
            further |= fresh.keys()
            told |= {tie.id for tie in kept}
            joined = tuple(_edge(tie) for tie in kept if {tie.source, tie.target} <= known)
            yield GraphPiece(nodes=tuple(map(_node, fresh.values())), edges=joined)
        edge = further
        if not edge:
            return


def _within_fan(tie: Tie, edge: Collection[bytes], fans: dict[tuple[bytes, str, bool], int], fan: int) -> bool:
    """Whether a relation is among the first of its type that lead from, or to, where it begins."""
    end = tie.source if tie.source in edge else tie.target
    key = (end, tie.type, end == tie.source)
    fans[key] = fans.get(key, 0) + 1
    return fans[key] <= fan


def _node(place: Place) -> GraphNode:
    facts = place.facts
    return GraphNode(place.id, place.type, place.value, facts.role or "", facts.first_seen, place.judge.exists(facts))


def _edge(tie: Tie) -> GraphEdge:
    said = tie.facts.said
    first = min((each.at for each in said), default=0)
    return GraphEdge(tie.id, tie.type, tie.source, tie.target, first, tie.judge.number_of(tie.type, said))
