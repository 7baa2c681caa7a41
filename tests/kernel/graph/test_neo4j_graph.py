"""What only the Neo4j adapter of `graph` does: outlive its server, sign in, use the server's indexes."""

import asyncio
import ssl
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from services.cli.fleet.ports import free_ports
from services.kernel.errors import Conflict, Denied, Exhausted, Invalid, MirageError, Unavailable
from services.kernel.graph import Condition, Edge, Hop, Node, NodePattern, Pattern, cypher, neo4j_client
from services.kernel.graph.neo4j import Neo4jGraph
from services.kernel.server import Server, Trust
from tests.collector.fetch.authority import Signer
from tests.servers.running import Server as Running

# Each start of a server takes some seconds, and several times that beside other work.
pytestmark = [pytest.mark.server, pytest.mark.timeout(300)]

OwnServer = Callable[[str], Running]
PASSWORD = "geheim-und-lang"
LABELS = {"crew": ["name"], "ship": []}


def key(number: int) -> bytes:
    return uuid.UUID(int=number).bytes


@pytest.fixture
async def graph(shared_server: OwnServer) -> AsyncIterator[Neo4jGraph]:
    opened = Neo4jGraph(Server.parse(shared_server("neo4j").url), pool=2)
    await opened.declare(LABELS, ["knows"])
    yield opened
    await opened.close()


async def until_answered(graph: Neo4jGraph) -> None:
    while True:
        try:
            return await graph.ping()
        except Unavailable:
            await asyncio.sleep(0.05)


async def until_away(graph: Neo4jGraph) -> None:
    with suppress(Unavailable):
        while True:
            await graph.ping()


async def refusal(graph: Neo4jGraph) -> MirageError:
    with pytest.raises(MirageError) as raised:
        await graph.ping()
    await graph.close()
    assert PASSWORD not in str(raised.value)
    return raised.value


