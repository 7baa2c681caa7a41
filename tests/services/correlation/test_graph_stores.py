"""A scan's graph on Neo4j judges, and is read, as the one in SQLite does."""

import random
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from services.contracts.endpoints import FIND_PATHS, READ_GRAPH
from services.contracts.resources.correlation import GraphQuery, PathsQuery
from services.contracts.resources.storage import EntityFacts, RelationFacts
from services.correlation.store import graph as graphs
from services.kernel.graph.neo4j import Neo4jGraph
from services.kernel.server import Server
from tests.servers.running import Server as Running
from tests.services.correlation.observatory import SCAN, WORKSPACE, Observatory, observatory
from tests.services.correlation.test_incremental import ADDRESSES, HOSTS, RULES, as_kept, in_full, rich

pytestmark = [pytest.mark.server]


@pytest.fixture
async def both(
    tmp_path: Path, shared_server: Callable[[str], Running]
) -> AsyncIterator[tuple[Observatory, Observatory]]:
    """The service on SQLite, and on Neo4j."""
    neo4j = Neo4jGraph(Server.parse(shared_server("neo4j").url), pool=2)
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
    async with observatory(tmp_path / "one") as one, observatory(tmp_path / "other", neo4j) as other:
        for each in (one, other):
            each.use(*RULES)
            await each.start()
        yield one, other
        await graphs.drop_graph(neo4j, graphs.space_of(WORKSPACE, SCAN))


async def test_findings_are_the_same_after_every_change(both: tuple[Observatory, Observatory]) -> None:
    chance = random.Random(7)
    facts: list[EntityFacts | RelationFacts] = [place.facts for place in rich().all_places]
    facts += [tie.facts for tie in rich().all_ties]
    for _ in range(12):
        some = chance.sample(facts, 6)
        change = chance.choice(["put", "put", "take_away"])
        for watch in both:
            getattr(watch.book(), change)(*some)
            await watch.catch_up()
        kept = [await as_kept(watch) for watch in both]
        assert kept[0] == kept[1] == await in_full(both[0], RULES)
    assert kept[0]


async def test_paths_and_what_is_around_are_the_same(both: tuple[Observatory, Observatory]) -> None:
    told = []
    for watch in both:
        watch.book().put(*(place.facts for place in rich().all_places), *(tie.facts for tie in rich().all_ties))
        await watch.catch_up()
        query = PathsQuery(scan=SCAN, source=HOSTS[1].value, target=ADDRESSES[0].value, limit=100)
        paths = await watch.ask(FIND_PATHS, query)
        pieces = await watch.follow(READ_GRAPH, GraphQuery(scan=SCAN, around=HOSTS[0].id.hex(), hops=2))
        nodes = {node for piece in pieces for node in piece.nodes}
        edges = {edge for piece in pieces for edge in piece.edges}
        told.append((paths, nodes, edges))
    assert told[0] == told[1]
    assert all(told[0])
