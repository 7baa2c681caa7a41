"""What only the SQLite adapter of `graph` does: use its indexes, bound what it looks at, outlive its process."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from services.kernel.errors import Exhausted
from services.kernel.graph import Condition, Edge, Hop, Node, NodePattern, Pattern, sqlite_paths
from services.kernel.graph.sqlite import SqliteGraph
from services.kernel.graph.sqlite_match import Compiler

WORKSPACE = uuid.UUID(int=1)


def key(number: int) -> bytes:
    return number.to_bytes(16, "big")


@pytest.fixture
async def graph(tmp_path: Path) -> AsyncIterator[SqliteGraph]:
    opened = SqliteGraph(tmp_path / "data" / "graph.db")
    await opened.declare({"crew": ["name"], "ship": []}, ["knows"])
    await opened.put_nodes(WORKSPACE, [Node(key(n), "crew", {"name": f"n{n}"}) for n in range(50)])
    await opened.put_edges(WORKSPACE, [Edge("knows", key(n), key(n + 1), b"1") for n in range(60)])
    yield opened
    await opened.close()


async def plan(graph: SqliteGraph, pattern: Pattern, only: str = "") -> str:
    compiled = Compiler(pattern, graph._words.number, {"a": only} if only else {}).compile("a", None)
    values = compiled.values | {"space": 1, "limit": 10}
    rows = await graph._file.read(
        lambda connection: connection.execute(f"EXPLAIN QUERY PLAN {compiled.statement}", values).fetchall()
    )
    return "\n".join(row[3] for row in rows)


async def test_a_pattern_begins_at_an_index_and_goes_on_by_one(graph: SqliteGraph) -> None:
    crew = NodePattern("a", ("crew",))
    named = NodePattern("a", ("crew",), (Condition("name", "=", "n7"),))
    for either in (False, True):
        hop = Hop("a", "b", ("knows",), either=either)
        found = await plan(graph, Pattern((crew, NodePattern("b")), (hop,)))
        assert "SEARCH a USING INDEX node_label (space=? AND label=?)" in found
        assert "SCAN" not in found
        assert "SEARCH b USING INTEGER PRIMARY KEY" in found
        found = await plan(graph, Pattern((named, NodePattern("b")), (hop,)))
        assert "__name (space=? AND <expr>=?)" in found
        assert "SCAN" not in found
        found = await plan(graph, Pattern((NodePattern("a"), NodePattern("b")), (hop,)), "[1]")
        assert "SEARCH a USING INTEGER PRIMARY KEY" in found


async def test_a_path_is_not_looked_for_without_end(graph: SqliteGraph, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(await graph.paths(WORKSPACE, key(1), key(9), max_hops=12)) == 1
    monkeypatch.setattr(sqlite_paths, "LOOKED_AT", 5)
    with pytest.raises(Exhausted):
        await graph.paths(WORKSPACE, key(1), key(9), max_hops=12)
    assert graph.measures() == {"questions_total": 2, "given_up_total": 1}


KILLED = """
import asyncio, uuid
from services.kernel.graph import Edge, Node
from services.kernel.graph.sqlite import SqliteGraph

async def main():
    graph = SqliteGraph("killed/graph.db")
    await graph.declare({"crew": []}, ["knows"])
    await graph.put_nodes(uuid.UUID(int=1), [Node(b"a", "crew")])
    await graph.put_edges(uuid.UUID(int=1), [Edge("knows", b"a", b"b", b"1")])
    print("ready", flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


async def test_a_killed_process_keeps_what_it_put(tmp_path: Path, kill_when_ready: Callable[[str], None]) -> None:
    await asyncio.to_thread(kill_when_ready, KILLED)
    again = SqliteGraph(tmp_path / "killed" / "graph.db")
    await again.declare({"crew": []}, ["knows"])
    assert await again.nodes(WORKSPACE, [b"a", b"b"]) == [Node(b"a", "crew"), Node(b"b")]
    assert (await again.neighbours(WORKSPACE, [b"b"])).edges == [Edge("knows", b"a", b"b", b"1")]
    await again.close()