async def test_a_server_that_was_killed_has_lost_nothing_and_is_found_again(
    own_server: OwnServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEO4J_PASSWORD", PASSWORD)
    running = own_server("neo4j")
    server = replace(Server.parse(running.url), user="neo4j", password=PASSWORD)
    assert isinstance(await refusal(Neo4jGraph(replace(server, password="falsch"))), Denied)
    assert isinstance(await refusal(Neo4jGraph(replace(server, user=""))), Denied)
    assert isinstance(await refusal(Neo4jGraph(replace(server, path="nowhere"))), Unavailable)

    graph, workspace = Neo4jGraph(server), uuid.uuid4()
    await graph.declare(LABELS, ["knows"])
    nodes = [Node(key(n), "crew", {"name": f"n{n}"}) for n in range(500)]
    written = 0
    calls: tuple[Callable[[], Awaitable[object]], ...] = (
        lambda: graph.put_nodes(workspace, nodes),
        lambda: graph.nodes(workspace, [key(1)]),
    )
    with running.held():
        await until_away(graph)  # a signal takes a moment to reach all threads
        for call in calls:
            with pytest.raises(Unavailable):
                await call()
    await until_answered(graph)

    async def write() -> None:
        nonlocal written
        with suppress(Unavailable):
            for n in range(500):
                await graph.put_nodes(workspace, nodes[n : n + 1])
                written = n + 1

    writing = asyncio.create_task(write())
    while written < 20:
        await asyncio.sleep(0.01)
    running.kill()
    await writing
    assert 20 <= written < 500
    for call in calls:
        with pytest.raises(Unavailable):
            await call()
    running.start()
    await until_answered(graph)
    assert await graph.nodes(workspace, [key(n) for n in range(written)]) == nodes[:written]
    await graph.put_nodes(workspace, nodes)
    assert (await graph.counts(workspace)).nodes == {"crew": 500}
    await graph.close()


async def test_a_server_that_nobody_starts_is_unavailable() -> None:
    for url in ("neo4j://127.0.0.1:1", "neo4j://nowhere.invalid"):
        graph = Neo4jGraph(Server.parse(url))
        with pytest.raises(Unavailable, match="neo4j at"):
            await graph.ping()
        await graph.close()
    with pytest.raises(Invalid):
        Neo4jGraph(Server.parse("neo4j://one,other"))


@asynccontextmanager
async def door(port: int, context: ssl.SSLContext) -> AsyncIterator[int]:
    """TLS before a server that has none; yields its port."""

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(pass_on(reader, inner[1]), pass_on(inner[0], writer))

    serving = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield serving.sockets[0].getsockname()[1]
    finally:
        serving.close()


async def test_tls_is_spoken_with_a_server_that_is_trusted(shared_server: OwnServer, tmp_path: Path) -> None:
    signer = Signer(tmp_path)
    async with door(shared_server("neo4j").port, signer.context("127.0.0.1")) as port:
        server = Server.parse(f"neo4j+tls://127.0.0.1:{port}", trust=Trust(ca=str(signer.file)))
        graph = Neo4jGraph(server)
        await graph.ping()
        assert await graph.nodes(uuid.uuid4(), [b"a"]) == []
        await graph.close()
        stranger = Neo4jGraph(replace(server, trust=Trust()))
        assert isinstance(await refusal(stranger), Unavailable)


async def test_a_question_that_nobody_waits_for_ends_on_the_server(graph: Neo4jGraph) -> None:
    workspace = uuid.uuid4()
    await graph.put_edges(
        workspace, [Edge("knows", key(a), key(b), b"1") for a in range(40) for b in range(40) if a != b]
    )
    names = "abcdefg"
    ring = Pattern(
        tuple(NodePattern(name) for name in names),
        tuple(Hop(one, other) for one, other in zip(names, (*names[1:], "a"), strict=True)),
    )
    space = cypher.space_of(workspace)
    running = (
        "SHOW TRANSACTIONS YIELD currentQuery, parameters"
        f" WHERE parameters.space = '{space}' AND currentQuery STARTS WITH 'MATCH' RETURN count(*)"
    )
    asked = asyncio.ensure_future(graph.match(workspace, ring, seconds=600))
    while not (await graph._client.run(running, {}))[0][0]:
        assert not asked.done()
        await asyncio.sleep(0.02)
    asked.cancel()
    await asyncio.gather(asked, return_exceptions=True)
    assert asked.cancelled()
    while (await graph._client.run(running, {}))[0][0]:
        await asyncio.sleep(0.02)
    assert graph.measures()["pool_in_use"] == 0
    with pytest.raises(Exhausted):
        await graph.match(workspace, ring, seconds=0.3)


async def test_what_runs_when_a_graph_is_closed_comes_to_its_end(graph: Neo4jGraph, shared_server: OwnServer) -> None:
    other, workspace = Neo4jGraph(Server.parse(shared_server("neo4j").url)), uuid.uuid4()
    await other.declare(LABELS, ["knows"])
    putting = asyncio.ensure_future(other.put_nodes(workspace, [Node(key(n), "crew") for n in range(900)]))
    while not other.measures()["pool_in_use"]:
        await asyncio.sleep(0)
    await other.close()
    await putting
    assert (await graph.counts(workspace)).nodes == {"crew": 900}


#: A statement that counts on and on.
ENDLESS = "UNWIND range(1, 1000000) AS a UNWIND range(1, 1000000) AS b RETURN count(a + b)"


async def test_a_graph_closes_though_a_statement_never_ends(
    shared_server: OwnServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(neo4j_client, "CLOSING", 0.1)
    client = neo4j_client.Neo4jClient(Server.parse(shared_server("neo4j").url), 2)
    asked = asyncio.ensure_future(client.run(ENDLESS, {}))
    while not client.measures()["statements_total"]:
        await asyncio.sleep(0.01)
    async with asyncio.timeout(60):
        await client.close()
        with pytest.raises(Unavailable):
            await asked
    assert client.measures()["pool_in_use"] == 0


async def test_who_is_cancelled_while_a_statement_is_ended_is_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    (port,) = free_ports(1)
    client = neo4j_client.Neo4jClient(Server.parse(f"neo4j://127.0.0.1:{port}"), 2)
    monkeypatch.setattr(neo4j_client, "PATIENCE", 0.01)  # then it is asked whether it lives, and does not
    ending = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ending.set()
            await asyncio.sleep(0)
            await asyncio.sleep(0)

    asked = asyncio.ensure_future(client._watched(work()))
    await ending.wait()
    asked.cancel()
    async with asyncio.timeout(10):
        with pytest.raises(asyncio.CancelledError):
            await asked
    await client.close()


async def test_an_error_of_the_server_names_it_and_quotes_nothing(graph: Neo4jGraph) -> None:
    secret = uuid.uuid4().hex
    space = cypher.space_of(uuid.uuid4())
    for statement, kind in (
        ("CREATE (:Node {_key: $key}) CREATE (:Node {_key: $key})", Conflict),
        ("RETURN $key + ", Invalid),
        ("RETURN date($key)", Invalid),
    ):
        with pytest.raises(kind, match=r"neo4j at 127\.0\.0\.1") as raised:
            await graph._client.run(statement, {"key": space + secret})
        assert secret not in str(raised.value)


async def operators(graph: Neo4jGraph, pattern: Pattern, **only: list[str]) -> str:
    """The operators of the plan of a pattern."""
    compiled = cypher.Compiler(pattern, graph._vocabulary, cypher.space_of(uuid.uuid4())).compile(only, None)

    async with graph._client._connect().session(database="neo4j") as session:
        result = await session.run(f"EXPLAIN {compiled.statement}", compiled.values | {"limit": 10})
        return told((await result.consume()).plan)


def told(plan: Any) -> str:
    own = f"{plan['operatorType']} {plan['args'].get('Details', '')}"
    return "\n".join([own, *(told(child) for child in plan.get("children", ()))])


async def test_questions_begin_at_an_index_and_never_look_at_all_workspaces(graph: Neo4jGraph) -> None:
    crew = NodePattern("a", ("crew",))
    named = NodePattern("a", ("crew",), (Condition("name", "=", "x"),))
    hop = Hop("a", "b", ("knows",))
    for pattern in (
        Pattern((crew,)),
        Pattern((named,)),
        Pattern((NodePattern("a"),)),
        Pattern((crew, NodePattern("b")), (hop,)),
        Pattern((named, NodePattern("b")), (replace(hop, name="e"),)),
        Pattern((crew, NodePattern("b", ("ship",))), (replace(hop, absent=True),)),
        Pattern((crew, NodePattern("b")), (replace(hop, most=4, either=True),)),
    ):
        plan = await operators(graph, pattern)
        assert "IndexSeek" in plan, plan
        for whole in ("AllNodesScan", "NodeByLabelScan", "RelationshipTypeScan", "NodeIndexScan"):
            assert whole not in plan, plan
    assert "(_w, name)" in await operators(graph, Pattern((named,)))


async def test_a_hop_over_several_edges_visits_a_node_once(graph: Neo4jGraph) -> None:
    pattern = Pattern((NodePattern("a"), NodePattern("b")), (Hop("a", "b", ("knows",), most=5),))
    assert "Pruning" in await operators(graph, pattern, a=["x"])
