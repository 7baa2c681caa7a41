"""The graph of a scan on the port `graph`: each entity a node and each relation an edge, with what was said of it.

Every scan has a graph of its own: what a scan is judged by is what it says, whatever others said of the same things.
"""

from collections import OrderedDict
from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from hashlib import blake2b
from typing import Final
from uuid import UUID

import msgspec

from services.contracts.claims import entity_id
from services.contracts.entities import ENTITY_TYPES
from services.contracts.relations import RELATION_TYPES
from services.contracts.resources.storage import EntityFacts, RelationFacts
from services.correlation.domain.confidence import Judge
from services.correlation.domain.world import UNDATED, Direction, Place, Tie
from services.kernel.graph import MAX_LIMIT, Condition, Edge, Graph, Node, NodePattern, Pattern

#: The property that has what was said, as JSON; the others are for who draws the graph or looks along it.
FACTS: Final = "facts"
#: The property by which an entity is found that a person names, as far as it is kept.
VALUE: Final = "value"
MAX_VALUE: Final = 1_000
#: Seconds that one question of a judgement may take.
PATIENCE: Final = 60.0
#: Entities that are kept beside each other while rules are judged.
REMEMBERED: Final = 20_000

_encode = msgspec.json.Encoder().encode
_entity_facts = msgspec.json.Decoder(EntityFacts).decode
_relation_facts = msgspec.json.Decoder(RelationFacts).decode


def space_of(workspace: UUID, scan: UUID) -> UUID:
    """What the port takes for a workspace: one scan of one."""
    return UUID(bytes=blake2b(workspace.bytes + scan.bytes, digest_size=16).digest())


async def declare(graph: Graph) -> None:
    """Make every type of entity and relation known."""
    await graph.declare(dict.fromkeys(ENTITY_TYPES, (VALUE,)), list(RELATION_TYPES))


async def put_facts(
    graph: Graph, space: UUID, entities: Sequence[EntityFacts], relations: Sequence[RelationFacts]
) -> None:
    """Write what is said of entities and relations now in place of what was."""
    await graph.put_nodes(
        space,
        [
            Node(each.entity.id, each.entity.type, {FACTS: _encode(each).decode(), VALUE: value[:MAX_VALUE]})
            for each, value in ((each, each.entity.value) for each in entities)
        ],
    )
    await graph.put_edges(space, [_edge(each) for each in relations])


async def drop_entities(graph: Graph, space: UUID, ids: Sequence[bytes]) -> None:
    await graph.delete_nodes(space, ids)


async def drop_relations(graph: Graph, space: UUID, ties: Sequence[Tie]) -> None:
    await graph.delete_edges(space, [_edge(tie.facts) for tie in ties])


async def drop_graph(graph: Graph, space: UUID) -> None:
    await graph.drop(space)


def _edge(facts: RelationFacts) -> Edge:
    source, target = (entity_id(end.type, end.key) for end in (facts.source, facts.target))
    return Edge(facts.type, source, target, facts.id, {FACTS: _encode(facts).decode()})


def place_of(node: Node, judge: Judge = UNDATED) -> Place | None:
    """What a node stands for; None where only edges have spoken of it."""
    facts = node.properties.get(FACTS)
    return Place(_entity_facts(facts), judge) if isinstance(facts, str) else None


def tie_of(edge: Edge, judge: Judge = UNDATED) -> Tie:
    return Tie(_relation_facts(str(edge.properties[FACTS])), judge)


class GraphWorld:
    """The facts of one scan, read from its graph; places are remembered, ties are not."""

    def __init__(self, graph: Graph, space: UUID, judge: Judge = UNDATED) -> None:
        self._graph = graph
        self._space = space
        self.judge = judge
        self._places: OrderedDict[bytes, Place | None] = OrderedDict()

    async def of_types(self, types: Collection[str]) -> AsyncIterator[Sequence[Place]]:
        for kind in types:
            pattern, cursor = Pattern((NodePattern("it", (kind,)),)), None
            while True:
                page = await self._graph.match(self._space, pattern, limit=MAX_LIMIT, cursor=cursor, seconds=PATIENCE)
                nodes = await self._graph.nodes(self._space, [match.nodes["it"] for match in page.matches])
                yield [place for node in nodes if (place := place_of(node, self.judge)) is not None]
                cursor = page.cursor
                if cursor is None:
                    break

    async def find(self, value: str, types: Collection[str]) -> list[Place]:
        """The entities of these types that are called so, a hundred at most, in the order of the types."""
        called = Condition(VALUE, "=", value[:MAX_VALUE])
        found: list[Place] = []
        for kind in types:
            pattern = Pattern((NodePattern("it", (kind,), (called,)),))
            page = await self._graph.match(self._space, pattern, limit=100, seconds=PATIENCE)
            known = await self.places([match.nodes["it"] for match in page.matches])
            found += [place for place in known.values() if place.value == value]
        return found[:100]

    async def places(self, ids: Collection[bytes]) -> dict[bytes, Place]:
        found: dict[bytes, Place] = {}
        unknown: list[bytes] = []
        for each in ids:
            if each in self._places:
                self._places.move_to_end(each)
                if (known := self._places[each]) is not None:
                    found[each] = known
            else:
                unknown.append(each)
        for start in range(0, len(unknown), MAX_LIMIT):
            piece = unknown[start : start + MAX_LIMIT]
            nodes = await self._graph.nodes(self._space, piece)
            read = {node.id: place_of(node, self.judge) for node in nodes}
            found |= {key: place for key, place in read.items() if place is not None}
            self._remember(dict.fromkeys(piece) | read)
        return found

    async def ties(
        self, ids: Collection[bytes], types: Sequence[str], direction: Direction
    ) -> AsyncIterator[Sequence[Tie]]:
        wanted = sorted(ids)
        for start in range(0, len(wanted), MAX_LIMIT):
            cursor = None
            while True:
                page = await self._graph.neighbours(
                    self._space,
                    wanted[start : start + MAX_LIMIT],
                    types=types,
                    direction=direction,
                    limit=MAX_LIMIT,
                    cursor=cursor,
                    seconds=PATIENCE,
                )
                yield [tie_of(edge, self.judge) for edge in page.edges]
                cursor = page.cursor
                if cursor is None:
                    break

    def _remember(self, places: Iterable[tuple[bytes, Place | None]] | dict[bytes, Place | None]) -> None:
        self._places.update(places)
        while len(self._places) > REMEMBERED:
            self._places.popitem(last=False)
